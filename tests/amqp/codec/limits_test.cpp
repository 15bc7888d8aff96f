// SPDX-License-Identifier: Apache-2.0
// Octets made to cost their receiver more than their sender: counts, depths and sizes.
#include <doctest/doctest.h>

#include <malloc.h>

#include "amqp/base/limits.hpp"
#include "amqp/codec/codec.hpp"
#include "amqp/codec/skip.hpp"
#include "tests/support/hex.hpp"

namespace whimbrel::amqp::codec {
namespace {

using test::hex;

/// `depth` containers inside one another, each opened by `head` for the `inner` octets that follow.
template <class Head>
std::vector<std::byte> nested(std::size_t depth, std::vector<std::byte> inner, Head head) {
  for (std::size_t i = 0; i < depth; ++i) {
    std::vector<std::byte> outer = head(inner.size());
    outer.insert(outer.end(), inner.begin(), inner.end());
    inner = std::move(outer);
  }
  return inner;
}

void put32(std::vector<std::byte>& out, std::size_t n) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<std::byte>(n >> shift));
}

std::vector<std::byte> list_head(std::size_t inner) {
  std::vector<std::byte> out = hex("d0");
  put32(out, inner + 4);
  put32(out, 1);
  return out;
}
std::vector<std::byte> map_head(std::size_t inner) {
  std::vector<std::byte> out = hex("d1");
  put32(out, inner + 5);
  put32(out, 2);
  out.push_back(std::byte{0x40});  // the key
  return out;
}
std::vector<std::byte> described_head(std::size_t) { return hex("00 44"); }

/// Arrays nest by their element constructor: the inner array stands without its own.
std::vector<std::byte> nested_arrays(std::size_t depth) {
  std::vector<std::byte> inner = hex("00000005 00000000 40");
  for (std::size_t i = 1; i < depth; ++i) {
    std::vector<std::byte> outer;
    put32(outer, inner.size() + 5);
    put32(outer, 1);
    outer.push_back(std::byte{0xf0});
    outer.insert(outer.end(), inner.begin(), inner.end());
    inner = std::move(outer);
  }
  inner.insert(inner.begin(), std::byte{0xf0});
  return inner;
}

/// An array whose element constructor has `depth` descriptors.
std::vector<std::byte> nested_descriptors(std::size_t depth) {
  std::vector<std::byte> constructor;
  for (std::size_t i = 0; i < depth; ++i) {
    constructor.push_back(std::byte{0x00});
    constructor.push_back(std::byte{0x44});
  }
  constructor.push_back(std::byte{0x40});
  std::vector<std::byte> out = hex("f0");
  put32(out, constructor.size() + 4);
  put32(out, 0);
  out.insert(out.end(), constructor.begin(), constructor.end());
  return out;
}

void check_depth(const std::vector<std::byte>& deepest, const std::vector<std::byte>& too_deep) {
  CHECK(decode<value>(deepest).has_value());
  CHECK(decode<raw>(deepest).has_value());
  REQUIRE(decode<value>(too_deep).has_error());
  REQUIRE(decode<raw>(too_deep).has_error());
  CHECK(decode<value>(too_deep).error().fault == decode_fault::too_deep);
  CHECK(decode<raw>(too_deep).error().fault == decode_fault::too_deep);
}

TEST_CASE("limits: nesting ends at 32 levels, in lists, maps, arrays and descriptors") {
  constexpr std::size_t most = limits::nesting_depth_max;
  CHECK(most == 32);
  check_depth(nested(most, hex("40"), list_head), nested(most + 1, hex("40"), list_head));
  check_depth(nested(most, hex("40"), map_head), nested(most + 1, hex("40"), map_head));
  check_depth(nested(most, hex("40"), described_head), nested(most + 1, hex("40"), described_head));
  check_depth(nested_arrays(most), nested_arrays(most + 1));
  check_depth(nested_descriptors(most - 1), nested_descriptors(most));
  // A descriptor may be described as well.
  auto right = hex("44 40");
  for (std::size_t i = 0; i < most + 100; ++i) right.insert(right.begin(), std::byte{0x00});
  CHECK(decode<value>(right).error().fault == decode_fault::too_deep);
  CHECK(decode<raw>(right).error().fault == decode_fault::too_deep);
}

TEST_CASE("limits: values of our own may be nested deeper than a peer's") {
  value v;
  for (int i = 0; i < 100; ++i) v = list{v};
  CHECK(from_raw<value>(to_raw(v)).error().fault == decode_fault::too_deep);
  for (int i = 0; i < 100; ++i) v = (*v.get_if<list>())[0];
  CHECK(v.is_null());
}

TEST_CASE("limits: a megabyte of openings is refused at once") {
  for (const std::string_view unit :
       {"00", "d0 7fffffff 7fffffff", "c0 ff ff", "d1 7fffffff 7ffffffe", "f0 7fffffff 00000001 f0",
        "e0 ff 01"}) {
    CAPTURE(unit);
    const auto one = hex(unit);
    std::vector<std::byte> octets;
    while (octets.size() < 1'000'000) octets.insert(octets.end(), one.begin(), one.end());
    CHECK(decode<value>(octets).has_error());
    CHECK(decode<raw>(octets).has_error());
  }
}

