// SPDX-License-Identifier: Apache-2.0
// A worker's way to the store: the batch that is open, the one in flight, and what is owed to whom
// when they are durable. The only place from which `accepted` for a stored message comes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "broker/core/ids.hpp"
#include "broker/core/letter.hpp"
#include "storage/store.hpp"

namespace whimbrel::broker::core {

/// What the commits of a worker came to.
struct commit_counters {
  std::uint64_t puts = 0;       // stored messages that came
  std::uint64_t cancelled = 0;  // of those, taken by their consumer before they were submitted
  std::uint64_t batches = 0;
};

///     note ──> open ──flush (none in flight)──> in flight ──on_commit(durable)──> owed letters
///                │
///                └─cancel: put and final settlement vanish together; its producer is answered now
///
/// Invariants
///   1. At most one batch is in flight. Completions therefore come in order.
///   2. Nothing that is owed leaves but from on_commit(durable), cancel or a withdrawal; and not
///      at all once a batch is in doubt.
///   3. A position names a put of the open batch only; flush makes all positions void.
class commit {
 public:
  using sender = std::function<void(letter&&)>;

  commit(worker_id self, storage::store& store, sender send)
      : self_(self), store_(store), send_(std::move(send)) {}

  /// Adds a put and the verdict that it earns (no link: none). Returns its position. No home: it is
  /// part of a joint change, and its queue, perhaps another worker's, hears from the coordinator.
  std::uint32_t put(storage::put change, queue_ref home, link_ref producer, std::uint32_t id);
  /// The put at `position` is no longer wanted: its consumer has accepted it, or it has expired.
  void cancel(std::uint32_t position);
  /// The put at `position` will be written with this count of failed deliveries.
  void recount_in_batch(std::uint32_t position, std::uint32_t failed);

  void settle(storage::queue_id queue, sequence first, sequence last);
  void recount(storage::queue_id queue, sequence at, std::uint32_t failed);
  void add(storage::record change);
  void drop_queue(storage::queue_id queue);
  /// Deliveries [id, id + count) may be told `settled` when this batch is durable.
  void answer(link_ref consumer, std::uint32_t id, std::uint32_t count, outcome what);
  /// Runs when what was added before this call is durable.
  void when_durable(std::function<void()> run);

  /// Submits the open batch if none is in flight. Called at the end of each turn. Touched queues
  /// are told through `on_submitted`.
  void flush();
  [[nodiscard]] bool is_idle() const { return !in_flight_ && is_open_empty(); }
  [[nodiscard]] bool has_in_flight() const { return in_flight_.has_value(); }

  /// The store's word on the batch in flight. False: in doubt; nothing owed leaves any more.
  [[nodiscard]] bool on_commit(const storage::commit_done& done);

  /// Puts that wait for the disk, of both batches, for `store-stall-max`: those for which
  /// `may_go(queue, sequence, producer, id)` holds are taken back; open ones at once, the others
  /// asked of the store. The answer for each comes through `on_withdrawn`; one that is gone earns
  /// `rejected`.
  using permission = std::function<bool(queue_ref, sequence, link_ref producer, std::uint32_t id)>;
  void withdraw(const permission& may_go);
  void on_withdraw(const storage::withdraw_done& done);

  std::function<void(queue_ref, sequence last)> on_durable = {};    // puts up to `last` are safe
  std::function<void(queue_ref)> on_submitted = {};                 // positions are void now
  std::function<void(queue_ref, sequence, bool gone)> on_withdrawn = {};

  /// For tests alone: answers producers before the commit, which the tests must notice.
  bool accept_before_commit = false;

  [[nodiscard]] const commit_counters& counters() const { return counters_; }

 private:
  struct note {  // what a put owes its producer
    link_ref producer{};
    std::uint32_t id = 0;
    bool dead = false;  // cancelled or withdrawn
    queue_ref home{};
    storage::entry_key key{};
  };
  struct owed_answer {
    link_ref consumer{};
    std::uint32_t id = 0;
    std::uint32_t count = 0;
    core::outcome what = outcome::accepted;
  };
  struct owed {
    std::vector<note> notes;
    std::vector<owed_answer> answers;
    std::vector<std::function<void()>> callbacks;
  };
  struct flight {
    storage::token name{};
    owed due;
    bool asked_back = false;  // some of its puts: see withdraw
  };

  [[nodiscard]] bool is_open_empty() const;
  void compact();
  void pay(owed& due);
  void send_verdicts(const note& first, std::uint32_t count, core::outcome what);
  void reject(const note& n);

  worker_id self_;
  storage::store& store_;
  sender send_;
  storage::batch open_;
  owed open_due_;
  std::uint32_t dead_in_open_ = 0;
  std::optional<flight> in_flight_;
  std::uint64_t last_token_ = 0;
  bool failed_ = false;
  commit_counters counters_;
};

}  // namespace whimbrel::broker::core
