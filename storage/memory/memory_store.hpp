// SPDX-License-Identifier: Apache-2.0
// The store's contract kept in memory, for tests and the simulation: what is durable lives in a
// `memory_disk` that outlives the store, so power can be lost and the disk opened again.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <variant>

#include "storage/store.hpp"

namespace whimbrel::storage {

/// What survives the process. Only a store touches it; one store at a time.
class memory_disk {
 public:
  struct message {
    blob_ptr body;
    body_id large{};
    std::uint32_t flags = 0;
    std::uint32_t delivery_count = 0;
    std::int64_t expires_ms = 0;
  };
  using queue = std::map<sequence, message>;
  using record_key = std::pair<record_kind, std::string>;

  /// Messages by queue, of those that have any. Only while no store is at work on it.
  [[nodiscard]] std::map<queue_id, std::size_t> counts() const;

 private:
  friend class memory_store;

  /// Returns how many messages the batch settled.
  std::uint64_t apply(const batch& changes);
  void apply_put(const put& p, blob_ptr body);
  void apply_move(const move& m);
  std::uint64_t erase(queue_id id, sequence first, sequence last);
  void release(const message& m);
  void remove_orphans();

  std::map<record_key, blob_ptr> records_;
  std::map<queue_id, queue> queues_;
  std::map<body_id, std::map<std::uint64_t, blob_ptr>> chunks_;
  std::map<body_id, std::uint64_t> references_;  // messages that name a chunked body
  bool in_use_ = false;
};

struct memory_options {
  bool manual = false;          // no thread: nothing happens before pump()
  std::uint64_t seed = 1;       // of the two chances below
  unsigned stall_permille = 0;  // a commit attempt fails before the sync
  unsigned doubt_permille = 0;  // a commit fails at the sync; a coin says if it got there
};

/// A store without a disk. Deterministic in manual mode: the same calls, seed and pumps give the
/// same completions in the same order. Without `manual` it has a thread of its own.
///
/// Limitations  Bodies are copied at commit. Nothing is elided: `puts_elided` stays 0.
class memory_store final : public store {
 public:
  memory_store(memory_disk& disk, completion_sink& sink, memory_options options = {});
  ~memory_store() override;

  void recover(recovery_visitor& visitor) override;
  void submit(worker_id worker, batch changes, token done) override;
  void withdraw(worker_id worker, std::vector<entry_key> puts, token done) override;
  void read(worker_id worker, queue_id queue, sequence from, std::size_t octets_max,
            token done) override;
  void read_body(worker_id worker, body_id body, std::uint64_t offset, std::size_t octets_max,
                 token done) override;
  void close() override;
  [[nodiscard]] store_statistics statistics() const override;

  /// Manual mode: one turn of the store. Takes all that arrived, tries to commit it as one, and
  /// delivers the completions. Returns how many completions were delivered.
  std::size_t pump();

  /// The next `attempts` commits fail before the sync.
  void stall(unsigned attempts);

  /// The next commit ends in doubt; `reached_disk` is what recovery will find of it.
  void doubt(bool reached_disk);

  /// The machine stops: nothing more is committed or completed. The disk may be opened again.
  void lose_power();

 private:
  struct submission {
    worker_id worker{};
    token done{};
    batch changes;
  };
  struct withdrawal {
    worker_id worker{};
    token done{};
    std::vector<entry_key> puts;
  };
  struct range_read {
    worker_id worker{};
    token done{};
    queue_id queue{};
    sequence from = 0;
    std::size_t octets_max = 0;
  };
  struct body_read {
    worker_id worker{};
    token done{};
    body_id body{};
    std::uint64_t offset = 0;
    std::size_t octets_max = 0;
  };
  using request = std::variant<submission, withdrawal, range_read, body_read>;
  enum class fate : std::uint8_t { commits, stalls, doubt_kept, doubt_lost };

  void enqueue(request r);
  void run();
  void stop(bool commit_rest);
  std::size_t turn(std::vector<request> arrived);
  [[nodiscard]] fate draw_fate();
  std::size_t commit_backlog();
  std::size_t finish_backlog(commit_outcome outcome);
  void take_out(withdrawal& w);
  void answer(const range_read& r);
  void answer(const body_read& r);
  void report(pressure p, std::string_view reason);

  memory_disk& disk_;
  completion_sink& sink_;
  const memory_options options_;

  // Used by the one thread that pumps.
  std::deque<submission> backlog_;
  pressure pressure_ = pressure::none;
  std::mt19937_64 random_;

  // Guarded by mutex_.
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<request> arrived_;
  unsigned stalls_left_ = 0;
  bool doubt_next_ = false;
  bool doubt_reaches_disk_ = false;
  bool recovered_ = false;
  bool closing_ = false;
  bool powerless_ = false;
  store_statistics statistics_;

  std::thread thread_;
};

}  // namespace whimbrel::storage
