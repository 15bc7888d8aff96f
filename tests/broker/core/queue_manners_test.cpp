// SPDX-License-Identifier: Apache-2.0
// Time to live, limits and levels of a queue that has policies.
#include "broker/core/queue_manners.hpp"

#include <string>

#include "amqp/spec/conditions.hpp"
#include "broker/core/fan_out.hpp"
#include "broker/core/joint.hpp"
#include "tests/broker/core/world.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using core::overflow;
using core::queue_policy;
namespace conditions = amqp::spec::conditions;

namespace {

queue_policy limit(std::uint64_t length, overflow what) {
  queue_policy p;
  p.max_length = length;
  p.overflow = what;
  return p;
}

void put_all(test_producer& p, std::string_view texts) {
  for (const char c : texts) p.put(std::string(1, c));
}

}  // namespace

TEST_CASE("queue ttl: the smaller of the queue's and the message's decides") {
  on_each_shape([](world& w) {
    queue_policy p;
    p.message_ttl = 1000;
    const auto q = w.make_queue(p);
    test_producer from(w, q);
    from.put("long", {.ttl = 5000});
    from.put("short", {.ttl = 10});
    from.put("none");
    w.settle_down();
    test_consumer to(w, q, true);
    to.grant(10);
    w.pass(11);
    w.tick();
    CHECK(w.at(q).depth() == 2);
    w.pass(1000);
    w.tick();
    w.settle_down();
    CHECK(w.at(q).depth() == 0);
    CHECK(w.at(q).counters().expired == 3);
    CHECK(from.said() == "0a 1a 2a");
    w.at(q).check_invariants();
  });
}

TEST_CASE("limit: reject tells the producer which queue is full and why") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue(limit(2, overflow::reject));
    test_producer from(w, q);
    put_all(from, "abc");
    from.put("d", {}, true);
    w.settle_down();
    REQUIRE(from.verdicts.size() == 3);
    CHECK(from.verdicts[0] == test_link::verdict{2, outcome::rejected,
                                                 std::string(conditions::resource_limit_exceeded)});
    CHECK(w.at(q).depth() == 2);
    CHECK(w.at(q).counters().refused == 2);
    // What a consumer holds no longer waits.
    test_consumer to(w, q);
    to.grant(1);
    w.talk();
    from.put("e");
    w.settle_down();
    CHECK(from.verdicts.back().what == outcome::accepted);
    CHECK(w.at(q).depth() == 3);
    w.at(q).check_invariants();
  });
}

TEST_CASE("limit: drop-head keeps the latest, held messages apart") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue(limit(2, overflow::drop_head));
    test_producer from(w, q);
    put_all(from, "abcd");
    w.settle_down();
    CHECK(w.at(q).counters().dropped == 2);
    CHECK(from.verdicts.size() == 4);
    for (const auto& v : from.verdicts) CHECK(v.what == outcome::accepted);
    test_consumer to(w, q);
    to.grant(1);
    w.settle_down();
    CHECK(to.texts() == "c");
    put_all(from, "ef");
    w.settle_down();
    to.grant(10);
    w.settle_down();
    CHECK(to.texts() == "c e f");
    w.at(q).check_invariants();
  });
}

TEST_CASE("limit: octets are counted as messages come and go") {
  on_each_shape([](world& w) {
    const std::uint64_t size = make_text("a")->size();
    queue_policy p;
    p.max_octets = 2 * size;
    const auto q = w.make_queue(p);
    test_producer from(w, q);
    put_all(from, "abc");
    w.settle_down();
    CHECK(w.at(q).depth() == 2);
    test_consumer to(w, q);
    to.grant(10);
    w.settle_down();
    to.accept("b");
    to.accept("c");
    w.settle_down();
    put_all(from, "de");
    w.settle_down();
    CHECK(to.texts() == "b c d e");
    CHECK(w.at(q).counters().dropped == 1);
    from.put("too long for the limit of this queue, whatever else is in it");
    w.settle_down();
    CHECK(w.at(q).depth() == 2);
    w.at(q).check_invariants();
  });
}

TEST_CASE("limit: flow-control closes the gate of this queue's producers alone") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue(limit(5, overflow::flow_control));
    const auto other = w.make_queue(true, "other");
    test_producer from(w, q);
    test_producer elsewhere(w, other);
    from.send(letter_kind::add_producer);
    elsewhere.send(letter_kind::add_producer);
    w.talk();
    put_all(from, "abcdef");
    w.settle_down();
    CHECK(from.said() == "0a 1a 2a 3a 4a 5a");  // what is under way is taken
    CHECK(from.gates == std::vector<bool>{true, false});
    CHECK(elsewhere.gates == std::vector<bool>{true});
    test_producer late(w, q);
    late.send(letter_kind::add_producer);
    test_consumer to(w, q);
    to.grant(10);
    w.settle_down();
    CHECK(late.gates == std::vector<bool>{false});
    to.accept("a");
    to.accept("b");
    w.settle_down();
    CHECK(from.gates.size() == 2);
    to.accept("c");
    w.settle_down();
    CHECK(from.gates == std::vector<bool>{true, false, true});
    CHECK(late.gates == std::vector<bool>{false, true});
    w.at(q).check_invariants();
  });
}

