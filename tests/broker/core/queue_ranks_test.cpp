// SPDX-License-Identifier: Apache-2.0
// Which consumer comes first: priorities, a single active one, one at all.
#include <memory>
#include <string>
#include <vector>

#include "amqp/spec/conditions.hpp"
#include "tests/broker/core/world.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using core::queue_policy;

namespace {

core::queue_ref single_active(world& w) {
  const auto q = w.make_queue();
  queue_policy p;
  p.single_active_consumer = true;
  w.at(q).set_policy(p);
  return q;
}

void put_all(world& w, test_producer& p, std::string_view texts) {
  for (const char c : texts) p.put(std::string(1, c));
  w.settle_down();
}

using states = std::vector<bool>;

}  // namespace

TEST_CASE("consumer priority: the higher is served while it has credit, equals take turns") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer from(w, q);
    test_consumer low(w, q, false, -5);
    test_consumer usual(w, q);
    test_consumer high(w, q, false, 7);
    test_consumer other(w, q, false, 7);
    low.grant(2);
    usual.grant(2);
    high.grant(2);
    other.grant(2);
    w.talk();
    put_all(w, from, "abcdefgh");
    CHECK(high.texts() == "a c");
    CHECK(other.texts() == "b d");
    CHECK(usual.texts() == "e f");
    CHECK(low.texts() == "g h");
    low.grant(10);
    w.talk();
    put_all(w, from, "i");
    high.grant(10);
    w.talk();
    put_all(w, from, "j");
    CHECK(low.texts() == "g h i");
    CHECK(high.texts() == "a c j");
    w.at(q).check_invariants();
  });
}

TEST_CASE("single active: one gets all, the next takes over when it holds nothing any more") {
  on_each_shape([](world& w) {
    const auto q = single_active(w);
    test_producer from(w, q);
    test_consumer first(w, q);
    test_consumer second(w, q);
    test_consumer third(w, q, false, 3);
    for (test_consumer* c : {&first, &second, &third}) c->grant(10);
    w.settle_down();
    CHECK(first.actives == states{true});
    CHECK(second.actives == states{false});
    CHECK(third.actives == states{false});
    put_all(w, from, "abc");
    CHECK(first.texts() == "a b c");
    w.at(q).check_invariants();
    first.unsubscribe();
    w.settle_down();
    CHECK(third.actives == states{false});
    first.settle("b", outcome::released);
    first.settle("c", outcome::released);
    first.accept("a");
    w.settle_down();
    CHECK(third.actives == states{false, true});  // the higher priority goes first
    CHECK(third.texts() == "b c");
    CHECK(second.texts().empty());
    put_all(w, from, "d");
    CHECK(third.texts() == "b c d");
    w.at(q).check_invariants();
  });
}

TEST_CASE("single active: who waits is answered a drain, browsers see all the same") {
  on_each_shape([](world& w) {
    const auto q = single_active(w);
    test_producer from(w, q);
    test_consumer first(w, q);
    test_consumer second(w, q);
    test_consumer browser(w, q, true);
    browser.grant(10);
    put_all(w, from, "ab");
    second.grant(10, true);
    w.settle_down();
    CHECK(second.drained_after == std::vector<std::size_t>{0});
    CHECK(browser.texts() == "a b");
    CHECK(browser.actives.empty());
    first.grant(1);
    w.settle_down();
    CHECK(first.texts() == "a");
    w.at(q).check_invariants();
  });
}

TEST_CASE("single active: switched on and off while consumers are there") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer from(w, q);
    test_consumer first(w, q);
    test_consumer second(w, q);
    first.grant(10);
    second.grant(10);
    w.talk();
    put_all(w, from, "ab");
    CHECK(second.texts() == "b");
    queue_policy p;
    p.single_active_consumer = true;
    w.at(q).set_policy(p);
    put_all(w, from, "cd");
    CHECK(first.texts() == "a c d");
    CHECK(first.actives == states{true});
    CHECK(second.actives == states{false});
    w.at(q).check_invariants();
    w.at(q).set_policy({});
    put_all(w, from, "ef");
    CHECK(second.texts() == "b f");
    CHECK(second.actives == states{false, true});
    w.at(q).check_invariants();
  });
}

TEST_CASE("exclusive consumer: a second one is refused until the first has gone") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    queue_policy p;
    p.exclusive_consumer = true;
    w.at(q).set_policy(p);
    test_consumer first(w, q);
    test_consumer second(w, q);
    test_consumer browser(w, q, true);
    w.talk();
    CHECK_FALSE(first.detached);
    CHECK(second.detached == std::string(amqp::spec::conditions::resource_locked));
    CHECK_FALSE(browser.detached);
    first.unsubscribe();
    w.talk();
    test_consumer third(w, q);
    w.talk();
    CHECK_FALSE(third.detached);
    w.at(q).check_invariants();
  });
}

TEST_CASE("single active: messages stay in order over any number of changes of the consumer") {
  on_each_shape([](world& w) {
    const auto q = single_active(w);
    test_producer from(w, q);
    std::vector<std::unique_ptr<test_consumer>> line;
    for (int i = 0; i < 20; ++i) line.push_back(std::make_unique<test_consumer>(w, q));
    for (auto& c : line) c->grant(5);
    w.talk();
    for (int i = 0; i < 100; ++i) from.put(std::to_string(i));
    w.settle_down();
    int next = 0;
    for (auto& c : line) {
      for (const auto& d : c->deliveries) {
        CHECK(d.text == std::to_string(next));
        ++next;
        c->settle(d.at, d.at, outcome::accepted);
      }
      c->unsubscribe();
      w.settle_down();
    }
    CHECK(next == 100);
    CHECK(w.at(q).depth() == 0);
    w.at(q).check_invariants();
  });
}
