// SPDX-License-Identifier: Apache-2.0
// Queues that keep one message a key.
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>

#include "amqp/codec/codec.hpp"
#include "broker/core/fan_out.hpp"
#include "broker/core/last_values.hpp"
#include "broker/core/value_identity.hpp"
#include "tests/broker/core/world.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using amqp::codec::map;
using amqp::codec::value;
using core::queue_policy;

namespace {

constexpr std::string_view key_name = "_AMQ_LVQ_NAME";

/// "k1": the key is `k`.
core::message_ptr keyed(std::string_view text, const message_shape& shape = {}) {
  map notes;
  notes.append(value(amqp::symbol(key_name)), value(text.substr(0, 1)));
  return core::annotate(*make_text(text, shape), notes);
}

queue_policy by_key() {
  queue_policy p;
  p.last_value_key = std::string(key_name);
  return p;
}

/// What the store has is given to a queue of the same number.
core::queue_ref load(world& w, const queue_policy& p = by_key()) {
  struct finder final : storage::recovery_visitor {
    void on_record(storage::record_kind, std::string_view, std::span<const std::byte>) override {}
    void on_entries(std::span<const storage::recovered_entry> found) override {
      for (const auto& e : found) to->restore(e);
    }
    core::queue* to = nullptr;
  } visitor;
  const auto q = w.home().create_queue({"q", storage::queue_id{1}, true, false});
  visitor.to = &w.at(q);
  visitor.to->set_policy(p);
  w.store.recover(visitor);
  return q;
}

std::string all_of(world& w, core::queue_ref q) {
  test_consumer to(w, q);
  to.grant(1000);
  w.settle_down();
  return to.texts();
}

std::span<const std::byte> encoded(amqp::octet_buffer& out, const value& v) {
  amqp::codec::encode(out, v);
  return out.octets();
}

}  // namespace

TEST_CASE("identity: the same is equal however it is written, different things are not") {
  const struct {
    value one, other;
    bool same;
  } rows[] = {
      {value("a"), value(amqp::symbol("a")), true},
      {value("a"), value("b"), false},
      {value("1"), value(std::uint32_t{1}), false},
      {value(std::uint64_t{1}), value(std::int8_t{1}), true},
      {value(std::int32_t{-1}), value(std::int64_t{-1}), true},
      {value(std::int32_t{-1}), value(std::uint32_t{0xffff'ffff}), false},
      {value(true), value(false), false},
      {value(true), value(std::uint8_t{1}), false},
      {value(amqp::timestamp{5}), value(std::int64_t{5}), false},
      {value(1.5), value(1.5), true},
  };
  for (const auto& row : rows) {
    CAPTURE(amqp::codec::to_text(row.one));
    CAPTURE(amqp::codec::to_text(row.other));
    amqp::octet_buffer one;
    amqp::octet_buffer other;
    const auto a = core::identity_of(encoded(one, row.one));
    const auto b = core::identity_of(encoded(other, row.other));
    REQUIRE(a);
    REQUIRE(b);
    CHECK((*a == *b) == row.same);
  }
  amqp::octet_buffer none;
  amqp::octet_buffer endless;
  CHECK_FALSE(core::identity_of({}));
  CHECK_FALSE(core::identity_of(encoded(none, value())));
  CHECK_FALSE(core::identity_of(encoded(endless, value(std::string(2000, 'a')))));
}

TEST_CASE("last values: the later one wins, in whichever order they are told") {
  core::last_values v("k", 1);
  CHECK_FALSE(v.add(3, "a"));
  CHECK_FALSE(v.add(4, "b"));
  CHECK(v.add(7, "a") == 3);
  CHECK(v.add(5, "a") == 5);
  CHECK_FALSE(v.add(7, "a"));
  v.remove(3);  // was the latest once
  CHECK(v.find("a") == 7);
  v.remove(7);
  CHECK_FALSE(v.find("a"));
  CHECK_FALSE(v.add(5, "a"));
  CHECK(v.size() == 2);
}

TEST_CASE("last value: a newer message replaces the older, those without a key all stay") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue(by_key());
    test_producer from(w, q);
    for (const char* text : {"a1", "b1", "a2", "c1", "b2", "a3"}) from.put(keyed(text));
    from.put("plain");
    from.put("plain");
    w.settle_down();
    CHECK(w.at(q).depth() == 5);
    CHECK(w.at(q).counters().replaced == 3);
    CHECK(from.verdicts.size() == 8);
    for (const auto& v : from.verdicts) CHECK(v.what == outcome::accepted);
    w.at(q).check_invariants();
    CHECK(all_of(w, q) == "c1 b2 a3 plain plain");
  });
}

