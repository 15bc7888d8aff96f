// SPDX-License-Identifier: Apache-2.0
// Policies and the directory: which queue obeys which, live, and again after a restart.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/core/directory.hpp"
#include "tests/broker/core/world.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using amqp::codec::map;
using amqp::codec::value;
using core::effective_policy;
using core::named_policy;

namespace {

core::directory_options settings(std::vector<named_policy> policies = {}) {
  core::directory_options o;
  o.rules.push_back({[](std::string_view) { return true; }, true, true});
  o.random_name = [] { return std::string("r"); };
  o.glob = [](std::string_view pattern, std::string_view name) {
    return name.starts_with(pattern);
  };
  o.policies = std::move(policies);
  return o;
}

named_policy limit(std::string name, std::string pattern, std::uint64_t length) {
  named_policy p{std::move(name), std::move(pattern), 0, {}};
  p.what.max_length = length;
  return p;
}

struct town {
  explicit town(world& of, std::vector<named_policy> policies = {})
      : w(of), nodes(settings(std::move(policies))) {
    std::vector<core::shard*> all;
    for (auto& s : w.shards) all.push_back(s.get());
    nodes.set_shards(std::move(all));
  }
  core::queue_ref find(const std::string& name) {
    core::node_request r;
    r.address = name;
    r.may_use = r.may_configure = [](std::string_view) { return true; };
    std::optional<core::queue_ref> out;
    nodes.resolve(w.consumers(), r, [&](const core::node_reply& reply) { out = reply.queue; });
    w.settle_down();
    REQUIRE(out);
    return *out;
  }
  void set(const named_policy& p) {
    bool done = false;
    nodes.set_policy(w.consumers(), p, [&] { done = true; });
    w.settle_down();
    CHECK(done);
  }
  bool remove(const std::string& name) {
    std::optional<bool> out;
    nodes.remove_policy(w.consumers(), name, [&](bool there) { out = there; });
    w.settle_down();
    REQUIRE(out);
    return *out;
  }
  std::optional<effective_policy> policy_of(const std::string& name) {
    std::optional<effective_policy> out;
    nodes.read_policy_of(w.consumers(), name, [&](const auto& found) { out = found; });
    w.settle_down();
    return out;
  }
  /// How many messages the queue keeps of ten.
  std::size_t keeps(const std::string& name) {
    const auto q = find(name);
    test_producer from(w, q);
    for (int i = 0; i < 10; ++i) from.put("m");
    w.settle_down();
    const std::size_t depth = w.at(q).depth();
    test_consumer to(w, q);
    to.grant(100);
    w.settle_down();
    for (const auto& d : to.deliveries) to.settle(d.at, d.at, outcome::accepted);
    to.unsubscribe();
    w.settle_down();
    return depth;
  }
  world& w;
  core::directory nodes;
};

}  // namespace

TEST_CASE("policies: queues that match obey, those that come later too, until it goes") {
  on_each_shape([](world& w) {
    town t(w);
    CHECK(t.keeps("a1") == 10);
    t.set(limit("p", "a", 3));
    CHECK(t.keeps("a1") == 3);
    CHECK(t.keeps("a2") == 3);
    CHECK(t.keeps("b1") == 10);
    t.set(limit("p", "b", 4));  // another pattern: both sides hear of it
    CHECK(t.keeps("a1") == 10);
    CHECK(t.keeps("b1") == 4);
    const auto seen = t.policy_of("b1");
    REQUIRE(seen);
    CHECK(seen->what.max_length == 4);
    CHECK(seen->from == std::vector<std::string>{"p"});
    CHECK_FALSE(t.policy_of("none"));
    CHECK(t.remove("p"));
    CHECK_FALSE(t.remove("p"));
    CHECK(t.keeps("b1") == 10);
  });
}

TEST_CASE("policies: one that changes while a queue is in the making is obeyed") {
  on_each_shape([](world& w) {
    town t(w);
    core::node_request r;
    r.address = "a";
    r.may_use = r.may_configure = [](std::string_view) { return true; };
    t.nodes.resolve(w.consumers(), r, [](const core::node_reply&) {});
    t.nodes.set_policy(w.consumers(), limit("p", "a", 2), [] {});
    t.nodes.set_policy(w.home(), limit("p", "a", 3), [] {});
    w.settle_down();
    const auto seen = t.policy_of("a");
    REQUIRE(seen);
    CHECK(t.keeps("a") == *seen->what.max_length);
  });
}

TEST_CASE("policies: arguments of a queue go before, and may be declared anew") {
  on_each_shape([](world& w) {
    town t(w, {limit("file", "a", 5)});
    t.nodes.finish_recovery();
    t.nodes.declare("a1", true, {{value("max-length"), value(std::int64_t{2})}});
    w.settle_down();
    CHECK(t.keeps("a1") == 2);
    CHECK(t.keeps("a2") == 5);
    t.nodes.declare("a1", true, {{value("x-max-length"), value(std::int64_t{4})}});
    w.settle_down();
    CHECK(t.keeps("a1") == 4);
    t.nodes.declare("a1", true);
    w.settle_down();
    CHECK(t.keeps("a1") == 5);
  });
}

TEST_CASE("policies: they and arguments are found again, in force before the messages are") {
  for (const std::uint16_t workers : {std::uint16_t{1}, std::uint16_t{3}}) {
    CAPTURE(workers);
    storage::memory_disk disk;
    {
      world w({.workers = workers}, disk);
      w.start();
      town t(w);
      named_policy levels{"levels", "a", 0, {}};
      levels.what.priorities = true;
      t.set(levels);
      t.set(limit("file", "b", 9));
      t.set(limit("gone", "c", 1));
      CHECK(t.remove("gone"));
      const auto q = t.find("a");
      test_producer from(w, q);
      from.put("4");
      from.put("1", {.priority = 1});
      from.put("8", {.priority = 8});
      from.put("9f", {.priority = 9});
      w.settle_down();
      test_consumer to(w, q);
      to.grant(1);
      w.settle_down();
      to.settle("9f", outcome::modified, core::letter_flag::failed);
      w.settle_down();
      t.nodes.declare("own", true, {{value("max-length"), value(std::int64_t{2})}});
      w.settle_down();
      w.store.close();
    }
    world w({.workers = workers}, disk);
    town t(w, {limit("file", "b", 7)});  // the file's word goes before the stored one
    w.store.recover(t.nodes);
    t.nodes.finish_recovery();
    const auto q = t.find("a");
    w.at(q).check_invariants();
    test_consumer to(w, q);
    to.grant(10);
    w.settle_down();
    CHECK(to.texts() == "9f 8 4 1");
    CHECK(to.find("9f").failed == 1);
    CHECK(t.keeps("own") == 2);
    CHECK(t.keeps("b") == 7);
    CHECK(t.keeps("c") == 10);
    std::vector<std::string> names;
    t.nodes.read_policies(w.consumers(), [&](const auto& all) {
      for (const auto& p : all) names.push_back(p.name);
    });
    w.settle_down();
    CHECK(names == std::vector<std::string>{"file", "levels"});
  }
}
