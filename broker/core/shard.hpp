// SPDX-License-Identifier: Apache-2.0
// What one worker owns of the messaging model: its queues, its links' names, its open store batch,
// its outgoing mailboxes. No I/O: sockets, threads and clocks are behind `executor`, `post_office`
// and `store`.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/core/commit.hpp"
#include "broker/core/executor.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/letter.hpp"
#include "broker/core/queue.hpp"
#include "storage/store.hpp"

namespace whimbrel::broker::core {

class joint;
class router;

/// Carries letters to other workers: the whole outbox of a turn at once. Leaves `letters` empty,
/// its capacity kept where possible.
class post_office {
 public:
  virtual ~post_office() = default;
  virtual void hand_over(worker_id to, std::vector<letter>& letters) = 0;
};

/// What a shard must tell the broker around it.
class shard_owner {
 public:
  virtual ~shard_owner() = default;
  /// The store is in doubt: nothing may be answered any more, the process must end.
  virtual void on_store_failed() = 0;
  virtual void log(std::string_view line) = 0;
};

struct shard_options {
  worker_id self{};
  std::uint16_t workers = 1;
  std::size_t memory_octets = 256 << 20;  // this worker's part of the budget
  std::chrono::milliseconds store_stall_max = std::chrono::seconds(30);
  bool accept_before_commit = false;      // for tests alone
};

struct shard_counters {
  std::uint64_t delivered = 0;       // deliveries to consumers
  std::uint64_t credit_stops = 0;    // times that producers lost their credit
  std::uint64_t unreadable = 0;      // bodies that failed their checksum
};

/// A turn of the worker that owns a shard: letters and socket input are handled, then
///
///     flush_store()   submit the open batch if none is in flight
///     flush_letters() hand over the mailboxes, one wake-up per target
///     (then the sockets are written)
class shard {
 public:
  shard(shard_options options, executor& run_on, storage::store& store, post_office& post,
        shard_owner& owner);
  ~shard();

  [[nodiscard]] executor& run_on() const { return run_on_; }
  [[nodiscard]] worker_id self() const { return options_.self; }
  [[nodiscard]] std::uint16_t workers() const { return options_.workers; }
  [[nodiscard]] commit& commits() { return commits_; }
  /// Exchanges and bindings: the same on every worker.
  [[nodiscard]] router& routes() { return *routes_; }
  /// Asks the directory for a queue by its name; the answer, null if there is none, comes back
  /// here. Not set where there is no directory.
  std::function<void(const std::string& name, std::function<void(const hit&)> done)> lookup_queue =
      {};
  /// Tells the directory that nobody needs this queue any more. Not set where there is none.
  std::function<void(const std::string& name, queue_ref which)> retire_queue = {};
  /// Changes that span queues, for links of this worker.
  [[nodiscard]] joint& joints() { return *joints_; }

  // --- letters ---
  /// To wherever it belongs: a direct call when that is here.
  void send(letter&& l);
  /// These make no letter when both ends are here.
  void send_put(queue_ref to, link_ref from, std::uint32_t id, bool presettled,
                message_ptr message);
  void send_delivery(link_ref to, queue_ref from, const delivery& d, const message_ptr& message);
  void send_verdict(link_ref producer, std::uint32_t id, outcome what);
  void send_answer(link_ref consumer, std::uint32_t id, std::uint32_t count, outcome what);
  /// Tells a producer whether it may be given credit now; `also`: its queue's own word.
  void send_gate(link_ref producer, bool also = true);
  /// Runs `run` with the shard of that worker, there.
  void send_task(worker_id to, std::function<void(shard&)> run);
  /// A letter from another worker.
  void receive(letter&& l);

  // --- the end of a turn ---
  void flush_store();
  void flush_letters();

  // --- links ---
  link_ref add_link(link_end& end);
  /// Late letters for it are answered here from now on.
  void remove_link(link_ref ref);
  [[nodiscard]] link_end* find_link(link_ref ref) const;
  /// Links without a queue of their own that want to hear of the gate (anonymous terminus).
  void watch_gate(link_ref link);
  void unwatch_gate(link_ref link);

  // --- queues ---
  queue_ref create_queue(queue_settings settings);
  /// Messages and all; consumers and producers are detached with the condition.
  void delete_queue(queue_ref ref, std::string_view condition, const std::string& description);
  [[nodiscard]] queue* find(queue_ref ref);
  template <class Visit>
  void each_queue(Visit&& visit) {
    for (auto& entry : queues_) {
      if (entry.at) visit(*entry.at);
    }
  }

  // --- the store's word, brought by the mailbox ---
  void on_commit(const storage::commit_done& done);
  void on_withdraw(const storage::withdraw_done& done);
  void on_read(storage::read_done done);
  void on_pressure(storage::pressure level);

  void read(queue_ref ref, storage::queue_id id, sequence from, std::size_t octets);

  // --- memory and credit ---
  void add_resident(std::int64_t octets);
  [[nodiscard]] std::int64_t resident() const { return resident_; }
  /// Bodies that the store has should leave memory. [half the budget]
  [[nodiscard]] bool memory_is_tight() const { return resident_ > memory_ / 2; }
  /// Not even those that consumers will reach soon. [three quarters; the gate closes at 90 %]
  [[nodiscard]] bool memory_is_short() const { return resident_ > memory_ - memory_ / 4; }
  [[nodiscard]] bool gate_is_open() const { return gate_open_; }
  [[nodiscard]] storage::pressure store_pressure() const { return pressure_; }

  /// Once a second: expiry, bodies out of memory where it is short, blocks back where they belong.
  void tick();
  void report_unreadable(const std::string& queue_name, sequence at);
  [[nodiscard]] const shard_counters& counters() const { return counters_; }

 private:
  struct queue_slot {
    std::unique_ptr<queue> at;
    std::uint32_t generation = 1;
  };
  struct link_slot {
    link_end* at = nullptr;
    std::uint32_t generation = 1;
  };

  void to_queue(letter&& l);
  void to_link(letter&& l);
  void refuse(letter&& l);      // its queue has gone
  void send_back(queue_ref from, link_ref to, sequence at);  // its link has gone
  [[nodiscard]] static bool merge(letter& before, const letter& l);
  void update_gate();
  void start_stall_timer();
  void on_stalled_too_long();

  shard_options options_;
  executor& run_on_;
  storage::store& store_;
  post_office& post_;
  shard_owner& owner_;
  commit commits_;
  std::vector<queue_slot> queues_;
  std::vector<std::uint32_t> free_queues_;
  std::vector<link_slot> links_;
  std::vector<std::uint32_t> free_links_;
  std::vector<std::vector<letter>> outboxes_;
  std::vector<link_ref> gate_watchers_;
  std::int64_t resident_ = 0;
  std::int64_t memory_ = 0;
  bool gate_open_ = true;
  std::optional<executor::timer_id> stall_timer_;
  storage::pressure pressure_ = storage::pressure::none;
  shard_counters counters_;
  std::unique_ptr<router> routes_;
  std::unique_ptr<joint> joints_;
};

}  // namespace whimbrel::broker::core
