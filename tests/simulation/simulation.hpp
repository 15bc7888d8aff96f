// SPDX-License-Identifier: Apache-2.0
// All workers of a broker's messaging model on one thread, in an order drawn from a seed, with
// their own clock, mail and store. [reliability P7, the part below the protocol]
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "broker/core/directory.hpp"
#include "storage/memory/memory_store.hpp"
#include "tests/simulation/clients.hpp"

namespace whimbrel::simulation {

struct options {
  std::uint64_t seed = 1;
  std::uint16_t workers = 1;
  unsigned steps = 600;
  bool faults = true;         // stalls, doubt, loss of power
  bool small_memory = false;  // bodies leave and are read back
  bool accept_before_commit = false;
};

/// The broker between two crashes.
struct machine {
  machine(const options& o, ledger& book, storage::memory_disk& disk, std::uint64_t seed);

  test::test_clock time;
  test::test_mail mail;
  test::test_inbox inbox;
  spy_store spy;
  storage::memory_store store;
  test::test_owner owner;
  std::vector<std::unique_ptr<test::test_executor>> executors;
  std::vector<std::unique_ptr<test::test_post>> posts;
  std::vector<std::unique_ptr<core::shard>> shards;
  core::directory nodes;
  era now;
};

/// Faults that a run may meet: the store stalls (and long enough that puts are taken back), ends in
/// doubt, or loses power at any moment; links die with letters under way. Letters between two
/// workers are never lost, doubled or overtaken: mailboxes are memory.
class simulation {
 public:
  explicit simulation(options o);

  /// Runs it all, the quiet end included.
  void run();
  [[nodiscard]] const ledger& book() const { return book_; }
  [[nodiscard]] std::uint64_t reads() const { return reads_; }

 private:
  static constexpr std::size_t queue_count = 2;

  void start();
  void crash();
  void step();
  void turn(std::size_t worker, bool all);
  void take_letters(std::size_t worker, bool all);
  void act(std::size_t worker);
  void act_producer(producer& p);
  void act_consumer(std::unique_ptr<consumer>& c);
  void attach_missing();
  void come_to_rest();
  bool finish_round();
  void audit();
  [[nodiscard]] bool chance(unsigned permille) { return random_() % 1000 < permille; }
  [[nodiscard]] std::size_t pick(std::size_t n) { return static_cast<std::size_t>(random_() % n); }
  [[nodiscard]] bool is_quiet();

  options options_;
  std::mt19937_64 random_;
  storage::memory_disk disk_;
  ledger book_;
  std::unique_ptr<machine> at_;
  std::vector<std::optional<core::queue_ref>> queues_;
  std::vector<std::pair<std::size_t, std::unique_ptr<producer>>> producers_;  // by worker
  std::vector<std::pair<std::size_t, std::unique_ptr<consumer>>> consumers_;
  int next_name_ = 0;
  std::int64_t time_ms_ = 0;
  std::uint64_t reads_ = 0;
};

}  // namespace whimbrel::simulation
