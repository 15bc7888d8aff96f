// SPDX-License-Identifier: Apache-2.0
// The store's contract, for every implementation: the two kinds of failure, and withdrawal.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/storage/rig.hpp"

namespace whimbrel::storage {
namespace {

using list = std::vector<sequence>;

template <class Rig>
list recovered_sequences(Rig& r, queue_id q) {
  const auto found = r.recovered().queues.find(q);
  return found == r.recovered().queues.end() ? list{} : sequences(found->second);
}

TEST_CASE_TEMPLATE("store: a failure before the sync stalls, answers nothing, and heals", Rig,
                   sqlite_rig, memory_rig) {
  Rig r;
  r.open();
  r.commit(puts(q1, 1, 2));
  r.stall();
  std::vector<token> sent;
  for (sequence at = 3; at <= 12; ++at) {
    batch b = puts(q1, at, at);
    b.settles.push_back({q1, at - 2, at - 2});
    sent.push_back(r.submit(std::move(b)));
  }
  REQUIRE(r.wait_for_pressure(pressure::stalled));
  for (const token t : sent) CHECK(!r.sink().outcome(t));
  r.heal();
  for (const token t : sent) CHECK(r.outcome(t) == commit_outcome::durable);
  CHECK(r.wait_for_pressure(pressure::none));
  CHECK(r.sink().pressures() == std::vector{pressure::stalled, pressure::none});
  CHECK(r.contents(q1).size() == 2);
  r.lose_power();
  CHECK(recovered_sequences(r, q1) == list{11, 12});
}

TEST_CASE_TEMPLATE("store: nothing of a stalled batch is durable", Rig, sqlite_rig, memory_rig) {
  Rig r;
  r.open();
  r.commit(puts(q1, 1, 2));
  r.stall();
  batch b = puts(q1, 3, 4);
  b.settles.push_back({q1, 1, 1});
  r.submit(std::move(b));
  REQUIRE(r.wait_for_pressure(pressure::stalled));
  r.lose_power();
  CHECK(recovered_sequences(r, q1) == list{1, 2});
}

TEST_CASE_TEMPLATE("store: a stall with nothing left to write still heals", Rig, sqlite_rig,
                   memory_rig) {
  Rig r;
  r.open();
  r.stall();
  const token t = r.submit(puts(q1, 1, 3));
  REQUIRE(r.wait_for_pressure(pressure::stalled));
  CHECK(r.withdraw({{q1, 1}, {q1, 2}, {q1, 3}}).size() == 3);
  r.heal();
  CHECK(r.outcome(t) == commit_outcome::durable);
  CHECK(r.wait_for_pressure(pressure::none));
  CHECK(r.commit(puts(q1, 4, 4)) == commit_outcome::durable);
  r.lose_power();
  CHECK(recovered_sequences(r, q1) == list{4});
}

TEST_CASE_TEMPLATE("store: puts can be withdrawn from batches that are not durable", Rig,
                   sqlite_rig, memory_rig) {
  Rig r;
  r.open();
  r.commit(puts(q1, 1, 3));
  r.stall();
  batch b = puts(q1, 4, 6);
  b.settles.push_back({q1, 2, 2});
  b.records.push_back({record_kind::binding, "kept", text_blob("yes")});
  const token first = r.submit(std::move(b));
  REQUIRE(r.wait_for_pressure(pressure::stalled));
  const token second = r.submit(puts(q1, 7, 8));
  const auto gone = r.withdraw({{q1, 1}, {q1, 5}, {q1, 8}, {q1, 99}, {q2, 5}});
  CHECK(gone == std::vector<entry_key>{{q1, 5}, {q1, 8}});
  CHECK(r.withdraw({{q1, 5}}).empty());
  r.heal();
  CHECK(r.outcome(first) == commit_outcome::durable);
  CHECK(r.outcome(second) == commit_outcome::durable);
  CHECK(r.withdraw({{q1, 4}}).empty());
  r.lose_power();
  CHECK(recovered_sequences(r, q1) == list{1, 3, 4, 6, 7});
  CHECK(r.recovered().records.at({record_kind::binding, "kept"}) == "yes");
}

TEST_CASE_TEMPLATE("store: a failure at the sync puts it and all behind it in doubt, for good", Rig,
                   sqlite_rig, memory_rig) {
  Rig r;
  r.open();
  CHECK(r.commit(puts(q1, 1, 2)) == commit_outcome::durable);
  r.fail_sync();
  batch b = puts(q1, 3, 4);
  b.settles.push_back({q1, 1, 1});
  const token first = r.submit(std::move(b));
  const token second = r.submit(puts(q1, 5, 6));
  CHECK(r.outcome(first) == commit_outcome::in_doubt);
  CHECK(r.outcome(second) == commit_outcome::in_doubt);
  CHECK(r.sink().pressures() == std::vector{pressure::failed});
  CHECK(r.commit(puts(q1, 7, 7)) == commit_outcome::in_doubt);  // the fault itself is over
  CHECK(r.withdraw({{q1, 7}}).empty());
  const auto done = r.sink().commits();
  CHECK(std::count_if(done.begin(), done.end(), [&](const commit_done& d) {
          return d.outcome == commit_outcome::durable && d.worker == worker_id{1};
        }) == 1);
  r.lose_power();
  CHECK(recovered_sequences(r, q1) == list{1, 2});
  CHECK(r.commit(puts(q1, 8, 8)) == commit_outcome::durable);
  r.lose_power();
  CHECK(recovered_sequences(r, q1) == list{1, 2, 8});
}

TEST_CASE_TEMPLATE("store: closing during a stall answers in doubt", Rig, sqlite_rig, memory_rig) {
  Rig r;
  r.open();
  r.commit(puts(q1, 1, 1));
  r.stall();
  const token t = r.submit(puts(q1, 2, 2));
  REQUIRE(r.wait_for_pressure(pressure::stalled));
  r.get().close();
  CHECK(r.sink().outcome(t) == commit_outcome::in_doubt);
  r.heal();
  r.close();
  r.open();
  CHECK(recovered_sequences(r, q1) == list{1});
}

TEST_CASE("memory store: what was in doubt may also have got there") {
  memory_disk disk;
  keeping_sink sink;
  {
    memory_options manual;
    manual.manual = true;
    memory_store s(disk, sink, manual);
    keeping_visitor nothing;
    s.recover(nothing);
    s.doubt(true);
    s.submit(worker_id{}, puts(q1, 1, 3), token{1});
    CHECK(s.pump() == 1);
    CHECK(sink.outcome(token{1}) == commit_outcome::in_doubt);
    s.lose_power();
  }
  memory_store again(disk, sink);
  keeping_visitor found;
  again.recover(found);
  CHECK(found.queues.at(q1).size() == 3);
}

TEST_CASE("memory store: the same seed gives the same faults, another seed others") {
  const auto trace_of = [](std::uint64_t seed) {
    memory_disk disk;
    keeping_sink sink;
    memory_options seeded;
    seeded.manual = true;
    seeded.seed = seed;
    seeded.stall_permille = 300;
    seeded.doubt_permille = 20;
    memory_store s(disk, sink, seeded);
    keeping_visitor nothing;
    s.recover(nothing);
    std::string trace;
    for (std::uint64_t i = 1; i <= 200; ++i) {
      s.submit(worker_id{}, puts(q1, i, i), token{i});
      trace += std::to_string(s.pump()) + (sink.pressures().empty() ? "" : "!");
    }
    return trace;
  };
  CHECK(trace_of(1) == trace_of(1));
  CHECK(trace_of(1) != trace_of(2));
}

TEST_CASE("memory store: has a thread of its own unless told otherwise") {
  memory_disk disk;
  keeping_sink sink;
  memory_store s(disk, sink);
  keeping_visitor nothing;
  s.recover(nothing);
  s.stall(3);
  for (std::uint64_t i = 1; i <= 50; ++i) s.submit(worker_id{}, puts(q1, i, i), token{i});
  CHECK(sink.wait([&] { return sink.commits().size() == 50; }));
  s.read(worker_id{}, q1, 0, 100'000, token{99});
  CHECK(sink.wait([&] { return sink.reading(token{99}).has_value(); }));
  CHECK(sink.reading(token{99})->items.size() == 50);
}

}  // namespace
}  // namespace whimbrel::storage
