// SPDX-License-Identifier: Apache-2.0
// How fast the SQLite store takes messages: each commit puts N of them and settles N older ones.
//
//   store_bench [--seconds S] [--directory D] [--row N]     (one row of the table, from 0)
//
// One worker, one batch in flight, checkpoints included. Absolute rates mean something only on an
// otherwise idle machine; the load is printed. The directory decides what a sync costs.
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <mutex>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/sqlite/sqlite_store.hpp"

namespace {

using namespace whimbrel::storage;
using std::chrono::steady_clock;

constexpr queue_id bench_queue{1};
constexpr std::size_t commits_apart = 100;       // a message is settled so many commits later
constexpr std::size_t random_backlog = 100'000;  // what random settlement picks from

enum class manner { in_order, in_ten_parts, at_random, never };

struct setup {
  std::size_t size = 0;
  std::size_t per_commit = 0;
  manner settle = manner::in_order;
};

class waiting_sink final : public completion_sink {
 public:
  void on_commit(commit_done d) noexcept override {
    const std::lock_guard lock(mutex_);
    if (d.outcome != commit_outcome::durable) std::abort();
    ++done_;
    wake_.notify_one();
  }
  void on_withdraw(withdraw_done) noexcept override {}
  void on_read(read_done d) noexcept override {
    const std::lock_guard lock(mutex_);
    read_ = std::move(d);
    ++done_;
    wake_.notify_one();
  }
  void on_pressure(pressure, std::string_view) noexcept override {}

  void wait_for(std::uint64_t count) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return done_ >= count; });
  }
  [[nodiscard]] const read_done& last_read() const { return read_; }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::uint64_t done_ = 0;
  read_done read_;
};

struct counting_visitor final : recovery_visitor {
  void on_record(record_kind, std::string_view, std::span<const std::byte>) override {}
  void on_entries(std::span<const recovered_entry> entries) override { count += entries.size(); }
  std::size_t count = 0;
};

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

double elapsed(steady_clock::time_point since) {
  return std::chrono::duration<double>(steady_clock::now() - since).count();
}

/// Which messages a commit settles.
class settler {
 public:
  settler(const setup& s) : setup_(s) {}

  void add(sequence first, std::vector<settle>& into) {
    const auto n = static_cast<sequence>(setup_.per_commit);
    if (setup_.settle == manner::at_random) return add_random(first, into);
    if (setup_.settle == manner::never || first <= n * commits_apart) return;
    const sequence from = first - n * commits_apart;
    const sequence parts = setup_.settle == manner::in_ten_parts ? std::min<sequence>(10, n) : 1;
    for (sequence p = 0; p < parts; ++p) {
      into.push_back({bench_queue, from + n * p / parts, from + n * (p + 1) / parts - 1});
    }
  }

 private:
  void add_random(sequence first, std::vector<settle>& into) {
    for (std::size_t i = 0; i < setup_.per_commit; ++i) backlog_.push_back(first + i);
    while (backlog_.size() > random_backlog) {
      std::swap(backlog_[random_() % backlog_.size()], backlog_.back());
      into.push_back({bench_queue, backlog_.back(), backlog_.back()});
      backlog_.pop_back();
    }
  }

  setup setup_;
  std::vector<sequence> backlog_;
  std::mt19937_64 random_{1};
};

/// Puts messages for a while; returns {messages, seconds, CPU seconds} of the measured part.
struct measured {
  double messages = 0;
  double seconds = 0;
  double cpu = 0;
};

measured load(store& s, waiting_sink& sink, const setup& what, double seconds) {
  settler older(what);
  std::vector<std::byte> octets(what.size, std::byte{0x5a});
  sequence next = 1;
  std::uint64_t commits = 0;
  measured out;
  const auto commit = [&](std::size_t n) {
    batch b;
    b.puts.reserve(n);
    for (std::size_t i = 0; i < n; ++i) {
      put p;
      p.key = {bench_queue, next + i};
      p.body = make_blob(octets);
      b.puts.push_back(std::move(p));
    }
    older.add(next, b.settles);
    next += n;
    s.submit(worker_id{}, std::move(b), token{++commits});
    sink.wait_for(commits);
  };
  if (what.settle == manner::at_random) {
    while (next <= random_backlog) commit(std::max<std::size_t>(what.per_commit, 1000));
  }
  const auto begin = steady_clock::now();
  const double cpu = cpu_seconds();
  const sequence first = next;
  while (elapsed(begin) < seconds) commit(what.per_commit);
  out.seconds = elapsed(begin);
  out.cpu = cpu_seconds() - cpu;
  out.messages = static_cast<double>(next - first);
  return out;
}

