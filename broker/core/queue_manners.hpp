// SPDX-License-Identifier: Apache-2.0
// What a queue with policies is composed of besides the order of arrival. A queue without has none
// of this, and asks once a step whether it has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "broker/core/dead_letter.hpp"
#include "broker/core/delivery_time.hpp"
#include "broker/core/duplicate_window.hpp"
#include "broker/core/last_values.hpp"
#include "broker/core/length_limit.hpp"
#include "broker/core/letter.hpp"
#include "broker/core/level_order.hpp"
#include "broker/core/message_groups.hpp"
#include "broker/core/queue_policy.hpp"

namespace whimbrel::broker::core {

/// A message that is to become a dead letter. Its consumer, if it has one, is told `what` when the
/// removal is durable.
struct dying_message {
  sequence at = 0;
  death_reason why = death_reason::rejected;
  link_ref consumer{};
  std::uint32_t id = 0;
  outcome what = outcome::rejected;
};

struct queue_manners {
  queue_policy policy = {};
  length_limit limit = {};
  std::unique_ptr<level_order> levels = {};  // none: order of arrival
  std::unique_ptr<last_values> values = {};  // none: all messages stay
  std::unique_ptr<duplicate_window> window = {};  // none: ids do not matter
  std::unique_ptr<message_groups> groups = {};    // none: any consumer may have any message
  // Answers for copies of messages that are prepared, by their sequence.
  std::vector<std::pair<sequence, std::function<void()>>> unapplied = {};
  std::deque<dying_message> dying = {};
  std::size_t leaving = 0;    // messages in place::leaving, of which `dying` names some
  bool burial_due = false;    // posted, or waiting for the name of the target
  std::vector<std::uint32_t> line = {};  // single active consumer: slots, the next ones first
  bool ranked = false;        // some consumer has, or had, a priority
  schedule later = {};        // messages that wait for their time
  std::int64_t unused_since = 0;  // wall time; 0: it has consumers, or has not been looked at
  bool gate_closed = false;   // flow-control: producers of this queue get no credit

  [[nodiscard]] bool has_target() const { return policy.dead_letter_exchange.has_value(); }
  [[nodiscard]] bool has_single_active() const {
    return policy.single_active_consumer.value_or(false);
  }
  /// Says nothing that a queue without policies would not do.
  [[nodiscard]] bool is_idle() const {
    return policy.empty() && leaving == 0 && !ranked && later.waiting == 0 &&
           unapplied.empty();
  }
  [[nodiscard]] core::overflow overflow() const {
    return policy.overflow.value_or(core::overflow::drop_head);
  }
};

/// A count of failed deliveries as the store keeps it for us: the message's priority rides in the
/// upper octet, as recovery must know it before it has read any body; the usual one is 0 there.
/// The bit below says that the body names a delivery time.
inline constexpr std::uint32_t failed_max = (1U << 23) - 1;
inline constexpr std::uint32_t delayed_bit = 1U << 23;

[[nodiscard]] constexpr std::uint32_t stored_count(std::uint32_t failed, std::uint8_t priority,
                                                   bool delayed = false) {
  const auto shown = static_cast<std::uint32_t>(priority ^ level_order::usual);
  return (failed < failed_max ? failed : failed_max) | (delayed ? delayed_bit : 0) | shown << 24;
}
[[nodiscard]] constexpr std::uint32_t failed_of(std::uint32_t stored) {
  return stored & failed_max;
}
[[nodiscard]] constexpr bool is_delayed(std::uint32_t stored) {
  return (stored & delayed_bit) != 0;
}
[[nodiscard]] constexpr std::uint8_t priority_of(std::uint32_t stored) {
  return static_cast<std::uint8_t>((stored >> 24) ^ level_order::usual);
}

}  // namespace whimbrel::broker::core
