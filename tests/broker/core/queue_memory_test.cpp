// SPDX-License-Identifier: Apache-2.0
// Bodies that leave memory and come back, and puts that a stalled store gives back.
#include <string>

#include "amqp/codec/value.hpp"
#include "amqp/spec/conditions.hpp"
#include "tests/broker/core/world.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
namespace flag = core::letter_flag;

namespace {

constexpr world_options small{.memory_octets = 1'000'000};

std::string large(char mark, std::size_t size = 60'000) { return std::string(size, mark); }

/// Fills memory beyond three quarters with stored messages; a tick then moves their bodies out.
std::string fill(world& w, test_producer& p, const message_shape& shape = {}) {
  std::string marks;
  for (char mark = 'a'; mark < 'a' + 14; ++mark) {
    p.put(large(mark), shape);
    marks += mark;
  }
  w.settle_down();
  w.tick();
  return marks;
}

/// The store's answer to the read that was just asked for is lost; the test gives another.
storage::read_done intercept(world& w, core::queue_ref q) {
  w.store.pump();
  REQUIRE(w.inbox.of(0).size() == 1);
  w.inbox.of(0).clear();
  storage::read_done answer;
  answer.done = storage::token{std::uint64_t{q.slot} << 32 | q.generation};
  return answer;
}

std::string marks_of(const test_link& c) {
  std::string out;
  for (const auto& d : c.deliveries) out += d.text.front();
  return out;
}

}  // namespace

TEST_CASE("queue: bodies larger than their share leave memory, and the gate stays open") {
  on_each_shape(
      [](world& w) {
        const auto q = w.make_queue();
        test_producer p(w, q);
        p.send(letter_kind::add_producer);
        for (int round = 0; round < 10; ++round) {
          fill(w, p);
          REQUIRE(w.home().resident() < 100'000);
        }
        CHECK(w.at(q).depth() == 140);
        CHECK(p.gates.back());
        CHECK(p.verdicts.size() == 140);
      },
      small);
}

TEST_CASE("queue: what left memory is read back in order, octet for octet") {
  on_each_shape(
      [](world& w) {
        const auto q = w.make_queue();
        test_producer p(w, q);
        const std::string marks = fill(w, p, {.format = 77});
        REQUIRE(w.home().resident() == 0);
        p.put("last");
        test_consumer c(w, q);
        c.grant(100, true);
        w.settle_down();
        CHECK(marks_of(c) == marks + 'l');
        for (const auto& d : c.deliveries) {
          if (d.text == "last") continue;
          CHECK(d.text == large(d.text.front()));
          CHECK(d.format == 77);
          CHECK(d.first);
        }
        CHECK(c.drained_after == std::vector<std::size_t>{15});
        w.at(q).check_invariants();
      },
      small);
}

TEST_CASE("queue: a browser of what left memory does not bring it back for good") {
  on_each_shape(
      [](world& w) {
        const auto q = w.make_queue();
        test_producer p(w, q);
        const std::string marks = fill(w, p);
        test_consumer browser(w, q, true);
        browser.grant(100, true);
        w.settle_down();
        CHECK(marks_of(browser) == marks);
        CHECK(browser.drained_after.size() == 1);
        w.tick();
        CHECK(w.home().resident() <= 750'000);
        CHECK(w.at(q).depth() == 14);
      },
      small);
}

TEST_CASE("queue: new bodies leave when durable, beyond those that consumers will soon reach") {
  on_each_shape(
      [](world& w) {
        const auto q = w.make_queue();
        test_producer p(w, q);
        const std::string text(600, 'x');
        for (int i = 0; i < 4000; ++i) {
          p.put(text);
          if (i % 100 == 99) w.settle_down();
        }
        CHECK(w.home().resident() > 500'000);
        CHECK(w.home().resident() < 900'000);
        CHECK(w.at(q).depth() == 4000);
        test_consumer c(w, q);
        c.grant(4000);
        w.settle_down();
        CHECK(c.deliveries.size() == 4000);
        CHECK(std::is_sorted(c.deliveries.begin(), c.deliveries.end(),
                             [](const auto& a, const auto& b) { return a.at < b.at; }));
      },
      small);
}

TEST_CASE("queue: annotations are not lost where the store has the message without them") {
  on_each_shape(
      [](world& w) {
        const auto q = w.make_queue();
        test_producer p(w, q);
        test_consumer c(w, q);
        c.grant(1);
        p.put("annotated");
        w.talk();
        letter l;
        l.kind = letter_kind::settle;
        l.outcome = outcome::modified;
        l.first = l.last = c.deliveries[0].at;
        l.detail = std::make_unique<core::letter_detail>();
        l.detail->annotations.emplace();
        l.detail->annotations->append(amqp::codec::value(amqp::symbol("x-opt-seen")),
                                      amqp::codec::value(true));
        c.post(std::move(l));
        w.settle_down();
        fill(w, p);
        c.grant(2);
        w.settle_down();
        REQUIRE(c.deliveries.size() == 2);
        const auto& m = *c.deliveries[1].message;
        const amqp::message::view view(m.octets(), m.sections());
        CHECK_FALSE(view.message_annotation("x-opt-seen")->empty());
      },
      small);
}

TEST_CASE("queue: unreadable bodies are dropped, logged and counted, and do not block the rest") {
  world w({.memory_octets = 1'000'000});
  w.start();
  const auto q = w.make_queue();
  test_producer p(w, q);
  const std::string marks = fill(w, p);
  test_consumer c(w, q);
  c.grant(100, true);
  // The store answers that two bodies failed their checksum; the third is not a message.
  storage::read_done answer = intercept(w, q);
  const storage::queue_id id = w.at(q).settings().id;
  for (sequence at : {1, 2}) answer.items.push_back({{id, at}, nullptr});
  const std::byte junk[] = {std::byte{0x00}, std::byte{0x53}};
  answer.items.push_back({{id, 3}, storage::make_blob(junk)});
  w.home().on_read(std::move(answer));
  w.settle_down();
  CHECK(marks_of(c) == marks.substr(3));
  CHECK(w.at(q).counters().lost == 3);
  CHECK(w.owner.lines.size() == 3);
  CHECK(w.home().counters().unreadable == 3);
  CHECK(w.store.statistics().settled == 3);
  w.at(q).check_invariants();
}

TEST_CASE("queue: a body that the store no longer knows is dropped and logged") {
  world w({.memory_octets = 1'000'000});
  w.start();
  const auto q = w.make_queue();
  test_producer p(w, q);
  const std::string marks = fill(w, p);
  test_consumer c(w, q);
  c.grant(100, true);
  w.home().on_read(intercept(w, q));
  w.settle_down();
  CHECK(marks_of(c) == marks.substr(1));
  CHECK(w.at(q).counters().lost == 1);
  CHECK(c.drained_after.size() == 1);
}

TEST_CASE("queue: a read that fails is tried again, and nothing is lost or drained meanwhile") {
  world w({.memory_octets = 1'000'000});
  w.start();
  const auto q = w.make_queue();
  test_producer p(w, q);
  const std::string marks = fill(w, p);
  test_consumer c(w, q);
  c.grant(100, true);
  storage::read_done failed = intercept(w, q);
  failed.failed = true;
  w.home().on_read(std::move(failed));
  CHECK(c.deliveries.empty());
  CHECK(c.drained_after.empty());
  p.put("z");  // asks for no second read
  w.settle_down();
  CHECK(c.deliveries.empty());
  w.pass(100);
  w.settle_down();
  CHECK(marks_of(c) == marks + 'z');
  CHECK(c.drained_after == std::vector<std::size_t>{15});
  CHECK(w.at(q).counters().lost == 0);
}

TEST_CASE("queue: a read that is answered after its queue has gone is ignored") {
  world w({.memory_octets = 1'000'000});
  w.start();
  const auto q = w.make_queue();
  test_producer p(w, q);
  fill(w, p);
  test_consumer c(w, q);
  c.grant(1);
  w.home().delete_queue(q, "amqp:resource-deleted", "");
  const auto heir = w.make_queue();
  CHECK(heir.slot == q.slot);
  w.settle_down();
  CHECK(c.deliveries.empty());
  CHECK(w.home().resident() == 0);
}

TEST_CASE("queue: after a long stall producers are rejected, but not for what was handed out") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    p.send(letter_kind::add_producer);
    test_consumer c(w, q);
    w.talk();
    w.store.stall(1000);
    c.grant(1);
    p.put("held");
    p.put("flying");
    w.talk();
    w.store.pump();
    w.talk();
    CHECK(p.gates == std::vector<bool>{true, false});
    p.put("open");
    w.talk();
    w.pass(29'999);
    w.store.pump();
    w.talk();
    CHECK(p.said().empty());
    w.pass(1);
    w.talk();
    w.store.pump();
    w.talk();
    CHECK(p.said() == "2r 1r");
    CHECK(p.verdicts[0].condition == amqp::spec::conditions::resource_limit_exceeded);
    CHECK(w.at(q).depth() == 1);
    w.at(q).check_invariants();
    w.store.stall(0);
    w.settle_down();
    CHECK(p.said() == "2r 1r 0a");
    CHECK(p.gates == std::vector<bool>{true, false, true});
    CHECK(w.store.statistics().puts == 1);
  });
}

TEST_CASE("queue: a message asked back from the store when it was just durable is delivered") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    w.store.stall(1);
    p.put("a");
    w.talk();
    w.store.pump();
    w.talk();
    w.store.pump();  // durable; the worker has not heard of it when it asks
    w.time.ms += 30'000;
    w.home().commits().withdraw(
        [&](core::queue_ref, sequence at, auto&&...) { return w.at(q).begin_withdraw(at); });
    w.settle_down();
    CHECK(p.said() == "0a");
    test_consumer c(w, q);
    c.grant(1);
    w.settle_down();
    CHECK(c.texts() == "a");
  });
}

