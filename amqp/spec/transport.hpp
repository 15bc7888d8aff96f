// SPDX-License-Identifier: Apache-2.0
// The performatives of the transport. [2.7]
#pragma once

#include "amqp/spec/definitions.hpp"
#include "amqp/spec/messaging.hpp"

namespace whimbrel::amqp::spec {

using codec::field;
using enum codec::presence;
using enum codec::privacy;

/// Negotiates the parameters of a connection. [2.7.1]
struct open {
  std::string container_id = {};
  std::optional<std::string> hostname = {};
  std::uint32_t max_frame_size = 4294967295;
  std::uint16_t channel_max = 65535;
  std::optional<std::uint32_t> idle_time_out = {};  // milliseconds
  codec::multiple<symbol> outgoing_locales = {};
  codec::multiple<symbol> incoming_locales = {};
  codec::multiple<symbol> offered_capabilities = {};
  codec::multiple<symbol> desired_capabilities = {};
  std::optional<codec::map> properties = {};

  bool operator==(const open&) const = default;

  static constexpr codec::descriptor type{0x10, "amqp:open:list"};
  static constexpr auto fields = std::tuple{
      field{"container-id", &open::container_id, mandatory},
      field{"hostname", &open::hostname},
      field{"max-frame-size", &open::max_frame_size},
      field{"channel-max", &open::channel_max},
      field{"idle-time-out", &open::idle_time_out},
      field{"outgoing-locales", &open::outgoing_locales},
      field{"incoming-locales", &open::incoming_locales},
      field{"offered-capabilities", &open::offered_capabilities},
      field{"desired-capabilities", &open::desired_capabilities},
      field{"properties", &open::properties},
  };
};

/// Begins a session on a channel. [2.7.2]
struct begin {
  std::optional<std::uint16_t> remote_channel = {};
  std::uint32_t next_outgoing_id = 0;
  std::uint32_t incoming_window = 0;
  std::uint32_t outgoing_window = 0;
  std::uint32_t handle_max = 4294967295;
  codec::multiple<symbol> offered_capabilities = {};
  codec::multiple<symbol> desired_capabilities = {};
  std::optional<codec::map> properties = {};

  bool operator==(const begin&) const = default;

  static constexpr codec::descriptor type{0x11, "amqp:begin:list"};
  static constexpr auto fields = std::tuple{
      field{"remote-channel", &begin::remote_channel},
      field{"next-outgoing-id", &begin::next_outgoing_id, mandatory},
      field{"incoming-window", &begin::incoming_window, mandatory},
      field{"outgoing-window", &begin::outgoing_window, mandatory},
      field{"handle-max", &begin::handle_max},
      field{"offered-capabilities", &begin::offered_capabilities},
      field{"desired-capabilities", &begin::desired_capabilities},
      field{"properties", &begin::properties},
  };
};

/// Attaches a link to a session. [2.7.3]
struct attach {
  std::string name = {};
  std::uint32_t handle = 0;
  enum role role = {};
  enum sender_settle_mode snd_settle_mode = sender_settle_mode::mixed;
  enum receiver_settle_mode rcv_settle_mode = receiver_settle_mode::first;
  std::optional<spec::source> source = {};
  codec::raw target = {};                    // target or coordinator
  std::optional<codec::raw> unsettled = {};  // a map, left encoded: it may be large
  bool incomplete_unsettled = false;
  std::optional<std::uint32_t> initial_delivery_count = {};
  std::optional<std::uint64_t> max_message_size = {};
  codec::multiple<symbol> offered_capabilities = {};
  codec::multiple<symbol> desired_capabilities = {};
  std::optional<codec::map> properties = {};

  bool operator==(const attach&) const = default;

  static constexpr codec::descriptor type{0x12, "amqp:attach:list"};
  static constexpr auto fields = std::tuple{
      field{"name", &attach::name, mandatory},
      field{"handle", &attach::handle, mandatory},
      field{"role", &attach::role, mandatory},
      field{"snd-settle-mode", &attach::snd_settle_mode},
      field{"rcv-settle-mode", &attach::rcv_settle_mode},
      field{"source", &attach::source},
      field{"target", &attach::target},
      field{"unsettled", &attach::unsettled},
      field{"incomplete-unsettled", &attach::incomplete_unsettled},
      field{"initial-delivery-count", &attach::initial_delivery_count},
      field{"max-message-size", &attach::max_message_size},
      field{"offered-capabilities", &attach::offered_capabilities},
      field{"desired-capabilities", &attach::desired_capabilities},
      field{"properties", &attach::properties},
  };
};

/// Updates the flow state of a session, and of one link if it names one. [2.7.4]
struct flow {
  std::optional<std::uint32_t> next_incoming_id = {};
  std::uint32_t incoming_window = 0;
  std::uint32_t next_outgoing_id = 0;
  std::uint32_t outgoing_window = 0;
  std::optional<std::uint32_t> handle = {};
  std::optional<std::uint32_t> delivery_count = {};
  std::optional<std::uint32_t> link_credit = {};
  std::optional<std::uint32_t> available = {};
  bool drain = false;
  bool echo = false;
  std::optional<codec::map> properties = {};

