// SPDX-License-Identifier: Apache-2.0
// When a message may be delivered at the earliest: the annotations `x-opt-delivery-time` (a
// timestamp or a whole number, milliseconds since 1970) and `x-opt-delivery-delay` (milliseconds
// from its arrival on).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "amqp/codec/value.hpp"
#include "broker/core/executor.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/message.hpp"

namespace whimbrel::broker::core {

inline constexpr std::string_view delivery_time_key = "x-opt-delivery-time";
inline constexpr std::string_view delivery_delay_key = "x-opt-delivery-delay";

/// Most messages have no annotations, and most that have some say nothing of time.
[[nodiscard]] inline bool has_annotations(const message& m) {
  return m.sections().message_annotations_end != m.sections().delivery_annotations_end;
}
[[nodiscard]] bool may_tell_time(const message& m);

/// The message's delivery time; 0: none, or none that can be read.
[[nodiscard]] std::int64_t delivery_time_of(const message& m);

/// What changes to a message's annotations say of its next delivery; 0: nothing.
[[nodiscard]] std::int64_t delivery_time_in(const amqp::codec::map& changes, std::int64_t now_ms);

/// A delay becomes a time, so that it means the same wherever the message goes and whenever it is
/// looked at. A message with a time, or with neither, stays as it is.
void fix_delivery_time(message_ptr& m, std::int64_t now_ms);

/// Messages of one queue that wait for their time. Those that have gone meanwhile are named here
/// until then.
struct schedule {
  std::vector<std::pair<std::int64_t, sequence>> times = {};  // min-heap: when, which
  std::size_t waiting = 0;                                    // messages in place::scheduled
  std::int64_t armed_for = 0;                                 // 0: no timer runs
  executor::timer_id timer{};

  void add(std::int64_t when, sequence at);
  [[nodiscard]] bool is_due(std::int64_t now) const {
    return !times.empty() && times.front().first <= now;
  }
  sequence take_first();
};

}  // namespace whimbrel::broker::core
