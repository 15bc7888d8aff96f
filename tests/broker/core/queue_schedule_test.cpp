// SPDX-License-Identifier: Apache-2.0
// Messages that wait for their time: at their sender's word, at their consumer's, at the queue's.
#include <string>

#include "broker/core/delivery_time.hpp"
#include "tests/broker/core/world.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using amqp::codec::map;
using amqp::codec::value;
using core::queue_policy;

namespace {

constexpr std::string_view time_key = core::delivery_time_key;
constexpr std::string_view delay_key = core::delivery_delay_key;

core::message_ptr annotated(std::string_view text, std::string_view key, value what,
                            const message_shape& shape = {}) {
  map notes;
  notes.append(value(amqp::symbol(key)), std::move(what));
  return core::annotate(*make_text(text, shape), notes);
}

core::message_ptr at_time(world& w, std::string_view text, std::int64_t in_ms) {
  return annotated(text, time_key, value(amqp::timestamp{w.time.ms + in_ms}));
}

void settle_later(test_consumer& by, std::string_view text, map notes, bool failed = true) {
  const core::sequence at = by.find(text).at;
  letter l;
  l.kind = letter_kind::settle;
  l.outcome = outcome::modified;
  l.flags = failed ? core::letter_flag::failed : std::uint8_t{0};
  l.first = l.last = at;
  l.detail = std::make_unique<core::letter_detail>();
  l.detail->annotations = std::move(notes);
  by.post(std::move(l));
}

}  // namespace

TEST_CASE("delivery time: what annotations of each type say") {
  constexpr std::int64_t now = 1'000'000;
  const struct {
    std::string_view key;
    value what;
    std::int64_t want;
  } rows[] = {
      {time_key, value(amqp::timestamp{5}), 5},
      {time_key, value(std::int64_t{7}), 7},
      {time_key, value(std::uint64_t{7}), 7},
      {time_key, value(amqp::timestamp{-5}), 0},
      {time_key, value("7"), 0},
      {delay_key, value(std::int32_t{10}), now + 10},
      {delay_key, value(std::uint8_t{10}), now + 10},
      {delay_key, value(std::int64_t{-1}), 0},
      {delay_key, value(std::int64_t{0}), 0},
      {delay_key, value(true), 0},
      {"x-opt-delivery-count", value(std::int32_t{10}), 0},
      {"x-opt-jms-msg-type", value(std::int8_t{5}), 0},
  };
  for (const auto& row : rows) {
    CAPTURE(std::string(row.key));
    CAPTURE(amqp::codec::to_text(row.what));
    core::message_ptr m = annotated("x", row.key, row.what);
    core::fix_delivery_time(m, now);
    CHECK(core::delivery_time_of(*m) == row.want);
    map changes;
    changes.append(value(row.key), row.what);
    CHECK(core::delivery_time_in(changes, now) == row.want);
  }
  CHECK(core::delivery_time_of(*make_text("x")) == 0);
  core::message_ptr both = annotated("x", delay_key, value(std::int32_t{10}));
  both = core::annotate(*both, map{{value(amqp::symbol(time_key)), value(amqp::timestamp{3})}});
  core::fix_delivery_time(both, now);
  CHECK(core::delivery_time_of(*both) == 3);
}

TEST_CASE("schedule: a message waits for its time, and then has its place in the order") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer from(w, q);
    test_consumer to(w, q);
    from.put(at_time(w, "later", 1000), true);
    from.put(at_time(w, "sooner", 500), true);
    from.put("now");
    from.put(at_time(w, "past", -5), true);
    to.grant(1);
    w.settle_down();
    CHECK(to.texts() == "now");
    CHECK(w.at(q).depth() == 4);
    w.at(q).check_invariants();
    w.pass(499);
    to.grant(10);
    w.settle_down();
    CHECK(to.texts() == "now past");
    w.pass(1);
    w.settle_down();
    CHECK(to.texts() == "now past sooner");
    w.pass(500);
    w.settle_down();
    CHECK(to.texts() == "now past sooner later");
    w.at(q).check_invariants();
  });
}

TEST_CASE("schedule: whoever waited together comes in order of arrival, with levels by level") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    queue_policy p;
    p.priorities = true;
    w.at(q).set_policy(p);
    w.talk();
    test_producer from(w, q);
    from.put(annotated("low", time_key, value(w.time.ms + 100), {.priority = 1}), true);
    from.put(annotated("high", time_key, value(w.time.ms + 100), {.priority = 9}), true);
    from.put("usual");
    w.settle_down();
    w.pass(100);
    w.settle_down();
    test_consumer to(w, q);
    to.grant(10);
    w.settle_down();
    CHECK(to.texts() == "high usual low");
    w.at(q).check_invariants();
  });
}

