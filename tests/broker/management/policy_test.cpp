// SPDX-License-Identifier: Apache-2.0
// Policies over $management, what they do to queues, and queues that go by themselves.
#include <optional>
#include <string>

#include "tests/broker/management/bureau.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using amqp::codec::list;
using amqp::codec::map;
using amqp::codec::value;
using management::entity_request;

namespace {

entity_request on(const char* type, const char* operation, const char* name, value body = {}) {
  return entity_call(operation, std::string("org.whimbrel.") + type, name, std::move(body));
}

value policy(const char* pattern, std::uint32_t max_length, std::int32_t priority = 0) {
  return value(map{{value("pattern"), value(pattern)},
                   {value("priority"), value(priority)},
                   {value("arguments"), value(map{{value("max-length"), value(max_length)}})}});
}

map fields_of(const management::reply& r) { return r.body.to<map>().value_or(map{}); }

std::optional<std::uint64_t> length_of(bureau& b, const char* queue) {
  const map fields = fields_of(b.entity(on("queue", "READ", queue)));
  return fields.get<map>("effective_arguments").value_or(map{}).get<std::uint64_t>("max-length");
}

value auto_delete() { return value(map{{value("auto_delete"), value(true)}}); }

}  // namespace

TEST_CASE("policies: they are made, changed, listed and deleted, and queues tell of them") {
  on_each_shape([](world& w) {
    bureau b(w);
    REQUIRE(b.entity(on("queue", "CREATE", "orders")).code == 201);
    auto r = b.entity(on("policy", "CREATE", "p", policy("or*", 5)));
    CHECK(r.code == 201);
    CHECK(fields_of(r).get<std::string>("pattern") == "or*");
    CHECK(length_of(b, "orders") == 5);
    CHECK(fields_of(b.entity(on("queue", "READ", "orders"))).get<list>("policies") ==
          list{value("p")});
    CHECK(b.entity(on("policy", "CREATE", "p", policy("or*", 5))).code == 200);
    CHECK(b.entity(on("policy", "CREATE", "p", policy("or*", 6))).code == 409);
    CHECK(b.entity(on("policy", "UPDATE", "p", policy("or*", 6))).code == 200);
    CHECK(length_of(b, "orders") == 6);
    CHECK(b.entity(on("policy", "CREATE", "q", policy("*", 7, 3))).code == 201);
    CHECK(length_of(b, "orders") == 7);
    entity_request query = on("policy", "QUERY", "");
    query.entity_type = query.type;
    query.body = value(map{{value("attributeNames"), value(list{value("name")})}});
    CHECK(fields_of(b.entity(query)).get<list>("results") ==
          list{value(list{value("q")}), value(list{value("p")})});
    CHECK(b.entity(on("policy", "DELETE", "q")).code == 204);
    CHECK(b.entity(on("policy", "DELETE", "q")).code == 404);
    CHECK(b.entity(on("policy", "READ", "q")).code == 404);
    CHECK(length_of(b, "orders") == 6);
    CHECK(b.entity(on("policy", "DELETE", "p")).code == 204);
    CHECK_FALSE(length_of(b, "orders"));
  });
}

TEST_CASE("policies: what is wrong with one, and who may not set it") {
  world w({.workers = 1});
  w.start();
  permissions p = permissions::all();
  p.manage = {"mine*"};
  bureau b(w, p);
  struct {
    const char* name;
    value body;
    int code;
    const char* says;
  } const rows[] = {
      {"mine", value(map{}), 400, "`pattern` is missing"},
      {"mine", value("x"), 400, "the body is not a map"},
      {"mine", value(map{{value("pattern"), value("*")}}), 400, "the policy sets nothing"},
      {"mine", policy("*", 0), 400, "argument 'max-length' must be"},
      {"mine", value(map{{value("colour"), value("*")}}), 400, "unknown key 'colour' in a policy"},
      {"", policy("*", 1), 400, "neither `name` nor `identity`"},
      {"other", policy("*", 1), 403, "no permission to set policy 'other'"},
      {"mine", policy("*", 1), 201, ""},
  };
  for (const auto& row : rows) {
    CAPTURE(std::string(row.says));
    const auto r = b.entity(on("policy", "CREATE", row.name, row.body));
    CHECK(r.code == row.code);
    if (!r.is_ok()) CHECK(r.text().starts_with(row.says));
  }
  CHECK(b.entity(on("policy", "UPDATE", "mine2", policy("*", 1))).code == 404);
  CHECK(b.entity(on("policy", "DELETE", "other")).code == 403);
  CHECK(b.entity(on("policy", "DANCE", "mine")).code == 501);
}

