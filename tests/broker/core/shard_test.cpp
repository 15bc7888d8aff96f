// SPDX-License-Identifier: Apache-2.0
// Letters that come late, names that are used again, and what travels together.
#include <string>

#include "amqp/spec/conditions.hpp"
#include "tests/broker/core/world.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
namespace conditions = amqp::spec::conditions;

namespace {
constexpr message_shape transient{.durable = false};
}

TEST_CASE("shard: a letter for a queue that has gone is answered, so that nobody waits for ever") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c(w, q);
    c.grant(1);
    p.put("a");
    w.settle_down();
    w.home().delete_queue(q, conditions::resource_deleted, "gone");
    const auto heir = w.make_queue(true, "heir");
    CHECK(heir.slot == q.slot);  // the same slot: the generation tells them apart
    CHECK(heir != q);
    w.talk();
    CHECK(c.detached == std::string(conditions::resource_deleted));
    p.put("b");
    p.put("c", {}, true);
    p.send(letter_kind::add_producer);
    c.accept("a", 4);
    c.grant(9, true);
    w.settle_down();
    CHECK(p.said() == "0a 1r");
    CHECK(p.verdicts.back().condition == conditions::resource_deleted);
    CHECK(p.detached == std::string(conditions::resource_deleted));
    CHECK(c.answers == std::vector<test_link::verdict>{{4, outcome::accepted, {}}});
    CHECK(c.drained_after.size() == 1);
    CHECK(w.at(heir).depth() == 0);
    test_consumer late(w, q);
    w.talk();
    CHECK(late.detached == std::string(conditions::resource_deleted));
  });
}

TEST_CASE("shard: an outcome for a queue that was deleted waits until the deletion is durable") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c(w, q);
    c.grant(1);
    p.put("a");
    w.settle_down();
    w.home().delete_queue(q, conditions::resource_deleted, "gone");
    c.accept("a", 4);
    w.talk();
    CHECK(c.answers.empty());
    w.settle_down();
    CHECK(c.answers.size() == 1);
  });
}

TEST_CASE("shard: a deleted queue leaves nothing in the store and no memory counted") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    p.put("a");
    w.settle_down();
    p.put("b");
    w.talk();
    w.home().delete_queue(q, conditions::resource_deleted, "gone");
    w.settle_down();
    CHECK(w.home().resident() == 0);
    CHECK(p.said() == "0a 1a");
    CHECK(w.home().find(q) == nullptr);
  });
}

TEST_CASE("shard: a delivery for a link whose slot was used again does not reach the heir") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    auto gone = std::make_unique<test_consumer>(w, q);
    const core::link_ref name = gone->self;
    gone->grant(5);
    w.talk();
    gone.reset();  // the queue has not heard
    test_link heir(w.consumers(), q);
    CHECK(heir.self.slot == name.slot);
    CHECK(heir.self.generation != name.generation);
    letter l;
    l.kind = letter_kind::unsubscribe;
    l.link = name;
    l.queue = q;
    if (w.shards.size() == 3) p.put("a", transient);
    w.talk();
    w.consumers().send(std::move(l));
    p.put("b", transient);
    w.settle_down();
    CHECK(heir.deliveries.empty());
    CHECK(w.at(q).consumer_count() == 0);
    CHECK(w.at(q).depth() == (w.shards.size() == 3 ? 2 : 1));
    w.at(q).check_invariants();
  });
}

TEST_CASE("shard: verdicts and answers of neighbours cross to another worker as one letter") {
  world w({.workers = 3});
  w.start();
  const auto q = w.make_queue();
  test_producer p(w, q);
  test_consumer c(w, q);
  c.grant(10);
  w.talk();
  for (int i = 0; i < 5; ++i) p.put("a", transient);
  w.turn(0);
  w.turn(2);
  CHECK(w.mail.lane(2, 0).size() == 1);  // five verdicts
  CHECK(w.mail.lane(2, 1).size() == 5);  // five deliveries
  w.talk();
  CHECK(p.said() == "0a 1a 2a 3a 4a");
  for (std::uint32_t i : {0U, 1U, 3U}) {
    c.settle(c.deliveries[i].at, c.deliveries[i].at, outcome::accepted, 1, 40 + i);
  }
  w.turn(1);
  w.turn(2);
  CHECK(w.mail.lane(2, 1).size() == 2);  // 40-41 and 43
  w.talk();
  CHECK(c.answers.size() == 3);
}

TEST_CASE("shard: rejections with a reason are not joined") {
  world w({.workers = 3});
  w.start();
  const auto q = w.make_queue();
  test_producer p(w, q);
  w.home().delete_queue(q, conditions::resource_deleted, "gone");
  p.put("a");
  p.put("b");
  w.settle_down();
  CHECK(p.said() == "0r 1r");
}

TEST_CASE("shard: letters between two workers keep their order") {
  on_each_shape([](world& w) {
    std::string seen;
    for (char c = 'a'; c <= 'z'; ++c) {
      w.producers().send_task(w.home().self(), [&seen, c](core::shard&) { seen += c; });
    }
    w.talk();
    CHECK(seen == "abcdefghijklmnopqrstuvwxyz");
  });
}

TEST_CASE("shard: a letter to the own worker is delivered by a direct call") {
  world w({.workers = 3});
  bool ran = false;
  w.home().send_task(w.home().self(), [&](core::shard& there) {
    CHECK(&there == &w.home());
    ran = true;
  });
  CHECK(ran);
}

TEST_CASE("shard: the gate closes while the store is slow, for watchers too") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    p.send(letter_kind::add_producer);
    test_link watcher(w.home(), {});
    w.home().watch_gate(watcher.self);
    w.talk();
    w.home().on_pressure(storage::pressure::slow);
    w.talk();
    CHECK(p.gates == std::vector<bool>{true, false});
    CHECK(watcher.gates == std::vector<bool>{true, false});
    w.home().unwatch_gate(watcher.self);
    w.home().on_pressure(storage::pressure::none);
    w.talk();
    CHECK(p.gates == std::vector<bool>{true, false, true});
    CHECK(watcher.gates.size() == 2);
    CHECK(w.home().counters().credit_stops == 1);
  });
}

TEST_CASE("shard: a store in doubt is told to the owner, and no outcome leaves any more") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c(w, q);
    c.grant(5);
    p.put("a");
    w.talk();
    p.put("b");
    w.talk();
    w.store.doubt(true);
    w.settle_down();
    CHECK(w.owner.failures > 0);
    c.accept("a");
    c.accept("b");
    w.settle_down();
    CHECK(p.said().empty());
  });
}

TEST_CASE("shard: the test switch that accepts before the commit is noticed") {
  on_each_shape(
      [](world& w) {
        test_producer p(w, w.make_queue());
        p.put("a");
        w.talk();
        CHECK(p.said() == "0a");
        CHECK(w.store.statistics().commits == 0);
      },
      {.accept_before_commit = true});
}