TEST_CASE("limits: an array of 2^32-1 zero-width elements is legal, and eleven octets long") {
  for (const std::string_view octets :
       {"f0 00000005 ffffffff 40", "f0 00000005 ffffffff 41", "f0 00000005 ffffffff 43",
        "f0 00000005 ffffffff 44", "f0 00000005 ffffffff 45", "f0 00000008 ffffffff 00 53 24 45"}) {
    CAPTURE(octets);
    const auto got = decode<array>(hex(octets));
    REQUIRE(got.has_value());
    CHECK(got->size() == 0xffffffffu);
    CHECK(got->data().empty());
    CHECK(test::to_hex(to_raw(*got).octets()) == test::to_hex(hex(octets)));
    CHECK(decode<raw>(hex(octets)).has_value());
    CHECK(decode<value>(hex(octets)).has_value());
  }
  // Elements that have a width are counted against the octets.
  CHECK(decode<value>(hex("f0 00000005 ffffffff 50")).error().fault == decode_fault::bad_length);
  CHECK(decode<value>(hex("f0 00000009 ffffffff 70 00000000")).error().fault ==
        decode_fault::bad_length);
  CHECK(decode<raw>(hex("f0 00000006 ffffffff a1 00")).error().fault == decode_fault::bad_length);
  CHECK(decode<raw>(hex("f0 00000006 ffffffff c0 00")).error().fault == decode_fault::bad_length);
}

TEST_CASE("limits: sizes and counts that wrap or overrun are refused") {
  for (const std::string_view octets :
       {"b0 ffffffff 00", "b1 ffffffff", "b3 80000000 61", "d0 ffffffff ffffffff 40",
        "d0 00000004 00000001", "d0 00000000 00000000", "d1 ffffffff fffffffe 40 40",
        "f0 ffffffff ffffffff 40", "f0 00000000 00000000", "f0 00000004 00000000", "c0 ff ff 40",
        "c1 01 02", "e0 ff ff 40", "e0 00", "e0 01 00", "c0 00", "a0 ff", "c0 02 01",
        "f0 00000005 ffff"}) {
    CAPTURE(octets);
    CHECK(decode<value>(hex(octets)).has_error());
    CHECK(decode<raw>(hex(octets)).has_error());
    // Inside a list that is whole, the inner value must not read past the list's end.
    auto inner = hex(octets);
    auto outer = hex("c0");
    outer.push_back(static_cast<std::byte>(inner.size() + 1));
    outer.push_back(std::byte{1});
    outer.insert(outer.end(), inner.begin(), inner.end());
    outer.resize(outer.size() + 300);
    reader structure(outer);
    reader everything(outer);
    CHECK(skip_value(structure).has_error());
    CHECK(check_value(everything).has_error());
  }
}

TEST_CASE("limits: what is decoded takes little more memory than its octets") {
  const auto repeated = [](std::string_view head, std::size_t count, std::string_view item) {
    std::vector<std::byte> octets = hex(head);
    const auto one = hex(item);
    put32(octets, 4 + count * one.size());
    put32(octets, count);
    for (std::size_t i = 0; i < count; ++i) octets.insert(octets.end(), one.begin(), one.end());
    return octets;
  };
  constexpr std::size_t many = 200'000;
  for (const auto& octets :
       {repeated("d0", many, "40"), repeated("d0", many, "45"), repeated("d0", many, "a1 00"),
        repeated("d1", many, "52 01"), repeated("d0", many, "c1 01 00"),
        repeated("d0", many, "e0 02 00 40"), repeated("d0", many, "00 44 40")}) {
    CAPTURE(octets.size());
    const std::size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    const auto got = decode<value>(octets);
    const std::size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
    REQUIRE(got.has_value());
    CHECK(after - before < 2 * octets.size());
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // these count nothing
    CHECK(after - before > octets.size() / 2);
#endif
  }
}

TEST_CASE("limits: equal keys are found in maps of up to a thousand entries") {
  const auto map_of = [](std::uint32_t entries, bool twice) {
    map m;
    for (std::uint32_t i = 0; i < entries; ++i) m.append(i, {});
    if (twice) m.append(std::uint32_t{0}, {});
    return decode<map>(to_raw(m).octets());
  };
  CHECK(map_of(limits::map_keys_searched_max, false).has_value());
  CHECK(map_of(limits::map_keys_searched_max - 1, true).error().fault == decode_fault::bad_value);
  CHECK(map_of(limits::map_keys_searched_max, true).has_value());
  CHECK(map_of(limits::map_keys_searched_max + 1, false)->size() ==
        limits::map_keys_searched_max + 1);
}

}  // namespace
}  // namespace whimbrel::amqp::codec