TEST_CASE("last value: what a consumer holds stays its own, and does not come back") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue(by_key());
    test_producer from(w, q);
    for (const char* text : {"a1", "b1", "c1", "d1"}) from.put(keyed(text));
    test_consumer first(w, q);
    first.grant(4);
    w.settle_down();
    for (const char* text : {"a2", "b2", "c2"}) from.put(keyed(text));
    w.settle_down();
    CHECK(w.at(q).depth() == 7);
    first.accept("a1", 0);
    first.settle("b1", outcome::released, core::letter_flag::answer, 1);
    first.settle("c1", outcome::modified,
                 core::letter_flag::answer | core::letter_flag::failed, 2);
    first.settle("d1", outcome::released, core::letter_flag::answer, 3);
    w.settle_down();
    CHECK(first.answers.size() == 4);
    CHECK(w.at(q).depth() == 4);
    w.at(q).check_invariants();
    CHECK(all_of(w, q) == "d1 a2 b2 c2");
  });
}

TEST_CASE("last value: the newer one is taken by a consumer, the older released: nothing returns") {
  storage::memory_disk disk;
  {
    world w({.workers = 1}, disk);
    w.start();
    const auto q = w.make_queue(by_key());
    test_producer from(w, q);
    from.put(keyed("a1"));
    test_consumer first(w, q);
    first.grant(1);
    w.settle_down();
    from.put(keyed("a2"));
    w.settle_down();
    test_consumer second(w, q);
    second.grant(1);
    w.settle_down();
    second.accept("a2");
    w.settle_down();
    CHECK(w.at(q).depth() == 1);  // held to the end by the first
  }
  world w({.workers = 1}, disk);
  CHECK(all_of(w, load(w)).empty());
}

TEST_CASE("last value: put and removal are one batch") {
  for (const bool together : {true, false}) {
    for (const bool committed : {true, false}) {
      CAPTURE(together);
      CAPTURE(committed);
      storage::memory_disk disk;
      {
        world w({.workers = 1}, disk);
        w.start();
        const auto q = w.make_queue(by_key());
        test_producer from(w, q);
        from.put(keyed("a1"));
        if (!together) w.settle_down();
        from.put(keyed("a2"));
        w.talk();
        CHECK(from.verdicts.size() == (together ? 0 : 1));
        if (committed) w.settle_down();
        if (committed) CHECK(from.verdicts.size() == 2);
        w.store.lose_power();
      }
      world w({.workers = 1}, disk);
      const auto q = load(w);
      CHECK(w.at(q).depth() == (together && !committed ? 0 : 1));
      CHECK(all_of(w, q) == (committed ? "a2" : together ? "" : "a1"));
    }
  }
}

TEST_CASE("last value: a queue that is loaded learns its keys from the bodies, and clears up") {
  storage::memory_disk disk;
  {
    world w({.workers = 1}, disk);
    w.start();
    const auto q = w.make_queue(queue_policy{});
    test_producer from(w, q);
    for (int i = 0; i < 300; ++i) from.put(keyed(std::string(1, "abc"[i % 3]) + "x"));
    for (const char* text : {"a1", "b1", "a2"}) from.put(keyed(text));
    w.settle_down();
  }
  {
    world w({.workers = 1}, disk);
    const auto q = load(w);
    CHECK(w.at(q).depth() == 303);
    test_producer from(w, q);
    from.put(keyed("b2"));
    test_consumer browser(w, q, true);
    browser.grant(10);
    w.settle_down();
    CHECK(browser.texts() == "cx a2 b2");
    CHECK(w.at(q).depth() == 3);
    w.at(q).check_invariants();
  }
  world w({.workers = 1}, disk);
  const auto q = load(w, {});
  CHECK(w.at(q).depth() == 3);
}

TEST_CASE("last value: the policy may come and go while there are messages") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue(queue_policy{});
    test_producer from(w, q);
    for (const char* text : {"a1", "b1", "a2", "b2"}) from.put(keyed(text));
    test_consumer holds(w, q);
    holds.grant(1);
    w.settle_down();
    w.at(q).set_policy(by_key());
    w.settle_down();
    CHECK(w.at(q).depth() == 3);
    w.at(q).set_policy({});
    w.settle_down();
    from.put(keyed("a3"));
    w.settle_down();
    holds.settle("a1", outcome::released);
    w.settle_down();
    CHECK(all_of(w, q) == "a2 b2 a3");
    w.at(q).check_invariants();
  });
}

TEST_CASE("last value: a full queue that rejects takes what replaces") {
  on_each_shape([](world& w) {
    queue_policy p = by_key();
    p.max_length = 2;
    p.overflow = core::overflow::reject;
    const auto q = w.make_queue(p);
    test_producer from(w, q);
    for (const char* text : {"a1", "b1", "a2"}) from.put(keyed(text));
    const std::uint32_t refused = from.put(keyed("c1"));
    w.settle_down();
    REQUIRE(from.verdicts.size() == 4);
    for (const auto& v : from.verdicts) {
      CHECK((v.what == outcome::rejected) == (v.id == refused));
    }
    CHECK(all_of(w, q) == "b1 a2");
  });
}