TEST_CASE("queue: a message asked back is not overtaken while the store thinks about it") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    w.store.stall(1000);
    p.put("a");
    w.talk();
    w.store.pump();
    w.talk();
    w.pass(30'000);
    w.talk();  // the question is on its way
    w.store.stall(0);
    p.put("b");
    test_consumer c(w, q);
    c.grant(2);
    w.talk();
    CHECK(c.texts().empty());
    w.settle_down();
    CHECK(p.said() == "0r 1a");
    CHECK(c.texts() == "b");
  });
}

TEST_CASE("queue: the time of a second stall counts from its own beginning") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    w.store.stall(1);
    p.put("a");
    w.talk();
    w.store.pump();
    w.talk();
    w.settle_down();
    CHECK(p.said() == "0a");
    w.pass(29'000);
    w.store.stall(1000);
    p.put("b");
    w.talk();
    w.store.pump();
    w.talk();
    w.pass(2'000);
    w.talk();
    w.store.pump();
    w.talk();
    CHECK(p.said() == "0a");
    w.pass(28'000);
    w.talk();
    w.store.pump();
    w.talk();
    CHECK(p.said() == "0a 1r");
  });
}

TEST_CASE("queue: formats and counts come back after a restart") {
  storage::memory_disk disk;
  {
    world w({}, disk);
    w.start();
    const auto q = w.make_queue();
    test_producer p(w, q);
    test_consumer c(w, q);
    p.put("a", {.format = 5});
    p.put("b");
    c.grant(1);
    w.settle_down();
    c.settle("a", outcome::modified, flag::failed);
    w.settle_down();
  }
  world w({}, disk);
  struct onto_queue final : storage::recovery_visitor {
    void on_record(storage::record_kind, std::string_view, std::span<const std::byte>) override {}
    void on_entries(std::span<const storage::recovered_entry> entries) override {
      for (const auto& e : entries) to->restore(e);
    }
    core::queue* to = nullptr;
  } visitor;
  const auto q = w.make_queue();
  visitor.to = &w.at(q);
  w.store.recover(visitor);
  test_consumer c(w, q);
  c.grant(9);
  w.settle_down();
  CHECK(c.texts() == "a b");
  CHECK(c.deliveries[0].format == 5);
  CHECK(c.deliveries[0].failed == 1);
  CHECK(c.deliveries[1].failed == 0);
  CHECK_FALSE(c.deliveries[1].first);
  test_producer p(w, q);
  p.put("c");
  w.settle_down();
  CHECK(c.texts() == "a b c");
  CHECK(c.deliveries[2].at > c.deliveries[1].at);
}

TEST_CASE("shard: ends in peace with its gate closed and messages in its queues") {
  world w({.memory_octets = 100'000});
  w.start();
  const auto q = w.make_queue(false);
  test_producer p(w, q);
  p.send(letter_kind::add_producer);
  for (int i = 0; i < 3; ++i) p.put(large('x'));
  CHECK_FALSE(w.home().gate_is_open());
  p.leave();
  w.shards.clear();
  CHECK(p.gates == std::vector<bool>{true, false});
}
