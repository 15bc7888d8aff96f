// SPDX-License-Identifier: Apache-2.0
// Queues that take a message once.
#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <utility>

#include "amqp/codec/codec.hpp"
#include "broker/core/duplicate_window.hpp"
#include "broker/core/fan_out.hpp"
#include "broker/core/joint.hpp"
#include "tests/broker/core/town.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using amqp::codec::value;
using core::duplicate_window;
using core::queue_policy;

namespace {

/// With properties that consist of this message-id.
core::message_ptr named(std::string_view text, const value& id, const message_shape& shape = {}) {
  const core::message_ptr plain = make_text(text, shape);
  const std::size_t head = plain->sections().message_annotations_end;
  amqp::octet_buffer field;
  amqp::codec::encode(field, id);
  REQUIRE(field.octets().size() < 250);
  const std::uint8_t list[] = {0x00, 0x53, 0x73, 0xc0,
                               static_cast<std::uint8_t>(field.octets().size() + 1), 0x01};
  amqp::octet_buffer out;
  out.append(plain->octets().first(head));
  out.append(std::as_bytes(std::span(list)));
  out.append(field.octets());
  out.append(plain->octets().subspan(head));
  auto made = core::make_message(out.octets(), 0);
  REQUIRE(made.has_value());
  return *std::move(made);
}

queue_policy window(std::uint64_t ms, std::optional<std::uint64_t> most = {}) {
  queue_policy p;
  p.dedup_window = ms;
  p.dedup_max = most;
  return p;
}

struct loader final : storage::recovery_visitor {
  void on_record(storage::record_kind kind, std::string_view key,
                 std::span<const std::byte> value) override {
    REQUIRE(kind == storage::record_kind::duplicates);
    const auto which = duplicate_window::read_key(key);
    REQUIRE(which);
    ++records;
    if (to != nullptr) to->restore_ids(which->second, value);
  }
  void on_entries(std::span<const storage::recovered_entry> found) override {
    entries += found.size();
    if (to == nullptr) return;
    if (!std::exchange(obeys, true)) to->set_policy(policy);
    for (const auto& e : found) to->restore(e);
  }
  core::queue* to = nullptr;
  queue_policy policy = {};
  bool obeys = false;
  std::size_t records = 0;
  std::size_t entries = 0;
};

/// What the store has is given to a queue of the same number.
core::queue_ref load(world& w, const queue_policy& p) {
  const auto q = w.home().create_queue({"q", storage::queue_id{1}, true, false});
  loader visitor;
  visitor.to = &w.at(q);
  visitor.policy = p;
  w.store.recover(visitor);
  if (!visitor.obeys) w.at(q).set_policy(p);
  return q;
}

std::size_t records_on(storage::memory_disk& disk) {
  world w({.workers = 1}, disk);
  loader visitor;
  w.store.recover(visitor);
  return visitor.records;
}

}  // namespace

TEST_CASE("duplicates: a repeated id is accepted, counted, and goes nowhere") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue(window(1000));
    test_producer from(w, q);
    from.put(named("a", value("m-1")));
    from.put(named("b", value("m-2")));
    from.put(named("again", value("m-1")));
    from.put(named("number", value(std::uint64_t{1})));
    from.put(named("text", value("1")));
    from.put("none");
    from.put("none");
    w.settle_down();
    from.put(named("again", value("m-2")));
    w.settle_down();
    CHECK(from.verdicts.size() == 8);
    for (const auto& v : from.verdicts) CHECK(v.what == outcome::accepted);
    CHECK(w.at(q).counters().duplicates == 2);
    CHECK(w.at(q).counters().in == 6);
    test_consumer to(w, q);
    to.grant(10);
    w.settle_down();
    CHECK(to.texts() == "a b number text none none");
    to.settle(to.deliveries[0].at, to.deliveries[0].at, outcome::accepted);
    w.settle_down();
    from.put(named("after", value("m-1")));
    w.settle_down();
    CHECK(w.at(q).counters().duplicates == 3);
    w.at(q).check_invariants();
  });
}

