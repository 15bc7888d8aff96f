// SPDX-License-Identifier: Apache-2.0
// One message into several queues: stored by one batch, answered once, or as if it had never been.
#include "broker/core/joint.hpp"

#include <memory>
#include <string>
#include <vector>

#include "amqp/spec/conditions.hpp"
#include "broker/core/fan_out.hpp"
#include "tests/broker/core/world.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
namespace conditions = amqp::spec::conditions;

namespace {

/// A producer whose messages go to several queues at once.
class spreader final : public test_link {
 public:
  explicit spreader(world& w) : test_link(w.producers(), {}), home_(w.producers()) {}

  std::uint32_t put(std::string_view text, const std::vector<core::hit>& to,
                    const message_shape& shape = {}, bool presettled = false) {
    core::fan_out(home_, to, make_text(text, shape), presettled ? core::link_ref{} : self, next_);
    return next_++;
  }
  [[nodiscard]] std::string said() const {
    std::string out;
    for (const verdict& v : verdicts) {
      out += (out.empty() ? "" : " ") + std::to_string(v.id) + "arlm"[static_cast<int>(v.what)];
    }
    return out;
  }

 private:
  core::shard& home_;
  std::uint32_t next_ = 0;
};

/// Queues spread over the workers, each with a consumer.
struct scene {
  explicit scene(world& of, std::size_t count, bool durable = true) : w(of) {
    for (std::size_t i = 0; i < count; ++i) add(durable, i % w.shards.size());
  }
  void add(bool durable, std::size_t worker) {
    const std::string name = "q" + std::to_string(to.size());
    const auto id = storage::queue_id{100 + to.size()};
    to.push_back({w.shards[worker]->create_queue({name, id, durable, false}), durable});
    consumers.push_back(std::make_unique<test_consumer>(w, to.back().queue));
  }
  void grant_all(std::uint32_t limit = 100) {
    for (auto& c : consumers) c->grant(limit);
  }
  [[nodiscard]] std::string texts() const {
    std::string out;
    for (const auto& c : consumers) out += c->texts() + '|';
    out.pop_back();
    return out;
  }
  void check() {
    for (const core::hit& h : to) {
      if (core::queue* q = w.shards[index_of(h.queue.worker)]->find(h.queue)) q->check_invariants();
    }
    CHECK(w.producers().joints().size() == 0);
  }
  world& w;
  std::vector<core::hit> to;
  std::vector<std::unique_ptr<test_consumer>> consumers;
};

}  // namespace

TEST_CASE("fan-out: one batch holds the message for all durable queues, then comes one verdict") {
  on_each_shape([](world& w) {
    scene s(w, 4);
    spreader p(w);
    s.grant_all();
    p.put("a", s.to);
    w.talk();
    CHECK(p.said().empty());
    CHECK(w.store.statistics().batches == 0);
    w.settle_down();
    CHECK(p.said() == "0a");
    CHECK(s.texts() == "a|a|a|a");
    CHECK(w.store.statistics().batches == 1);
    CHECK(w.store.statistics().puts == 4);
    for (auto& c : s.consumers) c->accept("a");
    w.settle_down();
    for (auto& c : s.consumers) CHECK(c->answers.size() == 1);
    CHECK(w.store.statistics().settled == 4);
    s.check();
  });
}

TEST_CASE("fan-out: across workers nobody sees the message before its commit") {
  world w({.workers = 3});
  w.start();
  scene s(w, 3);
  spreader p(w);
  s.grant_all();
  p.put("a", s.to);
  w.talk();
  CHECK(s.texts() == "||");
  w.store.stall(3);
  for (int i = 0; i < 3; ++i) {
    w.store.pump();
    w.talk();
  }
  CHECK(s.texts() == "||");
  CHECK(p.said().empty());
  w.settle_down();
  CHECK(s.texts() == "a|a|a");
  CHECK(p.said() == "0a");
  s.check();
}

TEST_CASE("fan-out: a transient message is there at once, and accepted when all have it") {
  on_each_shape([](world& w) {
    scene s(w, 3);
    spreader p(w);
    s.grant_all();
    p.put("a", s.to, {.durable = false});
    w.talk();
    CHECK(s.texts() == "a|a|a");
    CHECK(p.said() == "0a");
    CHECK(w.store.statistics().batches == 0);
    s.check();
  });
}

