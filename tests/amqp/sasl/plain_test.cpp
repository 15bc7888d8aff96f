// SPDX-License-Identifier: Apache-2.0
#include "amqp/sasl/plain.hpp"

#include <doctest/doctest.h>

#include "tests/support/hex.hpp"

using namespace whimbrel;
using namespace whimbrel::amqp::sasl;
using whimbrel::test::hex;

TEST_CASE("plain: identity, user and password are told apart by the two NULs") {
  const auto whole = hex("\"admin\" 00 \"ann\" 00 \"secret\"");
  const auto got = parse_plain(whole);
  REQUIRE(got.has_value());
  CHECK(got->authzid == "admin");
  CHECK(got->authcid == "ann");
  CHECK(got->passwd == "secret");
  CHECK(encode_plain(*got) == whole);
  const auto usual = hex("00 \"\xc3\xa4nn\" 00 \"p w\"");
  REQUIRE(parse_plain(usual).has_value());
  CHECK(parse_plain(usual)->authzid.empty());
  CHECK(parse_plain(usual)->authcid == "\xc3\xa4nn");
}

TEST_CASE("plain: what is not of that form is refused") {
  for (const char* bad :
       {"", "00", "00 00", "\"ann\"", "\"a\" 00 \"b\"", "00 00 \"pw\"", "00 \"ann\" 00",
        "00 \"ann\" 00 \"pw\" 00", "00 \"ann\" 00 \"p\" 00 \"w\"", "00 ff fe 00 \"pw\""}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_plain(hex(bad)).has_value());
  }
}
