// SPDX-License-Identifier: Apache-2.0
// Names become queues: looked up, made, refused, removed, and found again after a restart.
#include "broker/core/directory.hpp"

#include <string>

#include "amqp/spec/conditions.hpp"
#include "tests/broker/core/town.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
namespace conditions = amqp::spec::conditions;

TEST_CASE("directory: an unknown name is made once, however many ask while it is in the making") {
  on_each_shape([](world& w) {
    town t(w);
    std::vector<town::promise> asked;
    for (std::size_t i = 0; i < 6; ++i) {
      const char* form = i % 2 == 0 ? "orders" : "queue:orders";
      asked.push_back(t.resolve(ask(form, i), i % w.shards.size()));
    }
    w.talk();
    for (const auto& a : asked) CHECK_FALSE(a->has_value());  // its definition is not durable yet
    w.settle_down();
    for (const auto& a : asked) {
      REQUIRE(a->has_value());
      CHECK((*a)->queue == (*asked[0])->queue);
      CHECK((*a)->name == "orders");
    }
    CHECK(t.nodes.size() == 1);
    std::size_t made = 0;
    for (auto& s : w.shards) s->each_queue([&](core::queue&) { ++made; });
    CHECK(made == 1);
    CHECK(w.at((*asked[0])->queue).settings().durable);
  });
}

TEST_CASE("directory: the first rule that matches decides whether and how a queue is made") {
  on_each_shape([](world& w) {
    town t(w);
    CHECK(refusal(t.reply(ask("never.a"))) == conditions::not_found);
    CHECK(refusal(t.reply(ask("odd.a"))) == conditions::not_found);
    const auto fast = t.resolve(ask("fast.a"));
    w.talk();
    REQUIRE(fast->has_value());  // nothing to wait for
    CHECK_FALSE(w.at((*fast)->queue).settings().durable);
    CHECK(w.at(t.reply(ask("a")).queue).settings().durable);
    CHECK(t.nodes.size() == 2);
  });
}

TEST_CASE("directory: all forms of an address name the same queue") {
  on_each_shape([](world& w) {
    town t(w);
    const auto q = t.reply(ask("a b")).queue;
    for (const char* form : {"a b", "/queues/a%20b", "queue://a b", "queue:a b", "x::a b",
                             "amqp://host/a b", "amqps://host/queues/a%20b"}) {
      CAPTURE(std::string(form));
      const auto r = t.reply(ask(form));
      CHECK(r.queue == q);
      CHECK(r.name == "a b");
    }
    CHECK(t.nodes.size() == 1);
  });
}

TEST_CASE("directory: a node of exactly that name comes before any meaning of its address") {
  on_each_shape([](world& w) {
    town t(w);
    t.nodes.declare("topic://t", true);
    t.nodes.declare("/queues/q", true);
    w.settle_down();
    CHECK(t.reply(ask("topic://t")).name == "topic://t");
    CHECK(t.reply(ask("/queues/q")).name == "/queues/q");
  });
}

TEST_CASE("directory: what is not there or not known is refused with its condition") {
  const struct {
    const char* address;
    std::string_view want;
    core::node_hint hint = core::node_hint::any;
  } rows[] = {
      {"/queues/absent", conditions::not_found},
      {"/queues/a/b", conditions::invalid_field},
      {"/queues/%zz", conditions::invalid_field},
      {"", conditions::invalid_field},
      {"/exchanges/e", conditions::not_found},
      {"/exchanges/e/f/g", conditions::invalid_field},
      {"/streams/s", conditions::not_implemented},
      {"temp.mine", conditions::not_found},
      {"subscription.mine", conditions::not_found},
  };
  on_each_shape([&](world& w) {
    town t(w);
    for (const auto& row : rows) {
      CAPTURE(std::string(row.address));
      auto r = ask(row.address);
      r.hint = row.hint;
      CHECK(refusal(t.reply(std::move(r))) == row.want);
    }
    CHECK(t.nodes.size() == 0);
  });
}

TEST_CASE("directory: permissions are asked before anything is made") {
  on_each_shape([](world& w) {
    town t(w);
    const auto no = [](std::string_view) { return false; };
    auto r = ask("secret");
    r.may_use = no;
    CHECK(refusal(t.reply(r)) == conditions::unauthorized_access);
    r = ask("secret");
    r.may_configure = no;
    CHECK(refusal(t.reply(r)) == conditions::unauthorized_access);
    r = ask("");
    r.dynamic = true;
    r.may_configure = no;
    CHECK(refusal(t.reply(r)) == conditions::unauthorized_access);
    CHECK(t.nodes.size() == 0);
    CHECK(t.reply(ask("secret")).is_ok());
    r = ask("/queues/secret");
    r.may_configure = no;
    CHECK(t.reply(r).is_ok());  // it is there: nothing is configured
    r.may_use = no;
    CHECK(refusal(t.reply(r)) == conditions::unauthorized_access);
  });
}

TEST_CASE("directory: the number of queues is bounded, what exists stays reachable") {
  on_each_shape([](world& w) {
    auto o = settings();
    o.queues_max = 2;
    town t(w, std::move(o));
    CHECK(t.reply(ask("a")).is_ok());
    CHECK(t.reply(ask("b")).is_ok());
    CHECK(refusal(t.reply(ask("c"))) == conditions::resource_limit_exceeded);
    auto r = ask("");
    r.dynamic = true;
    CHECK(refusal(t.reply(r)) == conditions::resource_limit_exceeded);
    CHECK(t.reply(ask("b")).is_ok());
  });
}