TEST_CASE("fan-out: queues in memory have a durable message at once, its verdict waits") {
  on_each_shape([](world& w) {
    scene s(w, 3);
    s.add(false, w.shards.size() - 1);
    spreader p(w);
    s.grant_all();
    p.put("a", s.to);
    w.talk();
    CHECK(s.consumers.back()->texts() == "a");
    CHECK(p.said().empty());
    w.settle_down();
    CHECK(s.texts() == "a|a|a|a");
    CHECK(p.said() == "0a");
    CHECK(w.store.statistics().puts == 3);
    s.check();
  });
}

TEST_CASE("fan-out: the order of a producer is kept in every queue, however its messages go") {
  on_each_shape([](world& w) {
    scene s(w, 3);
    spreader p(w);
    test_producer alone(w, s.to.back().queue);
    s.grant_all(1000);
    std::string want_first;
    std::string want_last;
    for (int i = 0; i < 60; ++i) {
      const std::string text = std::to_string(i);
      const auto add = [&](std::string& to) { to += (to.empty() ? "" : " ") + text; };
      switch (i % 4) {
        case 0: p.put(text, s.to); break;
        case 1: p.put(text, {s.to[0], s.to[2]}, {.durable = false}); break;
        case 2: p.put(text, {s.to[2], s.to[1]}); break;
        case 3: alone.put(text); break;
      }
      if (i % 4 < 2) add(want_first);
      add(want_last);
      if (i % 7 == 0) w.talk();
      if (i % 11 == 0) w.store.pump();
    }
    w.settle_down();
    CHECK(s.consumers[0]->texts() == want_first);
    CHECK(s.consumers[2]->texts() == want_last);
    CHECK(p.verdicts.size() == 45);
    s.check();
  });
}

TEST_CASE("fan-out: a pre-settled message gets no verdict, and gets there") {
  on_each_shape([](world& w) {
    scene s(w, 3);
    spreader p(w);
    s.grant_all();
    p.put("a", s.to, {}, true);
    p.put("b", s.to, {.durable = false}, true);
    w.settle_down();
    CHECK(p.verdicts.empty());
    CHECK(s.texts() == "a b|a b|a b");
    s.check();
  });
}

