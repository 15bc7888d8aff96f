// SPDX-License-Identifier: Apache-2.0
// What the contract tests hold a store by: one face for the SQLite store on a recording VFS and
// for the memory store, with the same ways to make it wait, fail and lose power.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/memory/memory_store.hpp"
#include "storage/sqlite/sqlite_store.hpp"
#include "storage/store.hpp"
#include "tests/support/recording_vfs.hpp"
#include "tests/support/scratch_directory.hpp"

namespace whimbrel::storage {

/// Keeps every completion.
class keeping_sink final : public completion_sink {
 public:
  void on_commit(commit_done d) noexcept override;
  void on_withdraw(withdraw_done d) noexcept override;
  void on_read(read_done d) noexcept override;
  void on_pressure(pressure p, std::string_view reason) noexcept override;

  /// False when `holds` did not come true within ten seconds.
  [[nodiscard]] bool wait(const std::function<bool()>& holds);

  [[nodiscard]] std::vector<commit_done> commits() const;
  [[nodiscard]] std::vector<pressure> pressures() const;
  [[nodiscard]] std::optional<commit_outcome> outcome(token t) const;
  [[nodiscard]] std::optional<withdraw_done> withdrawal(token t) const;
  [[nodiscard]] std::optional<read_done> reading(token t) const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<commit_done> commits_;
  std::vector<withdraw_done> withdrawals_;
  std::vector<read_done> readings_;
  std::vector<pressure> pressures_;
};

/// What recovery found. Checks that records come first and sequences ascend.
class keeping_visitor final : public recovery_visitor {
 public:
  void on_record(record_kind kind, std::string_view key, std::span<const std::byte> value) override;
  void on_entries(std::span<const recovered_entry> entries) override;
  void on_end(queue_id queue, sequence next) override;

  std::map<std::pair<record_kind, std::string>, std::string> records;
  std::map<queue_id, std::vector<recovered_entry>> queues;
  std::map<queue_id, sequence> ends;
};

class rig {
 public:
  rig() = default;
  virtual ~rig() = default;
  rig(const rig&) = delete;
  rig& operator=(const rig&) = delete;

  /// Opens what the last close() or crash left, or something new.
  void open();
  void close();
  /// The machine stops and comes back: only what was synced is left.
  void lose_power();

  /// From hold() to release() no commit finishes: what is submitted shares the next one.
  virtual void hold() = 0;
  virtual void release() = 0;
  /// Commits fail before the sync until heal().
  virtual void stall() = 0;
  virtual void heal() = 0;
  /// The next commit fails at the sync.
  virtual void fail_sync() = 0;
  /// Gives the store time until `holds`; false when it never does.
  [[nodiscard]] virtual bool wait(const std::function<bool()>& holds) = 0;

  [[nodiscard]] store& get() { return *store_; }
  [[nodiscard]] keeping_sink& sink() { return *sink_; }
  [[nodiscard]] const keeping_visitor& recovered() const { return recovered_; }
  [[nodiscard]] const std::vector<std::string>& log() const { return log_; }

  // Shorthands
  token submit(batch b, worker_id w = worker_id{1});
  /// Submits and waits for the outcome.
  commit_outcome commit(batch b);
  [[nodiscard]] commit_outcome outcome(token t);
  std::vector<entry_key> withdraw(std::vector<entry_key> puts);
  read_done read(queue_id q, sequence from, std::size_t octets_max = 1 << 20);
  std::optional<std::string> read_body(body_id b, std::uint64_t offset, std::size_t octets_max);
  /// Every body of a queue, in order; "?" for one that is damaged.
  std::vector<std::pair<sequence, std::string>> contents(queue_id q);
  [[nodiscard]] bool wait_for_pressure(pressure p);

 protected:
  [[nodiscard]] virtual std::unique_ptr<store> make(completion_sink& sink) = 0;
  virtual void cut_power() = 0;
  token next_token() { return token{++tokens_}; }
  void note(std::string_view line);

  std::unique_ptr<keeping_sink> sink_;
  std::unique_ptr<store> store_;

 private:
  keeping_visitor recovered_;
  std::mutex log_mutex_;
  std::vector<std::string> log_;
  std::uint64_t tokens_ = 0;
};

class sqlite_rig : public rig {
 public:
  ~sqlite_rig() override;
  void hold() override;
  void release() override;
  void stall() override;
  void heal() override;
  void fail_sync() override;
  bool wait(const std::function<bool()>& holds) override { return sink_->wait(holds); }

  [[nodiscard]] tests::recording_vfs& vfs() { return *vfs_; }
  [[nodiscard]] std::string directory() const;
  [[nodiscard]] std::string file() const { return directory() + "/whimbrel.db"; }
  sqlite_options options;  // directory, vfs and log are filled in

 protected:
  std::unique_ptr<store> make(completion_sink& sink) override;
  void cut_power() override;

 private:
  tests::scratch_directory scratch_;
  std::unique_ptr<tests::recording_vfs> vfs_;
  int incarnation_ = 0;
};

class memory_rig : public rig {
 public:
  void hold() override {}
  void release() override;
  void stall() override;
  void heal() override;
  void fail_sync() override;
  bool wait(const std::function<bool()>& holds) override;

 protected:
  std::unique_ptr<store> make(completion_sink& sink) override;
  void cut_power() override;

 private:
  [[nodiscard]] memory_store& memory();
  memory_disk disk_;
};

// Making things

[[nodiscard]] blob_ptr text_blob(std::string_view text);
[[nodiscard]] std::string to_text(std::span<const std::byte> octets);
[[nodiscard]] put text_put(queue_id q, sequence at, std::string_view text);
/// Messages [first, last] of `q`, each with a text of its own.
[[nodiscard]] batch puts(queue_id q, sequence first, sequence last);
[[nodiscard]] batch settles(queue_id q, sequence first, sequence last);
[[nodiscard]] std::string text_of(queue_id q, sequence at);
[[nodiscard]] std::vector<sequence> sequences(const std::vector<recovered_entry>& entries);

inline constexpr queue_id q1{1};
inline constexpr queue_id q2{2};
inline constexpr queue_id q3{3};

}  // namespace whimbrel::storage
