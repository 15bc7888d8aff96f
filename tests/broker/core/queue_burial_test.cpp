// SPDX-License-Identifier: Apache-2.0
// Dead letters: which messages, where to, and that none is lost between.
#include <map>
#include <string>

#include "broker/core/joint.hpp"
#include "broker/core/router.hpp"
#include "tests/broker/core/world.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using core::overflow;
using core::queue_policy;

namespace {

/// A queue whose dead letters go to "dead", on another worker if there is one.
struct scene {
  explicit scene(world& of, queue_policy p = {}, bool durable = true) : w(of) {
    work = w.make_queue(durable, "work");
    dead = w.shards.front()->create_queue({"dead", storage::queue_id{900}, true, false});
    names["work"] = {work, durable};
    names["dead"] = {dead, true};
    for (auto& s : w.shards) {
      s->lookup_queue = [this, &s](const std::string& name, auto done) {
        s->run_on().post([this, name, done] { done(names[name]); });
      };
    }
    if (!p.dead_letter_exchange) {
      p.dead_letter_exchange = "";
      p.dead_letter_routing_key = "dead";
    }
    w.at(work).set_policy(p);
    w.talk();
  }
  [[nodiscard]] std::string in(core::queue_ref q) {
    test_consumer look(w, q, true);
    look.grant(100);
    w.settle_down();
    look.unsubscribe();
    w.settle_down();
    return look.texts();
  }
  [[nodiscard]] std::string reason() {
    test_consumer look(w, dead, true);
    look.grant(100);
    w.settle_down();
    look.unsubscribe();
    w.settle_down();
    REQUIRE(!look.deliveries.empty());
    const core::message& m = *look.deliveries.back().message;
    const auto a = amqp::message::view(m.octets(), m.sections()).message_annotations();
    REQUIRE(a.has_value());
    const auto why = a->find("x-last-death-reason");
    return why ? why->text().value_or("") : "";
  }
  void check() {
    w.at(work).check_invariants();
    w.at(dead).check_invariants();
    CHECK(w.home().joints().size() == 0);
  }
  world& w;
  core::queue_ref work;
  core::queue_ref dead;
  std::map<std::string, core::hit> names;
};

/// What the store holds, by queue.
std::map<std::uint64_t, std::size_t> stored(world& w) {
  std::map<std::uint64_t, std::size_t> out;
  for (const auto& [id, count] : w.disk().counts()) out[static_cast<std::uint64_t>(id)] = count;
  return out;
}

}  // namespace

TEST_CASE("dead letters: what consumers say, and what happens to a message, is a reason") {
  struct {
    std::string_view reason;
    outcome what;
    std::uint8_t flags;
    bool dies;
  } const rows[] = {
      {"rejected", outcome::rejected, 0, true},
      {"undeliverable-here", outcome::modified, core::letter_flag::undeliverable, true},
      {"delivery-limit", outcome::modified, core::letter_flag::failed, true},
      {"-", outcome::modified, 0, false},
      {"-", outcome::released, 0, false},
      {"-", outcome::accepted, 0, false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.reason);
    CAPTURE(int{row.flags});
    on_each_shape([&](world& w) {
      queue_policy p;
      p.delivery_limit = 0;
      scene s(w, p);
      test_producer from(w, s.work);
      from.put("m");
      w.settle_down();
      test_consumer to(w, s.work);
      to.grant(1);
      w.settle_down();
      to.settle("m", row.what, static_cast<std::uint8_t>(row.flags | core::letter_flag::answer), 5);
      w.settle_down();
      CHECK(to.answers == std::vector<test_link::verdict>{{5, row.what, {}}});
      CHECK(s.in(s.dead) == (row.dies ? "m" : ""));
      if (row.dies) CHECK(s.reason() == row.reason);
      CHECK(stored(w)[900] == (row.dies ? 1 : 0));
      s.check();
    });
  }
}

TEST_CASE("dead letters: the consumer is answered when the move is durable, in one batch") {
  on_each_shape([](world& w) {
    scene s(w);
    test_producer from(w, s.work);
    from.put("m");
    w.settle_down();
    test_consumer to(w, s.work);
    to.grant(1);
    w.talk();
    to.settle("m", outcome::rejected, core::letter_flag::answer, 1);
    w.talk();
    CHECK(to.answers.empty());
    const auto before = w.store.statistics().batches;
    w.settle_down();
    CHECK(to.answers.size() == 1);
    CHECK(w.store.statistics().batches == before + 1);
    CHECK(stored(w) == std::map<std::uint64_t, std::size_t>{{900, 1}});
    s.check();
  });
}

