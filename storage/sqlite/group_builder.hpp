// SPDX-License-Identifier: Apache-2.0
// Lays pending messages out as groups: which go together, in what order, each body once.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "storage/sqlite/change_set.hpp"
#include "storage/sqlite/group_format.hpp"
#include "storage/sqlite/group_source.hpp"

namespace whimbrel::storage::sqlite {

using log_function = std::function<void(std::string_view)>;

/// Cuts puts into groups in their order of arrival, so that copies of one body that arrived
/// together share it; within a group they lie by queue and sequence, so that the runs are long.
/// Keeps its buffers from group to group.
class group_builder {
 public:
  group_builder(group_source& source, const log_function& log) : source_(source), log_(log) {}

  void begin(std::span<const pending_put> puts);

  /// Takes as many as make up one group; false when none is left.
  [[nodiscard]] bool gather();
  /// Lays out what was gathered. Anything but `ok`: a body that moves could not be read.
  [[nodiscard]] code lay_out(group_id id);

  // Of the group laid out last; valid until the next call of gather().
  [[nodiscard]] std::span<const std::byte> entries() const { return entries_octets_; }
  [[nodiscard]] std::span<const std::byte> bodies() const { return bodies_; }
  [[nodiscard]] new_group take_description();

 private:
  struct member {
    std::uint64_t queue = 0;
    sequence at = 0;
    std::uint32_t number = 0;  // in puts_
    std::uint32_t body = 0;    // in placed_
  };
  struct placed_body {
    std::uint32_t offset = 0;
    std::uint32_t crc = 0;
    bool is_placed = false;
  };

  [[nodiscard]] code place(const pending_put& p, placed_body& body, stored_entry& into);
  [[nodiscard]] code place_moved(const pending_put& p, stored_entry& into);
  void place_lost(const pending_put& p, stored_entry& into);

  group_source& source_;
  const log_function& log_;
  std::span<const pending_put> puts_;
  std::size_t next_ = 0;
  std::vector<member> members_;
  std::vector<placed_body> placed_;
  boost::unordered_flat_map<const blob*, std::uint32_t> known_bodies_;  // -> placed_
  std::vector<std::byte> bodies_;
  entries_writer writer_;
  std::span<const std::byte> entries_octets_;
  new_group description_;
};

}  // namespace whimbrel::storage::sqlite
