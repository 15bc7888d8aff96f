// SPDX-License-Identifier: Apache-2.0
// Links' names pass from link to link, and with them what the links held.
#include "broker/core/link_names.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/broker/core/world.hpp"

namespace whimbrel::test {
namespace {

/// Lets its queue have everything back when its name is taken.
class named_link final : public core::link_end {
 public:
  named_link(core::shard& home, core::queue_ref queue)
      : self(home.add_link(*this)), home_(home), queue_(queue) {}
  ~named_link() override { home_.remove_link(self); }
  named_link(const named_link&) = delete;
  named_link& operator=(const named_link&) = delete;

  void on_letter(letter&& l) override {
    if (l.kind == letter_kind::deliver) held.push_back(l.first);
  }
  core::queue_ref on_stolen() override {
    ++stolen;
    tell(letter_kind::unsubscribe);
    for (const sequence at : held) tell(letter_kind::settle, 0, at);
    held.clear();
    return queue_;
  }
  void consume(std::uint32_t credit) {
    tell(letter_kind::subscribe);
    tell(letter_kind::grant, credit);
  }

  core::link_ref self;
  std::vector<sequence> held = {};
  int granted = 0;
  int stolen = 0;

 private:
  void tell(letter_kind kind, std::uint32_t count = 0, sequence at = 0) {
    letter l;
    l.kind = kind;
    l.outcome = outcome::released;
    l.link = self;
    l.queue = queue_;
    l.count = count;
    l.first = l.last = at;
    home_.send(std::move(l));
  }

  core::shard& home_;
  core::queue_ref queue_;
};

TEST_CASE("link names: a name that nobody has is given at once, and is free after release") {
  for (const std::uint16_t workers : {std::uint16_t{1}, std::uint16_t{3}}) {
    CAPTURE(workers);
    world w({.workers = workers});
    w.start();
    core::link_names names;
    named_link one(w.consumers(), {});
    named_link other(w.consumers(), {});
    names.take(w.consumers(), "a", one.self, [&] { ++one.granted; });
    names.take(w.consumers(), "b", other.self, [&] { ++other.granted; });
    w.settle_down();
    CHECK(one.granted == 1);
    CHECK(other.granted == 1);
    CHECK(one.stolen + other.stolen == 0);
    CHECK(names.size() == 2);
    names.release(w.consumers(), one.self);
    names.release(w.consumers(), other.self);
    w.settle_down();
    CHECK(names.size() == 0);
  }
}

TEST_CASE("link names: who takes a name finds in the queue what the old link held, in order") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    world w({.workers = 3, .seed = seed});
    w.start();
    core::link_names names;
    const auto queue = w.make_queue();
    test_producer producer(w, queue);
    // The old link's worker and the new one's are each other's neighbours in both orders.
    core::shard& at = *w.shards[seed % 3];
    core::shard& there = *w.shards[(seed / 3) % 3];
    named_link old(at, queue);
    named_link fresh(there, queue);
    names.take(at, "a", old.self, [&] { old.consume(3); });
    w.settle_down();
    for (int i = 0; i < 5; ++i) producer.put("m" + std::to_string(i));
    w.settle_down();
    REQUIRE(old.held == std::vector<sequence>{1, 2, 3});
    names.take(there, "a", fresh.self, [&] {
      CHECK(old.stolen == 1);
      fresh.consume(5);
    });
    w.settle_down();
    CHECK(old.held.empty());
    CHECK(fresh.held == std::vector<sequence>{1, 2, 3, 4, 5});
  }
}

TEST_CASE("link names: of many who want a name at a time the last has it, each has lost it once") {
  int stolen_waiting = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    world w({.workers = 3, .seed = seed});
    w.start();
    core::link_names names;
    std::mt19937_64 random(seed);
    std::vector<std::unique_ptr<named_link>> links;
    for (int i = 0; i < 12; ++i) {
      core::shard& at = *w.shards[random() % 3];
      links.push_back(std::make_unique<named_link>(at, core::queue_ref{}));
      named_link* link = links.back().get();
      names.take(at, "a", link->self, [link] { ++link->granted; });
      if (random() % 2 == 0) w.turn(random() % 3);
    }
    w.settle_down();
    int has = 0;
    for (const auto& l : links) {
      CHECK(l->granted <= 1);
      CHECK(l->stolen <= 1);
      has += l->stolen == 0 ? 1 : 0;
      stolen_waiting += l->granted == 0 ? 1 : 0;
    }
    CHECK(has == 1);
    CHECK(names.size() == 1);
    for (const auto& l : links) names.release(*w.shards[index_of(l->self.worker)], l->self);
    w.settle_down();
    CHECK(names.size() == 0);
  }
  CHECK(stolen_waiting > 0);  // some lost it before they had it
}

TEST_CASE("link names: a link that goes while its name is on the way leaves nothing behind") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    world w({.workers = 3, .seed = seed});
    w.start();
    core::link_names names;
    named_link old(w.producers(), {});
    auto brief = std::make_unique<named_link>(w.home(), core::queue_ref{});
    names.take(w.producers(), "a", old.self, [] {});
    w.settle_down();
    bool granted_to_nobody = false;
    names.take(w.home(), "a", brief->self, [&] { granted_to_nobody = true; });
    for (std::uint64_t i = 0; i < seed % 4; ++i) w.turn((seed + i) % 3);
    const bool had_it = granted_to_nobody;
    names.release(w.home(), brief->self);
    brief.reset();
    w.settle_down();
    CHECK(granted_to_nobody == had_it);
    names.release(w.producers(), old.self);
    w.settle_down();
    CHECK(names.size() == 0);
  }
}

}  // namespace
}  // namespace whimbrel::test
