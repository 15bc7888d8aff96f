// SPDX-License-Identifier: Apache-2.0
// Composites: exact octets, malice, truncation, round trips of random values, and their text.
#include <doctest/doctest.h>

#include "amqp/base/limits.hpp"
#include "amqp/codec/codec.hpp"
#include "amqp/spec/catalogue.hpp"
#include "amqp/spec/security.hpp"
#include "amqp/spec/transactions.hpp"
#include "amqp/spec/transport.hpp"
#include "tests/support/hex.hpp"
#include "tests/support/random_amqp.hpp"

namespace whimbrel::amqp::spec {
namespace {

using test::hex;
using test::to_hex;

template <class T>
std::string hex_of(const T& v) {
  return to_hex(codec::to_raw(v).octets());
}

TEST_CASE("open: survives a round trip and leaves defaults out") {
  const open sent{.container_id = "a", .max_frame_size = 512};
  CHECK(hex_of(sent) == to_hex(hex("00 53 10 c0 0a 03 a1 01 61 40 70 00000200")));
  CHECK(*codec::decode<open>(codec::to_raw(sent).octets()) == sent);
  CHECK(codec::to_text(sent) == R"(open(container-id="a",max-frame-size=512))");
}

TEST_CASE("composites: exact octets, and what is not said is not sent") {
  CHECK(hex_of(accepted{}) == "00 53 24 45");
  CHECK(hex_of(close{}) == "00 53 18 45");
  CHECK(hex_of(header{}) == "00 53 70 45");
  CHECK(hex_of(modified{.delivery_failed = true}) == "00 53 27 c0 02 01 41");
  CHECK(hex_of(detach{.handle = 3, .closed = true}) == "00 53 16 c0 04 02 52 03 41");
  CHECK(hex_of(coordinator{.capabilities = {"amqp:local-transactions"}}) ==
        to_hex(hex("00 53 30 c0 1a 01 a3 17 \"amqp:local-transactions\"")));
  CHECK(hex_of(sasl_mechanisms{.sasl_server_mechanisms = {"PLAIN", "ANONYMOUS"}}) ==
        to_hex(hex("00 53 40 c0 15 01 e0 12 02 a3 05 \"PLAIN\" 09 \"ANONYMOUS\"")));
  CHECK(hex_of(sasl_mechanisms{}) == to_hex(hex("00 53 40 c0 05 01 e0 02 00 a3")));
  CHECK(hex_of(sasl_outcome{.code = sasl_code::auth}) == "00 53 44 c0 03 01 50 01");
  CHECK(hex_of(begin{.remote_channel = 1, .next_outgoing_id = 0xfffffffc}) ==
        to_hex(hex("00 53 11 c0 0b 04 60 0001 70 fffffffc 43 43")));
  CHECK(hex_of(discharge{.txn_id = binary("t"), .fail = false}) ==
        to_hex(hex("00 53 32 c0 05 02 a0 01 74 42")));
}

TEST_CASE("composites: more than 255 octets of fields go into a list32") {
  const open sent{.container_id = std::string(300, 'c')};
  const codec::raw octets = codec::to_raw(sent);
  CHECK(to_hex(octets.octets().first(12)) == "00 53 10 d0 00 00 01 35 00 00 00 01");
  CHECK(*codec::decode<open>(octets.octets()) == sent);

  // A composite inside another that outgrows list8 after its own head has been written.
  attach outer{.name = "l", .source = source{.address = std::string(251, 'a')}};
  for (std::size_t size = 200; size < 300; ++size) {
    CAPTURE(size);
    outer.source->address = std::string(size, 'a');
    CHECK(*codec::decode<attach>(codec::to_raw(outer).octets()) == outer);
  }
}

TEST_CASE("composites: descriptor by number in each width and by symbol, list in each width") {
  for (const std::string_view head :
       {"00 53 24", "00 80 0000000000000024", "00 a3 12 \"amqp:accepted:list\"",
        "00 b3 00000012 \"amqp:accepted:list\""}) {
    for (const std::string_view list : {"45", "c0 01 00", "d0 00000004 00000000"}) {
      CAPTURE(head);
      CAPTURE(list);
      const auto octets = hex(std::string(head) + std::string(list));
      CHECK(codec::decode<accepted>(octets).has_value());
      CHECK(*codec::descriptor_of(octets) == 0x24);
      CHECK(codec::decode<released>(octets).error().fault == decode_fault::bad_descriptor);
    }
  }
  CHECK(*codec::descriptor_of(codec::to_raw(released{})) == 0x26);
  CHECK(codec::descriptor_of(hex("44")).error().fault == decode_fault::bad_format_code);
  CHECK(codec::descriptor_of(hex("00")).error().fault == decode_fault::truncated);
  CHECK(codec::descriptor_of(hex("00 a3 01 78")).error().fault == decode_fault::bad_descriptor);
  CHECK(codec::descriptor_of(hex("00 a1 01 78")).error().fault == decode_fault::bad_descriptor);
  CHECK(*codec::descriptor_of(hex("00 44 45")) == 0);
}

TEST_CASE("composites: a peer's malformed list is an error that names the field, never a crash") {
  struct {
    std::string_view what, octets;
    decode_fault want;
    std::string_view field;
    std::uint32_t offset;
  } const rows[] = {
      {"no container-id", "45", decode_fault::missing_mandatory, "container-id", 4},
      {"null container-id", "c0 02 01 40", decode_fault::missing_mandatory, "container-id", 7},
      {"container-id is a symbol", "c0 04 01 a3 01 61", decode_fault::bad_format_code,
       "container-id", 6},
      {"size runs past the frame", "c0 09 01 a1 01 61", decode_fault::bad_length, "", 5},
      {"count exceeds the octets", "c0 02 ff 40", decode_fault::bad_length, "", 6},
      {"an unlisted eleventh field", "c0 0d 0b a1 01 61 40 40 40 40 40 40 40 40 40 40",
       decode_fault::bad_length, "", 6},
      {"string runs past the list", "c0 04 01 a1 05 61", decode_fault::truncated, "container-id",
       8},
      {"octets behind the fields", "c0 06 01 a1 01 61 40 40", decode_fault::bad_length, "", 9},
      {"octets behind the list", "c0 04 01 a1 01 61 40", decode_fault::bad_length, "", 9},
      {"not a list", "c1 01 00", decode_fault::bad_format_code, "", 3},
      {"frame size is a ulong", "c0 06 03 a1 01 61 40 44", decode_fault::bad_format_code,
       "max-frame-size", 10},
      {"capabilities of strings", "c0 10 08 a1 01 61 40 40 40 40 40 40 e0 04 01 a1 01 61",
       decode_fault::bad_format_code, "offered-capabilities", 15},
      {"properties with a key twice",
       "c0 17 0a a1 01 61 40 40 40 40 40 40 40 40 c1 09 04 a3 01 61 40 a3 01 61 40",
       decode_fault::bad_value, "properties", 28},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    const auto got = codec::decode<open>(hex("00 53 10 " + std::string(row.octets)));
    REQUIRE(got.has_error());
    CHECK(to_text(got.error()) == to_text(decode_error{row.want, row.offset, row.field}));
  }
}

TEST_CASE("composites: a choice that is not listed is a bad value of its field") {
  const auto attach_of = [](std::string_view fields) {
    auto body = hex("00 53 12 c0 00 00 a1 01 61 43" + std::string(fields));
    body[4] = static_cast<std::byte>(body.size() - 5);
    body[5] = std::byte{5};
    return codec::decode<attach>(body);
  };
  CHECK(attach_of("41 50 02 50 01").has_value());
  CHECK(attach_of("41 50 03 50 01").error().fault == decode_fault::bad_value);
  CHECK(attach_of("41 50 03 50 01").error().field == "snd-settle-mode");
  CHECK(attach_of("41 50 00 50 02").error().field == "rcv-settle-mode");
  CHECK(attach_of("54 00 50 00 50 00").error().field == "role");
  CHECK(codec::decode<sasl_outcome>(hex("00 53 44 c0 03 01 50 05")).error().field == "code");
  CHECK(codec::decode<target>(hex("00 53 29 c0 04 02 40 52 03")).error().field == "durable");
}

TEST_CASE("composites: peers' liberties are taken as they are meant") {
  // One symbol for a multiple field, and an empty array of any type for none.
  CHECK(codec::decode<coordinator>(hex("00 53 30 c0 04 01 a3 01 78"))->capabilities ==
        codec::multiple<symbol>{"x"});
  CHECK(codec::decode<coordinator>(hex("00 53 30 c0 05 01 e0 02 00 a3"))->capabilities.empty());
  CHECK(codec::decode<coordinator>(hex("00 53 30 c0 05 01 e0 02 00 40"))->capabilities.empty());
  CHECK(codec::decode<coordinator>(hex("00 53 30 c0 0d 01 f0 00000007 00000001 b3 00000000"))
            .has_error());
  CHECK(codec::decode<coordinator>(hex("00 53 30 c0 0f 01 f0 00000009 00000001 b3 00000000"))
            ->capabilities.size() == 1);
  // An expiry policy that is none.
  const auto got = codec::decode<source>(hex("00 53 28 c0 10 03 40 40 a3 0b \"LINK_DETACH\""));
  REQUIRE(got.has_value());
  CHECK(got->expiry_policy == "LINK_DETACH");
  // Elements of no width cannot make a multiple field large, nor can tiny ones.
  CHECK(
      codec::decode<coordinator>(hex("00 53 30 c0 0b 01 f0 00000005 ffffffff 41")).error().fault ==
      decode_fault::bad_format_code);
  std::vector<symbol> many(limits::multiple_values_max);
  CHECK(codec::from_raw<coordinator>(
            codec::to_raw(coordinator{.capabilities = codec::multiple<symbol>(many)}))
            .has_value());
  many.emplace_back();
  CHECK(codec::from_raw<coordinator>(
            codec::to_raw(coordinator{.capabilities = codec::multiple<symbol>(many)}))
            .error()
            .fault == decode_fault::limit_exceeded);
}

TEST_CASE("message-id: has four types, and others are refused") {
  const auto round_trip = [](const message_id& id) {
    properties p;
    p.message_id = id;
    const auto got = codec::from_raw<properties>(codec::to_raw(p));
    REQUIRE(got.has_value());
    CHECK(got->message_id == id);
    return codec::to_text(*got);
  };
  CHECK(round_trip(std::uint64_t{7}) == "properties(message-id=7)");
  CHECK(round_trip(binary("x")) == "properties(message-id=x\"78\")");
  CHECK(round_trip(std::string("x")) == "properties(message-id=\"x\")");
  CHECK(round_trip(uuid{}) == "properties(message-id=00000000-0000-0000-0000-000000000000)");
  CHECK(codec::decode<properties>(hex("00 53 73 c0 04 01 a3 01 78")).error().field == "message-id");
  CHECK(codec::decode<properties>(hex("00 53 73 c0 02 01 43")).error().field == "message-id");
  CHECK(codec::decode<message_id>({}).error().fault == decode_fault::truncated);
}

/// Every check of one composite with random fields.
template <class T>
void check_random(test::random_source& random, std::size_t& non_empty) {
  for (int round = 0; round < 6; ++round) {
    T sent{};
    codec::each_field<T>([&]([[maybe_unused]] const auto& f, std::size_t) {
      const bool is_given = f.need == codec::presence::mandatory || random.one_in(2);
      if (is_given) test::randomise(random, sent.*f.member);
      return true;
    });
    codec::raw octets = codec::to_raw(sent);
    CAPTURE(to_hex(octets.octets()));
    const auto got = codec::from_raw<T>(octets);
    REQUIRE(got.has_value());
    CHECK(*got == sent);
    CHECK(codec::to_raw(*got) == octets);
    CHECK(*codec::descriptor_of(octets) == T::type.code);
    CHECK(frame_text(octets.octets()) == codec::to_text(sent));
    if (octets.octets().size() > 4) ++non_empty;

    for (std::size_t n = 0; n < octets.octets().size(); ++n) {
      const auto cut = octets.octets().first(n);
      if (codec::decode<T>(cut).has_value()) FAIL_CHECK("cut at " << n << " and still a value");
    }
    std::vector<std::byte> flipped(octets.octets().begin(), octets.octets().end());
    const std::size_t step = 1 + flipped.size() / 64;  // all bits of the small ones
    for (std::size_t bit = 0; bit < flipped.size() * 8; bit += step) {
      flipped[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
      const auto other = codec::decode<T>(flipped);
      if (other.has_value()) {
        const auto again = codec::from_raw<T>(codec::to_raw(*other));
        if (again.has_error()) FAIL_CHECK("what was decoded does not survive encoding");
      }
      static_cast<void>(frame_text(flipped));
      flipped[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    }
  }
}

template <class... T>
void check_all_random(test::random_source& random, std::size_t& non_empty) {
  (check_random<T>(random, non_empty), ...);
}

TEST_CASE("composites: random ones survive the wire, and their damaged octets do no harm") {
  constexpr std::uint64_t seed = 20240611;
  CAPTURE(seed);
  test::random_source random(seed);
  std::size_t non_empty = 0;
  check_all_random<open, begin, attach, flow, transfer, disposition, detach, end, close, error,
                   header, properties, received, accepted, rejected, released, modified, source,
                   target, delete_on_close, coordinator, declare, discharge, declared,
                   transactional_state, sasl_mechanisms, sasl_init, sasl_challenge, sasl_response,
                   sasl_outcome>(random, non_empty);
  CHECK(non_empty > 120);
}

TEST_CASE("frame_text: says what is there, hides credentials, and never fails") {
  CHECK(frame_text({}) == "(empty)");
  CHECK(frame_text(hex("00 53 18 45")) == "close()");
  CHECK(frame_text(hex("00 53 14 c0 02 01 43 01 02 03")) == "transfer(handle=0) + 3 octets");
  CHECK(frame_text(hex("00 53 7f 45")) == "descriptor 127 + 1 octets");
  CHECK(frame_text(hex("45")) == "frame(cannot be decoded: bad-format-code at octet 0 of 1)");
  CHECK(frame_text(hex("00 53 10 45")) ==
        "open(cannot be decoded: missing-mandatory at octet 4 in field container-id of 4)");
  const sasl_init login{.mechanism = "PLAIN", .initial_response = binary("\0user\0secret")};
  const std::string text = frame_text(codec::to_raw(login).octets());
  CHECK(text == "sasl-init(mechanism=:PLAIN,initial-response=(secret))");
  const attach full{.name = "l",
                    .role = role::receiver,
                    .source = source{.address = "q", .capabilities = {"queue", "shared"}},
                    .target = codec::to_raw(target{.address = "r"})};
  CHECK(
      frame_text(codec::to_raw(full).octets()) ==
      "attach(name=\"l\",handle=0,role=receiver,source=source(address=\"q\",capabilities=[:queue, "
      ":shared]),target=@amqp:target:list [\"r\"])");
}

}  // namespace
}  // namespace whimbrel::amqp::spec
