// SPDX-License-Identifier: Apache-2.0
// The store's contract, for every implementation: bodies that left memory come back.
#include <doctest/doctest.h>

#include "tests/storage/rig.hpp"

namespace whimbrel::storage {
namespace {

TEST_CASE_TEMPLATE("store: a read gives what fits, and one at least", Rig, sqlite_rig, memory_rig) {
  Rig r;
  r.open();
  for (sequence at = 1; at <= 6; ++at) {
    batch b;
    b.puts.push_back(text_put(q1, at, std::string(100, static_cast<char>('0' + at))));
    r.commit(std::move(b));
  }
  r.commit(settles(q1, 3, 3));
  struct {
    const char* what;
    sequence from;
    std::size_t octets_max;
    std::vector<sequence> want;
  } const rows[] = {
      {"all", 0, 10'000, {1, 2, 4, 5, 6}},   {"exactly two", 1, 200, {1, 2}},
      {"not quite two", 1, 199, {1}},        {"less than one", 1, 5, {1}},
      {"no room at all", 1, 0, {1}},         {"across the settled one", 2, 300, {2, 4, 5}},
      {"from the settled one", 3, 100, {4}}, {"the last", 6, 10'000, {6}},
      {"beyond the end", 7, 10'000, {}},
  };
  for (int round = 0; round < 2; ++round) {
    for (const auto& row : rows) {
      CAPTURE(row.what);
      CAPTURE(round);
      const read_done got = r.read(q1, row.from, row.octets_max);
      CHECK(!got.failed);
      std::vector<sequence> at;
      for (const read_item& i : got.items) {
        at.push_back(i.key.at);
        REQUIRE(i.body);
        CHECK(to_text(i.body->octets()) == std::string(100, static_cast<char>('0' + i.key.at)));
      }
      CHECK(at == row.want);
    }
    CHECK(r.read(q2, 0).items.empty());
    r.lose_power();
  }
}

TEST_CASE_TEMPLATE("store: reads see what was reported durable, queue by queue", Rig, sqlite_rig,
                   memory_rig) {
  Rig r;
  r.open();
  sequence next = 1;
  for (int commit = 0; commit < 30; ++commit) {
    batch b;
    for (std::uint64_t q = 1; q <= 5; ++q) {
      for (sequence k = 0; k < q; ++k) {
        b.puts.push_back(text_put(queue_id{q}, next + k, text_of(queue_id{q}, next + k)));
      }
    }
    next += 5;
    REQUIRE(r.commit(std::move(b)) == commit_outcome::durable);
    const read_done got = r.read(q3, next - 5);
    REQUIRE(got.items.size() == 3);
    CHECK(to_text(got.items[2].body->octets()) == text_of(q3, next - 3));
  }
  for (std::uint64_t q = 1; q <= 5; ++q) {
    const auto all = r.contents(queue_id{q});
    CHECK(all.size() == 30 * q);
    for (const auto& [at, text] : all) CHECK(text == text_of(queue_id{q}, at));
  }
}

TEST_CASE_TEMPLATE("store: a read does not see what is not durable yet", Rig, sqlite_rig,
                   memory_rig) {
  Rig r;
  r.open();
  r.commit(puts(q1, 1, 2));
  r.stall();
  const token waiting = r.submit(puts(q1, 3, 4));
  REQUIRE(r.wait_for_pressure(pressure::stalled));
  CHECK(r.contents(q1).size() == 2);
  r.heal();
  CHECK(r.outcome(waiting) == commit_outcome::durable);
  CHECK(r.contents(q1).size() == 4);
}

TEST_CASE_TEMPLATE("store: a shared body is read back for each of its messages", Rig, sqlite_rig,
                   memory_rig) {
  Rig r;
  r.open();
  batch b;
  const blob_ptr shared = text_blob("shared");
  for (sequence at = 1; at <= 10; ++at) {
    put p = text_put(q1, at, text_of(q1, at));
    if (at % 2 == 0) p.body = shared;
    if (at == 5) p.body = text_blob("");
    b.puts.push_back(p);
  }
  r.commit(std::move(b));
  const auto all = r.contents(q1);
  REQUIRE(all.size() == 10);
  for (const auto& [at, text] : all) {
    CHECK(text == (at % 2 == 0 ? "shared" : at == 5 ? "" : text_of(q1, at)));
  }
}

}  // namespace
}  // namespace whimbrel::storage