TEST_CASE("last value: with levels and schedules the newer one replaces all the same") {
  on_each_shape([](world& w) {
    queue_policy p = by_key();
    p.priorities = true;
    const auto q = w.make_queue(p);
    test_producer from(w, q);
    from.put(keyed("a1", {.priority = 9}));
    from.put(keyed("b1"));
    map later;
    later.append(value(amqp::symbol("x-opt-delivery-time")),
                 value(amqp::timestamp{w.time.ms + 100}));
    from.put(core::annotate(*keyed("c1"), later));
    from.put(keyed("a2", {.priority = 1}));
    from.put(keyed("c2"));
    w.settle_down();
    CHECK(w.at(q).depth() == 3);
    w.pass(200);
    w.settle_down();
    w.at(q).check_invariants();
    CHECK(all_of(w, q) == "b1 c2 a2");
  });
}

TEST_CASE("last value: one that has replaced another is not taken back from a store that stalls") {
  world w({.workers = 1});
  w.start();
  const auto q = w.make_queue(by_key());
  test_producer from(w, q);
  from.put(keyed("a1"));
  w.settle_down();
  w.store.stall(1000);
  from.put(keyed("a2"));
  const std::uint32_t other = from.put(keyed("b1"));
  for (int i = 0; i < 3; ++i) {
    w.talk();
    w.store.pump();
  }
  w.talk();
  w.pass(31'000);
  for (int i = 0; i < 3; ++i) {
    w.talk();
    w.store.pump();
  }
  w.talk();
  REQUIRE(from.verdicts.size() == 2);
  CHECK(from.verdicts.back().id == other);
  CHECK(from.verdicts.back().what == outcome::rejected);
  w.store.stall(0);
  w.settle_down();
  CHECK(from.verdicts.size() == 3);
  CHECK(all_of(w, q) == "a2");
}

TEST_CASE("last value: in joint changes the order of places decides, not that of commits") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue(by_key());
    const auto other = w.producers().create_queue({"other", storage::queue_id{77}, true, false});
    test_producer from(w, q);
    const std::vector<core::hit> both = {{q, true}, {other, true}};
    from.put(keyed("a1"));
    w.settle_down();
    core::fan_out(w.producers(), both, keyed("a2"), from.self, 1);
    from.put(keyed("b1"));
    w.talk();
    from.put(keyed("a3"));
    w.settle_down();
    CHECK(from.verdicts.size() == 4);
    w.at(q).check_invariants();
    CHECK(all_of(w, q) == "b1 a3");
    CHECK(all_of(w, other) == "a2");
  });
}

TEST_CASE("last value: over restarts and consumers of all kinds, one message a key waits") {
  const std::uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const auto pick = [&](std::uint64_t n) { return random() % n; };
  storage::memory_disk disk;
  std::map<char, std::string> latest;  // put, and accepted by no consumer since
  int number = 0;
  std::size_t replaced = 0;
  std::size_t returned = 0;
  for (int life = 0; life < 8; ++life) {
    world w({.workers = 1, .memory_octets = pick(2) == 0 ? std::size_t{2000} : 64 << 20}, disk);
    const auto q = load(w);
    test_producer from(w, q);
    test_consumer to(w, q);
    std::uint32_t limit = 0;
    std::map<core::sequence, std::string> held;
    std::size_t seen = 0;
    const auto look = [&] {
      w.settle_down();
      for (; seen < to.deliveries.size(); ++seen) {
        held[to.deliveries[seen].at] = to.deliveries[seen].text;
      }
    };
    for (int step = 0; step < 200; ++step) {
      if (pick(3) != 0) {
        const char key = static_cast<char>('a' + pick(6));
        latest[key] = key + std::to_string(++number);
        from.put(keyed(latest[key]));
      } else {
        to.grant(limit += static_cast<std::uint32_t>(pick(3)));
      }
      look();
      if (!held.empty() && pick(2) == 0) {
        const auto which = std::next(held.begin(), static_cast<std::ptrdiff_t>(pick(held.size())));
        const auto [at, text] = *which;
        held.erase(which);
        const bool takes = pick(2) == 0;
        returned += takes ? 0 : 1;
        const auto newest = latest.find(text[0]);
        if (takes && newest != latest.end() && newest->second == text) latest.erase(newest);
        to.settle(at, at, takes ? outcome::accepted : outcome::released,
                  core::letter_flag::answer);
        look();
      }
      w.at(q).check_invariants();
    }
    replaced += w.at(q).counters().replaced;
    to.unsubscribe();
    for (const auto& h : held) to.settle(h.first, h.first, outcome::released);
    w.settle_down();
    std::set<std::string> want;
    for (const auto& [key, text] : latest) want.insert(text);
    test_consumer browser(w, q, true);
    browser.grant(1000);
    w.settle_down();
    std::set<std::string> got;
    for (const auto& d : browser.deliveries) got.insert(d.text);
    CHECK(got == want);
    CHECK(browser.deliveries.size() == want.size());
  }
  CHECK(replaced > 100);
  CHECK(returned > 50);
}