  bool operator==(const flow&) const = default;

  static constexpr codec::descriptor type{0x13, "amqp:flow:list"};
  static constexpr auto fields = std::tuple{
      field{"next-incoming-id", &flow::next_incoming_id},
      field{"incoming-window", &flow::incoming_window, mandatory},
      field{"next-outgoing-id", &flow::next_outgoing_id, mandatory},
      field{"outgoing-window", &flow::outgoing_window, mandatory},
      field{"handle", &flow::handle},
      field{"delivery-count", &flow::delivery_count},
      field{"link-credit", &flow::link_credit},
      field{"available", &flow::available},
      field{"drain", &flow::drain},
      field{"echo", &flow::echo},
      field{"properties", &flow::properties},
  };
};

/// Carries a piece of a message along a link. [2.7.5]
struct transfer {
  std::uint32_t handle = 0;
  std::optional<std::uint32_t> delivery_id = {};
  std::optional<binary> delivery_tag = {};
  std::optional<std::uint32_t> message_format = {};
  std::optional<bool> settled = {};
  bool more = false;
  std::optional<enum receiver_settle_mode> rcv_settle_mode = {};
  codec::raw state = {};
  bool resume = false;
  bool aborted = false;
  bool batchable = false;

  bool operator==(const transfer&) const = default;

  static constexpr codec::descriptor type{0x14, "amqp:transfer:list"};
  static constexpr auto fields = std::tuple{
      field{"handle", &transfer::handle, mandatory},
      field{"delivery-id", &transfer::delivery_id},
      field{"delivery-tag", &transfer::delivery_tag},
      field{"message-format", &transfer::message_format},
      field{"settled", &transfer::settled},
      field{"more", &transfer::more},
      field{"rcv-settle-mode", &transfer::rcv_settle_mode},
      field{"state", &transfer::state},
      field{"resume", &transfer::resume},
      field{"aborted", &transfer::aborted},
      field{"batchable", &transfer::batchable},
  };
};

/// Tells the state of a range of deliveries. [2.7.6]
struct disposition {
  enum role role = {};
  std::uint32_t first = 0;
  std::optional<std::uint32_t> last = {};
  bool settled = false;
  codec::raw state = {};
  bool batchable = false;

  bool operator==(const disposition&) const = default;

  static constexpr codec::descriptor type{0x15, "amqp:disposition:list"};
  static constexpr auto fields = std::tuple{
      field{"role", &disposition::role, mandatory},
      field{"first", &disposition::first, mandatory},
      field{"last", &disposition::last},
      field{"settled", &disposition::settled},
      field{"state", &disposition::state},
      field{"batchable", &disposition::batchable},
  };
};

/// Detaches a link, or closes it. [2.7.7]
struct detach {
  std::uint32_t handle = 0;
  bool closed = false;
  std::optional<spec::error> error = {};

  bool operator==(const detach&) const = default;

  static constexpr codec::descriptor type{0x16, "amqp:detach:list"};
  static constexpr auto fields = std::tuple{
      field{"handle", &detach::handle, mandatory},
      field{"closed", &detach::closed},
      field{"error", &detach::error},
  };
};

/// Ends a session. [2.7.8]
struct end {
  std::optional<spec::error> error = {};

  bool operator==(const end&) const = default;

  static constexpr codec::descriptor type{0x17, "amqp:end:list"};
  static constexpr auto fields = std::tuple{
      field{"error", &end::error},
  };
};

/// Ends a connection. [2.7.9]
struct close {
  std::optional<spec::error> error = {};

  bool operator==(const close&) const = default;

  static constexpr codec::descriptor type{0x18, "amqp:close:list"};
  static constexpr auto fields = std::tuple{
      field{"error", &close::error},
  };
};
}  // namespace whimbrel::amqp::spec