TEST_CASE("duplicates: an id leaves the window with its time, or when there are too many") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue(window(1000, 2));
    test_producer from(w, q);
    from.put(named("a", value("m-1")));
    w.settle_down();
    w.pass(999);
    from.put(named("a", value("m-1")));
    w.settle_down();
    CHECK(w.at(q).counters().duplicates == 1);
    w.pass(1);
    from.put(named("a", value("m-1")));
    w.settle_down();
    CHECK(w.at(q).counters().duplicates == 1);
    for (const char* id : {"m-2", "m-3", "m-4"}) from.put(named("x", value(id)));
    from.put(named("a", value("m-1")));
    w.settle_down();
    CHECK(w.at(q).counters().duplicates == 1);
    CHECK(w.at(q).depth() == 6);
  });
}

TEST_CASE("duplicates: the copy is accepted no sooner than the first is durable") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue(window(1000));
    test_producer from(w, q);
    from.put(named("a", value("m-1")));
    w.talk();
    from.put(named("a", value("m-1")));
    w.talk();
    CHECK(from.verdicts.empty());
    w.settle_down();
    CHECK(from.verdicts.size() == 2);
    // In memory alone, there is nothing to wait for.
    from.put(named("t", value("m-2"), {.durable = false}));
    from.put(named("t", value("m-2"), {.durable = false}));
    w.talk();
    CHECK(from.verdicts.size() == 4);
  });
}

TEST_CASE("duplicates: id and message are one batch, whoever takes the message meanwhile") {
  for (const bool committed : {true, false}) {
    for (const bool taken : {true, false}) {
      CAPTURE(committed);
      CAPTURE(taken);
      storage::memory_disk disk;
      {
        world w({.workers = 1}, disk);
        w.start();
        const auto q = w.make_queue(window(1000));
        test_producer from(w, q);
        test_consumer to(w, q);
        to.grant(1);
        from.put(named("a", value("m-1")));
        if (taken) to.accept("a");  // before the batch has left
        w.talk();
        CHECK(from.verdicts.empty());
        if (committed) w.settle_down();
        CHECK(from.verdicts.size() == (committed ? 1 : 0));
        w.store.lose_power();
      }
      world w({.workers = 1}, disk);
      const auto q = load(w, window(1000));
      CHECK(w.at(q).depth() == (committed && !taken ? 1 : 0));
      test_producer from(w, q);
      from.put(named("a", value("m-1")));
      w.settle_down();
      CHECK(from.verdicts.size() == 1);
      CHECK(w.at(q).counters().duplicates == (committed ? 1 : 0));
      CHECK(w.at(q).depth() == (committed && taken ? 0 : 1));
    }
  }
}

TEST_CASE("duplicates: the window survives a restart, and its records go with their time") {
  storage::memory_disk disk;
  {
    world w({.workers = 1}, disk);
    w.start();
    const auto q = w.make_queue(window(1000));
    test_producer from(w, q);
    for (int i = 0; i < 5; ++i) {
      from.put(named("x", value("m-" + std::to_string(i))));
      from.put(named("y", value("n-" + std::to_string(i))));
      w.settle_down();
      w.pass(100);
    }
  }
  CHECK(records_on(disk) == 5);  // one a batch
  {
    world w({.workers = 1}, disk);
    w.time.ms += 500;
    const auto q = load(w, window(1000));
    test_producer from(w, q);
    from.put(named("x", value("m-0")));
    from.put(named("y", value("n-4")));
    w.pass(500);  // the first is too old now
    from.put(named("x", value("m-0")));
    w.settle_down();
    CHECK(w.at(q).counters().duplicates == 2);
    CHECK(w.at(q).depth() == 11);
  }
  CHECK(records_on(disk) == 5);  // one has gone, one has come
  {
    world w({.workers = 1}, disk);
    load(w, {});  // no policy any more
    w.settle_down();
  }
  CHECK(records_on(disk) == 0);
}

