// SPDX-License-Identifier: Apache-2.0
// Attach replies: both termini, with what is in force and only that. [2.6.3, 3.5]
#pragma once

#include <cstdint>
#include <string>

#include "amqp/codec/types.hpp"
#include "amqp/spec/messaging.hpp"
#include "amqp/spec/transport.hpp"
#include "broker/core/directory.hpp"

namespace whimbrel::broker::protocol {

/// What the capabilities say the address is meant to be.
[[nodiscard]] core::node_hint hint_of(const amqp::codec::multiple<amqp::symbol>& capabilities);

/// The target of a node that was made for the link.
[[nodiscard]] amqp::spec::target dynamic_target(const amqp::spec::target& asked, std::string name);

/// Our attach to a peer that sends: its termini are echoed, for nothing in them is refused here
/// but durability, which a terminus of ours does not have. `staying`: see source_in_force.
[[nodiscard]] amqp::spec::attach reply_to_sender(const amqp::spec::attach& asked,
                                                 std::uint64_t max_message_size, bool staying);

struct source_in_force {
  std::string address = {};
  bool dynamic = false;
  bool browsing = false;
  amqp::codec::map filter = {};  // those that are applied
  bool subscribed = false;  // a subscription's, to a topic or an exchange
  bool lasting = false;     // ... which is found again
  bool staying = false;     // keeps its link's deliveries until the session ends
};

/// Whether a terminus of this expiry-policy is to be there when its link has detached.
[[nodiscard]] bool outlives_detach(const amqp::symbol& expiry_policy);
/// The same of an encoded target.
[[nodiscard]] bool target_outlives_detach(const amqp::codec::raw& target);

/// Whether the source's terminus is to outlive its link.
[[nodiscard]] bool request_lasts(const amqp::spec::attach& asked);
/// How a receiver wants to be subscribed, if its source is a topic or an exchange.
[[nodiscard]] core::subscription_wish wish_of(const amqp::spec::attach& asked,
                                              const std::string& container);
/// The source of a subscription, for a link that asked without one.
[[nodiscard]] amqp::spec::source source_of(const core::subscription& what);

/// Our attach to a peer that receives.
[[nodiscard]] amqp::spec::attach reply_to_receiver(const amqp::spec::attach& asked,
                                                   const source_in_force& source);

}  // namespace whimbrel::broker::protocol
