// SPDX-License-Identifier: Apache-2.0
#include "amqp/frame/header.hpp"

#include <doctest/doctest.h>

#include "tests/support/hex.hpp"

using namespace whimbrel;
using namespace whimbrel::amqp::frame;
using whimbrel::test::hex;

TEST_CASE("protocol_header: goes out as the eight octets of the standard") {
  const auto plain = encode(protocol_header(protocol::amqp));
  CHECK(std::vector<std::byte>(plain.begin(), plain.end()) == hex("\"AMQP\" 00 01 00 00"));
  const auto sasl = encode(protocol_header(protocol::sasl));
  CHECK(std::vector<std::byte>(sasl.begin(), sasl.end()) == hex("\"AMQP\" 03 01 00 00"));
  CHECK(to_text(protocol_header(3, 1, 2, 4)) == "AMQP 3 1.2.4");
}

TEST_CASE("protocol_header: any version is read, anything else is not") {
  CHECK(parse_protocol_header(hex("\"AMQP\" 02 00 09 01")) == protocol_header(2, 0, 9, 1));
  for (const char* other : {"\"amqp\" 00 01 00 00", "\"HTTP/1.1\"", "00 00 00 00 00 00 00 00",
                            "\"AMQP\" 00 01 00", "\"AMQQ\" 00 01 00 00", ""}) {
    CAPTURE(other);
    CHECK_FALSE(parse_protocol_header(hex(other)).has_value());
  }
}
