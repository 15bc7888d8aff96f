// SPDX-License-Identifier: Apache-2.0
// The store's contract, for every implementation: what a batch does, and that it is there after.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

#include "tests/storage/rig.hpp"

namespace whimbrel::storage {
namespace {

using list = std::vector<sequence>;

template <class Rig>
list recovered_sequences(Rig& r, queue_id q) {
  const auto found = r.recovered().queues.find(q);
  return found == r.recovered().queues.end() ? list{} : sequences(found->second);
}

TEST_CASE_TEMPLATE("store: what was put is recovered with all that belongs to it", Rig, sqlite_rig,
                   memory_rig) {
  Rig r;
  r.open();
  CHECK(r.recovered().queues.empty());
  batch b = puts(q2, 7, 9);
  put p = text_put(q1, 5, "hello");
  p.flags = 0xdead'beef;
  p.delivery_count = 3;
  p.expires_ms = 1'700'000'000'123;
  b.puts.push_back(p);
  b.puts.push_back(text_put(q1, 6, ""));
  CHECK(r.commit(std::move(b)) == commit_outcome::durable);
  r.lose_power();

  CHECK(recovered_sequences(r, q1) == list{5, 6});
  CHECK(recovered_sequences(r, q2) == list{7, 8, 9});
  const recovered_entry e = r.recovered().queues.at(q1)[0];
  CHECK(e.size == 5);
  CHECK(e.flags == 0xdead'beef);
  CHECK(e.delivery_count == 3);
  CHECK(e.expires_ms == 1'700'000'000'123);
  CHECK(e.large == body_id{});
  CHECK(r.contents(q1) == std::vector<std::pair<sequence, std::string>>{{5, "hello"}, {6, ""}});
}

TEST_CASE_TEMPLATE("store: batches that arrive during a commit share the next one", Rig, sqlite_rig,
                   memory_rig) {
  Rig r;
  r.open();
  r.hold();
  token last{};
  for (sequence at = 1; at <= 20; ++at) last = r.submit(puts(q1, at, at));
  const auto before = r.get().statistics();
  r.release();
  CHECK(r.outcome(last) == commit_outcome::durable);
  const auto after = r.get().statistics();
  CHECK(after.commits <= before.commits + 2);  // the one that was held, and one for all twenty
  CHECK(after.batches >= before.batches + 20);
  CHECK(after.puts == before.puts + 20);
}

TEST_CASE_TEMPLATE("store: completions come in the order of the batches, once each", Rig,
                   sqlite_rig, memory_rig) {
  Rig r;
  r.open();
  std::vector<token> sent;
  for (sequence at = 1; at <= 300; ++at) {
    sent.push_back(r.submit(puts(q1, at, at), worker_id{static_cast<std::uint16_t>(at % 3)}));
  }
  REQUIRE(r.wait([&] { return r.sink().commits().size() == sent.size(); }));
  for (std::uint16_t w = 0; w < 3; ++w) {
    list got;
    for (const commit_done& d : r.sink().commits()) {
      if (d.worker == worker_id{w}) got.push_back(static_cast<sequence>(d.done));
    }
    CHECK(got.size() == 100);
    CHECK(std::is_sorted(got.begin(), got.end()));
  }
  r.lose_power();
  CHECK(recovered_sequences(r, q1).size() == 300);
}

TEST_CASE_TEMPLATE("store: a batch without a completion is whole or absent after power loss", Rig,
                   sqlite_rig, memory_rig) {
  Rig r;
  r.open();
  batch first = puts(q1, 1, 3);
  first.records.push_back({record_kind::queue, "orders", text_blob("old")});
  REQUIRE(r.commit(std::move(first)) == commit_outcome::durable);
  r.hold();
  batch second = puts(q2, 1, 3);
  second.settles.push_back({q1, 2, 2});
  second.records.push_back({record_kind::queue, "orders", text_blob("new")});
  r.submit(std::move(second));
  r.lose_power();
  CHECK(recovered_sequences(r, q1) == list{1, 2, 3});
  CHECK(recovered_sequences(r, q2).empty());
  CHECK(r.recovered().records.at({record_kind::queue, "orders"}) == "old");
}

TEST_CASE_TEMPLATE("store: an empty batch is answered", Rig, sqlite_rig, memory_rig) {
  Rig r;
  r.open();
  CHECK(r.commit({}) == commit_outcome::durable);
}

TEST_CASE_TEMPLATE("store: a put that its own batch settles leaves nothing", Rig, sqlite_rig,
                   memory_rig) {
  Rig r;
  r.open();
  batch b = puts(q1, 1, 5);
  b.settles.push_back({q1, 2, 4});
  CHECK(r.commit(std::move(b)) == commit_outcome::durable);
  CHECK(r.get().statistics().settled == 3);
  r.lose_power();
  CHECK(recovered_sequences(r, q1) == list{1, 5});
}

TEST_CASE_TEMPLATE("store: a put that a later batch of the same commit settles leaves nothing", Rig,
                   sqlite_rig, memory_rig) {
  Rig r;
  r.open();
  r.hold();
  const token put_done = r.submit(puts(q1, 1, 3));
  const token settle_done = r.submit(settles(q1, 1, 2));
  r.release();
  CHECK(r.outcome(put_done) == commit_outcome::durable);
  CHECK(r.outcome(settle_done) == commit_outcome::durable);
  CHECK(r.contents(q1).size() == 1);
  r.lose_power();
  CHECK(recovered_sequences(r, q1) == list{3});
}

TEST_CASE_TEMPLATE("store: settling takes ranges as they come", Rig, sqlite_rig, memory_rig) {
  struct {
    const char* what;
    std::vector<std::pair<sequence, sequence>> ranges;
    list left;
  } const rows[] = {
      {"nothing", {}, {10, 11, 12, 13, 14, 15, 20}},
      {"one", {{12, 12}}, {10, 11, 13, 14, 15, 20}},
      {"a range across two commits", {{12, 14}}, {10, 11, 15, 20}},
      {"the front", {{0, 12}}, {13, 14, 15, 20}},
      {"the end, far beyond", {{14, std::numeric_limits<sequence>::max()}}, {10, 11, 12, 13}},
      {"overlapping, twice", {{11, 13}, {12, 14}, {12, 12}}, {10, 15, 20}},
      {"only where nothing is", {{16, 19}, {1, 9}, {21, 99}}, {10, 11, 12, 13, 14, 15, 20}},
      {"an inverted range", {{14, 11}}, {10, 11, 12, 13, 14, 15, 20}},
      {"every other one", {{10, 10}, {12, 12}, {14, 14}}, {11, 13, 15, 20}},
      {"all", {{0, std::numeric_limits<sequence>::max()}}, {}},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    Rig r;
    r.open();
    r.commit(puts(q1, 10, 12));
    r.commit(puts(q1, 13, 15));
    r.commit(puts(q1, 20, 20));
    r.commit(puts(q2, 10, 20));
    for (const auto& [first, last] : row.ranges) r.commit(settles(q1, first, last));
    list read_back;
    for (const auto& [at, text] : r.contents(q1)) {
      CHECK(text == text_of(q1, at));
      read_back.push_back(at);
    }
    CHECK(read_back == row.left);
    r.lose_power();
    CHECK(recovered_sequences(r, q1) == row.left);
    CHECK(recovered_sequences(r, q2).size() == 11);
  }
}

TEST_CASE_TEMPLATE("store: what is settled stays settled over many reopenings", Rig, sqlite_rig,
                   memory_rig) {
  Rig r;
  r.open();
  r.commit(puts(q1, 1, 200));
  for (sequence at = 1; at <= 200; at += 3) {
    r.commit(settles(q1, at, at));
    if (at % 40 == 1) r.lose_power();
  }
  r.lose_power();
  list expected;
  for (sequence at = 1; at <= 200; ++at) {
    if (at % 3 != 1) expected.push_back(at);
  }
  CHECK(recovered_sequences(r, q1) == expected);
}

TEST_CASE_TEMPLATE("store: puts of one batch may come in any order of sequence", Rig, sqlite_rig,
                   memory_rig) {
  Rig r;
  r.open();
  batch b;
  for (const sequence at : {9, 3, 7, 1, 5}) b.puts.push_back(text_put(q1, at, text_of(q1, at)));
  for (const sequence at : {2, 8}) b.puts.push_back(text_put(q2, at, text_of(q2, at)));
  r.commit(std::move(b));
  r.commit(puts(q1, 4, 4));
  r.commit(puts(q1, 2, 2));
  r.commit(settles(q1, 2, 3));
  r.lose_power();
  CHECK(recovered_sequences(r, q1) == list{1, 4, 5, 7, 9});
  CHECK(recovered_sequences(r, q2) == list{2, 8});
  for (const auto& [at, text] : r.contents(q1)) CHECK(text == text_of(q1, at));
}

TEST_CASE_TEMPLATE("store: a move takes the body along and changes what it says", Rig, sqlite_rig,
                   memory_rig) {
  Rig r;
  r.open();
  r.commit(puts(q1, 1, 4));
  batch b = puts(q1, 5, 5);
  b.moves.push_back({{q1, 2}, {q2, 10}, 7, 1, 99});
  b.moves.push_back({{q1, 5}, {q2, 11}, 8, 2, 0});   // put by this very batch
  b.moves.push_back({{q1, 77}, {q2, 12}, 8, 2, 0});  // nobody is there
  CHECK(r.commit(std::move(b)) == commit_outcome::durable);
  r.commit(settles(q1, 1, 4));  // the group that held the body goes
  const std::vector<std::pair<sequence, std::string>> moved{{10, text_of(q1, 2)},
                                                            {11, text_of(q1, 5)}};
  CHECK(r.contents(q2) == moved);
  r.lose_power();
  CHECK(recovered_sequences(r, q1).empty());
  CHECK(recovered_sequences(r, q2) == list{10, 11});
  const recovered_entry e = r.recovered().queues.at(q2)[0];
  CHECK(e.flags == 7);
  CHECK(e.delivery_count == 1);
  CHECK(e.expires_ms == 99);
  CHECK(r.contents(q2) == moved);
}

TEST_CASE_TEMPLATE("store: a message can move on and be settled within one batch", Rig, sqlite_rig,
                   memory_rig) {
  Rig r;
  r.open();
  r.commit(puts(q1, 1, 2));
  batch b;
  b.moves.push_back({{q1, 1}, {q2, 1}, 0, 0, 0});
  b.moves.push_back({{q2, 1}, {q3, 1}, 0, 0, 0});
  b.moves.push_back({{q1, 2}, {q3, 2}, 0, 0, 0});
  b.recounts.push_back({{q3, 1}, 5});
  b.settles.push_back({q3, 2, 2});
  r.commit(std::move(b));
  r.lose_power();
  CHECK(recovered_sequences(r, q1).empty());
  CHECK(recovered_sequences(r, q2).empty());
  CHECK(recovered_sequences(r, q3) == list{1});
  CHECK(r.recovered().queues.at(q3)[0].delivery_count == 5);
  CHECK(r.contents(q3)[0].second == text_of(q1, 1));
}

TEST_CASE_TEMPLATE("store: delivery counts are kept, and only those", Rig, sqlite_rig, memory_rig) {
  Rig r;
  r.open();
  r.commit(puts(q1, 1, 4));
  batch b = puts(q1, 5, 5);
  b.recounts = {{{q1, 2}, 1}, {{q1, 4}, 9}, {{q1, 5}, 4}, {{q1, 50}, 4}};
  r.commit(std::move(b));
  batch again;
  again.recounts = {{{q1, 2}, 2}};
  again.settles.push_back({q1, 3, 4});
  r.commit(std::move(again));
  r.lose_power();
  REQUIRE(recovered_sequences(r, q1) == list{1, 2, 5});
  const auto& got = r.recovered().queues.at(q1);
  CHECK(got[0].delivery_count == 0);
  CHECK(got[1].delivery_count == 2);
  CHECK(got[2].delivery_count == 4);
}

TEST_CASE_TEMPLATE("store: records are kept by kind and key until erased", Rig, sqlite_rig,
                   memory_rig) {
  Rig r;
  r.open();
  const std::string odd_key("a\0b \xff/", 6);
  batch b;
  b.records = {{record_kind::queue, "a", text_blob("1")},
               {record_kind::exchange, "a", text_blob("2")},
               {record_kind::queue, odd_key, text_blob("")},
               {record_kind::user, "gone", text_blob("3")},
               {record_kind::queue, "a", text_blob("4")}};
  r.commit(std::move(b));
  batch erase;
  erase.records = {{record_kind::user, "gone", nullptr}, {record_kind::user, "never", nullptr}};
  r.commit(std::move(erase));
  r.lose_power();
  auto got = r.recovered().records;
  got.erase({record_kind::setting, "primer"});
  CHECK(got.size() == 3);
  CHECK(got.at({record_kind::queue, "a"}) == "4");
  CHECK(got.at({record_kind::exchange, "a"}) == "2");
  CHECK(got.at({record_kind::queue, odd_key}).empty());
}

TEST_CASE_TEMPLATE("store: a dropped queue takes its messages along, stored or not", Rig,
                   sqlite_rig, memory_rig) {
  Rig r;
  r.open();
  r.commit(puts(q1, 1, 5));
  r.commit(puts(q2, 1, 2));
  batch b = puts(q1, 6, 7);
  b.dropped_queues = {q1};
  r.commit(std::move(b));
  r.commit(puts(q1, 8, 8));
  r.lose_power();
  CHECK(recovered_sequences(r, q1) == list{8});
  CHECK(recovered_sequences(r, q2) == list{1, 2});
}

TEST_CASE_TEMPLATE("store: one body in many queues lives as long as any of them needs it", Rig,
                   sqlite_rig, memory_rig) {
  Rig r;
  r.open();
  batch b;
  const blob_ptr shared = text_blob(std::string(5000, 's'));
  for (std::uint64_t q = 1; q <= 9; ++q) {
    put p;
    p.key = {queue_id{q}, q};
    p.body = shared;
    b.puts.push_back(p);
  }
  r.commit(std::move(b));
  r.commit(settles(q1, 1, 1));
  r.lose_power();
  CHECK(recovered_sequences(r, q1).empty());
  for (std::uint64_t q = 2; q <= 9; ++q) {
    CHECK(r.contents(queue_id{q}) ==
          std::vector<std::pair<sequence, std::string>>{{q, std::string(5000, 's')}});
  }
}

TEST_CASE_TEMPLATE("store: a chunked body can be read anywhere, and goes with its last message",
                   Rig, sqlite_rig, memory_rig) {
  Rig r;
  r.open();
  const std::string whole = std::string(1000, 'a') + std::string(1000, 'b') + "tail";
  batch b;
  b.chunks = {{body_id{7}, 0, text_blob(whole.substr(0, 1000))},
              {body_id{7}, 1000, text_blob(whole.substr(1000, 1000))}};
  r.commit(std::move(b));
  batch rest;
  rest.chunks = {{body_id{7}, 2000, text_blob("tail")}, {body_id{8}, 0, text_blob("orphan")}};
  for (const queue_id q : {q1, q2}) {
    put p;
    p.key = {q, 1};
    p.large = body_id{7};
    rest.puts.push_back(p);
  }
  r.commit(std::move(rest));
  CHECK(r.read_body(body_id{7}, 0, 10'000) == whole);
  CHECK(r.read_body(body_id{7}, 990, 20) == whole.substr(990, 20));
  CHECK(r.read_body(body_id{7}, 1999, 3) == whole.substr(1999, 3));
  CHECK(r.read_body(body_id{7}, 2004, 5) == "");
  CHECK(r.read_body(body_id{9}, 0, 5) == "");
  CHECK(r.contents(q1) == std::vector<std::pair<sequence, std::string>>{{1, ""}});

  r.lose_power();
  CHECK(r.recovered().queues.at(q1)[0].large == body_id{7});
  CHECK(r.recovered().queues.at(q1)[0].size == 2004);
  CHECK(r.read_body(body_id{8}, 0, 10) == "");  // nobody ever referred to it
  batch on;
  on.moves.push_back({{q1, 1}, {q3, 1}, 0, 0, 0});
  on.settles.push_back({q2, 1, 1});
  r.commit(std::move(on));
  CHECK(r.read_body(body_id{7}, 0, 10'000) == whole);
  r.commit(settles(q3, 1, 1));
  CHECK(r.read_body(body_id{7}, 0, 10'000) == "");
  r.lose_power();
  CHECK(r.recovered().queues.empty());
}

TEST_CASE_TEMPLATE("store: a batch larger than any group comes back whole", Rig, sqlite_rig,
                   memory_rig) {
  Rig r;
  r.open();
  batch b;
  for (sequence at = 1; at <= 300; ++at) {
    b.puts.push_back(text_put(q1, at, std::string(20'000, static_cast<char>('a' + at % 26))));
  }
  b.puts.push_back(text_put(q1, 301, std::string(3'000'000, 'z')));
  r.commit(std::move(b));
  r.lose_power();
  const auto got = r.contents(q1);
  REQUIRE(got.size() == 301);
  for (std::size_t i = 0; i < 300; ++i) {
    REQUIRE(got[i].second == std::string(20'000, static_cast<char>('a' + got[i].first % 26)));
  }
  CHECK(got[300].second == std::string(3'000'000, 'z'));
}

TEST_CASE_TEMPLATE("store: closing commits what was submitted, and later calls are ignored", Rig,
                   sqlite_rig, memory_rig) {
  Rig r;
  r.open();
  const token t = r.submit(puts(q1, 1, 100));
  r.get().close();
  CHECK(r.sink().outcome(t) == commit_outcome::durable);
  r.get().submit(worker_id{}, puts(q1, 101, 101), token{12345});
  r.get().read(worker_id{}, q1, 0, 1, token{12346});
  r.get().close();
  CHECK(!r.sink().outcome(token{12345}));
  r.close();
  r.open();
  CHECK(recovered_sequences(r, q1).size() == 100);
}

}  // namespace
}  // namespace whimbrel::storage
