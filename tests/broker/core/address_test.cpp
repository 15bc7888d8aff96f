// SPDX-License-Identifier: Apache-2.0
#include "broker/core/address.hpp"

#include <string>

#include <doctest/doctest.h>

using namespace whimbrel::broker::core;
using kind = address_kind;

TEST_CASE("address: every form names what it should") {
  const struct {
    std::string_view text;
    kind want;
    std::string name = {};
    bool canonical = false;
  } rows[] = {
      {"orders", kind::bare, "orders"},
      {"/orders", kind::bare, "/orders"},
      {"a/b/c", kind::bare, "a/b/c"},
      {"/queues/orders", kind::queue, "orders", true},
      {"/queues/a%2Fb%20c", kind::queue, "a/b c", true},
      {"/queues/%C3%A9", kind::queue, "\xc3\xa9", true},
      {"/queues/", kind::invalid},
      {"/queues/a/b", kind::invalid},
      {"/queues/%", kind::invalid},
      {"/queues/%4", kind::invalid},
      {"/queues/%4g", kind::invalid},
      {"/queues/%FF", kind::invalid},
      {"/exchanges/amq.direct", kind::exchange, "amq.direct", true},
      {"/exchanges/e/key", kind::exchange, "e", true},
      {"/exchanges//key", kind::invalid},
      {"/topics/t", kind::topic, "t", true},
      {"/streams/s", kind::stream, "s", true},
      {"queue://q", kind::queue, "q"},
      {"queue:q", kind::queue, "q"},
      {"queue:", kind::invalid},
      {"topic://t", kind::topic, "t"},
      {"topic:t", kind::topic, "t"},
      {"events::orders", kind::queue, "orders"},
      {"events::", kind::invalid},
      {"amqp://host/orders", kind::bare, "orders"},
      {"amqps://user@host:5671/orders", kind::bare, "orders"},
      {"amqp://host//orders", kind::bare, "orders"},
      {"amqp://host/queues/orders", kind::queue, "orders", true},
      {"amqp://host//queues/orders", kind::queue, "orders", true},
      {"amqp://host/queue://q", kind::queue, "q"},
      {"amqp://host", kind::invalid},
      {"amqp://host/", kind::invalid},
      {"", kind::invalid},
      {"%41", kind::bare, "%41"},
  };
  for (const auto& row : rows) {
    CAPTURE(std::string(row.text));
    const address a = parse_address(row.text);
    CHECK(a.kind == row.want);
    CHECK(a.name == row.name);
    CHECK(a.canonical == row.canonical);
    CHECK(a.problem.empty() == (row.want != kind::invalid));
  }
}

TEST_CASE("address: the path of an exchange may have a key, decoded like names") {
  CHECK_FALSE(parse_address("/exchanges/e").key.has_value());
  CHECK(parse_address("/exchanges/e/").key == "");
  CHECK(parse_address("/exchanges/e/a.%23").key == "a.#");
  CHECK(parse_address("/exchanges/a%2Fb/c%2Fd").name == "a/b");
  CHECK(parse_address("/exchanges/a%2Fb/c%2Fd").key == "c/d");
  for (const char* text : {"/exchanges/e/a/b", "/exchanges/e/%4", "/exchanges/e/%FF"}) {
    CAPTURE(std::string(text));
    CHECK(parse_address(text).kind == kind::invalid);
  }
}

TEST_CASE("address: the path of a queue reads back as its name") {
  for (const char* name : {"q", "a/b", "100%", "%41", "a b", "\xc3\xa9"}) {
    CAPTURE(std::string(name));
    const address a = parse_address(queue_path(name));
    CHECK(a.kind == kind::queue);
    CHECK(a.name == name);
  }
}

TEST_CASE("address: percent-decoding takes both cases of digits, and nothing else") {
  CHECK(percent_decoded("%2f%2F") == "//");
  CHECK(percent_decoded("plain+text") == "plain+text");
  CHECK_FALSE(percent_decoded("%2").has_value());
  CHECK_FALSE(percent_decoded("100%").has_value());
}
