// SPDX-License-Identifier: Apache-2.0
// Kills a broker under load, again and again on one data directory, and checks after each restart
// that what the clients were told holds [reliability: nothing accepted is lost, nothing invented,
// nothing settled comes back].
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>

#include "tests/crash/load.hpp"
#include "tests/support/broker_process.hpp"

namespace {

using namespace whimbrel::crash;
using whimbrel::support::broker_options;
using whimbrel::support::broker_process;
using clock_type = std::chrono::steady_clock;

constexpr std::uint64_t answered_least = 1'000;  // of each kind, before a kill
constexpr int load_seconds_max = 60;
constexpr double both_outstanding_least = 0.8;   // share of the runs

struct options {
  std::string broker = {};
  std::string directory = {};
  int kills = 50;
  unsigned workers = 1;
  std::uint64_t seed = 0;
  bool until_fault = false;  // no further kill once the ledger has found one
  std::vector<std::string> broker_arguments = {};
};

struct outstanding {
  std::uint64_t sends = 0;
  std::uint64_t outcomes = 0;
  totals counts = {};  // up to the kill, without what the inspection adds
};

/// Loads the broker until enough has been answered, and for a random while longer; kills it.
outstanding run_until_killed(broker_process& broker, ledger& book, std::mt19937_64& random) {
  load clients(broker.port(), book, random);
  const totals before = book.counts();
  const auto end = clock_type::now() + std::chrono::seconds(load_seconds_max);
  while (book.counts().accepted - before.accepted < answered_least ||
         book.counts().answered - before.answered < answered_least) {
    clients.pump();
    if (broker.has_ended()) {
      throw std::runtime_error("the broker ended by itself: " + broker.how_ended());
    }
    if (clock_type::now() > end) throw std::runtime_error("the broker is too slow, or stuck");
  }
  const auto kill_at = clock_type::now() + std::chrono::microseconds(random() % 300'000);
  while (clock_type::now() < kill_at) clients.pump();
  broker.kill();
  clients.finish();
  return {.sends = book.unanswered_sends(),
          .outcomes = book.unanswered_outcomes(),
          .counts = book.counts()};
}

/// Now and then kills it while it recovers: what recovery writes must survive that too.
int restart(broker_process& broker, std::mt19937_64& random) {
  int more_kills = 0;
  while (random() % 4 == 0) {
    broker.spawn();
    if (broker.ends_within(std::chrono::microseconds(random() % 60'000))) {
      throw std::runtime_error("the broker ended while it recovered: " + broker.how_ended());
    }
    broker.kill();
    ++more_kills;
  }
  broker.start();
  return more_kills;
}

void print_run(int number, const totals& before, const ledger& book, const outstanding& at_kill,
               int more_kills, std::uint64_t faults_before) {
  const totals& now = at_kill.counts;
  const auto since = [](std::uint64_t a, std::uint64_t b) {
    return static_cast<unsigned long long>(a - b);
  };
  const std::uint64_t faults = book.faults() - faults_before;
  std::printf(
      "run %3d: sent %6llu accepted %6llu received %6llu settled-answered %6llu | at the kill: "
      "sends %4llu outcomes %4llu outstanding | kills %d | found %6llu in doubt %5llu | %s\n",
      number, since(now.sent, before.sent), since(now.accepted, before.accepted),
      since(now.received, before.received), since(now.answered, before.answered),
      since(at_kill.sends, 0), since(at_kill.outcomes, 0), 1 + more_kills,
      since(book.found_count(), 0), since(book.in_doubt_count(), 0), faults == 0 ? "ok" : "FAIL");
  std::fflush(stdout);
}

int finish(const options& chosen, const ledger& book, int runs, int both, double seconds) {
  const totals& all = book.counts();
  const auto number = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
  for (const std::string& each : book.violations()) std::printf("  %s\n", each.c_str());
  std::printf("%d runs, workers %u, seed %llu, %.0f s: sent %llu, accepted %llu, received %llu, "
              "settled-answered %llu\n",
              runs, chosen.workers, number(chosen.seed), seconds, number(all.sent),
              number(all.accepted), number(all.received), number(all.answered));
  std::printf("both kinds outstanding at the kill in %d of %d runs\n", both, runs);
  std::printf("%llu lost, %llu invented, %llu resurrected, %llu other violations\n",
              number(book.lost()), number(book.invented()), number(book.resurrected()),
              number(book.other()));
  const bool was_under_load = both >= both_outstanding_least * runs;
  if (!was_under_load) std::printf("FAIL: too few kills came while both kinds were outstanding\n");
  return book.is_clean() && was_under_load ? 0 : 1;
}

struct progress {
  int done = 0;
  int both = 0;  // in so many of these both kinds were outstanding at the kill
};

/// One round after the other.
void run_all(const options& chosen, broker_process& broker, ledger& book, progress& so_far) {
  std::mt19937_64 random(chosen.seed);
  broker.start();
  while (so_far.done < chosen.kills && !(chosen.until_fault && book.faults() > 0)) {
    const totals before = book.counts();
    const std::uint64_t faults = book.faults();
    const outstanding at_kill = run_until_killed(broker, book, random);
    book.crash();
    const int more_kills = restart(broker, random);
    inspection(broker.port(), book).run(random() % 3 != 0);
    so_far.both += at_kill.sends > 0 && at_kill.outcomes > 0 ? 1 : 0;
    print_run(++so_far.done, before, book, at_kill, more_kills, faults);
  }
  if (const int code = broker.stop(); code != 0) {
    book.corrupted("the end of the broker: exit code " + std::to_string(code));
  }
}

int run(const options& chosen) {
  std::filesystem::create_directories(chosen.directory);
  broker_process broker(broker_options{.binary = chosen.broker,
                                       .data = chosen.directory + "/data",
                                       .log = chosen.directory + "/broker.log",
                                       .workers = chosen.workers,
                                       .arguments = chosen.broker_arguments});
  ledger book;
  const auto began = clock_type::now();
  progress so_far;
  std::printf("seed %llu\n", static_cast<unsigned long long>(chosen.seed));
  try {
    run_all(chosen, broker, book, so_far);
  } catch (const std::exception& error) {
    book.corrupted(std::string(error.what()) + " (log: " + chosen.directory + "/broker.log)");
  }
  const std::chrono::duration<double> took = clock_type::now() - began;
  return finish(chosen, book, so_far.done, so_far.both, took.count());
}

int usage() {
  std::fprintf(stderr,
               "usage: crash_driver --broker BINARY --directory DIR [--kills N] [--workers N]\n"
               "                    [--seed S] [--until-fault] [-- ARGUMENTS OF THE BROKER]\n"
               "       crash_driver --self-test\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  options chosen;
  chosen.seed = std::random_device{}();
  if (argc == 2 && std::string_view(argv[1]) == "--self-test") return self_test() == 0 ? 0 : 1;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--") {
      chosen.broker_arguments.assign(argv + i + 1, argv + argc);
      break;
    }
    if (name == "--until-fault") {
      chosen.until_fault = true;
      continue;
    }
    if (i + 1 == argc) return usage();
    const char* value = argv[++i];
    if (name == "--broker") chosen.broker = value;
    else if (name == "--directory") chosen.directory = value;
    else if (name == "--kills") chosen.kills = std::atoi(value);
    else if (name == "--workers") chosen.workers = static_cast<unsigned>(std::atoi(value));
    else if (name == "--seed") chosen.seed = std::strtoull(value, nullptr, 10);
    else return usage();
  }
  if (chosen.broker.empty() || chosen.directory.empty() || chosen.kills < 1) return usage();
  try {
    return run(chosen);
  } catch (const std::exception& error) {
    std::printf("FAIL: %s\n", error.what());
    return 1;
  }
}
