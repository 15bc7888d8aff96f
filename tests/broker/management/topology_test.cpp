// SPDX-License-Identifier: Apache-2.0
// Exchanges and bindings over both dialects.
#include <string>

#include "broker/management/entities_topology.hpp"
#include "tests/broker/management/bureau.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using amqp::codec::list;
using amqp::codec::map;
using amqp::codec::value;

namespace {

value fields(std::initializer_list<amqp::codec::entry> of) { return value(map(of)); }

value binding_body(const char* source, const char* queue, const char* key, map arguments = {}) {
  return fields({{value("source"), value(source)},
                 {value("destination_queue"), value(queue)},
                 {value("binding_key"), value(key)},
                 {value("arguments"), value(std::move(arguments))}});
}

list listed(bureau& b, const std::string& query) {
  const auto r = b.http("GET", "/bindings?" + query);
  CHECK(r.code == 200);
  return r.body.to<list>().value_or(list{});
}

}  // namespace

TEST_CASE("http: exchanges are declared, compared and deleted") {
  on_each_shape([](world& w) {
    bureau b(w);
    const value topic = fields({{value("type"), value("topic")}, {value("durable"), value(true)}});
    CHECK(b.http("PUT", "/exchanges/e%2F1", topic).code == 204);
    CHECK(b.http("PUT", "/exchanges/e%2F1", topic).code == 204);
    auto r = b.http("PUT", "/exchanges/e%2F1", fields({{value("type"), value("fanout")}}));
    CHECK(r.code == 409);
    CHECK(r.text() ==
          "inequivalent arg 'type' for exchange 'e/1' in vhost '/': received 'fanout' but current "
          "is 'topic'");
    const struct {
      const char* target;
      int code;
      value body = {};
    } rows[] = {
        {"/exchanges/x", 400, fields({{value("type"), value("nonsense")}})},
        {"/exchanges/x", 400, fields({{value("colour"), value(true)}})},
        {"/exchanges/x", 400,
         fields({{value("arguments"), fields({{value("x-delayed-type"), value("direct")}})}})},
        {"/exchanges/amq.x", 403},
        {"/exchanges/amq.default", 403},
        {"/exchanges/", 403},
        {"/exchanges/amq.direct", 204},
    };
    for (const auto& row : rows) {
      CAPTURE(std::string(row.target));
      CHECK(b.http("PUT", row.target, row.body).code == row.code);
    }
    CHECK(b.http("DELETE", "/exchanges/amq.direct").code == 403);
    CHECK(b.http("DELETE", "/exchanges/e%2F1").code == 204);
    CHECK(b.http("DELETE", "/exchanges/e%2F1").code == 204);
    CHECK(b.http("GET", "/exchanges/e").code == 405);
    CHECK_FALSE(b.nodes.exchanges().find("e/1"));
  });
}

TEST_CASE("http: bindings are made, listed and removed, those with arguments by their location") {
  on_each_shape([](world& w) {
    bureau b(w);
    b.http("PUT", "/queues/q");
    b.http("PUT", "/exchanges/e", fields({{value("type"), value("headers")}}));
    const map any{{value("x-match"), value("any")}, {value("colour"), value("red")}};
    CHECK(b.http("POST", "/bindings", binding_body("e", "q", "k;1")).code == 204);
    CHECK(b.http("POST", "/bindings", binding_body("e", "q", "k;1")).code == 204);
    CHECK(b.http("POST", "/bindings", binding_body("e", "q", "k;1", any)).code == 204);
    CHECK(b.http("POST", "/bindings", binding_body("e", "q", "other")).code == 204);
    CHECK(listed(b, "src=e&dstq=q").size() == 3);
    CHECK(listed(b, "src=e&dstq=q&key=").empty());
    const list two = listed(b, "src=e&dstq=q&key=k%3B1");
    REQUIRE(two.size() == 2);
    std::string location;
    for (const value& item : two) {
      const map m = item.to<map>().value_or(map{});
      CHECK(m.get<std::string>("source") == "e");
      CHECK(m.get<std::string>("destination_queue") == "q");
      CHECK(m.get<std::string>("binding_key") == "k;1");
      if (m.get<map>("arguments") == any) location = *m.get<std::string>("location");
    }
    CHECK(location.starts_with("/bindings/src=e;dstq=q;key=k%3B1;args="));
    CHECK(b.http("DELETE", location).code == 204);
    CHECK(listed(b, "src=e&dstq=q&key=k%3B1").size() == 1);
    CHECK(b.http("DELETE", location).code == 204);  // it is not there any more
    CHECK(listed(b, "src=e&dstq=q").size() == 2);
    CHECK(b.http("DELETE", "/bindings/src=e;dstq=q;key=k%3B1;args=").code == 204);
    CHECK(listed(b, "src=e&dstq=q").size() == 1);
    b.http("DELETE", "/queues/q");
    CHECK(b.nodes.exchanges().binding_count() == 0);
  });
}