TEST_CASE("dead letters: at any commit the store has the message once, in one queue or the other") {
  on_each_shape([](world& w) {
    scene s(w);
    test_producer from(w, s.work);
    test_consumer to(w, s.work);
    test_consumer reader(w, s.dead);
    to.grant(100);
    reader.grant(100);
    std::size_t seen_between = 0;
    for (int i = 0; i < 20; ++i) {
      from.put(std::to_string(i));
      w.talk();
      if (i % 3 != 0) w.settle_down();
      to.settle(std::to_string(i), outcome::rejected, core::letter_flag::answer, 1);
      const auto look = [&] {
        std::size_t total = 0;
        for (const auto& [queue, count] : stored(w)) total += count;
        // Those that were accepted are all there, and none twice.
        CHECK(total >= from.verdicts.size());
        CHECK(total <= static_cast<std::size_t>(i) + 1);
        seen_between += total < static_cast<std::size_t>(i) + 1 ? 1 : 0;
      };
      for (int step = 0; step < 6; ++step) {
        look();
        for (std::size_t at = 0; at < w.shards.size(); ++at) w.turn(at);
        look();
        w.store.pump();
      }
      w.settle_down();
    }
    CHECK(seen_between > 0);
    CHECK(stored(w) == std::map<std::uint64_t, std::size_t>{{900, 20}});
    CHECK(reader.deliveries.size() == 20);
    s.check();
  });
}

TEST_CASE("dead letters: a target's consumer is not answered before the source lets go durably") {
  on_each_shape([](world& w) {
    scene s(w);
    test_producer from(w, s.work);
    from.put("m");
    w.settle_down();
    test_consumer to(w, s.work);
    test_consumer reader(w, s.dead);
    to.grant(1);
    reader.grant(1);
    w.talk();
    to.settle("m", outcome::rejected);
    w.talk();
    if (w.shards.size() == 1) {  // on another worker it is there after the commit
      REQUIRE(reader.texts() == "m");
      reader.accept("m");
      w.talk();
      CHECK(reader.answers.empty());
    }
    w.settle_down();
    REQUIRE(reader.texts() == "m");
    if (reader.answers.empty()) reader.accept("m");
    w.settle_down();
    CHECK(reader.answers.size() == 1);
    CHECK(stored(w).empty());
    s.check();
  });
}

TEST_CASE("dead letters: expiry, overflow and their limits") {
  on_each_shape([](world& w) {
    queue_policy p;
    p.max_length = 1;
    scene s(w, p);
    test_producer from(w, s.work);
    from.put("a", {.ttl = 50});
    w.settle_down();
    w.pass(100);
    w.tick();
    w.settle_down();
    CHECK(s.in(s.dead) == "a");
    CHECK(s.reason() == "expired");
    from.put("b");
    from.put("c");
    w.settle_down();
    CHECK(s.in(s.dead) == "a b");
    CHECK(s.reason() == "maxlen");
    CHECK(s.in(s.work) == "c");
    p.overflow = overflow::dead_letter;
    p.dead_letter_exchange = "";
    p.dead_letter_routing_key = "dead";
    w.at(s.work).set_policy(p);
    from.put("d");
    w.settle_down();
    CHECK(s.in(s.dead) == "a b d");
    CHECK(s.in(s.work) == "c");
    CHECK(from.said() == "0a 1a 2a 3a");
    CHECK(w.at(s.work).counters().dead_lettered == 3);
    s.check();
  });
}

TEST_CASE("dead letters: with a delivery limit and no target the message goes, counted") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    queue_policy p;
    p.delivery_limit = 1;
    w.at(q).set_policy(p);
    test_producer from(w, q);
    from.put("m");
    test_consumer to(w, q);
    to.grant(10);
    w.settle_down();
    const auto failed =
        static_cast<std::uint8_t>(core::letter_flag::failed | core::letter_flag::answer);
    to.settle("m", outcome::modified, failed);
    w.settle_down();
    CHECK(to.texts() == "m m");
    to.settle("m", outcome::modified, failed);
    w.settle_down();
    CHECK(to.texts() == "m m");
    CHECK(to.answers.size() == 2);
    CHECK(w.at(q).depth() == 0);
    CHECK(stored(w).empty());
    w.at(q).check_invariants();
  });
}

TEST_CASE("dead letters: to an exchange, by the key that is set or the message's own") {
  on_each_shape([](world& w) {
    queue_policy p;
    p.dead_letter_exchange = "dlx";
    scene s(w, p);
    for (auto& shard : w.shards) {
      core::exchange_settings x;
      x.name = "dlx";
      shard->routes().add_exchange({0, 1}, x);
      shard->routes().bind({.from = {0, 1}, .to_queue = {s.dead, true}, .key = "work"});
      shard->routes().bind({.from = {0, 1}, .to_queue = {s.dead, true}, .key = "other"});
    }
    test_producer from(w, s.work);
    test_consumer to(w, s.work);
    to.grant(10);
    from.put("a");
    w.settle_down();
    to.settle("a", outcome::rejected);
    w.settle_down();
    CHECK(s.in(s.dead) == "a");
    p.dead_letter_routing_key = "nowhere";
    w.at(s.work).set_policy(p);
    from.put("b");
    w.settle_down();
    to.settle("b", outcome::rejected, core::letter_flag::answer);
    w.settle_down();
    CHECK(s.in(s.dead) == "a");
    CHECK(to.answers.size() == 1);
    CHECK(w.at(s.work).counters().undeliverable == 1);
    CHECK(w.at(s.work).depth() == 0);
    s.check();
  });
}