TEST_CASE("schedule: a purge cancels, and nothing comes of it later") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer from(w, q);
    from.put(at_time(w, "later", 1000), true);
    w.settle_down();
    core::sequence begin = w.at(q).begin();
    CHECK(w.at(q).purge(begin, w.at(q).end(), 10) == 1);
    w.settle_down();
    CHECK(w.at(q).depth() == 0);
    w.at(q).check_invariants();
    test_consumer to(w, q);
    to.grant(10);
    w.pass(1001);
    w.settle_down();
    CHECK(to.texts().empty());
    w.at(q).check_invariants();
  });
}

TEST_CASE("schedule: a message whose time to live ends first is not delivered") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer from(w, q);
    from.put(annotated("x", time_key, value(w.time.ms + 1000), {.ttl = 10}), true);
    test_consumer to(w, q);
    to.grant(10);
    w.settle_down();
    w.pass(20);
    w.tick();
    w.pass(1000);
    w.settle_down();
    CHECK(to.texts().empty());
    CHECK(w.at(q).depth() == 0);
    CHECK(w.at(q).counters().expired == 1);
  });
}

TEST_CASE("schedule: browsers and drains do not wait for it") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer from(w, q);
    from.put(at_time(w, "later", 1000), true);
    from.put("now");
    w.settle_down();
    test_consumer browser(w, q, true);
    browser.grant(10, true);
    w.settle_down();
    CHECK(browser.texts() == "now");
    test_consumer to(w, q);
    to.grant(10, true);
    w.settle_down();
    CHECK(to.texts() == "now");
    CHECK(to.drained_after == std::vector<std::size_t>{1});
  });
}

TEST_CASE("schedule: modified with a time or a delay lets a message rest") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer from(w, q);
    from.put("a");
    from.put("b");
    test_consumer to(w, q);
    to.grant(10);
    w.settle_down();
    settle_later(to, "a", map{{value(amqp::symbol(delay_key)), value(std::uint32_t{50})}});
    settle_later(to, "b",
                 map{{value(amqp::symbol(time_key)), value(amqp::timestamp{w.time.ms + 20})}},
                 false);
    w.settle_down();
    CHECK(to.texts() == "a b");
    w.pass(20);
    w.settle_down();
    CHECK(to.texts() == "a b b");
    w.pass(30);
    w.settle_down();
    CHECK(to.texts() == "a b b a");
    CHECK(to.deliveries.back().failed == 1);
    w.at(q).check_invariants();
  });
}

TEST_CASE("schedule: retry-delay grows with each failure, up to its bound") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    queue_policy p;
    p.retry_delay = 100;
    p.retry_delay_max = 250;
    w.at(q).set_policy(p);
    w.talk();
    test_producer from(w, q);
    from.put("a");
    test_consumer to(w, q);
    to.grant(10);
    w.settle_down();
    to.settle("a", outcome::released);
    w.settle_down();
    REQUIRE(to.deliveries.size() == 2);
    std::size_t seen = 2;
    for (const std::int64_t rest : {100, 200, 250, 250}) {
      CAPTURE(rest);
      to.settle("a", outcome::modified, core::letter_flag::failed);
      w.settle_down();
      w.pass(rest - 1);
      w.settle_down();
      CHECK(to.deliveries.size() == seen);
      w.pass(1);
      w.settle_down();
      REQUIRE(to.deliveries.size() == ++seen);
    }
  });
}

TEST_CASE("schedule: it survives a restart, for what is due and for what is not") {
  storage::memory_disk disk;
  storage::queue_id id{};
  std::int64_t then = 0;
  {
    world w({.workers = 1}, disk);
    w.start();
    const auto q = w.make_queue();
    id = w.at(q).settings().id;
    test_producer from(w, q);
    from.put(at_time(w, "later", 1000), true);
    from.put(at_time(w, "soon", 10), true);
    from.put("now");
    w.settle_down();
    then = w.time.ms;
  }
  world w({.workers = 1}, disk);
  struct finder final : storage::recovery_visitor {
    void on_record(storage::record_kind, std::string_view, std::span<const std::byte>) override {}
    void on_entries(std::span<const storage::recovered_entry> found) override {
      for (const auto& e : found) to->restore(e);
    }
    core::queue* to = nullptr;
  } visitor;
  const auto q = w.home().create_queue({"q", id, true, false});
  visitor.to = &w.at(q);
  w.store.recover(visitor);
  w.time.ms = then + 500;
  test_consumer to(w, q);
  to.grant(10);
  w.settle_down();
  CHECK(to.texts() == "soon now");
  w.at(q).check_invariants();
  w.pass(499);
  w.settle_down();
  CHECK(to.texts() == "soon now");
  w.pass(1);
  w.settle_down();
  CHECK(to.texts() == "soon now later");
  w.at(q).check_invariants();
}