TEST_CASE("http: what cannot be bound is answered with its code") {
  world w({.workers = 1});
  w.start();
  bureau b(w);
  b.http("PUT", "/queues/q");
  const value exchanges = fields({{value("source"), value("amq.topic")},
                                  {value("destination_exchange"), value("amq.fanout")},
                                  {value("binding_key"), value("#")}});
  CHECK(b.http("POST", "/bindings", exchanges).code == 204);
  CHECK(listed(b, "src=amq.topic&dste=amq.fanout&key=%23").size() == 1);
  CHECK(b.http("POST", "/bindings", binding_body("absent", "q", "")).code == 404);
  CHECK(b.http("POST", "/bindings", binding_body("amq.direct", "absent", "")).code == 404);
  CHECK(b.http("POST", "/bindings", binding_body("", "q", "")).code == 403);
  CHECK(b.http("POST", "/bindings", fields({{value("nonsense"), value(1.0)}})).code == 400);
  CHECK(b.http("POST", "/bindings").code == 400);
  CHECK(b.http("GET", "/bindings").code == 400);
  CHECK(b.http("DELETE", "/bindings/src=e").code == 400);
  permissions p;
  p.configure = {"q"};
  b.allowed = p;
  CHECK(b.http("PUT", "/exchanges/e").code == 403);
  CHECK(b.http("DELETE", "/exchanges/e").code == 403);
  CHECK(b.http("POST", "/bindings", binding_body("amq.direct", "q", "")).code == 403);
}

TEST_CASE("entities: exchanges and bindings are created, queried and deleted") {
  on_each_shape([](world& w) {
    bureau b(w);
    b.http("PUT", "/queues/q");
    const auto exchange = management::exchange_entity;
    const auto bound = management::binding_entity;
    const value body = fields({{value("exchange_type"), value("fanout")},
                               {value("arguments"), fields({{value("alternate-exchange"),
                                                             value("amq.direct")}})}});
    CHECK(b.entity(entity_call("CREATE", exchange, "e", body)).code == 201);
    CHECK(b.entity(entity_call("CREATE", exchange, "e", body)).code == 200);
    const map read = b.entity(entity_call("READ", exchange, "e")).body.to<map>().value_or(map{});
    CHECK(read.get<std::string>("exchange_type") == "fanout");
    CHECK(read.get<map>("arguments")->get<std::string>("alternate-exchange") == "amq.direct");
    CHECK(b.entity(entity_call("READ", exchange, "absent")).code == 404);
    const value ends = fields({{value("source"), value("e")},
                               {value("destination"), value("q")},
                               {value("destination_type"), value("queue")},
                               {value("binding_key"), value("k")}});
    CHECK(b.entity(entity_call("CREATE", bound, "", ends)).code == 201);
    CHECK(b.entity(entity_call("CREATE", bound, "", ends)).code == 200);
    auto query = entity_call("QUERY", "org.amqp.management", "self");
    query.entity_type = bound;
    query.body = fields({{value("attributeNames"), value(list{value("source"), value("type"),
                                                              value("binding_key")})}});
    CHECK(b.entity(query).body.to<map>()->get<list>("results") ==
          list{value(list{value("e"), value(bound), value("k")})});
    query.entity_type = exchange;
    query.count = 2;
    query.body = fields({{value("attributeNames"), value(list{value("name")})}});
    const map page = b.entity(query).body.to<map>().value_or(map{});
    CHECK(page.get<list>("results") ==
          list{value(list{value("amq.direct")}), value(list{value("amq.fanout")})});
    CHECK(page.get<bool>("more") == true);
    CHECK(b.entity(entity_call("DELETE", bound, "", ends)).code == 204);
    CHECK(b.nodes.exchanges().binding_count() == 0);
    CHECK(b.entity(entity_call("DELETE", exchange, "e")).code == 204);
    CHECK(b.entity(entity_call("UPDATE", exchange, "e")).code == 501);
    CHECK(b.entity(entity_call("READ", bound, "", ends)).code == 501);
    CHECK(b.entity(entity_call("CREATE", bound, "", value("text"))).code == 400);
  });
}
