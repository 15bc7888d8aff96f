// SPDX-License-Identifier: Apache-2.0
// What the SQLite store keeps in memory of the messages on disk: for each queue the runs that
// say in which group its messages lie, for each group who has left. Never a word per message
// that sits untouched among its neighbours.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "storage/sqlite/group_format.hpp"
#include "storage/sqlite/run_list.hpp"
#include "storage/store.hpp"

namespace whimbrel::storage::sqlite {

using large_list = std::vector<std::pair<std::uint32_t, body_id>>;  // position -> chunked body

/// A group on disk, as far as memory knows it.
struct group {
  group_id id = 0;
  std::uint32_t count = 0;
  std::uint32_t live = 0;
  std::uint32_t octets = 0;            // of the bodies and entries
  bool dirty = false;                  // its rows must be written or deleted
  std::unique_ptr<group_marks> marks;  // null: nothing settled, nothing counted anew
  std::unique_ptr<large_list> large;   // null: no body is in chunks; ascending by position
};

/// A group that became durable, or was found by recovery.
struct new_group {
  group_id id = 0;
  std::uint32_t body_octets = 0;
  std::vector<stored_run> runs;
  large_list large;
  std::unique_ptr<group_marks> marks;
};

struct place {
  std::uint32_t slot = 0;
  std::uint32_t position = 0;
};

/// Live messages that lie side by side.
struct live_span {
  group_id group = 0;
  sequence first = 0;
  std::uint32_t position = 0;
  std::uint32_t count = 0;
};

/// Threads  The writer alone changes it, and holds lock() while it does; it reads without.
///          Everybody else holds lock() to read.
class live_index {
 public:
  [[nodiscard]] std::unique_lock<std::mutex> lock() const { return std::unique_lock(mutex_); }

  /// Returns how many live messages the range held.
  std::uint64_t settle(queue_id queue, sequence first, sequence last);
  std::uint64_t drop(queue_id queue);
  [[nodiscard]] std::optional<place> find(entry_key key) const;
  void recount(place where, std::uint32_t delivery_count);
  [[nodiscard]] body_id large_at(place where) const;

  /// How many messages name a chunked body, pending ones included.
  void refer(body_id body) { ++references_[static_cast<std::uint64_t>(body)]; }
  void release(body_id body);
  [[nodiscard]] bool is_referred(body_id body) const {
    return references_.contains(static_cast<std::uint64_t>(body));
  }

  /// Chunked bodies whose last reference went since `forget_changes`.
  [[nodiscard]] const std::vector<body_id>& freed_bodies() const { return freed_bodies_; }
  /// Groups that changed since then; those without a live message are to be deleted.
  [[nodiscard]] const std::vector<std::uint32_t>& dirty() const { return dirty_; }
  [[nodiscard]] const group& at(std::uint32_t slot) const { return groups_[slot]; }
  /// What the two above name has become durable.
  void forget_changes();

  void add(new_group g);
  /// The live messages of `slots` now lie in `groups`. No group may be dirty.
  void relocate(std::span<const std::uint32_t> slots, std::vector<new_group> groups);

  /// At most about `count_max` messages at or after `from`, in order.
  void locate(queue_id queue, sequence from, std::uint32_t count_max,
              std::vector<live_span>& into) const;

  /// Groups that would be better off merged: few survivors, or few members in the first place.
  [[nodiscard]] std::uint64_t sparse_octets() const { return sparse_octets_; }
  [[nodiscard]] std::uint64_t small_groups() const { return small_groups_; }
  [[nodiscard]] static bool is_sparse(const group& g);
  [[nodiscard]] static bool is_small(const group& g);
  [[nodiscard]] std::span<const group> groups() const { return groups_; }

  /// Calls `f(queue_id, const run_list&)` for each queue.
  template <class F>
  void for_each_queue(F f) const {
    for (const auto& [queue, runs] : queues_) f(queue_id{queue}, runs);
  }

 private:
  std::uint32_t settle_in(std::uint32_t slot, std::uint32_t position, std::uint32_t n);
  void release_large(group& g, std::uint32_t position, std::uint32_t n);
  void set_live(group& g, std::uint32_t live);
  void count_as_candidate(const group& g, bool in);
  void touch(std::uint32_t slot);
  [[nodiscard]] group_marks& marks_of(group& g);
  [[nodiscard]] std::uint32_t add_slot(new_group& g);
  void free_slot(std::uint32_t slot);

  mutable std::mutex mutex_;
  boost::unordered_flat_map<std::uint64_t, run_list> queues_;
  std::vector<group> groups_;  // a slot keeps its number while its group lives
  std::vector<std::uint32_t> free_slots_;
  std::vector<std::uint32_t> dirty_;
  boost::unordered_flat_map<std::uint64_t, std::uint64_t> references_;
  std::vector<body_id> freed_bodies_;
  std::uint64_t sparse_octets_ = 0;
  std::uint64_t small_groups_ = 0;
};

}  // namespace whimbrel::storage::sqlite
