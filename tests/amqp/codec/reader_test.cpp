// SPDX-License-Identifier: Apache-2.0
// The cursor itself: nothing is read beyond the end, and a read that fails moves nothing.
#include <doctest/doctest.h>

#include <cstdint>

#include "amqp/codec/reader.hpp"
#include "tests/support/hex.hpp"

namespace whimbrel::amqp::codec {
namespace {

TEST_CASE("reader: one octet more than there is is refused by every read") {
  const auto octets = test::hex("01 02 03");
  reader r(octets);
  CHECK(r.take(4).has_error());
  CHECK(r.sub(4).has_error());
  CHECK(r.integer<std::uint32_t>().has_error());
  CHECK(r.offset() == 0);
  REQUIRE(r.sub(3).has_value());
  CHECK(r.remaining() == 0);
  CHECK(r.take(1).has_error());
  CHECK(r.sub(1).has_error());
  CHECK(r.integer<std::uint8_t>().has_error());
  CHECK(r.constructor().has_error());
  CHECK(r.take(0).has_value());
}

TEST_CASE("reader: what a sub-reader is given ends where it was told") {
  const auto octets = test::hex("01 02 03 04");
  reader r(octets);
  auto inner = r.sub(2);
  REQUIRE(inner.has_value());
  CHECK(inner->remaining() == 2);
  CHECK(inner->take(3).has_error());
  CHECK(inner->take(2).has_value());
  CHECK(r.offset() == 2);
  CHECK(r.remaining() == 2);
}

}  // namespace
}  // namespace whimbrel::amqp::codec
