// SPDX-License-Identifier: Apache-2.0
// The directory as administrators see it: declaring, looking, emptying, deleting.
#include <memory>
#include <optional>
#include <string>

#include "amqp/spec/conditions.hpp"
#include "broker/core/directory.hpp"
#include "tests/broker/core/world.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using amqp::codec::value;
using core::admin_reply;
using core::admin_status;

namespace {

core::directory_options settings() {
  core::directory_options o;
  o.random_name = [n = 0]() mutable { return "r" + std::to_string(++n); };
  return o;
}

/// A directory whose answers are waited for.
struct office {
  explicit office(world& of, core::directory_options o = settings()) : w(of), nodes(std::move(o)) {
    std::vector<core::shard*> all;
    for (auto& s : w.shards) all.push_back(s.get());
    nodes.set_shards(std::move(all));
  }
  using promise = std::shared_ptr<std::optional<admin_reply>>;
  static core::admin_answer into(const promise& out) {
    return [out](const admin_reply& r) {
      CHECK_FALSE(out->has_value());
      *out = r;
    };
  }
  admin_reply wait(const promise& out) {
    w.settle_down();
    REQUIRE(out->has_value());
    return **out;
  }
  [[nodiscard]] core::shard& asker() { return *w.shards[w.shards.size() / 2]; }

  promise ask(const std::string& name, core::queue_definition as = {}, std::uint64_t who = 1) {
    auto out = std::make_shared<std::optional<admin_reply>>();
    nodes.declare_queue(asker(), {name, std::move(as), who}, into(out));
    return out;
  }
  admin_reply declare(const std::string& name, core::queue_definition as = {},
                      std::uint64_t who = 1) {
    return wait(ask(name, std::move(as), who));
  }
  admin_reply read(const std::string& name) {
    auto out = std::make_shared<std::optional<admin_reply>>();
    nodes.read_queue(asker(), name, into(out));
    return wait(out);
  }
  admin_reply purge(const std::string& name) {
    auto out = std::make_shared<std::optional<admin_reply>>();
    nodes.purge_queue(asker(), name, into(out));
    return wait(out);
  }
  admin_reply remove(core::queue_removal what) {
    auto out = std::make_shared<std::optional<admin_reply>>();
    nodes.delete_queue(asker(), std::move(what), into(out));
    return wait(out);
  }
  core::queue_page page(core::page_request which) {
    auto out = std::make_shared<std::optional<core::queue_page>>();
    if (!which.may_see) which.may_see = [](std::string_view) { return true; };
    nodes.read_queues(asker(), std::move(which),
                      [out](const core::queue_page& p) { *out = p; });
    w.settle_down();
    REQUIRE(out->has_value());
    return **out;
  }
  core::queue_ref at(const std::string& name) {
    core::node_request r;
    r.address = name;
    r.connection = 1;
    r.to_consume = true;
    r.may_use = r.may_configure = [](std::string_view) { return true; };
    core::queue_ref found{};
    nodes.resolve(asker(), r, [&found](const core::node_reply& reply) { found = reply.queue; });
    w.settle_down();
    REQUIRE(found);
    return found;
  }
  world& w;
  core::directory nodes;
};

std::string names(const core::queue_page& p) {
  std::string out;
  for (const auto& q : p.queues) out += q.name + ' ';
  return out;
}

}  // namespace

TEST_CASE("directory admin: a queue is declared once, and equal declarations find it") {
  on_each_shape([](world& w) {
    office o(w);
    const core::queue_definition as{true, false, false, {{value("x-a"), value(std::int32_t{7})}}};
    const auto first = o.ask("q", as);
    const auto second = o.ask("q", as);  // while it is in the making
    w.talk();
    CHECK_FALSE(first->has_value());  // its definition is not durable yet
    CHECK_FALSE(second->has_value());
    CHECK(o.wait(first).status == admin_status::created);
    CHECK(o.wait(second).status == admin_status::ok);
    // The width of a number does not matter, nor whether text is a symbol.
    const core::queue_definition alike{true, false, false, {{value(amqp::symbol("x-a")),
                                                      value(std::int64_t{7})}}};
    const auto again = o.declare("q", alike);
    CHECK(again.status == admin_status::ok);
    CHECK(again.queue.as.arguments.get<std::int32_t>("x-a") == 7);
    CHECK(o.nodes.size() == 1);
  });
}

TEST_CASE("directory admin: a declaration that differs says in what") {
  const struct {
    core::queue_definition as;
    const char* field;
    const char* wanted;
    const char* present;
  } rows[] = {
      {{false, false, false, {{value("x"), value("1")}}}, "durable", "false", "true"},
      {{true, true, false, {{value("x"), value("1")}}}, "exclusive", "true", "false"},
      {{true, false, false, {{value("x"), value("2")}}}, "x", "2", "1"},
      {{true, false, false, {}}, "x", "none", "1"},
      {{true, false, false, {{value("x"), value("1")}, {value("y"), value(true)}}}, "y", "true",
       "none"},
  };
  on_each_shape([&](world& w) {
    office o(w);
    CHECK(o.declare("q", {true, false, false, {{value("x"), value("1")}}}).status ==
          admin_status::created);
    for (const auto& row : rows) {
      CAPTURE(row.field);
      const auto r = o.declare("q", row.as);
      CHECK(r.status == admin_status::differs);
      CHECK(r.field == row.field);
      CHECK(r.wanted == row.wanted);
      CHECK(r.present == row.present);
    }
  });
}

TEST_CASE("directory admin: the number of queues is bounded for administrators too") {
  on_each_shape([](world& w) {
    auto s = settings();
    s.queues_max = 1;
    office o(w, std::move(s));
    CHECK(o.declare("a").status == admin_status::created);
    CHECK(o.declare("b").status == admin_status::limit);
    CHECK(o.declare("a").status == admin_status::ok);
  });
}

