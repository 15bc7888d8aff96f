// SPDX-License-Identifier: Apache-2.0
// URLs of brokers: what is read from them, what is refused.
#include <array>
#include <string>

#include <doctest/doctest.h>

#include "whimbrel/client.hpp"

using namespace whimbrel::client;

TEST_CASE("url: each part is found, and has a default") {
  struct row {
    const char* text = "";
    broker_url is = {};
  };
  const std::array rows = {
      row{"", {}},
      row{"amqp://", {}},
      row{"amqp://h", {.host = "h"}},
      row{"h", {.host = "h"}},
      row{"h:1", {.host = "h", .port = "1"}},
      row{":7", {.port = "7"}},
      row{"amqp://h:5/q", {.host = "h", .port = "5", .address = "q"}},
      row{"amqp://h//queues/a%2Fb", {.host = "h", .address = "/queues/a%2Fb"}},
      row{"amqp://u@h", {.host = "h", .user = "u"}},
      row{"amqp://u:p@h:9/q", {.host = "h", .port = "9", .user = "u", .password = "p",
                               .address = "q"}},
      row{"amqp://a%40b:c%3a%2Fd@h", {.host = "h", .user = "a@b", .password = "c:/d"}},
      row{"amqp://[::1]", {.host = "::1"}},
      row{"amqp://[::1]:99/x", {.host = "::1", .port = "99", .address = "x"}},
      row{"amqp:///q", {.address = "q"}},
      row{"amqp://h/q@r:s", {.host = "h", .address = "q@r:s"}},
      row{"amqps://h", {.host = "h", .port = "5671", .tls = true}},
      row{"amqps://u:p@h:9/q", {.host = "h", .port = "9", .user = "u", .password = "p",
                                .address = "q", .tls = true}},
  };
  for (const row& each : rows) {
    CAPTURE(each.text);
    CHECK(parse_broker_url(each.text) == each.is);
  }
}

TEST_CASE("url: what is none is refused, without telling the password") {
  for (const char* text :
       {"http://h", "amqpss://u:secret@h", "amqp://h:port", "amqp://h:0", "amqp://h:65536",
        "amqp://h:", "amqp://[::1", "amqp://[::1]x", "amqp://::1", "amqp://u:secret%2@h:1",
        "amqp://u:secret@h:x/q"}) {
    CAPTURE(text);
    try {
      const broker_url read = parse_broker_url(text);
      FAIL_CHECK("taken, host " << read.host);
    } catch (const error& e) {
      CHECK(e.scope() == error_scope::usage);
      CHECK(std::string(e.what()).find("secret") == std::string::npos);
    }
  }
}
