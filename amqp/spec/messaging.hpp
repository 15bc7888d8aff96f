// SPDX-License-Identifier: Apache-2.0
// Message sections, outcomes, termini and lifetime policies. [3.2, 3.4, 3.5]
#pragma once

#include "amqp/spec/definitions.hpp"

namespace whimbrel::amqp::spec {

using codec::field;
using enum codec::presence;
using enum codec::privacy;

/// How a message is to be transported. The defaults are those of the OASIS text; the XML of 2011
/// does not carry them. [3.2.1]
struct header {
  bool durable = false;
  std::uint8_t priority = 4;
  std::optional<std::uint32_t> ttl = {};  // milliseconds
  bool first_acquirer = false;
  std::uint32_t delivery_count = 0;

  bool operator==(const header&) const = default;

  static constexpr codec::descriptor type{0x70, "amqp:header:list"};
  static constexpr auto fields = std::tuple{
      field{"durable", &header::durable},
      field{"priority", &header::priority},
      field{"ttl", &header::ttl},
      field{"first-acquirer", &header::first_acquirer},
      field{"delivery-count", &header::delivery_count},
  };
};

/// The immutable standard properties of a message. [3.2.4]
struct properties {
  std::optional<spec::message_id> message_id = {};
  std::optional<binary> user_id = {};
  std::optional<std::string> to = {};
  std::optional<std::string> subject = {};
  std::optional<std::string> reply_to = {};
  std::optional<spec::message_id> correlation_id = {};
  std::optional<symbol> content_type = {};
  std::optional<symbol> content_encoding = {};
  std::optional<timestamp> absolute_expiry_time = {};
  std::optional<timestamp> creation_time = {};
  std::optional<std::string> group_id = {};
  std::optional<std::uint32_t> group_sequence = {};
  std::optional<std::string> reply_to_group_id = {};

  bool operator==(const properties&) const = default;

  static constexpr codec::descriptor type{0x73, "amqp:properties:list"};
  static constexpr auto fields = std::tuple{
      field{"message-id", &properties::message_id},
      field{"user-id", &properties::user_id},
      field{"to", &properties::to},
      field{"subject", &properties::subject},
      field{"reply-to", &properties::reply_to},
      field{"correlation-id", &properties::correlation_id},
      field{"content-type", &properties::content_type},
      field{"content-encoding", &properties::content_encoding},
      field{"absolute-expiry-time", &properties::absolute_expiry_time},
      field{"creation-time", &properties::creation_time},
      field{"group-id", &properties::group_id},
      field{"group-sequence", &properties::group_sequence},
      field{"reply-to-group-id", &properties::reply_to_group_id},
  };
};

/// How much of a delivery has arrived. [3.4.1]
struct received {
  std::uint32_t section_number = 0;
  std::uint64_t section_offset = 0;

  bool operator==(const received&) const = default;

  static constexpr codec::descriptor type{0x23, "amqp:received:list"};
  static constexpr auto fields = std::tuple{
      field{"section-number", &received::section_number, mandatory},
      field{"section-offset", &received::section_offset, mandatory},
  };
};

/// The message has been taken over. [3.4.2]
struct accepted {
  bool operator==(const accepted&) const = default;

  static constexpr codec::descriptor type{0x24, "amqp:accepted:list"};
  static constexpr auto fields = std::tuple{};
};

/// The message is invalid and cannot be processed. [3.4.3]
struct rejected {
  std::optional<spec::error> error = {};

  bool operator==(const rejected&) const = default;

  static constexpr codec::descriptor type{0x25, "amqp:rejected:list"};
  static constexpr auto fields = std::tuple{
      field{"error", &rejected::error},
  };
};

/// The message was not and will not be acted upon. [3.4.4]
struct released {
  bool operator==(const released&) const = default;

  static constexpr codec::descriptor type{0x26, "amqp:released:list"};
  static constexpr auto fields = std::tuple{};
};

/// As released, with changes. [3.4.5]
struct modified {
  std::optional<bool> delivery_failed = {};
  std::optional<bool> undeliverable_here = {};
  std::optional<codec::map> message_annotations = {};