TEST_CASE("auto-delete: a queue goes when its last consumer has gone, and not before") {
  on_each_shape([](world& w) {
    bureau b(w);
    REQUIRE(b.http("PUT", "/queues/q", auto_delete()).code == 201);
    CHECK(fields_of(b.http("GET", "/queues/q")).get<bool>("auto_delete") == true);
    CHECK(b.http("PUT", "/queues/q").code == 409);
    const core::queue_ref q = b.find("q");
    test_consumer first(w, q);
    test_consumer second(w, q);
    w.settle_down();
    first.unsubscribe();
    w.settle_down();
    CHECK(b.http("GET", "/queues/q").code == 200);
    second.unsubscribe();
    w.settle_down();
    CHECK(b.http("GET", "/queues/q").code == 404);
  });
}

TEST_CASE("auto-delete: a consumer that comes at the same moment keeps the queue") {
  world w({.workers = 1});
  w.start();
  bureau b(w);
  b.http("PUT", "/queues/q", auto_delete());
  const core::queue_ref q = b.find("q");
  test_consumer first(w, q);
  first.unsubscribe();
  test_consumer second(w, q);
  w.settle_down();
  CHECK(b.http("GET", "/queues/q").code == 200);
  CHECK_FALSE(second.detached);
}

TEST_CASE("auto-delete: it is remembered over a restart") {
  storage::memory_disk disk;
  {
    world w({.workers = 1}, disk);
    w.start();
    bureau b(w);
    CHECK(b.http("PUT", "/queues/q", auto_delete()).code == 201);
  }
  world w({.workers = 1}, disk);
  const auto b = bureau::recovered(w);
  CHECK(fields_of(b->http("GET", "/queues/q")).get<bool>("auto_delete") == true);
}

TEST_CASE("expires: a queue goes when it has had no consumer for that long") {
  on_each_shape([](world& w) {
    bureau b(w);
    const value body = value(map{
        {value("arguments"), value(map{{value("x-expires"), value(std::int32_t{5000})}})}});
    REQUIRE(b.http("PUT", "/queues/q", body).code == 201);
    const auto later = [&](std::int64_t ms) {
      w.tick();
      w.pass(ms);
      w.tick();
      w.settle_down();
      return b.http("GET", "/queues/q").code;
    };
    test_consumer one(w, b.find("q"));
    w.settle_down();
    CHECK(later(60'000) == 200);
    one.unsubscribe();
    w.settle_down();
    CHECK(later(4'999) == 200);
    CHECK(later(1) == 404);
  });
}

TEST_CASE("purge: flow-control lets producers go on at once") {
  on_each_shape([](world& w) {
    bureau b(w);
    const value body = value(map{
        {value("arguments"), value(map{{value("max-length"), value(std::uint32_t{2})},
                                       {value("overflow"), value("flow-control")}})}});
    REQUIRE(b.http("PUT", "/queues/q", body).code == 201);
    test_producer from(w, b.find("q"));
    from.send(letter_kind::add_producer);
    from.put("a");
    from.put("b");
    w.settle_down();
    REQUIRE(from.gates == std::vector<bool>{true, false});
    CHECK(b.http("DELETE", "/queues/q/messages").code == 200);
    CHECK(from.gates == std::vector<bool>{true, false, true});
  });
}