TEST_CASE("duplicates: the directory finds the ids again, and erases those of no queue") {
  for (const std::uint16_t workers : {std::uint16_t{1}, std::uint16_t{3}}) {
    CAPTURE(workers);
    storage::memory_disk disk;
    {
      world w({.workers = workers}, disk);
      w.start();
      town t(w);
      t.nodes.declare("once", true, {{value("dedup-window"), value(std::uint32_t{1000})}});
      w.settle_down();
      const auto q = t.reply(ask("once")).queue;
      test_producer from(w, q);
      from.put(named("a", value("m-1")));
      w.settle_down();
      duplicate_window other;
      auto lost = other.add_alone(storage::queue_id{4242}, "tm-1", 1, w.time.ms);
      w.shards[0]->commits().add(std::move(lost));
      w.settle_down();
      w.store.lose_power();
    }
    world w({.workers = workers}, disk);
    town t(w, settings(), false);
    w.store.recover(t.nodes);
    t.nodes.finish_recovery();
    const auto q = t.reply(ask("once")).queue;
    test_producer from(w, q);
    from.put(named("a", value("m-1")));
    from.put(named("b", value("m-2")));
    w.settle_down();
    CHECK(from.verdicts.size() == 2);
    CHECK(w.at(q).depth() == 2);
    CHECK(w.at(q).counters().duplicates == 1);
    w.store.lose_power();
    struct counter final : storage::recovery_visitor {
      void on_record(storage::record_kind kind, std::string_view,
                     std::span<const std::byte>) override {
        ids += kind == storage::record_kind::duplicates ? 1 : 0;
      }
      void on_entries(std::span<const storage::recovered_entry>) override {}
      int ids = 0;
    } count;
    world after({.workers = 1}, disk);
    after.store.recover(count);
    CHECK(count.ids == 2);
  }
}

TEST_CASE("duplicates: with the queue its ids go from the store") {
  storage::memory_disk disk;
  {
    world w({.workers = 1}, disk);
    w.start();
    const auto q = w.make_queue(window(1000));
    test_producer from(w, q);
    from.put(named("a", value("m-1")));
    w.settle_down();
    w.home().delete_queue(q, "amqp:resource-deleted", "gone");
    w.settle_down();
  }
  CHECK(records_on(disk) == 0);
}