const char* text(manner m) {
  switch (m) {
    case manner::in_order:
      return "in order";
    case manner::in_ten_parts:
      return "in 10 parts";
    case manner::at_random:
      return "at random";
    case manner::never:
      return "never";
  }
  return "";
}

void run(const setup& what, const std::string& directory, double seconds) {
  std::filesystem::remove_all(directory);
  waiting_sink sink;
  const auto s = open_sqlite_store({.directory = directory}, sink);
  counting_visitor nothing;
  s->recover(nothing);
  const measured m = load(*s, sink, what, seconds);
  const store_statistics stats = s->statistics();
  s->close();
  std::printf("%8zu %8zu  %-12s %10.0f %10.2f %9.0f %10.1f %8llu\n", what.size, what.per_commit,
              text(what.settle), m.messages / m.seconds, m.cpu / m.messages * 1e6,
              static_cast<double>(stats.commit_micros_total) / static_cast<double>(stats.commits),
              static_cast<double>(stats.commit_micros_max) / 1000.0,
              static_cast<unsigned long long>(stats.checkpoints));
  std::fflush(stdout);
}

/// Reopens what `never` left, and reads it all back.
void run_recovery(const std::string& directory) {
  waiting_sink sink;
  counting_visitor seen;
  const auto begin = steady_clock::now();
  const auto s = open_sqlite_store({.directory = directory}, sink);
  s->recover(seen);
  const double opened = elapsed(begin);
  const auto reading = steady_clock::now();
  const double cpu = cpu_seconds();
  std::uint64_t reads = 0;
  std::size_t count = 0;
  for (sequence from = 1;;) {
    s->read(worker_id{}, bench_queue, from, 256 * 1024, token{});
    sink.wait_for(++reads);
    const auto& items = sink.last_read().items;
    if (items.empty()) break;
    count += items.size();
    from = items.back().key.at + 1;
  }
  const double took = elapsed(reading);
  std::printf("recovered %zu messages in %.0f ms; read %zu back at %.0f/s, %.2f us CPU each\n",
              seen.count, opened * 1000, count, static_cast<double>(count) / took,
              (cpu_seconds() - cpu) / static_cast<double>(count) * 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  double seconds = 3;
  int only = -1;
  std::string directory = "/tmp/whimbrel-store-bench";
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::string_view(argv[i]) == "--seconds") seconds = std::atof(argv[i + 1]);
    if (std::string_view(argv[i]) == "--directory") directory = argv[i + 1];
    if (std::string_view(argv[i]) == "--row") only = std::atoi(argv[i + 1]);
  }
  std::array<double, 3> machine_load{};
  static_cast<void>(getloadavg(machine_load.data(), 3));
  std::printf("load of the machine %.2f\n", machine_load[0]);
  std::printf("%8s %8s  %-12s %10s %10s %9s %10s %8s\n", "octets", "a commit", "settled", "msgs/s",
              "CPU us/msg", "commit us", "max ms", "emptied");
  const setup table[] = {
      {150, 1, manner::in_order},        {150, 1, manner::at_random},
      {150, 100, manner::in_order},      {150, 100, manner::in_ten_parts},
      {150, 100, manner::at_random},     {150, 1000, manner::in_order},
      {150, 1000, manner::in_ten_parts}, {150, 1000, manner::at_random},
      {1024, 100, manner::in_order},     {1024, 100, manner::at_random},
      {1024, 1000, manner::in_order},    {1024, 1000, manner::at_random},
      {150, 1000, manner::never},
  };
  for (int row = 0; row < static_cast<int>(std::size(table)); ++row) {
    if (only < 0 || only == row) run(table[row], directory, seconds);
  }
  if (only < 0) run_recovery(directory);
  std::filesystem::remove_all(directory);
  return 0;
}