TEST_CASE("directory admin: an exclusive queue is its connection's, and leaves nothing behind") {
  on_each_shape([](world& w) {
    office o(w);
    CHECK(o.declare("mine", {true, true, {}}, 7).status == admin_status::created);
    CHECK(w.store.statistics().batches == 0);
    CHECK(o.declare("mine", {true, true, {}}, 7).status == admin_status::ok);
    CHECK(o.declare("mine", {true, true, {}}, 8).status == admin_status::locked);
    CHECK(o.remove({"mine", 8}).status == admin_status::locked);
    CHECK(o.remove({"mine", 7}).status == admin_status::ok);
    CHECK(o.read("mine").status == admin_status::not_found);
  });
}

TEST_CASE("directory admin: what is read of a queue is what its worker counts") {
  on_each_shape([](world& w) {
    office o(w);
    CHECK(o.declare("q").status == admin_status::created);
    test_producer p(w, o.at("q"));
    p.put("a");
    p.put("b");
    test_consumer c(w, o.at("q"));
    const auto r = o.read("q");
    CHECK(r.status == admin_status::ok);
    CHECK(r.queue.name == "q");
    CHECK(r.queue.as.durable);
    CHECK(r.queue.messages == 2);
    CHECK(r.queue.consumers == 1);
    CHECK(o.read("absent").status == admin_status::not_found);
  });
}

TEST_CASE("directory admin: queues are listed in pages, in order, as far as one may see them") {
  on_each_shape([](world& w) {
    office o(w);
    for (const char* name : {"d", "b", "hidden", "a", "c", "e"}) o.declare(name);
    test_producer p(w, o.at("c"));
    p.put("m");
    core::page_request r;
    r.may_see = [](std::string_view name) { return name != "hidden"; };
    r.count = 2;
    auto page = o.page(r);
    CHECK(names(page) == "a b ");
    CHECK(page.more);
    r.offset = 2;
    page = o.page(r);
    CHECK(names(page) == "c d ");
    CHECK(page.queues[0].messages == 1);
    CHECK(page.queues[1].messages == 0);
    r.offset = 0;
    r.after = "d";
    page = o.page(r);
    CHECK(names(page) == "e ");
    CHECK_FALSE(page.more);
    r.offset = 9;
    CHECK(o.page(r).queues.empty());
  });
}

TEST_CASE("directory admin: a purge drops what nobody holds, for good") {
  storage::memory_disk disk;
  {
    world w({.workers = 3}, disk);
    w.start();
    office o(w);
    o.declare("q");
    test_producer p(w, o.at("q"));
    for (const char* text : {"a", "b", "c", "d"}) p.put(text);
    w.settle_down();
    test_consumer c(w, o.at("q"));
    c.grant(1);
    w.settle_down();
    CHECK(c.texts() == "a");
    const auto r = o.purge("q");
    CHECK(r.status == admin_status::ok);
    CHECK(r.messages == 3);
    CHECK(o.read("q").queue.messages == 1);
    w.at(o.at("q")).check_invariants();
    p.put("e");
    w.settle_down();
    c.settle(c.deliveries[0].at, c.deliveries[0].at, outcome::released);
    w.settle_down();
    CHECK(o.purge("absent").status == admin_status::not_found);
  }
  world w({.workers = 3}, disk);
  office o(w);
  w.store.recover(o.nodes);
  CHECK(o.nodes.recovered_messages() == 2);
}

TEST_CASE("directory admin: a large purge takes several turns, and spares what comes meanwhile") {
  world w({.workers = 1});
  w.start();
  office o(w);
  o.declare("q", {false, false, {}});
  test_producer p(w, o.at("q"));
  for (int i = 0; i < 25'000; ++i) p.put("x");
  w.settle_down();
  auto out = std::make_shared<std::optional<admin_reply>>();
  o.nodes.purge_queue(o.asker(), "q", office::into(out));
  CHECK_FALSE(out->has_value());  // its first slice has gone, others wait for their turn
  p.put("late");
  CHECK(o.wait(out).messages == 25'000);
  CHECK(o.read("q").queue.messages == 1);
}

TEST_CASE("directory admin: a deleted queue is gone with its messages, also after a restart") {
  storage::memory_disk disk;
  {
    world w({.workers = 3}, disk);
    w.start();
    office o(w);
    o.declare("q");
    o.declare("other");
    test_producer p(w, o.at("q"));
    p.send(letter_kind::add_producer);
    p.put("a");
    p.put("b");
    w.settle_down();
    CHECK(o.remove({.name = "q", .if_empty = true}).status == admin_status::in_use);
    CHECK(o.remove({.name = "q", .if_unused = true}).messages == 2);
    CHECK(p.detached == std::string(amqp::spec::conditions::resource_deleted));
    CHECK(o.remove({.name = "q"}).status == admin_status::not_found);
    CHECK(o.nodes.size() == 1);
  }
  world w({.workers = 3}, disk);
  office o(w);
  w.store.recover(o.nodes);
  CHECK(o.nodes.size() == 1);
  CHECK(o.nodes.finish_recovery() == 0);
}

TEST_CASE("directory admin: arguments of a durable queue are found again after a restart") {
  storage::memory_disk disk;
  const core::queue_definition as{true, false, false, {{value("x-a"), value("b")}}};
  {
    world w({.workers = 1}, disk);
    w.start();
    office o(w);
    o.declare("q", as);
  }
  world w({.workers = 1}, disk);
  office o(w);
  w.store.recover(o.nodes);
  CHECK(o.declare("q", as).status == admin_status::ok);
  CHECK(o.declare("q").status == admin_status::differs);
}
