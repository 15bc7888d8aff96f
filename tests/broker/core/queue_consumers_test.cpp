// SPDX-License-Identifier: Apache-2.0
// Coming and going of a queue's consumers and producers: exclusion, draining, browsing, gates.
#include <string>

#include "amqp/spec/conditions.hpp"
#include "tests/broker/core/world.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
namespace flag = core::letter_flag;

namespace {

constexpr message_shape transient{.durable = false};
constexpr auto undeliverable = static_cast<std::uint8_t>(flag::undeliverable | flag::failed);

void put_all(test_producer& p, std::string_view names, const message_shape& shape = {}) {
  for (const char c : names) p.put(std::string(1, c), shape);
}

}  // namespace

TEST_CASE("queue: undeliverable-here goes to somebody else, ahead of what came later") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c1(w, q), c2(w, q);
    put_all(p, "abc");
    c1.grant(10);
    w.settle_down();
    CHECK(c1.texts() == "a b c");
    c1.settle("b", outcome::modified, undeliverable);
    c1.settle("c", outcome::released);
    w.settle_down();
    CHECK(c1.texts() == "a b c c");  // b is parked, and does not stand in c's way
    w.at(q).check_invariants();
    p.put("d");
    c2.grant(1);
    w.settle_down();
    CHECK(c2.texts() == "b");
    CHECK(c2.deliveries[0].failed == 1);
    CHECK(c1.texts() == "a b c c d");
    w.at(q).check_invariants();
  });
}

TEST_CASE("queue: an excluded consumer that attaches anew may have the message") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    {
      test_consumer c(w, q);
      c.grant(10);
      p.put("a");
      w.settle_down();
      c.settle("a", outcome::modified, undeliverable);
      w.settle_down();
      CHECK(c.texts() == "a");
      c.unsubscribe();
      w.settle_down();
    }
    test_consumer again(w, q);
    again.grant(1);
    w.settle_down();
    CHECK(again.texts() == "a");
  });
}

TEST_CASE("queue: a parked message whose time is up goes") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c(w, q);
    c.grant(10);
    p.put("a", {.ttl = 1000});
    w.settle_down();
    c.settle("a", outcome::modified, undeliverable);
    w.settle_down();
    CHECK(w.at(q).depth() == 1);
    w.pass(1001);
    w.tick();
    CHECK(w.at(q).depth() == 0);
    test_consumer other(w, q);
    other.grant(1);
    w.settle_down();
    CHECK(other.texts().empty());
    w.at(q).check_invariants();
  });
}

TEST_CASE("queue: drained follows the last delivery, and credit is gone with it") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c(w, q);
    put_all(p, "ab");
    w.settle_down();
    c.grant(5, true);
    w.settle_down();
    CHECK(c.texts() == "a b");
    CHECK(c.drained_after == std::vector<std::size_t>{2});
    p.put("c");
    w.settle_down();
    CHECK(c.texts() == "a b");
    c.grant(3);
    w.settle_down();
    CHECK(c.texts() == "a b c");
  });
}

TEST_CASE("queue: a drain of an empty queue is answered at once, each time") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_consumer c(w, q), browser(w, q, true);
    for (int i = 0; i < 2; ++i) {
      c.grant(5, true);
      browser.grant(5, true);
      w.talk();
    }
    CHECK(c.drained_after == std::vector<std::size_t>{0, 0});
    CHECK(browser.drained_after == std::vector<std::size_t>{0, 0});
  });
}

TEST_CASE("queue: a drain is not held up by messages that the consumer may not have") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c(w, q);
    c.grant(1);
    p.put("a");
    w.settle_down();
    c.settle("a", outcome::modified, undeliverable);
    c.grant(5, true);
    w.settle_down();
    CHECK(c.drained_after == std::vector<std::size_t>{1});
    CHECK(w.at(q).depth() == 1);
  });
}

TEST_CASE("queue: what a link held comes back when each delivery was answered") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c1(w, q), c2(w, q);
    put_all(p, "abc");
    c1.grant(3);
    w.settle_down();
    c1.unsubscribe();
    c1.settle("a", outcome::modified, flag::failed);
    c1.settle("b", outcome::released);
    c2.grant(10);
    w.settle_down();
    CHECK(c2.texts() == "a b");
    CHECK(c2.deliveries[0].failed == 1);
    CHECK(w.at(q).consumer_count() == 2);  // c1 still owes an answer for c
    c1.settle("c", outcome::accepted);
    w.settle_down();
    CHECK(w.at(q).consumer_count() == 1);
    CHECK(w.at(q).depth() == 2);
    w.at(q).check_invariants();
  });
}

TEST_CASE("queue: a closing consumer gets nothing more, whatever it granted") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c(w, q), other(w, q);
    c.grant(3);
    p.put("a");
    w.settle_down();
    c.unsubscribe();
    c.grant(9, true);
    w.talk();
    put_all(p, "bc");
    w.settle_down();
    CHECK(c.texts() == "a");
    CHECK(c.drained_after.empty());
    c.settle("a", outcome::released);
    other.grant(5, true);
    w.settle_down();
    CHECK(other.texts() == "a b c");
    CHECK(other.drained_after == std::vector<std::size_t>{3});
  });
}

