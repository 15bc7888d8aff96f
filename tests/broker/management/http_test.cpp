// SPDX-License-Identifier: Apache-2.0
// Paths, methods, codes and texts of /management.
#include "broker/management/http.hpp"

#include <string>

#include "tests/broker/management/bureau.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using amqp::codec::map;
using amqp::codec::value;
using management::parse_pairs;
using management::parse_target;

namespace {

value flags(const char* name, bool on) { return value(map{{value(name), value(on)}}); }
value arguments(map of) { return value(map{{value("arguments"), value(std::move(of))}}); }
value argument(const char* name, value v) { return arguments(map{{value(name), std::move(v)}}); }

std::string joined(const std::string& text) {
  const auto target = parse_target(text);
  if (!target) return "?";
  std::string out;
  for (const auto& s : target->segments) out += '[' + s + ']';
  for (const auto& [key, mapped] : target->query) out += key + '=' + mapped + ';';
  return out;
}

}  // namespace

TEST_CASE("http: a target is taken apart before its parts are decoded") {
  const struct {
    const char* text;
    const char* want;
  } rows[] = {
      {"/queues/q", "[queues][q]"},
      {"/queues/a%2Fb%3Fc%20d", "[queues][a/b?c d]"},
      {"/queues/%C3%A9/messages", "[queues][é][messages]"},
      {"/queues/é", "[queues][é]"},  // some clients leave letters as they are
      {"/bindings?src=a%26b&dstq=q&key=", "[bindings]dstq=q;key=;src=a&b;"},
      {"/queues/", "[queues][]"},
      {"queues/q", "[queues][q]"},
      {"", "[]"},
      {"/queues/%", "?"},
      {"/queues/%4", "?"},
      {"/queues/%zz", "?"},
      {"/queues/%C3", "?"},
      {"/bindings?src=%", "?"},
  };
  for (const auto& row : rows) {
    CAPTURE(std::string(row.text));
    CHECK(joined(row.text) == row.want);
  }
  const auto pairs = parse_pairs("src=e%3B;dstq=q;key=k%3D;args=", ';');
  REQUIRE(pairs.has_value());
  CHECK(pairs->at("src") == "e;");
  CHECK(pairs->at("key") == "k=");
  CHECK(pairs->at("args").empty());
}

TEST_CASE("http: a queue is declared, found equal, read, emptied and deleted") {
  on_each_shape([](world& w) {
    bureau b(w);
    auto r = b.http("PUT", "/queues/a%20b", flags("durable", true));
    CHECK(r.code == 201);
    const auto fields = r.body.to<map>().value_or(map{});
    CHECK(fields.get<std::string>("name") == "a b");
    CHECK(fields.get<std::string>("vhost") == "/");
    CHECK(fields.get<bool>("durable") == true);
    CHECK(fields.get<bool>("exclusive") == false);
    CHECK(fields.get<bool>("auto_delete") == false);
    CHECK(fields.get<std::string>("type") == "classic");
    CHECK(fields.get<std::uint64_t>("message_count") == 0);
    CHECK(fields.get<std::uint32_t>("consumer_count") == 0);
    CHECK(fields.get<std::string>("leader") == "node");
    const auto replicas = fields.get<amqp::codec::array>("replicas");
    REQUIRE(replicas.has_value());
    CHECK(replicas->to_vector<std::string>() == std::vector<std::string>{"node"});
    CHECK(b.http("PUT", "/queues/a%20b").code == 200);
    CHECK(b.http("GET", "/queues/a%20b").code == 200);
    r = b.http("DELETE", "/queues/a%20b/messages");
    CHECK(r.code == 200);
    CHECK(r.body.to<map>()->get<std::uint64_t>("message_count") == 0);
    CHECK(b.http("DELETE", "/queues/a%20b").code == 200);
    CHECK(b.nodes.size() == 0);
  });
}

