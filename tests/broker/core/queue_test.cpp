// SPDX-License-Identifier: Apache-2.0
// What a queue gives to whom, and what becomes of it. Every scenario runs with queue, producer and
// consumer on one worker, and with each on its own.
#include <string>

#include "amqp/codec/value.hpp"
#include "amqp/spec/conditions.hpp"
#include "tests/broker/core/world.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
namespace flag = core::letter_flag;

namespace {

constexpr message_shape transient{.durable = false};

void put_all(test_producer& p, std::string_view names, const message_shape& shape = {}) {
  for (const char c : names) p.put(std::string(1, c), shape);
}

}  // namespace

TEST_CASE("queue: messages come in order, and no more than credit allows") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c(w, q);
    put_all(p, "abcd");
    c.grant(2);
    w.settle_down();
    CHECK(c.texts() == "a b");
    c.grant(3);
    w.settle_down();
    CHECK(c.texts() == "a b c");
    CHECK(w.at(q).depth() == 4);
    w.at(q).check_invariants();
  });
}

TEST_CASE("queue: a limit counts across the wrap, and a smaller one takes credit back") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c(w, q);
    c.grant(3);
    c.grant(1);
    w.talk();
    put_all(p, "abc", transient);
    w.settle_down();
    CHECK(c.texts() == "a");
    c.grant(0xffff'fff0);  // behind what was delivered: no credit, and no debt
    w.settle_down();
    CHECK(c.texts() == "a");
    c.grant(2);
    w.settle_down();
    CHECK(c.texts() == "a b");
  });
}

TEST_CASE("queue: consumers with credit take turns") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c1(w, q), c2(w, q), c3(w, q);
    for (auto* c : {&c1, &c2, &c3}) c->grant(10);
    w.talk();
    put_all(p, "abcdef");
    w.settle_down();
    CHECK(c1.texts() == "a d");
    CHECK(c2.texts() == "b e");
    CHECK(c3.texts() == "c f");
  });
}

TEST_CASE("queue: a transient message is accepted when enqueued, a stored one when durable") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    p.put("stored");
    p.put("transient", transient);
    w.talk();
    CHECK(p.said() == "1a");
    w.store.pump();
    CHECK(p.said() == "1a");
    w.talk();
    CHECK(p.said() == "1a 0a");
  });
}

TEST_CASE("queue: a durable message on a queue that is not durable is accepted when enqueued") {
  on_each_shape([](world& w) {
    test_producer p(w, w.make_queue(false));
    p.put("a");
    w.talk();
    CHECK(p.said() == "0a");
    w.settle_down();
    CHECK(w.store.statistics().puts == 0);
  });
}

TEST_CASE("queue: a pre-settled message gets no verdict") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    p.put("a", {}, true);
    p.put("b", transient, true);
    w.settle_down();
    CHECK(p.said().empty());
    CHECK(w.at(q).depth() == 2);
  });
}

TEST_CASE("queue: delivery does not wait for the commit, our settled does") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c(w, q);
    c.grant(10);
    p.put("a");
    w.talk();  // its batch is in flight now
    CHECK(c.texts() == "a");
    CHECK(p.said().empty());
    c.accept("a", 70);
    w.talk();
    CHECK(c.answers.empty());
    w.store.pump();
    w.talk();
    CHECK(p.said() == "0a");
    CHECK(c.answers.empty());  // the removal stands in the next batch
    w.store.pump();
    w.talk();
    CHECK(c.answers == std::vector<test_link::verdict>{{70, outcome::accepted, {}}});
    CHECK(w.at(q).depth() == 0);
  });
}

TEST_CASE("queue: what is accepted before its batch is submitted never reaches the store") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c(w, q);
    c.grant(10);
    p.put("a");
    w.talk();  // in flight: what follows waits in the open batch
    p.put("b");
    w.talk();
    c.accept("b", 5);
    w.talk();
    CHECK(p.said() == "1a");
    CHECK(c.answers == std::vector<test_link::verdict>{{5, outcome::accepted, {}}});
    w.settle_down();
    CHECK(p.said() == "1a 0a");
    CHECK(w.store.statistics().puts == 1);
    CHECK(w.home().commits().counters().cancelled == 1);
  });
}

TEST_CASE("queue: a put whose batch has left is settled in the store, not cancelled") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c(w, q);
    c.grant(10);
    p.put("a");
    w.talk();
    c.accept("a");
    p.put("b");  // position 0 of the open batch, as `a` was of the one before
    w.settle_down();
    CHECK(w.home().commits().counters().cancelled == 0);
    CHECK(p.said() == "0a 1a");
    CHECK(w.store.statistics().puts == 2);
    CHECK(w.store.statistics().settled == 1);
    CHECK(w.at(q).depth() == 1);
  });
}

