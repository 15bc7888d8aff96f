// SPDX-License-Identifier: Apache-2.0
#include "amqp/sasl/base64.hpp"

#include <random>

#include <doctest/doctest.h>

using namespace whimbrel::amqp::sasl;

TEST_CASE("base64: the vectors of RFC 4648, both ways") {
  struct {
    std::string_view plain, text;
  } const rows[] = {{"", ""},         {"f", "Zg=="},         {"fo", "Zm8="},
                    {"foo", "Zm9v"},  {"foob", "Zm9vYg=="},  {"fooba", "Zm9vYmE="},
                    {"foobar", "Zm9vYmFy"}};
  for (const auto& row : rows) {
    CAPTURE(row.plain);
    const std::vector<std::uint8_t> octets(row.plain.begin(), row.plain.end());
    CHECK(to_base64(octets) == row.text);
    const auto back = from_base64(row.text);
    REQUIRE(back.has_value());
    CHECK(*back == octets);
  }
}

TEST_CASE("base64: a text that is not the one of its octets is refused") {
  for (const char* bad :
       {"=", "==", "====", "Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm8", "Z===", "Zg==Zg==",
        "Zm 9", "Zm9v\n", "Zm9v====", "Zm-_", "=Zm9", "Z=g="}) {
    CAPTURE(bad);
    CHECK_FALSE(from_base64(bad).has_value());
  }
}

TEST_CASE("base64: random octets of every length come back") {
  const std::uint32_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (std::size_t size = 0; size < 200; ++size) {
    std::vector<std::uint8_t> octets(size);
    for (auto& octet : octets) octet = static_cast<std::uint8_t>(random());
    const auto back = from_base64(to_base64(octets));
    REQUIRE(back.has_value());
    CHECK(*back == octets);
  }
}
