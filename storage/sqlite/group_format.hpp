// SPDX-License-Identifier: Apache-2.0
// The blobs of a group's rows: its entries (who is where, with what checksum) and its state
// (who has left, who was counted anew). storage/FORMAT.md is the document of this format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "storage/octets.hpp"

namespace whimbrel::storage::sqlite {

using group_id = std::uint64_t;

/// Consecutive sequences of one queue at consecutive positions of a group.
struct stored_run {
  std::uint64_t queue = 0;
  std::uint64_t first = 0;
  std::uint32_t count = 0;
};

/// Where a message's body lies among the group's bodies. A size of 2^32-1 at offset 2^32-1 says
/// that the body is in chunks.
struct stored_entry {
  std::uint32_t offset = 0;
  std::uint32_t size = 0;
  std::uint32_t crc = 0;
  std::uint32_t flags = 0;
};

/// What few messages have.
struct stored_extra {
  std::uint32_t position = 0;
  std::uint32_t delivery_count = 0;
  std::int64_t expires_ms = 0;
  std::uint64_t large = 0;
};

/// The entries blob of one group, checked as a whole: after `parse` succeeded every position,
/// offset and size is within bounds. Borrows the octets.
class entries_view {
 public:
  /// Nothing when the octets are not what was written for this group.
  [[nodiscard]] static std::optional<entries_view> parse(group_id id,
                                                         std::span<const std::byte> octets);

  /// For octets that have been through parse().
  [[nodiscard]] static entries_view trusted(std::span<const std::byte> octets);

  [[nodiscard]] std::uint32_t runs() const { return runs_; }
  [[nodiscard]] std::uint32_t entries() const { return entries_; }
  [[nodiscard]] std::uint32_t extras() const { return extras_; }
  /// The number of the first extra whose position is not before `position`.
  [[nodiscard]] std::uint32_t first_extra_from(std::uint32_t position) const;
  [[nodiscard]] std::uint32_t body_octets() const { return body_octets_; }
  [[nodiscard]] stored_run run(std::uint32_t i) const;
  [[nodiscard]] stored_entry entry(std::uint32_t position) const;
  [[nodiscard]] stored_extra extra(std::uint32_t i) const;

 private:
  [[nodiscard]] bool is_sound() const;
  [[nodiscard]] bool runs_are_sound() const;
  [[nodiscard]] bool entries_are_sound() const;
  [[nodiscard]] bool extras_are_sound() const;
  [[nodiscard]] std::size_t entries_at() const;
  [[nodiscard]] std::size_t extras_at() const;

  std::span<const std::byte> octets_;
  std::uint32_t runs_ = 0;
  std::uint32_t entries_ = 0;
  std::uint32_t extras_ = 0;
  std::uint32_t body_octets_ = 0;
};

/// Builds an entries blob. Keeps its buffers from group to group.
class entries_writer {
 public:
  void clear();
  /// Positions count up from 0 in the order of the calls.
  void add(std::uint64_t queue, std::uint64_t at, const stored_entry& e);
  /// To the entry added last; nothing is kept when all are zero.
  void add_extra(std::uint32_t delivery_count, std::int64_t expires_ms, std::uint64_t large);

  [[nodiscard]] std::span<const stored_run> runs() const { return runs_; }
  [[nodiscard]] std::uint32_t entries() const { return entries_; }
  /// Valid until the next call that changes anything.
  [[nodiscard]] std::span<const std::byte> finish(group_id id, std::uint32_t body_octets);

 private:
  std::vector<stored_run> runs_;
  std::vector<std::byte> entry_octets_;
  std::vector<std::byte> extra_octets_;
  std::vector<std::byte> whole_;
  std::uint32_t entries_ = 0;
  std::uint32_t extras_ = 0;
};

/// Which positions of a group are settled, one bit each.
class settled_bits {
 public:
  explicit settled_bits(std::uint32_t positions = 0) : words_((positions + 63) / 64) {}

  [[nodiscard]] bool test(std::uint32_t at) const { return (words_[at / 64] >> at % 64 & 1) != 0; }
  /// Sets [from, from + n); returns how many were not set before.
  std::uint32_t set(std::uint32_t from, std::uint32_t n);
  /// The next position at or after `from` and below `end` that is (not) set, or `end`.
  [[nodiscard]] std::uint32_t next(std::uint32_t from, std::uint32_t end, bool set) const;
  /// How many of [from, end) are set.
  [[nodiscard]] std::uint32_t count(std::uint32_t from, std::uint32_t end) const;
  [[nodiscard]] std::span<const std::uint64_t> words() const { return words_; }
  [[nodiscard]] std::span<std::uint64_t> words() { return words_; }

 private:
  std::vector<std::uint64_t> words_;
};

using recount_list = std::vector<std::pair<std::uint32_t, std::uint32_t>>;  // position -> count

/// What a group_state row says beyond its entries.
struct group_marks {
  settled_bits settled;
  recount_list recounts;  // ascending by position
};

/// As settled ranges or as a bitmap, whichever is shorter.
void encode_state(group_id id, std::uint32_t positions, const group_marks& marks,
                  std::vector<std::byte>& into);

/// Nothing when the octets are not what was written for this group.
[[nodiscard]] std::optional<group_marks> parse_state(group_id id, std::uint32_t positions,
                                                     std::span<const std::byte> octets);

inline constexpr std::uint32_t in_chunks = 0xffff'ffff;

}  // namespace whimbrel::storage::sqlite
