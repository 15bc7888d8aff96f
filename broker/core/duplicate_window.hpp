// SPDX-License-Identifier: Apache-2.0
// The message-ids that a queue has seen lately.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "broker/core/ids.hpp"
#include "broker/core/message.hpp"
#include "storage/store.hpp"

namespace whimbrel::broker::core {

/// Belongs to one queue with `dedup-window`. Costs the id and some 150 octets for each that is
/// remembered, of which there are as many as `dedup-max` says at most.
///
/// The store keeps ids in records of one batch's each, which are written with the messages and
/// erased when all of their ids have left the window.
///
///     key    u64 queue, u64 number, both big-endian: records of a queue come in their order
///     value  u8 1, then for each id: i64 when it came, u16 octets, its identity
class duplicate_window {
 public:
  static constexpr std::uint64_t count_max_usual = 100'000;

  struct memory {
    std::int64_t when = 0;
    sequence at = 0;      // 0: of an earlier run
    bool stored = false;  // its message was to be
    std::uint64_t record = 0;
  };

  void set(std::uint64_t window_ms, std::uint64_t count_max);
  /// The properties' message-id [3.2.4]; nothing if it has none that can be kept.
  [[nodiscard]] static std::optional<std::string> id_of(const message& m);
  [[nodiscard]] const memory* find(const std::string& id) const;
  [[nodiscard]] std::size_t size() const { return known_.size(); }

  /// A new id. `stored`: it will be in the next record.
  void add(std::string id, sequence at, bool stored, std::int64_t now);
  /// The same with a record of its own, for whoever writes the message.
  [[nodiscard]] storage::record add_alone(storage::queue_id queue, std::string id, sequence at,
                                          std::int64_t now);
  /// Ids that are to be stored, and have come since this was asked last.
  [[nodiscard]] std::optional<storage::record> take_record(storage::queue_id queue);

  /// Forgets what is too old or too much; what comes back erases records that nobody needs.
  [[nodiscard]] std::vector<storage::record> trim(storage::queue_id queue, std::int64_t now);
  /// What erases all records.
  [[nodiscard]] std::vector<storage::record> erase_all(storage::queue_id queue) const;

  // --- recovery ---
  [[nodiscard]] static std::optional<std::pair<storage::queue_id, std::uint64_t>> read_key(
      std::string_view key);
  /// Records in ascending order.
  void restore(std::uint64_t record, std::span<const std::byte> value);

 private:
  const std::string& remember(std::string id, const memory& what);
  static void append(std::vector<std::byte>& to, const std::string& id, std::int64_t when);
  [[nodiscard]] static std::string key_of(storage::queue_id queue, std::uint64_t record);
  [[nodiscard]] std::optional<std::uint64_t> drop_oldest();

  std::int64_t window_ms_ = 0;
  std::uint64_t count_max_ = count_max_usual;
  std::unordered_map<std::string, memory> known_ = {};  // nodes: `order_` points into it
  std::deque<const std::string*> order_ = {};           // the oldest first
  std::map<std::uint64_t, std::size_t> records_ = {};   // remembered ids of each
  std::uint64_t last_record_ = 0;
  std::uint64_t open_record_ = 0;                       // 0: nothing is to be stored
  std::vector<std::byte> open_value_ = {};
};

}  // namespace whimbrel::broker::core
