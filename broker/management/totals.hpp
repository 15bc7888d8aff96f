// SPDX-License-Identifier: Apache-2.0
// What the broker has done since it started, and has now: one sum over all workers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "storage/store.hpp"

namespace whimbrel::broker::management {

struct totals {
  // Since the start.
  std::uint64_t in = 0;         // messages that producers sent
  std::uint64_t out = 0;        // deliveries to consumers
  std::uint64_t stored = 0;     // messages that had to be stored
  std::uint64_t cancelled = 0;  // of those, settled before they were submitted
  std::uint64_t refused = 0;    // verdicts other than accepted
  std::array<std::uint64_t, 4> settled{};  // deliveries, by core::outcome
  std::uint64_t credit_stops = 0;
  std::uint64_t unreadable = 0;  // bodies that failed their checksum
  std::uint64_t connections_accepted = 0;
  storage::store_statistics store{};
  // Now.
  std::size_t connections = 0;
  std::size_t sessions = 0;
  std::size_t links = 0;
  std::size_t queues = 0;
  std::uint64_t depth = 0;      // messages in queues, held ones included
  std::uint64_t resident = 0;   // octets of messages in memory
  std::uint64_t memory = 0;     // the budget for them

  /// One line, for the log.
  [[nodiscard]] std::string text() const;
};

/// The same as Prometheus scrapes it, text format 0.0.4.
[[nodiscard]] std::string exposition(const totals& t);

}  // namespace whimbrel::broker::management