TEST_CASE("fan-out: a disk that takes nothing for long gives back what nobody has seen") {
  world w({.workers = 3});
  w.start();
  scene s(w, 3);
  spreader p(w);
  s.grant_all();
  w.store.stall(1000);
  p.put("in flight", s.to);
  w.talk();
  p.put("open", s.to);
  w.talk();
  w.store.pump();  // the store says that it takes nothing
  w.talk();
  w.pass(31'000);
  for (int i = 0; i < 4; ++i) {
    w.store.pump();
    w.talk();
  }
  CHECK(p.said() == "1r 0r");
  CHECK(p.verdicts[0].condition == conditions::resource_limit_exceeded);
  CHECK(s.texts() == "||");
  for (const auto& h : s.to) CHECK(w.at(h.queue).depth() == 0);
  w.store.stall(0);
  p.put("after", s.to);
  w.settle_down();
  CHECK(s.texts() == "after|after|after");
  CHECK(p.said() == "1r 0r 2a");
  s.check();
}

TEST_CASE("fan-out: what somebody may have seen is not given back, its producer waits") {
  on_each_shape([](world& w) {
    scene s(w, 3);
    s.add(false, 0);
    spreader p(w);
    w.store.stall(1000);
    p.put("a", s.to);
    w.talk();
    w.store.pump();
    w.talk();
    w.pass(31'000);
    for (int i = 0; i < 4; ++i) {
      w.store.pump();
      w.talk();
    }
    CHECK(p.said().empty());
    w.store.stall(0);
    s.grant_all();
    w.settle_down();
    CHECK(p.said() == "0a");
    CHECK(s.texts() == "a|a|a|a");
    s.check();
  });
}

TEST_CASE("fan-out: in doubt, nobody is told or given anything") {
  world w({.workers = 3});
  w.start();
  scene s(w, 3);
  spreader p(w);
  s.grant_all();
  w.store.doubt(true);
  p.put("a", s.to);
  w.settle_down();
  CHECK(w.owner.failures > 0);
  CHECK(p.said().empty());
  CHECK(s.texts() == "||");
}

TEST_CASE("fan-out: a queue that has gone is one that the message does not go to") {
  on_each_shape([](world& w) {
    scene s(w, 4);
    spreader p(w);
    s.grant_all();
    const auto drop = [&](std::size_t i) {
      w.shards[index_of(s.to[i].queue.worker)]->delete_queue(s.to[i].queue, "amqp:gone", "gone");
    };
    drop(1);
    p.put("a", s.to);
    w.settle_down();
    CHECK(s.texts() == "a||a|a");
    CHECK(p.said() == "0a");
    for (const std::size_t i : {std::size_t{0}, std::size_t{2}, std::size_t{3}}) drop(i);
    p.put("b", s.to);
    p.put("c", s.to, {.durable = false});
    w.settle_down();
    CHECK(p.said() == "0a 1l 2l");
    s.check();
  });
}

TEST_CASE("fan-out: a queue that goes between prepare and apply leaves nothing in the store") {
  storage::memory_disk disk;
  {
    world w({.workers = 3}, disk);
    w.start();
    scene s(w, 3);
    spreader p(w);
    p.put("a", s.to);
    w.talk();
    w.shards[2]->delete_queue(s.to[2].queue, "amqp:gone", "gone");
    w.settle_down();
    CHECK(p.said() == "0a");
    s.check();
  }
  struct counter final : storage::recovery_visitor {
    void on_record(storage::record_kind, std::string_view, std::span<const std::byte>) override {}
    void on_entries(std::span<const storage::recovered_entry> found) override {
      for (const auto& e : found) queues.push_back(static_cast<std::uint64_t>(e.key.queue));
    }
    std::vector<std::uint64_t> queues;
  } visitor;
  world w({.workers = 3}, disk);
  w.store.recover(visitor);
  CHECK(visitor.queues == std::vector<std::uint64_t>{100, 101});
}

TEST_CASE("fan-out: what has expired when it is applied is gone, from the store too") {
  world w({.workers = 3});
  w.start();
  scene s(w, 3);
  spreader p(w);
  s.grant_all();
  p.put("a", s.to, {.ttl = 50});
  w.talk();
  w.pass(100);
  w.tick();
  w.settle_down();
  CHECK(p.said() == "0a");
  CHECK(s.texts() == "||");
  for (const auto& h : s.to) CHECK(w.at(h.queue).depth() == 0);
  CHECK(w.store.statistics().settled == 3);
  s.check();
}

TEST_CASE("fan-out: a browser waits for what is prepared, and then sees it") {
  world w({.workers = 3});
  w.start();
  scene s(w, 3);
  test_consumer browser(w, s.to[1].queue, true);
  browser.grant(10);
  spreader p(w);
  test_producer alone(w, s.to[1].queue);
  p.put("a", s.to);
  w.talk();
  alone.put("b", {.durable = false});
  w.talk();
  CHECK(browser.texts().empty());
  w.settle_down();
  CHECK(browser.texts() == "a b");
  s.check();
}

TEST_CASE("fan-out: its messages are settled, failed and found again like any others") {
  on_each_shape([](world& shape) {
    const auto workers = static_cast<std::uint16_t>(shape.shards.size());
    world w({.workers = workers});
    w.start();
    scene s(w, 3);
    spreader p(w);
    test_producer alone(w, s.to[1].queue);
    alone.put("before");
    p.put("a", s.to);
    alone.put("after");
    s.grant_all();
    w.settle_down();
    auto& c = *s.consumers[1];
    CHECK(c.texts() == "before a after");
    // A put of the queue's own is open while the joint one is settled: each goes its own way.
    alone.put("more");
    c.settle("a", outcome::modified, core::letter_flag::failed | core::letter_flag::answer, 5);
    w.settle_down();
    CHECK(c.find("a").failed == 1);
    c.accept("a", 6);
    w.settle_down();
    CHECK(w.at(s.to[1].queue).depth() == 3);
    CHECK(c.answers.back() == test_link::verdict{6, outcome::accepted, {}});
    s.check();
  });
}