TEST_CASE("limit: a policy that comes later trims what is there, one that goes opens the gate") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue(queue_policy{});
    test_producer from(w, q);
    from.send(letter_kind::add_producer);
    put_all(from, "abcde");
    w.settle_down();
    w.at(q).set_policy(limit(2, overflow::drop_head));
    w.settle_down();
    CHECK(w.at(q).depth() == 2);
    w.at(q).set_policy(limit(2, overflow::flow_control));
    w.settle_down();
    CHECK(from.gates == std::vector<bool>{true, false});
    w.at(q).set_policy({});
    w.settle_down();
    CHECK(from.gates == std::vector<bool>{true, false, true});
    test_consumer to(w, q);
    to.grant(10);
    w.settle_down();
    CHECK(to.texts() == "d e");
    w.at(q).check_invariants();
  });
}

TEST_CASE("limit: in a fan-out a full queue takes no part, the others do") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue(limit(1, overflow::reject));
    const auto other = w.shards.front()->create_queue({"b", storage::queue_id{77}, true, false});
    test_producer from(w, q);
    from.put("a");
    w.settle_down();
    const std::vector<core::hit> to = {{q, true}, {other, true}};
    core::fan_out(w.producers(), to, make_text("b"), from.self, 1);
    w.settle_down();
    CHECK(from.said() == "0a 1r");
    CHECK(from.verdicts.back().condition == conditions::resource_limit_exceeded);
    CHECK(w.at(q).depth() == 1);
    CHECK(w.at(other).depth() == 1);
    CHECK(w.producers().joints().size() == 0);
    w.at(q).check_invariants();
  });
}

TEST_CASE("priorities: the highest goes first, what comes back keeps its level and place") {
  on_each_shape([](world& w) {
    queue_policy p;
    p.priorities = true;
    const auto q = w.make_queue(p);
    test_producer from(w, q);
    from.put("a4");
    from.put("b9", {.priority = 9});
    from.put("c0", {.priority = 0});
    from.put("d4");
    from.put("e200", {.priority = 200});
    w.settle_down();
    test_consumer to(w, q);
    to.grant(3);
    w.settle_down();
    CHECK(to.texts() == "b9 e200 a4");
    to.settle("e200", outcome::released);
    to.settle("a4", outcome::modified, core::letter_flag::failed);
    w.settle_down();
    to.grant(10);
    w.settle_down();
    CHECK(to.texts() == "b9 e200 a4 e200 a4 d4 c0");
    w.at(q).check_invariants();
  });
}

TEST_CASE("priorities: a limit drops from the lowest level first") {
  on_each_shape([](world& w) {
    queue_policy p = limit(2, overflow::drop_head);
    p.priorities = true;
    const auto q = w.make_queue(p);
    test_producer from(w, q);
    from.put("a9", {.priority = 9});
    from.put("b1", {.priority = 1});
    from.put("c5", {.priority = 5});
    w.settle_down();
    test_consumer to(w, q);
    to.grant(10);
    w.settle_down();
    CHECK(to.texts() == "a9 c5");
  });
}

TEST_CASE("priorities: switched on and off while messages wait") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue(queue_policy{});
    test_producer from(w, q);
    from.put("a1", {.priority = 1});
    from.put("b7", {.priority = 7});
    from.put("c8", {.priority = 8});
    from.put("d9", {.priority = 9});
    test_consumer to(w, q);
    to.grant(1);
    w.settle_down();
    CHECK(to.texts() == "a1");
    queue_policy p;
    p.priorities = true;
    w.at(q).set_policy(p);
    to.settle("a1", outcome::released);
    to.grant(2);
    w.settle_down();
    CHECK(to.texts() == "a1 d9");
    w.at(q).set_policy({});
    to.settle("d9", outcome::released);
    to.grant(10);
    w.settle_down();
    CHECK(to.texts() == "a1 d9 a1 b7 c8 d9");
    w.at(q).check_invariants();
  });
}

TEST_CASE("priorities: the store's count of failures keeps them") {
  for (int p = 0; p < 10; ++p) {
    for (const std::uint32_t failed : {0U, 1U, 0x7f'ffffU, ~0U}) {
      const auto priority = static_cast<std::uint8_t>(p);
      const std::uint32_t kept = core::stored_count(failed, priority);
      CHECK(core::priority_of(kept) == priority);
      CHECK_FALSE(core::is_delayed(kept));
      CHECK(core::is_delayed(core::stored_count(failed, priority, true)));
      CHECK(core::failed_of(kept) == std::min(failed, core::failed_max));
    }
  }
  CHECK(core::stored_count(3, 4) == 3);
}