TEST_CASE("queue: a delivery for a link that has gone comes back, its count as it was") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    {
      test_consumer gone(w, q);
      gone.grant(5);
      w.talk();
      // The link dies with deliveries under way, and its name is used again at once.
      put_all(p, "ab", transient);
      if (w.shards.size() == 3) {
        w.turn(0);
        w.turn(2);
        CHECK(gone.deliveries.empty());
      }
      gone.unsubscribe();
      for (const auto& d : gone.deliveries) gone.settle(d.at, d.at, outcome::released);
    }
    test_consumer heir(w, q);
    heir.grant(5);
    w.settle_down();
    CHECK(heir.texts() == "a b");
    CHECK(heir.deliveries[0].failed == 0);
    CHECK(w.at(q).consumer_count() == 1);
    w.at(q).check_invariants();
  });
}

TEST_CASE("queue: a browser sees what nobody holds, and stays for what comes") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c(w, q), browser(w, q, true);
    put_all(p, "abc");
    c.grant(1);
    w.settle_down();
    browser.grant(10);
    w.settle_down();
    CHECK(browser.texts() == "b c");
    p.put("d");
    w.settle_down();
    CHECK(browser.texts() == "b c d");
    CHECK(w.at(q).depth() == 4);
    browser.settle("b", outcome::rejected);  // means nothing
    browser.unsubscribe();
    c.grant(10);
    w.settle_down();
    CHECK(c.texts() == "a b c d");
    CHECK(c.find("b").first);  // browsing acquires nothing
    w.at(q).check_invariants();
  });
}

TEST_CASE("queue: browsers keep to their credit and drain like others") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    put_all(p, "abc");
    w.settle_down();
    test_consumer browser(w, q, true);
    browser.grant(1);
    w.settle_down();
    CHECK(browser.texts() == "a");
    browser.grant(2, true);
    w.settle_down();
    CHECK(browser.texts() == "a b");
    CHECK(browser.drained_after == std::vector<std::size_t>{2});
    browser.grant(9, true);
    w.settle_down();
    CHECK(browser.texts() == "a b c");
    CHECK(browser.drained_after == std::vector<std::size_t>{2, 3});
  });
}

TEST_CASE("queue: a message whose time is up is given to nobody, browsers included") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    p.put("short", {.ttl = 10});
    p.put("shorter", {.durable = false, .ttl = 5});
    p.put("long", {.ttl = 100'000});
    w.settle_down();
    w.pass(10);
    test_consumer browser(w, q, true);
    browser.grant(9);
    w.talk();
    CHECK(browser.texts() == "long");
    test_consumer c(w, q);
    c.grant(9);
    w.settle_down();
    CHECK(c.texts() == "long");
    CHECK(w.at(q).counters().expired == 2);
    CHECK(w.store.statistics().settled == 1);
    w.at(q).check_invariants();
  });
}

TEST_CASE("queue: expiry does not wait for a consumer, and spares what is held until it returns") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c(w, q);
    c.grant(1);
    put_all(p, "ab", {.ttl = 50});
    w.settle_down();
    w.pass(50);
    w.tick();
    CHECK(w.at(q).depth() == 1);
    c.settle("a", outcome::released, flag::answer, 4);
    w.settle_down();
    CHECK(w.at(q).depth() == 0);
    CHECK(c.answers.size() == 1);
    CHECK(w.at(q).counters().expired == 2);
    w.settle_down();
    CHECK(w.store.statistics().settled == 2);
  });
}

TEST_CASE("queue: an expired put of the open batch is cancelled, and its producer told accepted") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    p.put("z");
    w.talk();
    p.put("a", {.ttl = 5});
    w.talk();
    w.pass(5);
    w.tick();
    CHECK(p.said() == "1a");
    w.settle_down();
    CHECK(p.said() == "1a 0a");
    CHECK(w.store.statistics().puts == 1);
  });
}

TEST_CASE("queue: messages long gone do not keep the memory of their expiry") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c(w, q);
    c.grant(100'000);
    for (int i = 0; i < 2000; ++i) {
      p.put("a", {.durable = false, .ttl = 1'000'000});
      w.talk();
      const sequence at = c.deliveries.back().at;
      c.settle(at, at, outcome::accepted);
      w.talk();
      REQUIRE(w.at(q).watched_expiries() <= 64);
    }
    CHECK(c.deliveries.size() == 2000);
  });
}

TEST_CASE("queue: producers hear of the gate when they come and when it changes") {
  on_each_shape(
      [](world& w) {
        const auto q = w.make_queue(false);
        test_producer p(w, q);
        test_consumer c(w, q);
        p.send(letter_kind::add_producer);
        w.talk();
        CHECK(p.gates == std::vector<bool>{true});
        const std::string large(100'000, 'x');
        for (int i = 0; i < 10; ++i) p.put(large, transient);
        w.talk();
        CHECK(p.gates == std::vector<bool>{true, false});
        c.grant(3);
        w.talk();
        for (const auto& d : c.deliveries) c.settle(d.at, d.at, outcome::accepted);
        w.talk();
        CHECK(p.gates == std::vector<bool>{true, false, true});
        p.send(letter_kind::remove_producer);
        w.talk();
      },
      {.memory_octets = 1'000'000});
}