TEST_CASE("dead letters: circles end, queues that overflow into each other do not recurse") {
  on_each_shape([](world& w) {
    queue_policy p;
    p.max_length = 1000;
    scene s(w, p);
    queue_policy back = p;
    back.dead_letter_exchange = "";
    back.dead_letter_routing_key = "work";
    w.at(s.dead).set_policy(back);
    test_producer from(w, s.work);
    for (int i = 0; i < 3000; ++i) from.put(std::to_string(i));
    w.settle_down();
    CHECK(from.verdicts.size() == 3000);
    CHECK(w.at(s.work).depth() == 1000);
    CHECK(w.at(s.dead).depth() == 1000);
    CHECK(w.at(s.work).counters().undeliverable + w.at(s.dead).counters().undeliverable == 1000);
    s.check();
  });
}

TEST_CASE("dead letters: a queue is not its own grave, but for what its consumers say") {
  on_each_shape([](world& w) {
    queue_policy p;
    p.dead_letter_exchange = "";
    p.dead_letter_routing_key = "work";
    p.message_ttl = 100;
    scene s(w, p);
    test_producer from(w, s.work);
    from.put("a");
    test_consumer to(w, s.work);
    to.grant(1);
    w.settle_down();
    to.settle("a", outcome::rejected);
    w.settle_down();
    CHECK(w.at(s.work).depth() == 1);
    w.pass(200);
    w.tick();
    w.settle_down();
    CHECK(w.at(s.work).depth() == 0);
    CHECK(stored(w).empty());
    s.check();
  });
}

TEST_CASE("dead letters: a transient message moves too, from a queue in memory too") {
  for (const bool durable : {true, false}) {
    CAPTURE(durable);
    on_each_shape([&](world& w) {
      scene s(w, {}, durable);
      test_producer from(w, s.work);
      from.put("t", {.durable = false});
      from.put("d");
      test_consumer to(w, s.work);
      to.grant(10);
      w.settle_down();
      to.settle("t", outcome::rejected, core::letter_flag::answer);
      to.settle("d", outcome::rejected, core::letter_flag::answer);
      w.settle_down();
      CHECK(to.answers.size() == 2);
      CHECK(w.at(s.dead).depth() == 2);
      CHECK(stored(w) == std::map<std::uint64_t, std::size_t>{{900, 1}});
      s.check();
    });
  }
}

TEST_CASE("dead letters: a body that has left memory is read first") {
  on_each_shape(
      [](world& w) {
        scene s(w);
        test_producer from(w, s.work);
        const std::string big(8000, 'x');
        for (int i = 0; i < 30; ++i) from.put(std::to_string(i) + big, {.ttl = 100});
        w.settle_down();
        w.at(s.work).leave_memory();
        const auto left = w.home().resident();
        CHECK(left < 8000);
        w.pass(200);
        w.tick();
        w.settle_down();
        CHECK(w.at(s.work).depth() == 0);
        CHECK(w.at(s.dead).depth() == 30);
        CHECK(stored(w) == std::map<std::uint64_t, std::size_t>{{900, 30}});
        s.check();
      },
      {.memory_octets = 64 << 20});
}

TEST_CASE("dead letters: a range that is rejected is answered one by one, each once") {
  on_each_shape([](world& w) {
    scene s(w);
    test_producer from(w, s.work);
    for (const char* text : {"a", "b", "c"}) from.put(text);
    test_consumer to(w, s.work);
    to.grant(3);
    w.settle_down();
    to.settle(to.find("a").at, to.find("c").at, outcome::rejected, core::letter_flag::answer, 10);
    w.settle_down();
    REQUIRE(to.answers.size() == 3);
    for (std::uint32_t i = 0; i < 3; ++i) {
      CHECK(to.answers[i] == test_link::verdict{10 + i, outcome::rejected, {}});
    }
    CHECK(s.in(s.dead) == "a b c");
    s.check();
  });
}

TEST_CASE("dead letters: full targets that reject take them all the same") {
  on_each_shape([](world& w) {
    scene s(w);
    queue_policy full;
    full.max_length = 1;
    full.overflow = overflow::reject;
    w.at(s.dead).set_policy(full);
    test_producer from(w, s.work);
    test_consumer to(w, s.work);
    to.grant(10);
    for (const char* text : {"a", "b"}) from.put(text);
    w.settle_down();
    to.settle("a", outcome::rejected);
    to.settle("b", outcome::rejected);
    w.settle_down();
    CHECK(w.at(s.dead).depth() == 2);
    s.check();
  });
}

TEST_CASE("dead letters: a queue that is deleted on the way leaves nothing behind") {
  on_each_shape([](world& w) {
    scene s(w);
    test_producer from(w, s.work);
    from.put("m");
    test_consumer to(w, s.work);
    to.grant(1);
    w.settle_down();
    to.settle("m", outcome::rejected, core::letter_flag::answer);
    w.turn(w.shards.size() / 2);
    w.turn(w.shards.size() - 1);
    w.home().delete_queue(s.work, "amqp:resource-deleted", "");
    w.settle_down();
    CHECK(w.home().joints().size() == 0);
    CHECK(stored(w)[static_cast<std::uint64_t>(1)] == 0);
  });
}