TEST_CASE("directory: a temporary queue is its maker's to consume from, and anybody's to send to") {
  on_each_shape([](world& w) {
    town t(w);
    auto r = ask("", 7);
    r.dynamic = true;
    const auto made = t.reply(r);
    REQUIRE(made.is_ok());
    CHECK(made.name == "temp.r1");
    CHECK(made.temporary);
    CHECK_FALSE(w.at(made.queue).settings().durable);
    CHECK(w.store.statistics().batches == 0);
    CHECK(t.reply(ask(made.name, 7)).queue == made.queue);
    CHECK(refusal(t.reply(ask(made.name, 8))) == conditions::resource_locked);
    auto sender = ask(made.name, 8);
    sender.to_consume = false;
    CHECK(t.reply(sender).queue == made.queue);
    CHECK(t.reply(r).name == "temp.r2");
  });
}

TEST_CASE("directory: a removed queue takes its links and messages along, and its name is free") {
  on_each_shape([](world& w) {
    town t(w);
    const auto old = t.reply(ask("q")).queue;
    test_producer p(w, old);
    p.send(letter_kind::add_producer);
    test_consumer c(w, old);
    p.put("a");
    w.settle_down();
    t.nodes.remove(*w.shards.back(), "q");
    t.nodes.remove(*w.shards.back(), "absent");
    w.settle_down();
    CHECK(c.detached == std::string(conditions::resource_deleted));
    CHECK(p.detached == std::string(conditions::resource_deleted));
    CHECK(t.nodes.size() == 0);
    const auto heir = t.reply(ask("q"));
    CHECK(heir.queue != old);
    CHECK(w.at(heir.queue).depth() == 0);
    CHECK(w.at(heir.queue).settings().id != storage::queue_id{1});
  });
}

TEST_CASE("directory: durable queues and their messages are found again, orphans are dropped") {
  on_each_shape([](world& shape) {
    const auto workers = static_cast<std::uint16_t>(shape.shards.size());
    storage::memory_disk disk;
    {
      world w({.workers = workers}, disk);
      w.start();
      town t(w);
      for (const char* name : {"a", "b", "fast.c", "gone"}) {
        test_producer p(w, t.reply(ask(name)).queue);
        p.put(std::string("of ") + name);
        w.settle_down();
      }
      // The definition goes, the messages stay: a crash between two batches.
      w.shards[0]->commits().add({storage::record_kind::queue, "gone", {}});
      w.settle_down();
    }
    for (int start = 0; start < 2; ++start) {
      CAPTURE(start);
      world w({.workers = workers}, disk);
      town t(w, settings(), false);
      w.store.recover(t.nodes);
      CHECK(t.nodes.size() == 2);
      CHECK(t.nodes.recovered_messages() == 2);
      CHECK(t.nodes.finish_recovery() == (start == 0 ? 1 : 0));
      w.settle_down();
      for (const char* name : {"a", "b"}) {
        const auto q = t.reply(ask(name)).queue;
        test_consumer c(w, q);
        c.grant(9);
        w.settle_down();
        CHECK(c.texts() == std::string("of ") + name);
        c.settle(c.deliveries[0].at, c.deliveries[0].at, outcome::released);
        c.unsubscribe();
        w.settle_down();
      }
      // A new queue's number is nobody's, orphans included.
      const auto fresh = t.reply(ask("fast.d" + std::to_string(start)));
      CHECK(static_cast<std::uint64_t>(w.at(fresh.queue).settings().id) > 2);
    }
  });
}

TEST_CASE("directory: a restored queue goes on behind messages that had left before the start") {
  storage::memory_disk disk;
  storage::queue_id id{};
  {
    world w({}, disk);
    w.start();
    town t(w);
    const auto q = t.reply(ask("a")).queue;
    id = w.at(q).settings().id;
    test_producer p(w, q);
    for (const char* text : {"1", "2"}) p.put(text);
    w.settle_down();
  }
  world w({}, disk);
  town t(w, settings(), false);
  w.store.recover(t.nodes);
  t.nodes.on_end(id, 700);
  t.nodes.on_end(storage::queue_id{90}, 3);  // of a queue that is no more
  t.nodes.finish_recovery();
  w.settle_down();
  const auto q = t.reply(ask("a")).queue;
  test_producer p(w, q);
  p.put("3");
  w.settle_down();
  CHECK(p.verdicts.size() == 1);
  test_consumer c(w, q);
  c.grant(9);
  w.settle_down();
  CHECK(c.texts() == "1 2 3");
  CHECK(c.deliveries.back().at == 700);
  const auto fresh = t.reply(ask("fast.b"));
  CHECK(static_cast<std::uint64_t>(w.at(fresh.queue).settings().id) == 91);
}

TEST_CASE("directory: queues are spread over the workers in turn") {
  world w({.workers = 3});
  w.start();
  town t(w);
  std::vector<int> homes(3);
  for (int i = 0; i < 9; ++i) {
    ++homes[index_of(t.reply(ask("q" + std::to_string(i))).queue.worker)];
  }
  CHECK(homes == std::vector<int>{3, 3, 3});
}

TEST_CASE("directory: what is declared is there, and what was there is left alone") {
  on_each_shape([](world& w) {
    town t(w);
    const auto before = t.reply(ask("a")).queue;
    t.nodes.declare("a", false);
    t.nodes.declare("never.b", true);
    w.settle_down();
    CHECK(t.reply(ask("a")).queue == before);
    CHECK(w.at(before).settings().durable);
    CHECK(t.reply(ask("/queues/never.b")).is_ok());
  });
}