TEST_CASE("queue: a released message keeps its place") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c(w, q);
    put_all(p, "abcde");
    c.grant(3);
    w.settle_down();
    c.settle("c", outcome::released);
    c.settle("a", outcome::released);
    w.settle_down();
    CHECK(c.texts() == "a b c");
    w.at(q).check_invariants();
    c.grant(7);
    w.settle_down();
    CHECK(c.texts() == "a b c a c d e");
    CHECK(c.deliveries[3].failed == 0);
    CHECK_FALSE(c.deliveries[3].first);
  });
}

TEST_CASE("queue: delivery-count rises with delivery-failed alone, and is kept by the store") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c(w, q);
    c.grant(100);
    p.put("a");
    w.settle_down();
    c.settle("a", outcome::modified, flag::failed | flag::answer, 3);
    CHECK(c.answers.empty());
    w.settle_down();
    CHECK(c.find("a").failed == 1);
    CHECK(c.answers == std::vector<test_link::verdict>{{3, outcome::modified, {}}});
    c.settle("a", outcome::modified);
    w.settle_down();
    CHECK(c.find("a").failed == 1);
    c.settle("a", outcome::released);
    w.settle_down();
    CHECK(c.find("a").failed == 1);
    c.settle("a", outcome::modified, flag::failed);
    w.settle_down();
    CHECK(c.find("a").failed == 2);
    CHECK(c.deliveries.size() == 5);
  });
}

TEST_CASE("queue: a count that rises before the put was submitted is written with it") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c(w, q);
    p.put("z");
    w.talk();  // in flight
    c.grant(2);
    p.put("a");
    w.talk();
    c.settle("a", outcome::modified, flag::failed | flag::answer, 9);
    w.talk();
    CHECK(c.answers.empty());
    w.settle_down();
    CHECK(c.answers.size() == 1);
    CHECK(p.said() == "0a 1a");
    c.grant(3);
    w.settle_down();
    CHECK(c.find("a").failed == 1);
  });
}

TEST_CASE("queue: the first to acquire is told so, and nobody after") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c(w, q);
    c.grant(10);
    p.put("a", transient);
    w.settle_down();
    CHECK(c.deliveries[0].first);
    c.settle("a", outcome::released);
    w.settle_down();
    CHECK_FALSE(c.deliveries[1].first);
  });
}

TEST_CASE("queue: rejected messages go, and are counted") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c(w, q);
    c.grant(10);
    put_all(p, "ab");
    w.settle_down();
    c.settle("a", outcome::rejected, flag::answer, 1);
    w.settle_down();
    CHECK(w.at(q).depth() == 1);
    CHECK(w.at(q).counters().rejected == 1);
    CHECK(c.answers == std::vector<test_link::verdict>{{1, outcome::rejected, {}}});
    CHECK(w.store.statistics().settled == 1);
  });
}

TEST_CASE("queue: a range is settled and answered as a range, gaps and strangers ignored") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c1(w, q), c2(w, q);
    c1.grant(2);
    w.talk();
    put_all(p, "ab");
    w.talk();
    c2.grant(1);
    w.talk();
    put_all(p, "cd");
    w.settle_down();
    c1.settle(1, 4, outcome::accepted, flag::answer, 30);
    w.settle_down();
    CHECK(w.at(q).depth() == 2);
    CHECK(c1.answers.size() == 4);
    c2.accept("c", 1);
    w.settle_down();
    CHECK(w.at(q).depth() == 1);
    w.at(q).check_invariants();
  });
}

TEST_CASE("queue: an outcome that arrives twice counts once") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c(w, q);
    c.grant(1);
    put_all(p, "ab");
    w.settle_down();
    c.accept("a");
    c.accept("a");
    c.settle("a", outcome::released);
    w.settle_down();
    CHECK(w.at(q).depth() == 1);
    CHECK(w.at(q).counters().accepted == 1);
    w.at(q).check_invariants();
  });
}

TEST_CASE("queue: message-annotations of modified are laid over the message") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c(w, q);
    c.grant(10);
    p.put("a");
    w.settle_down();
    letter l;
    l.kind = letter_kind::settle;
    l.outcome = outcome::modified;
    l.first = l.last = c.find("a").at;
    l.detail = std::make_unique<core::letter_detail>();
    l.detail->annotations.emplace();
    l.detail->annotations->append(amqp::codec::value(amqp::symbol("x-opt-seen")),
                                  amqp::codec::value(std::uint32_t{7}));
    c.post(std::move(l));
    w.settle_down();
    REQUIRE(c.deliveries.size() == 2);
    const auto& m = *c.deliveries[1].message;
    const amqp::message::view view(m.octets(), m.sections());
    const auto found = view.message_annotation("x-opt-seen");
    REQUIRE(found.has_value());
    CHECK_FALSE(found->empty());
    CHECK(c.texts() == "a a");
  });
}
