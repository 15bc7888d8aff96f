// SPDX-License-Identifier: Apache-2.0
// Delivery states and errors as octets, both ways. [3.4]
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "amqp/codec/types.hpp"
#include "amqp/spec/fast.hpp"
#include "amqp/spec/messaging.hpp"
#include "broker/core/letter.hpp"

namespace whimbrel::broker::protocol {

[[nodiscard]] amqp::spec::error make_error(std::string_view condition, std::string description);

/// The octets of an outcome without fields.
[[nodiscard]] std::span<const std::byte> plain_octets(core::outcome what);
/// `rejected` with the reason.
[[nodiscard]] amqp::codec::raw rejected_octets(std::string_view condition, std::string description);
/// The same; the queue that refused, and its reason, stand in the error's info.
[[nodiscard]] amqp::codec::raw rejected_octets(const core::letter_detail& why);

/// What a consumer, or a source's default-outcome, says became of a message.
struct stated_outcome {
  core::outcome what = core::outcome::released;
  bool failed = false;         // modified: delivery-failed
  bool undeliverable = false;  // modified: undeliverable-here
  std::optional<amqp::codec::map> annotations = {};

  [[nodiscard]] bool is_plain() const {
    return !failed && !undeliverable && !annotations.has_value();
  }
};

/// Nothing for a state that is no outcome (received, or none), or that cannot be read.
[[nodiscard]] std::optional<stated_outcome> read_outcome(amqp::spec::fast::state_kind kind,
                                                         std::span<const std::byte> octets);

}  // namespace whimbrel::broker::protocol
