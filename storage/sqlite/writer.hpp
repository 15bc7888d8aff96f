// SPDX-License-Identifier: Apache-2.0
// The thread that makes batches durable, and all that it decides: what shares a commit, what a
// failure means, when the log is emptied.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "storage/sqlite/change_set.hpp"
#include "storage/sqlite/committer.hpp"
#include "storage/sqlite/forwarder.hpp"
#include "storage/sqlite/sqlite_store.hpp"

namespace whimbrel::storage::sqlite {

/// States, as `pressure` names them:
///
///   none <--> slow        the log is below, above its bound
///     |        |
///     v        v
///     stalled             a commit failed before the sync: the same set is tried again, with a
///        |                growing pause, until it succeeds (-> none) or its puts are withdrawn
///        v
///     failed              from any state, at or after a sync: for good
class writer {
 public:
  writer(const sqlite_options& options, database& db, live_index& index, completion_sink& sink);
  ~writer();
  writer(const writer&) = delete;
  writer& operator=(const writer&) = delete;

  /// Begins work; `next` is the id of the next group.
  void start(group_id next);
  void submit(waiting who, batch changes);
  void withdraw(waiting who, std::vector<entry_key> puts);
  /// Commits and answers what was submitted, then ends the thread.
  void close();

  [[nodiscard]] store_statistics statistics() const;
  /// To be held while reading what the index names.
  [[nodiscard]] std::mutex& moving() { return moving_; }

 private:
  struct submission {
    waiting who;
    batch changes;
  };
  struct withdrawal {
    waiting who;
    std::vector<entry_key> puts;
  };
  using request = std::variant<submission, withdrawal>;

  void enqueue(request r);
  void run();
  /// Waits for something to do; false once closing.
  [[nodiscard]] bool collect();
  void absorb();
  void answer_withdrawals();
  void attempt();
  void complete(commit_outcome outcome);
  void count_commit(std::chrono::microseconds took);
  void stall();
  void fail(const std::string& reason);
  void doubt_all();

  void maintain();
  void keep_log_short();
  void forward();
  void heed(verdict result, const char* doing, const std::string& reason);
  void report(pressure p, std::string_view reason);
  void log(const std::string& what) const;

  const sqlite_options& options_;
  database& db_;
  live_index& index_;
  completion_sink& sink_;
  committer committer_;
  std::mutex moving_;
  forwarder forwarder_;

  // Of the thread.
  std::vector<request> taken_;
  std::deque<submission> backlog_;  // arrived, not yet in changes_
  std::vector<withdrawal> withdrawals_;
  change_set changes_;
  pressure pressure_ = pressure::none;
  std::chrono::milliseconds pause_{0};
  std::chrono::steady_clock::time_point retry_at_{};
  std::uint64_t log_octets_ = 0;
  std::uint64_t checkpoint_at_ = 0;
  std::uint64_t forward_after_ = 0;  // commits; after a failure, not at once again

  // Guarded by mutex_.
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<request> arrived_;
  bool is_waiting_ = false;
  bool is_closing_ = false;
  store_statistics statistics_;

  std::thread thread_;
};

}  // namespace whimbrel::storage::sqlite