  bool operator==(const modified&) const = default;

  static constexpr codec::descriptor type{0x27, "amqp:modified:list"};
  static constexpr auto fields = std::tuple{
      field{"delivery-failed", &modified::delivery_failed},
      field{"undeliverable-here", &modified::undeliverable_here},
      field{"message-annotations", &modified::message_annotations},
  };
};

/// Where messages come from. [3.5.3]
struct source {
  std::optional<std::string> address = {};
  terminus_durability durable = terminus_durability::none;
  symbol expiry_policy = "session-end";
  std::uint32_t timeout = 0;  // seconds
  bool dynamic = false;
  std::optional<codec::map> dynamic_node_properties = {};
  std::optional<symbol> distribution_mode = {};
  std::optional<codec::map> filter = {};
  codec::raw default_outcome = {};
  codec::multiple<symbol> outcomes = {};
  codec::multiple<symbol> capabilities = {};

  bool operator==(const source&) const = default;

  static constexpr codec::descriptor type{0x28, "amqp:source:list"};
  static constexpr auto fields = std::tuple{
      field{"address", &source::address},
      field{"durable", &source::durable},
      field{"expiry-policy", &source::expiry_policy},
      field{"timeout", &source::timeout},
      field{"dynamic", &source::dynamic},
      field{"dynamic-node-properties", &source::dynamic_node_properties},
      field{"distribution-mode", &source::distribution_mode},
      field{"filter", &source::filter},
      field{"default-outcome", &source::default_outcome},
      field{"outcomes", &source::outcomes},
      field{"capabilities", &source::capabilities},
  };
};

/// Where messages go to. [3.5.4]
struct target {
  std::optional<std::string> address = {};
  terminus_durability durable = terminus_durability::none;
  symbol expiry_policy = "session-end";
  std::uint32_t timeout = 0;  // seconds
  bool dynamic = false;
  std::optional<codec::map> dynamic_node_properties = {};
  codec::multiple<symbol> capabilities = {};

  bool operator==(const target&) const = default;

  static constexpr codec::descriptor type{0x29, "amqp:target:list"};
  static constexpr auto fields = std::tuple{
      field{"address", &target::address},
      field{"durable", &target::durable},
      field{"expiry-policy", &target::expiry_policy},
      field{"timeout", &target::timeout},
      field{"dynamic", &target::dynamic},
      field{"dynamic-node-properties", &target::dynamic_node_properties},
      field{"capabilities", &target::capabilities},
  };
};

/// Lifetime of a dynamic node: until its creating link is closed. [3.5.10]
struct delete_on_close {
  bool operator==(const delete_on_close&) const = default;

  static constexpr codec::descriptor type{0x2b, "amqp:delete-on-close:list"};
  static constexpr auto fields = std::tuple{};
};

/// Lifetime of a dynamic node: until no link is left. [3.5.11]
struct delete_on_no_links {
  bool operator==(const delete_on_no_links&) const = default;

  static constexpr codec::descriptor type{0x2c, "amqp:delete-on-no-links:list"};
  static constexpr auto fields = std::tuple{};
};

/// Lifetime of a dynamic node: until it is empty and unused by its creator. [3.5.12]
struct delete_on_no_messages {
  bool operator==(const delete_on_no_messages&) const = default;

  static constexpr codec::descriptor type{0x2d, "amqp:delete-on-no-messages:list"};
  static constexpr auto fields = std::tuple{};
};

/// Lifetime of a dynamic node: until it is empty and no link is left. [3.5.13]
struct delete_on_no_links_or_messages {
  bool operator==(const delete_on_no_links_or_messages&) const = default;

  static constexpr codec::descriptor type{0x2e, "amqp:delete-on-no-links-or-messages:list"};
  static constexpr auto fields = std::tuple{};
};

}  // namespace whimbrel::amqp::spec
