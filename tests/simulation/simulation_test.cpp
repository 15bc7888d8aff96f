// SPDX-License-Identifier: Apache-2.0
// Seeds by the hundred. WHIMBREL_SEED=n runs that seed alone, WHIMBREL_SEEDS=n that many a shape.
#include "tests/simulation/simulation.hpp"

#include <cstdlib>
#include <string>

#include <doctest/doctest.h>

using namespace whimbrel::simulation;

namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::stoull(text);
}

void add(ledger_totals& sum, const ledger_totals& one) {
  sum.sent += one.sent;
  sum.accepted += one.accepted;
  sum.delivered += one.delivered;
  sum.settled += one.settled;
  sum.answered += one.answered;
  sum.redelivered += one.redelivered;
  sum.crashes += one.crashes;
  sum.cancelled += one.cancelled;
  sum.rejected += one.rejected;
  sum.doubts += one.doubts;
}

/// Runs the seeds of one shape and requires a clean ledger of each.
ledger_totals verify(options o, std::uint64_t seeds, std::uint64_t& reads) {
  ledger_totals sum;
  const std::uint64_t only = from_environment("WHIMBREL_SEED", 0);
  const std::uint64_t count = from_environment("WHIMBREL_SEEDS", seeds);
  for (std::uint64_t seed = only ? only : 1; seed <= (only ? only : count); ++seed) {
    CAPTURE(seed);
    o.seed = seed;
    simulation s(o);
    s.run();
    const std::string found = s.book().faults.text();
    CAPTURE(found);
    CHECK(s.book().faults.sum() == 0);
    add(sum, s.book().totals);
    reads += s.reads();
  }
  return sum;
}

void must_not_be_vacuous(const ledger_totals& t, std::uint64_t seeds) {
  if (std::getenv("WHIMBREL_SEED") != nullptr) return;
  CHECK(t.sent > 50 * seeds);
  CHECK(t.accepted > 25 * seeds);
  CHECK(t.answered > 20 * seeds);
  CHECK(t.redelivered > 5 * seeds);
  CHECK(t.cancelled > 0);
}

}  // namespace

TEST_CASE("simulation: one worker keeps every promise, whatever the seed") {
  std::uint64_t reads = 0;
  const auto t = verify({.workers = 1}, 120, reads);
  must_not_be_vacuous(t, 120);
  CHECK(t.crashes > 80);
  CHECK(t.doubts > 50);
  CHECK(t.rejected > 50);
}

TEST_CASE("simulation: three workers keep every promise, whatever the seed") {
  std::uint64_t reads = 0;
  const auto t = verify({.workers = 3, .steps = 1000}, 120, reads);
  must_not_be_vacuous(t, 120);
  CHECK(t.crashes > 80);
  CHECK(t.doubts > 50);
  CHECK(t.rejected > 50);
}

TEST_CASE("simulation: bodies that leave memory change nothing that clients see") {
  for (const std::uint16_t workers : {std::uint16_t{1}, std::uint16_t{3}}) {
    CAPTURE(workers);
    std::uint64_t reads = 0;
    const auto t = verify({.workers = workers, .steps = 1000, .small_memory = true}, 40, reads);
    must_not_be_vacuous(t, 40);
    CHECK(reads > 100);
  }
}

TEST_CASE("simulation: without faults every message is accepted, or its producer left first") {
  for (const std::uint16_t workers : {std::uint16_t{1}, std::uint16_t{3}}) {
    CAPTURE(workers);
    std::uint64_t reads = 0;
    const auto t = verify({.workers = workers, .faults = false}, 20, reads);
    CHECK(t.crashes == 0);
    CHECK(t.rejected == 0);
    CHECK(t.settled >= t.accepted);
  }
}

TEST_CASE("simulation: the same seed gives the same trace, another seed another") {
  for (const std::uint16_t workers : {std::uint16_t{1}, std::uint16_t{3}}) {
    const auto trace_of = [&](std::uint64_t seed) {
      simulation s({.seed = seed, .workers = workers});
      s.run();
      return s.book().trace;
    };
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      CAPTURE(seed);
      CHECK(trace_of(seed) == trace_of(seed));
      CHECK(trace_of(seed) != trace_of(seed + 1));
    }
  }
}

TEST_CASE("simulation: the ledger notices a broker that accepts before the commit") {
  std::uint64_t caught = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    simulation s({.seed = seed, .accept_before_commit = true});
    s.run();
    caught += s.book().faults.early > 0 ? 1 : 0;
  }
  CHECK(caught == 20);
}
