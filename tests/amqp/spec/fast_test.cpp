// SPDX-License-Identifier: Apache-2.0
// The hot path against the declarations: the same octets accepted, the same fields, the same octets
// written.
#include <doctest/doctest.h>

#include <algorithm>

#include "amqp/codec/codec.hpp"
#include "amqp/spec/fast.hpp"
#include "amqp/spec/transactions.hpp"
#include "amqp/spec/transport.hpp"
#include "tests/support/hex.hpp"
#include "tests/support/random_amqp.hpp"

namespace whimbrel::amqp::spec::fast {
namespace {

using test::hex;
using test::to_hex;

std::span<const std::byte> span_of(const codec::raw& r) { return r.octets(); }

transfer_view view_of(const transfer& t) {
  transfer_view v;
  v.handle = t.handle;
  v.delivery_id = t.delivery_id;
  v.has_tag = t.delivery_tag.has_value();
  if (t.delivery_tag) v.delivery_tag = t.delivery_tag->octets;
  v.message_format = t.message_format;
  v.settled = t.settled;
  v.more = t.more;
  if (t.rcv_settle_mode) v.rcv_settle_mode = static_cast<std::uint8_t>(*t.rcv_settle_mode);
  v.state = span_of(t.state);
  v.resume = t.resume;
  v.aborted = t.aborted;
  v.batchable = t.batchable;
  return v;
}

disposition_view view_of(const disposition& d) {
  return {.role = d.role == role::receiver,
          .first = d.first,
          .last = d.last.value_or(d.first),
          .settled = d.settled,
          .state = span_of(d.state),
          .batchable = d.batchable};
}

/// `properties` has to outlive the view.
flow_view view_of(const flow& f, const codec::raw& properties) {
  return {.next_incoming_id = f.next_incoming_id,
          .incoming_window = f.incoming_window,
          .next_outgoing_id = f.next_outgoing_id,
          .outgoing_window = f.outgoing_window,
          .handle = f.handle,
          .delivery_count = f.delivery_count,
          .link_credit = f.link_credit,
          .available = f.available,
          .drain = f.drain,
          .echo = f.echo,
          .properties = properties.octets()};
}

bool same_octets(std::span<const std::byte> a, std::span<const std::byte> b) {
  return std::ranges::equal(a, b);
}

bool same(const transfer_view& a, const transfer_view& b) {
  return a.handle == b.handle && a.delivery_id == b.delivery_id && a.has_tag == b.has_tag &&
         same_octets(a.delivery_tag, b.delivery_tag) && a.message_format == b.message_format &&
         a.settled == b.settled && a.more == b.more && a.rcv_settle_mode == b.rcv_settle_mode &&
         same_octets(a.state, b.state) && a.resume == b.resume && a.aborted == b.aborted &&
         a.batchable == b.batchable && same_octets(a.payload, b.payload);
}

bool same(const disposition_view& a, const disposition_view& b) {
  return a.role == b.role && a.first == b.first && a.last == b.last && a.settled == b.settled &&
         same_octets(a.state, b.state) && a.batchable == b.batchable;
}

bool same(const flow_view& a, const flow_view& b) {
  return a.next_incoming_id == b.next_incoming_id && a.incoming_window == b.incoming_window &&
         a.next_outgoing_id == b.next_outgoing_id && a.outgoing_window == b.outgoing_window &&
         a.handle == b.handle && a.delivery_count == b.delivery_count &&
         a.link_credit == b.link_credit && a.available == b.available && a.drain == b.drain &&
         a.echo == b.echo && same_octets(a.properties, b.properties);
}

struct tally {
  std::size_t accepted = 0;
  std::size_t refused = 0;
};

/// Both decoders on one body: the same verdict, the same fault, the same fields.
void compare_transfer(std::span<const std::byte> body, tally& t) {
  const auto quick = decode_transfer(body);
  codec::reader r(body);
  const auto slow = codec::decode_as<transfer>(r);
  REQUIRE(quick.has_value() == slow.has_value());
  if (quick.has_error()) {
    ++t.refused;
    if (!(quick.error() == slow.error())) FAIL_CHECK("another fault");
    return;
  }
  ++t.accepted;
  transfer_view want = view_of(*slow);
  want.payload = r.rest();
  if (!same(*quick, want)) FAIL_CHECK("other fields");
}

void compare_disposition(std::span<const std::byte> body, tally& t) {
  const auto quick = decode_disposition(body);
  const auto slow = codec::decode<disposition>(body);
  REQUIRE(quick.has_value() == slow.has_value());
  ++(quick.has_value() ? t.accepted : t.refused);
  if (quick.has_error()) {
    if (!(quick.error() == slow.error())) FAIL_CHECK("another fault");
  } else if (!same(*quick, view_of(*slow))) {
    FAIL_CHECK("other fields");
  }
}

void compare_flow(std::span<const std::byte> body, tally& t) {
  const auto quick = decode_flow(body);
  const auto slow = codec::decode<flow>(body);
  REQUIRE(quick.has_value() == slow.has_value());
  ++(quick.has_value() ? t.accepted : t.refused);
  if (quick.has_error()) {
    if (!(quick.error() == slow.error())) FAIL_CHECK("another fault");
    return;
  }
  // The quick one leaves the map as the peer encoded it.
  flow_view without = *quick;
  without.properties = {};
  if (!same(without, view_of(*slow, {}))) FAIL_CHECK("other fields");
  REQUIRE(quick->properties.empty() == !slow->properties.has_value());
  if (slow->properties) CHECK(*codec::decode<codec::map>(quick->properties) == *slow->properties);
}

template <class T>
T random_composite(test::random_source& random) {
  T out{};
  codec::each_field<T>([&](const auto& f, std::size_t) {
    if (f.need == codec::presence::mandatory || random.one_in(2)) {
      test::randomise(random, out.*f.member);
    }
    return true;
  });
  return out;
}

/// Truncations, flipped bits and random octets put in or taken out.
template <class Compare>
void compare_damaged(test::random_source& random, std::span<const std::byte> whole, tally& t,
                     Compare compare) {
  std::vector<std::byte> octets(whole.begin(), whole.end());
  CAPTURE(to_hex(octets));
  compare(octets, t);
  for (std::size_t n = 0; n < octets.size(); n += 1 + octets.size() / 40) {
    compare(std::span(octets).first(n), t);
  }
  for (std::size_t bit = 0; bit < octets.size() * 8; bit += 1 + octets.size() / 10) {
    octets[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    compare(octets, t);
    octets[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
  }
  for (int i = 0; i < 40; ++i) {
    std::vector<std::byte> other = octets;
    for (std::size_t edits = 1 + random.below(3); edits > 0; --edits) {
      constexpr std::uint8_t likely[] = {0x00, 0x01, 0x40, 0x41, 0x42, 0x43, 0x45, 0x50, 0x52,
                                         0x53, 0x56, 0x70, 0xa0, 0xb0, 0xc0, 0xc1, 0xd0, 0xff};
      const std::size_t at = random.below(other.size());
      const auto octet = static_cast<std::byte>(likely[random.below(sizeof(likely))]);
      if (random.one_in(3)) {
        other.insert(other.begin() + static_cast<std::ptrdiff_t>(at), octet);
      } else {
        other[at] = octet;
      }
    }
    compare(other, t);
  }
}

TEST_CASE("fast: transfers decode as the declaration has them, whole and damaged") {
  constexpr std::uint64_t seed = 20240701;
  CAPTURE(seed);
  test::random_source random(seed);
  tally t;
  for (int round = 0; round < 250; ++round) {
    const auto sent = random_composite<transfer>(random);
    octet_buffer generic;
    codec::encode(generic, sent);
    const transfer_view v = view_of(sent);
    std::vector<std::byte> quick(transfer_octets_max(v.delivery_tag.size(), v.state.size()));
    quick.resize(encode_transfer(quick.data(), v));
    REQUIRE(to_hex(quick) == to_hex(generic.octets()));
    auto payload = hex("00 53 75 a0 01 78");
    if (random.one_in(2)) payload.resize(100);  // enough for the path of usual transfers
    if (random.one_in(2)) generic.append(payload);
    compare_damaged(random, generic.octets(), t, compare_transfer);
  }
  MESSAGE(t.accepted, " accepted, ", t.refused, " refused");
  CHECK(t.accepted > 2'000);
  CHECK(t.refused > 2'000);
}

TEST_CASE("fast: usual transfers are written and read as all others") {
  constexpr std::uint64_t seed = 20240704;
  CAPTURE(seed);
  test::random_source random(seed);
  tally t;
  for (int round = 0; round < 250; ++round) {
    std::vector<std::byte> tag(random.below(33));
    for (std::byte& octet : tag) octet = static_cast<std::byte>(random.below(256));
    const usual_transfer usual{.handle = test::random_number<std::uint32_t>(random),
                               .delivery_id = test::random_number<std::uint32_t>(random),
                               .delivery_tag = tag,
                               .message_format = test::random_number<std::uint32_t>(random),
                               .settled = random.one_in(2)};
    transfer_view view{.handle = usual.handle,
                       .delivery_id = usual.delivery_id,
                       .delivery_tag = tag,
                       .has_tag = true,
                       .message_format = usual.message_format};
    if (usual.settled) view.settled = true;
    std::vector<std::byte> octets(usual_transfer_octets_max);
    octets.resize(encode_transfer(octets.data(), usual));
    std::vector<std::byte> want(transfer_octets_max(tag.size(), 0));
    want.resize(encode_transfer(want.data(), view));
    REQUIRE(to_hex(octets) == to_hex(want));
    octets.resize(octets.size() + 60 + random.below(60));
    compare_damaged(random, octets, t, compare_transfer);
  }
  MESSAGE(t.accepted, " accepted, ", t.refused, " refused");
  CHECK(t.accepted > 2'000);
  CHECK(t.refused > 2'000);
}

TEST_CASE("fast: dispositions decode as the declaration has them, whole and damaged") {
  constexpr std::uint64_t seed = 20240702;
  CAPTURE(seed);
  test::random_source random(seed);
  tally t;
  for (int round = 0; round < 250; ++round) {
    auto sent = random_composite<disposition>(random);
    if (sent.last == sent.first) sent.last.reset();
    const codec::raw generic = codec::to_raw(sent);
    const disposition_view v = view_of(sent);
    std::vector<std::byte> quick(disposition_octets_max(v.state.size()));
    quick.resize(encode_disposition(quick.data(), v));
    REQUIRE(to_hex(quick) == to_hex(generic.octets()));
    compare_damaged(random, generic.octets(), t, compare_disposition);
  }
  CHECK(t.accepted > 2'000);
  CHECK(t.refused > 2'000);
}

TEST_CASE("fast: flows decode as the declaration has them, whole and damaged") {
  constexpr std::uint64_t seed = 20240703;
  CAPTURE(seed);
  test::random_source random(seed);
  tally t;
  for (int round = 0; round < 250; ++round) {
    const auto sent = random_composite<flow>(random);
    const codec::raw generic = codec::to_raw(sent);
    const codec::raw properties = sent.properties ? codec::to_raw(*sent.properties) : codec::raw();
    const flow_view v = view_of(sent, properties);
    std::vector<std::byte> quick(flow_octets_max(v.properties.size()));
    quick.resize(encode_flow(quick.data(), v));
    REQUIRE(to_hex(quick) == to_hex(generic.octets()));
    compare_damaged(random, generic.octets(), t, compare_flow);
  }
  CHECK(t.accepted > 2'000);
  CHECK(t.refused > 2'000);
}

TEST_CASE("fast: encodings that peers may choose and we do not are read alike") {
  tally t;
  for (const std::string_view body :
       {"00 53 14 d0 00000017 00000005 70 00000001 70 00000002 b0 00000001 78 40 56 01",
        "00 80 0000000000000014 c0 07 05 43 43 a0 00 43 41",
        "00 a3 12 \"amqp:transfer:list\" c0 03 01 52 01",
        "00 53 14 c0 0a 08 43 40 40 40 40 40 40 40 40 40",
        "00 53 14 c0 09 08 43 40 40 40 40 40 40 40",
        "00 53 14 c0 0f 08 43 40 40 40 40 40 40 00 a3 03 \"abc\" 45",
        "00 53 14 c0 0c 0b 43 40 40 40 40 40 40 40 40 40 40",
        "00 53 14 c0 0d 0c 43 40 40 40 40 40 40 40 40 40 40 40", "00 53 14 45", "00 53 14 c0 01 00",
        "00 53 14 c0 02 01 40", "00 53 15 c0 03 02 41 43", "00 53 14", "00", ""}) {
    CAPTURE(body);
    compare_transfer(hex(body), t);
  }
  CHECK(t.accepted == 6);
  for (const std::string_view body :
       {"00 53 15 d0 00000009 00000003 56 01 43 52 07", "00 53 15 c0 04 03 41 43 40",
        "00 53 15 c0 05 03 41 43 52 05", "00 53 15 c0 03 02 41 43 00", "00 53 15 c0 02 02 41"}) {
    CAPTURE(body);
    compare_disposition(hex(body), t);
  }
  CHECK(t.accepted == 9);
}

TEST_CASE("fast: a descriptor is recognised in every form, and says where the list begins") {
  struct {
    std::string_view octets;
    std::uint64_t code;
    std::size_t offset;
  } const rows[] = {
      {"00 53 14 45", 0x14, 3},
      {"00 80 0000000000000014 45", 0x14, 10},
      {"00 a3 12 \"amqp:transfer:list\" 45", 0x14, 21},
      {"00 44 45", 0, 2},
      {"00 a3 01 78 45", 0, 99},
      {"45", 0, 99},
      {"", 0, 99},
      {"00 53", 0, 99},
  };
  for (const auto& row : rows) {
    CAPTURE(row.octets);
    std::size_t offset = 99;
    CHECK(performative_code(hex(row.octets), offset) == row.code);
    CHECK(offset == row.offset);
  }
}

TEST_CASE("fast: delivery states are told apart by their descriptors") {
  const auto kind = [](const auto& state) { return classify_state(codec::to_raw(state).octets()); };
  CHECK(classify_state({}) == state_kind::none);
  CHECK(classify_state(hex("40")) == state_kind::none);
  CHECK(kind(received{}) == state_kind::received);
  CHECK(kind(accepted{}) == state_kind::accepted);
  CHECK(kind(rejected{}) == state_kind::rejected);
  CHECK(kind(released{}) == state_kind::released);
  CHECK(kind(modified{}) == state_kind::modified);
  CHECK(kind(declared{}) == state_kind::declared);
  CHECK(kind(transactional_state{}) == state_kind::transactional);
  CHECK(kind(open{}) == state_kind::unknown);
  CHECK(kind(std::string("accepted")) == state_kind::unknown);
  CHECK(classify_state(hex("00 a3 12 \"amqp:accepted:list\" 45")) == state_kind::accepted);
}

TEST_CASE("fast: the constant outcomes are what the declarations encode") {
  CHECK(to_hex(accepted_octets) == to_hex(codec::to_raw(accepted{}).octets()));
  CHECK(to_hex(rejected_octets) == to_hex(codec::to_raw(rejected{}).octets()));
  CHECK(to_hex(released_octets) == to_hex(codec::to_raw(released{}).octets()));
  CHECK(to_hex(modified_octets) == to_hex(codec::to_raw(modified{}).octets()));
  CHECK(to_hex(modified_failed_octets) ==
        to_hex(codec::to_raw(modified{.delivery_failed = true}).octets()));
}

}  // namespace
}  // namespace whimbrel::amqp::spec::fast
