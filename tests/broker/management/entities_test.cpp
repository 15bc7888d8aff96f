// SPDX-License-Identifier: Apache-2.0
// Operations of $management, and the messages of both dialects.
#include "broker/management/entities.hpp"

#include <string>

#include "broker/management/messages.hpp"
#include "tests/broker/management/bureau.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using amqp::codec::list;
using amqp::codec::map;
using amqp::codec::value;
using management::entity_request;

namespace {

entity_request on_queue(const char* operation, const char* name, value body = {}) {
  return entity_call(operation, "org.whimbrel.queue", name, std::move(body));
}

entity_request on_node(const char* operation) {
  return entity_call(operation, "org.amqp.management", "self");
}

value flag(const char* name, bool on) { return value(map{{value(name), value(on)}}); }

}  // namespace

TEST_CASE("entities: a queue is created, read, updated to what it is, and deleted") {
  on_each_shape([](world& w) {
    bureau b(w);
    auto r = b.entity(on_queue("CREATE", "q", flag("durable", true)));
    CHECK(r.code == 201);
    const auto fields = r.body.to<map>().value_or(map{});
    CHECK(fields.get<std::string>("name") == "q");
    CHECK(fields.get<std::string>("identity") == "q");
    CHECK(fields.get<std::string>("type") == "org.whimbrel.queue");
    CHECK(fields.get<bool>("durable") == true);
    CHECK(b.entity(on_queue("CREATE", "q")).code == 200);
    CHECK(b.entity(on_queue("CREATE", "q", flag("durable", false))).code == 409);
    CHECK(b.entity(on_queue("READ", "q")).body == value(fields));
    CHECK(b.entity(on_queue("UPDATE", "q", flag("durable", true))).code == 200);
    CHECK(b.entity(on_queue("UPDATE", "q", flag("durable", false))).text() ==
          "attribute 'durable' cannot be changed");
    CHECK(b.entity(on_queue("UPDATE", "q", flag("colour", true))).code == 400);
    CHECK(b.entity(on_queue("UPDATE", "q")).code == 400);
    CHECK(b.entity(on_queue("PURGE", "q")).code == 200);
    r = b.entity(on_queue("DELETE", "q"));
    CHECK(r.code == 204);
    CHECK(r.body == value(map{}));
    CHECK(b.entity(on_queue("READ", "q")).code == 404);
    CHECK(b.entity(on_queue("UPDATE", "q", flag("durable", true))).code == 404);
  });
}

TEST_CASE("entities: a deletion may ask that the queue be empty or unused") {
  world w({.workers = 3});
  w.start();
  bureau b(w);
  b.entity(on_queue("CREATE", "q"));
  CHECK(b.entity(on_queue("DELETE", "q", flag("if_empty", true))).code == 204);
}

TEST_CASE("entities: what is not known is refused with its code") {
  world w({.workers = 1});
  w.start();
  bureau b(w);
  auto r = on_queue("CREATE", "");
  CHECK(b.entity(r).code == 400);
  r = on_queue("READ", "q");
  r.type = "org.other.thing";
  CHECK(b.entity(r).code == 404);
  r.type = "";
  CHECK(b.entity(r).code == 400);
  CHECK(b.entity(on_queue("DANCE", "q")).code == 501);
  CHECK(b.entity(on_node("DANCE")).code == 501);
  auto q = on_node("QUERY");
  q.entity_type = "org.other.thing";
  CHECK(b.entity(q).code == 404);
}

TEST_CASE("entities: a query gives pages of the attributes that are asked for") {
  on_each_shape([](world& w) {
    bureau b(w);
    for (const char* name : {"c", "a", "b"}) b.entity(on_queue("CREATE", name));
    auto q = on_node("QUERY");
    q.entity_type = "org.whimbrel.queue";
    q.count = 2;
    q.body = value(map{{value("attributeNames"),
                        value(list{value("name"), value("message_count"), value("none")})}});
    auto r = b.entity(q);
    CHECK(r.code == 200);
    auto fields = r.body.to<map>().value_or(map{});
    CHECK(fields.get<list>("results") ==
          list{value(list{value("a"), value(std::uint64_t{0}), value()}),
               value(list{value("b"), value(std::uint64_t{0}), value()})});
    CHECK(fields.get<bool>("more") == true);
    q.offset = 2;
    q.body = {};
    fields = b.entity(q).body.to<map>().value_or(map{});
    CHECK(fields.get<list>("attributeNames")->size() == 14);
    CHECK(fields.get<list>("results")->size() == 1);
    CHECK_FALSE(fields.contains("more"));
    q.offset = 0;
    q.after = "b";
    CHECK(b.entity(q).body.to<map>()->get<list>("results")->size() == 1);
  });
}

TEST_CASE("entities: the node tells its types, their attributes and operations") {
  world w({.workers = 1});
  w.start();
  bureau b(w);
  for (const char* operation : {"GET-TYPES", "GET-ATTRIBUTES", "GET-OPERATIONS",
                                "GET-ANNOTATIONS"}) {
    CAPTURE(std::string(operation));
    const auto r = b.entity(on_node(operation));
    CHECK(r.code == 200);
    CHECK(r.body.to<map>()->contains("org.whimbrel.queue"));
  }
  CHECK(b.entity(on_node("GET-MGMT-NODES")).body == value(list{value("$management")}));
}

TEST_CASE("entities: a request's properties are read by type, whichever integer a peer takes") {
  map properties{{value("operation"), value("QUERY")},
                 {value("offset"), value(std::int32_t{3})},
                 {value("count"), value(std::uint64_t{7})},
                 {value("identity"), value("i")}};
  auto read = management::entity_request_from(properties, {});
  CHECK_FALSE(read.wrong.has_value());
  CHECK(read.request.offset == 3);
  CHECK(read.request.count == 7);
  CHECK(read.request.name == "i");
  properties.set(value("offset"), value(std::int32_t{-1}));
  CHECK(management::entity_request_from(properties, {}).wrong.has_value());
  CHECK(management::entity_request_from(map{{value("name"), value("q")}}, {}).wrong ==
        "`operation` is missing");
  CHECK(management::entity_request_from(map{{value("operation"), value(true)}}, {})
            .wrong.has_value());
}

TEST_CASE("management messages: responses carry code, text and the request's name") {
  amqp::message::message request;
  request.props().message_id = amqp::uuid{};
  request.props().correlation_id = std::string("mine");
  request.props().reply_to = "here";
  const auto http = management::respond(management::dialect::http, request,
                                        management::failure(404, "no queue"));
  CHECK(http.properties->subject == "404");
  CHECK(http.properties->correlation_id == request.properties->message_id);
  CHECK(http.application_properties->get<std::string>("http:response") == "1.1");
  CHECK(std::get<value>(http.body) == value("no queue"));
  const auto entity = management::respond(management::dialect::entity, request,
                                          management::failure(404, "no queue"));
  CHECK(entity.properties->to == "here");
  CHECK(entity.properties->correlation_id == request.properties->correlation_id);
  const map& p = *entity.application_properties;
  for (const char* key : {"statusCode", "status-code"}) CHECK(p.get<std::int32_t>(key) == 404);
  for (const char* key : {"statusDescription", "status-description"}) {
    CHECK(p.get<std::string>(key) == "no queue");
  }
  CHECK(std::get<value>(entity.body) == value(map{}));
}
