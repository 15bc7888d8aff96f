// SPDX-License-Identifier: Apache-2.0
// The quick admission of usual messages against the two that it stands for.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "amqp/codec/codec.hpp"
#include "amqp/message/message.hpp"
#include "amqp/message/view.hpp"
#include "tests/support/hex.hpp"
#include "tests/support/random_amqp.hpp"

namespace whimbrel::amqp::message {
namespace {

using test::hex;
using test::to_hex;

TEST_CASE("scan_usual: takes what clients send every day") {
  const std::string rows[] = {
      "",                                              // nothing at all
      "0053 70 45 0053 75 a0 02 4142",                 // an empty header
      "0053 70 c0 02 01 41 0053 75 a0 02 4142",        // durable
      "0053 70 c0 0b 05 40 50 09 70 00000010 41 43 0053 75 b0 00000002 4142",
      "0053 70 c0 05 04 42 40 40 42 0053 73 c0 04 01 a1 01 61 0053 77 a1 01 62",
      "0053 71 c1 01 00 0053 72 c1 05 02 a3 01 6b 41 0053 74 c1 01 00 0053 77 43 0053 78 c1 01 00",
      "0053 76 c0 02 01 43",
  };
  for (const std::string& row : rows) {
    CAPTURE(row);
    const auto octets = hex(row);
    layout where;
    header_view header;
    REQUIRE(scan_usual(octets, where, header));
    const auto want = scan(octets);
    REQUIRE(want.has_value());
    CHECK(where == *want);
    CHECK(header == *read_header(std::span(octets).first(want->header_end)));
  }
}

TEST_CASE("scan_usual: leaves to the others what is rare") {
  const std::string rows[] = {
      "0080 0000000000000075 a0 01 41",                        // a long descriptor
      "0053 75 a0 01 41 0053 75 a0 01 42",                     // two data sections
      "0053 70 d0 00000005 00000001 41 0053 75 a0 01 41",      // a header in the long form
      "0053 70 c0 03 01 56 01 0053 75 a0 01 41",               // a boolean in two octets
      "0053 74 c1 07 02 a1 01 61 c0 01 00 0053 75 a0 01 41",   // a list inside a map
  };
  for (const std::string& row : rows) {
    CAPTURE(row);
    layout where;
    header_view header;
    CHECK_FALSE(scan_usual(hex(row), where, header));
    CHECK(scan(hex(row)).has_value());
  }
}

/// Whatever it passes, the others pass with the same result. True if it passed.
bool agrees(std::span<const std::byte> octets) {
  CAPTURE(to_hex(octets));
  layout where;
  header_view header;
  if (!scan_usual(octets, where, header)) return false;
  const auto want = scan(octets);
  REQUIRE(want.has_value());
  CHECK(where == *want);
  const auto want_header = read_header(octets.first(want->header_end));
  REQUIRE(want_header.has_value());
  CHECK(header == *want_header);
  return true;
}

message plain_message(test::random_source& random) {
  message m;
  if (random.one_in(2)) {
    spec::header h;
    test::randomise(random, h);
    if (random.one_in(2)) h.ttl.reset();
    m.header = h;
  }
  if (random.one_in(3)) m.message_annotations = codec::map{{symbol("x-a"), random.one_in(2)}};
  if (random.one_in(2)) {
    m.props().to = "queue";
    m.props().message_id = std::uint64_t{random.below(1000)};
  }
  if (random.one_in(3)) m.application_properties = codec::map{{"n", std::int32_t{-5}}};
  if (random.one_in(4)) {
    m.body = codec::value(std::string(random.below(400), 'v'));
  } else {
    m.body = std::vector<binary>{binary(std::string(random.below(400), 'd'))};
  }
  return m;
}

TEST_CASE("scan_usual: says what scan and read_header say, whole and damaged") {
  constexpr std::uint64_t seed = 815;
  CAPTURE(seed);
  test::random_source random(seed);
  std::size_t whole = 0;
  std::size_t damaged = 0;
  std::size_t left = 0;
  for (int round = 0; round < 500; ++round) {
    octet_buffer out;
    encode(out, plain_message(random));
    const std::vector<std::byte> octets(out.octets().begin(), out.octets().end());
    whole += agrees(octets) ? 1 : 0;
    for (int i = 0; i < 40; ++i) {
      std::vector<std::byte> other = octets;
      const std::size_t head = std::min<std::size_t>(other.size(), 60);
      other[random.below(head)] ^= static_cast<std::byte>(1u << random.below(8));
      if (random.one_in(4)) other.resize(random.below(other.size() + 1));
      ++(agrees(other) ? damaged : left);
    }
  }
  MESSAGE(whole, " whole and ", damaged, " damaged ones passed, ", left, " were left");
  CHECK(whole > 400);
  CHECK(damaged > 2'000);
  CHECK(left > 2'000);
}

}  // namespace
}  // namespace whimbrel::amqp::message