TEST_CASE("duplicates: a message with an id is not taken back from a store that stalls") {
  world w({.workers = 1});
  w.start();
  const auto q = w.make_queue(window(100'000));
  test_producer from(w, q);
  w.store.stall(1000);
  from.put(named("a", value("m-1")));
  const std::uint32_t other = from.put("none");
  const auto turn = [&] {
    for (int i = 0; i < 3; ++i) {
      w.talk();
      w.store.pump();
    }
    w.talk();
  };
  turn();
  w.pass(31'000);
  turn();
  REQUIRE(from.verdicts.size() == 1);
  CHECK(from.verdicts[0].id == other);
  CHECK(from.verdicts[0].what == outcome::rejected);
  from.put(named("a", value("m-1")));
  turn();
  CHECK(from.verdicts.size() == 1);
  w.store.stall(0);
  w.settle_down();
  CHECK(from.verdicts.size() == 3);
  CHECK(w.at(q).depth() == 1);
}

TEST_CASE("duplicates: joint changes carry the id, and copies wait for their first") {
  for (const std::uint16_t workers : {std::uint16_t{1}, std::uint16_t{3}}) {
    for (const bool committed : {true, false}) {
      CAPTURE(workers);
      CAPTURE(committed);
      storage::memory_disk disk;
      {
        world w({.workers = workers}, disk);
        w.start();
        const auto q = w.make_queue(window(1000));
        const auto other =
            w.producers().create_queue({"other", storage::queue_id{77}, true, false});
        test_producer from(w, q);
        const std::vector<core::hit> both = {{q, true}, {other, true}};
        core::fan_out(w.producers(), both, named("a", value("m-1")), from.self, 1);
        w.talk();
        from.put(named("a", value("m-1")));
        core::fan_out(w.producers(), both, named("a", value("m-1")), from.self, 2);
        w.talk();
        CHECK(from.verdicts.empty());
        if (committed) w.settle_down();
        CHECK(from.verdicts.size() == (committed ? 3 : 0));
        for (const auto& v : from.verdicts) CHECK(v.what == outcome::accepted);
        if (committed) CHECK(w.at(q).depth() == 1);
        if (committed) CHECK(w.at(other).depth() == 2);
        if (committed) CHECK(w.at(q).counters().duplicates == 2);
        CHECK(w.producers().joints().size() == (committed ? 0 : 2));
        w.at(q).check_invariants();
        w.store.lose_power();
      }
      world w({.workers = 1}, disk);
      const auto q = w.home().create_queue({"q", storage::queue_id{1}, true, false});
      loader visitor;
      visitor.to = &w.at(q);
      visitor.policy = window(1000);
      w.at(q).set_policy(visitor.policy);
      visitor.obeys = true;
      struct own final : storage::recovery_visitor {
        explicit own(loader& to) : to_(to) {}
        void on_record(storage::record_kind kind, std::string_view key,
                       std::span<const std::byte> value) override {
          to_.on_record(kind, key, value);
        }
        void on_entries(std::span<const storage::recovered_entry> found) override {
          for (const auto& e : found) {
            if (e.key.queue == storage::queue_id{1}) to_.on_entries({&e, 1});
          }
        }
        loader& to_;
      } ours(visitor);
      w.store.recover(ours);
      CHECK(w.at(q).depth() == (committed ? 1 : 0));
      test_producer from(w, q);
      from.put(named("a", value("m-1")));
      w.settle_down();
      CHECK(w.at(q).counters().duplicates == (committed ? 1 : 0));
      CHECK(w.at(q).depth() == 1);
    }
  }
}

TEST_CASE("duplicates: over crashes at any moment, each id that was accepted is there once") {
  const std::uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const auto pick = [&](std::uint64_t n) { return random() % n; };
  storage::memory_disk disk;
  std::map<int, int> taken;     // id: deliveries that were settled for good
  std::map<int, bool> accepted;
  std::size_t repeated = 0;
  std::size_t crashes = 0;
  int last = 0;
  for (int life = 0; life < 30; ++life) {
    world w({.workers = 1}, disk);
    const auto q = load(w, window(1'000'000));
    test_producer from(w, q);
    std::map<std::uint32_t, int> sent;
    std::size_t seen = 0;
    const auto hear = [&] {
      for (; seen < from.verdicts.size(); ++seen) {
        CHECK(from.verdicts[seen].what == outcome::accepted);
        accepted[sent.at(from.verdicts[seen].id)] = true;
      }
    };
    for (int step = 0; step < 20; ++step) {
      // What was sent and not answered is sent again, as producers do after a crash.
      const bool again = last > 0 && pick(2) == 0;
      const int id = again ? 1 + static_cast<int>(pick(static_cast<std::uint64_t>(last))) : ++last;
      const std::string text = std::to_string(id);
      sent[from.put(named(text, value("m-" + text)))] = id;
      if (pick(3) == 0) w.talk();
      if (pick(5) == 0) w.settle_down();
      hear();
    }
    repeated += w.at(q).counters().duplicates;
    if (pick(2) == 0) {
      ++crashes;
    } else {
      w.settle_down();
      hear();
      test_consumer to(w, q);
      to.grant(1000);
      w.settle_down();
      for (const auto& d : to.deliveries) {
        ++taken[std::stoi(d.text)];
        to.settle(d.at, d.at, outcome::accepted);
      }
      w.settle_down();
    }
    w.store.lose_power();
  }
  world w({.workers = 1}, disk);
  const auto q = load(w, window(1'000'000));
  test_consumer to(w, q);
  to.grant(1000);
  w.settle_down();
  for (const auto& d : to.deliveries) ++taken[std::stoi(d.text)];
  for (const auto& [id, yes] : accepted) {
    CAPTURE(id);
    CHECK(taken[id] == 1);
  }
  for (const auto& [id, times] : taken) {
    CAPTURE(id);
    CHECK(times == 1);
  }
  CHECK(accepted.size() > 50);
  CHECK(repeated > 20);
  CHECK(crashes > 2);
}
