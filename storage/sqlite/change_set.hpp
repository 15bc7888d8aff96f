// SPDX-License-Identifier: Apache-2.0
// All that the next commit is to make durable: the batches that arrived, applied to the index
// and to one another.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "storage/sqlite/index.hpp"
#include "storage/store.hpp"

namespace whimbrel::storage::sqlite {

/// A message on its way into a new group.
struct pending_put {
  entry_key key{};
  blob_ptr body;
  body_id large{};
  std::uint32_t flags = 0;
  std::uint32_t delivery_count = 0;
  std::int64_t expires_ms = 0;
  group_id source = 0;  // not 0: the body lies there, the message moves
  std::uint32_t source_position = 0;
  bool moved = false;  // by a move, not put as new
  bool live = true;    // false: gone before it was written
};

/// Who waits for the commit.
struct waiting {
  worker_id worker{};
  token done{};
};

/// Removals act on the index at once; puts stay here until they are durable. A put that is
/// removed meanwhile is not written at all. Whatever happens to a commit, this is still what the
/// next attempt must write, so a retry needs no undoing.
class change_set {
 public:
  explicit change_set(live_index& index) : index_(index) {}

  /// Takes the lock of the index.
  void absorb(waiting who, batch changes);
  /// Takes the lock of the index. True when the put was here and is now gone.
  [[nodiscard]] bool withdraw(entry_key key);
  /// All of it is durable.
  void clear();

  /// False: nothing would change on disk.
  [[nodiscard]] bool has_effect() const;
  [[nodiscard]] bool is_empty() const { return waiting_.empty(); }
  /// What it occupies, about.
  [[nodiscard]] std::size_t octets() const { return octets_; }

  [[nodiscard]] std::span<const waiting> waiters() const { return waiting_; }
  [[nodiscard]] std::span<const record> records() const { return records_; }
  [[nodiscard]] std::span<const chunk> chunks() const { return chunks_; }
  [[nodiscard]] std::span<const pending_put> puts() const { return puts_; }

  /// For the statistics.
  struct counts {
    std::uint64_t puts = 0;
    std::uint64_t puts_elided = 0;
    std::uint64_t octets_put = 0;
    std::uint64_t settled = 0;
  };
  [[nodiscard]] const counts& counted() const { return counts_; }

 private:
  /// The puts of one queue, by number in puts_.
  struct queue_puts {
    std::vector<std::uint32_t> numbers;
    bool ascending = true;
  };

  void add(pending_put p);
  void apply(const move& m);
  void apply(const recount& r);
  void settle(queue_id queue, sequence first, sequence last);
  void drop(queue_id queue);
  void remove(pending_put& p);
  [[nodiscard]] queue_puts* sorted(queue_id queue);
  [[nodiscard]] std::vector<std::uint32_t>::iterator first_at(queue_puts& q, sequence at);
  [[nodiscard]] pending_put* find(entry_key key);
  std::uint64_t remove_range(queue_id queue, sequence first, sequence last);

  live_index& index_;
  std::vector<waiting> waiting_;
  std::vector<record> records_;
  std::vector<chunk> chunks_;
  std::vector<pending_put> puts_;
  boost::unordered_flat_map<std::uint64_t, queue_puts> by_queue_;
  std::size_t live_puts_ = 0;
  std::size_t octets_ = 0;
  counts counts_;
};

}  // namespace whimbrel::storage::sqlite