TEST_CASE("http: what cannot be done is answered with its code and a text") {
  world w({.workers = 1});
  w.start();
  bureau b(w, permissions::all(), 2);
  REQUIRE(b.http("PUT", "/queues/q").code == 201);
  REQUIRE(b.http("PUT", "/queues/mine", flags("exclusive", true), 7).code == 201);
  CHECK(b.owned == "mine ");
  const struct {
    const char* method;
    const char* target;
    int code;
    const char* text;
    value body = {};
  } rows[] = {
      {"GET", "/queues/x", 404, "no queue 'x' in vhost '/'"},
      {"DELETE", "/queues/x", 404, "no queue 'x' in vhost '/'"},
      {"DELETE", "/queues/x/messages", 404, "no queue 'x' in vhost '/'"},
      {"PUT", "/queues/q", 409,
       "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but current is "
       "'true'",
       flags("durable", false)},
      {"PUT", "/queues/q", 409,
       "inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received 'quorum' but current "
       "is 'none'",
       argument("x-queue-type", value("quorum"))},
      {"PUT", "/queues/z", 403,
       "cannot declare queue 'z' in vhost '/': there are as many queues as queues-max allows"},
      {"PUT", "/queues/amq.x", 403, "queue 'amq.x' in vhost '/' starts with a prefix that is "
                                    "reserved"},
      {"PUT", "/queues/", 400, "the name of a queue is empty"},
      {"PUT", "/queues/mine", 400,
       "cannot obtain exclusive access to locked queue 'mine' in vhost '/': it belongs to another "
       "connection", flags("exclusive", true)},
      {"PUT", "/queues/z", 400, "unknown key 'x' in the declaration of a queue", flags("x", true)},
      {"PUT", "/queues/q", 409,
       "inequivalent arg 'auto_delete' for queue 'q' in vhost '/': received 'true' but current is "
       "'false'",
       flags("auto_delete", true)},
      {"PUT", "/queues/z", 400, "'durable' is not a boolean",
       value(map{{value("durable"), value("yes")}})},
      {"PUT", "/queues/z", 400, "the body is not a map", value("text")},
      {"PUT", "/queues/z", 400, "argument 'x-max-age' is not supported by this version",
       argument("x-max-age", value("5D"))},
      {"PUT", "/queues/z", 400, "argument 'max-length' must be a whole number from 1 to "
                                "1099511627776",
       argument("x-max-length", value(std::int32_t{0}))},
      {"PUT", "/queues/z", 400, "argument 'dead-letter-routing-key' needs dead-letter-exchange",
       argument("x-dead-letter-routing-key", value("k"))},
      {"PUT", "/queues/z", 400, "queues of type 'stream' are not supported by this version",
       argument("x-queue-type", value("stream"))},
      {"POST", "/queues/q", 405, "method 'POST' does not apply to '/queues/q'"},
      {"GET", "/queues/q/messages", 405, "method 'GET' does not apply to '/queues/q/messages'"},
      {"GET", "/nowhere", 404, "nothing is managed at '/nowhere'"},
      {"GET", "/queues/%zz", 400, "'/queues/%zz' is not a path in percent-encoded UTF-8"},
  };
  for (const auto& row : rows) {
    CAPTURE(std::string(row.method));
    CAPTURE(std::string(row.target));
    const auto r = b.http(row.method, row.target, row.body);
    CHECK(r.code == row.code);
    CHECK(r.text() == row.text);
  }
  CHECK(b.nodes.size() == 2);
}

TEST_CASE("http: an argument that is not known is refused, with those that are") {
  world w({.workers = 1});
  w.start();
  bureau b(w);
  const auto r = b.http("PUT", "/queues/z", argument("x-nonsense", value(true)));
  CHECK(r.code == 400);
  CHECK(r.text().starts_with("argument 'x-nonsense' is not known; there are message-ttl, "));
}

TEST_CASE("http: arguments of a queue do something, and compare by what they mean") {
  on_each_shape([](world& w) {
    bureau b(w);
    const map declared{{value("x-max-length"), value(std::int32_t{2})},
                       {value("x-overflow"), value("reject-publish")}};
    auto r = b.http("PUT", "/queues/q", arguments(declared));
    CHECK(r.code == 201);
    CHECK(r.body.to<map>()->get<map>("arguments") == declared);
    CHECK(b.http("PUT", "/queues/q", arguments(declared)).code == 200);
    const value same = arguments(map{{value("overflow"), value("reject")},
                                     {value("max-length"), value(std::uint64_t{2})}});
    CHECK(b.http("PUT", "/queues/q", same).code == 200);
    r = b.http("PUT", "/queues/q", arguments(map{{value("max-length"), value(std::uint64_t{3})},
                                                 {value("overflow"), value("reject")}}));
    CHECK(r.code == 409);
    CHECK(r.text() == "inequivalent arg 'max-length' for queue 'q' in vhost '/': received '3' but "
                      "current is '2'");
    r = b.http("PUT", "/queues/q");
    CHECK(r.code == 409);
    CHECK(r.text() == "inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received 'none' "
                      "but current is '2'");
  });
}

TEST_CASE("http: the type classic is the default, and text may come as symbol") {
  world w({.workers = 1});
  w.start();
  bureau b(w);
  CHECK(b.http("PUT", "/queues/c", argument("x-queue-type", value("classic"))).code == 201);
  CHECK(b.http("PUT", "/queues/c").code == 200);
  const map by_symbol{{value(amqp::symbol("x-queue-type")), value(amqp::symbol("quorum"))}};
  auto r = b.http("PUT", "/queues/q", arguments(by_symbol));
  CHECK(r.code == 201);
  CHECK(r.body.to<map>()->get<std::string>("type") == "quorum");
  CHECK(b.http("PUT", "/queues/q", argument("x-queue-type", value("quorum"))).code == 200);
}

TEST_CASE("http: permissions decide what may be done, and what is there at all") {
  world w({.workers = 1});
  w.start();
  permissions p;
  p.configure = {"mine.*"};
  p.receive = {"read.*"};
  p.send = {"write.*"};
  bureau b(w, p);
  for (const char* name : {"mine.a", "read.a", "write.a", "other"}) {
    b.nodes.declare(name, true);
  }
  w.settle_down();
  const struct {
    const char* method;
    const char* target;
    int code;
  } rows[] = {
      {"PUT", "/queues/mine.b", 201},  {"PUT", "/queues/read.b", 403},
      {"GET", "/queues/read.a", 200},  {"GET", "/queues/write.a", 200},
      {"GET", "/queues/other", 404},   {"DELETE", "/queues/other", 404},
      {"DELETE", "/queues/read.a", 403}, {"DELETE", "/queues/read.a/messages", 200},
      {"DELETE", "/queues/write.a/messages", 403}, {"DELETE", "/queues/mine.a", 200},
  };
  for (const auto& row : rows) {
    CAPTURE(std::string(row.method));
    CAPTURE(std::string(row.target));
    CHECK(b.http(row.method, row.target).code == row.code);
  }
}
