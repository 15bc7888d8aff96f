// SPDX-License-Identifier: Apache-2.0
// What a dead letter looks like: the message with the history of its deaths, in the annotations
// that the tools of other brokers read.
#pragma once

#include <cstdint>
#include <string_view>

#include "broker/core/message.hpp"

namespace whimbrel::broker::core {

enum class death_reason : std::uint8_t {
  rejected,
  expired,
  maxlen,              // the queue was full
  delivery_limit,
  undeliverable_here,  // modified so, where there are dead letters
};

[[nodiscard]] std::string_view name_of(death_reason why);

struct death {
  std::string_view queue = {};
  death_reason why = death_reason::rejected;
  std::int64_t now_ms = 0;
  std::int64_t expires_ms = 0;  // when its time was, or would have been, up; 0: never
};

/// The message as it goes on: without time to live, which would end it again wherever it comes, and
/// with these annotations:
///
///     x-opt-deaths   array of maps, the latest first: queue, reason, count, first-time, last-time,
///                    exchange, routing-keys, ttl; one for each queue and reason
///     x-first-death-{queue, reason, exchange}, x-last-death-{queue, reason, exchange}
///     x-opt-ORIG-QUEUE, x-opt-ORIG-ADDRESS, x-opt-ORIG-MESSAGE-ID   where it died first
///     x-opt-ACTUAL-EXPIRY   in milliseconds, of one that expired
///
/// Exchange and routing keys are those of the annotations x-exchange and x-routing-key if it has
/// them; otherwise the default exchange and the queue's name.
[[nodiscard]] message_ptr make_dead_letter(const message& m, const death& d);

/// It died in this queue before, and since it was first a dead letter no consumer had a say in it:
/// it would go in circles for ever.
[[nodiscard]] bool goes_in_circles(const message& m, std::string_view queue, death_reason why);

/// Whether it was a consumer that wanted it gone.
[[nodiscard]] bool is_consumers_word(death_reason why);

}  // namespace whimbrel::broker::core
