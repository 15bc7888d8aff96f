// SPDX-License-Identifier: Apache-2.0
// Exact octets of every type, in every encoding. [1.6]
#include <doctest/doctest.h>

#include "amqp/codec/codec.hpp"
#include "tests/support/hex.hpp"

namespace whimbrel::amqp::codec {
namespace {

using test::hex;
using test::to_hex;

struct row {
  std::string_view what;
  value v;
  std::string_view canonical;            // what we send
  std::vector<std::string_view> others;  // what we take as well
};

uuid some_uuid() {
  uuid out;
  for (std::size_t i = 0; i < 16; ++i) out.octets[i] = static_cast<std::byte>(i * 17);
  return out;
}

std::vector<row> rows() {
  const auto b = [](int n) { return static_cast<std::byte>(n); };
  return {
      {"null", {}, "40", {}},
      {"true", true, "41", {"56 01"}},
      {"false", false, "42", {"56 00"}},
      {"ubyte 255", std::uint8_t{255}, "50 ff", {}},
      {"ubyte 0", std::uint8_t{0}, "50 00", {}},
      {"ushort 65535", std::uint16_t{65535}, "60 ff ff", {}},
      {"ushort 0x0102", std::uint16_t{0x0102}, "60 01 02", {}},
      {"uint 0", std::uint32_t{0}, "43", {"52 00", "70 00000000"}},
      {"uint 255", std::uint32_t{255}, "52 ff", {"70 000000ff"}},
      {"uint 256", std::uint32_t{256}, "70 00000100", {}},
      {"uint max", std::uint32_t{0xffffffff}, "70 ffffffff", {}},
      {"ulong 0", std::uint64_t{0}, "44", {"53 00", "80 0000000000000000"}},
      {"ulong 16", std::uint64_t{16}, "53 10", {"80 0000000000000010"}},
      {"ulong 256", std::uint64_t{256}, "80 0000000000000100", {}},
      {"ulong max", ~std::uint64_t{0}, "80 ffffffffffffffff", {}},
      {"byte -1", std::int8_t{-1}, "51 ff", {}},
      {"short -32768", std::int16_t{-32768}, "61 8000", {}},
      {"int -1", std::int32_t{-1}, "54 ff", {"71 ffffffff"}},
      {"int 127", std::int32_t{127}, "54 7f", {"71 0000007f"}},
      {"int 128", std::int32_t{128}, "71 00000080", {}},
      {"int -129", std::int32_t{-129}, "71 ffffff7f", {}},
      {"long -128", std::int64_t{-128}, "55 80", {"81 ffffffffffffff80"}},
      {"long -129", std::int64_t{-129}, "81 ffffffffffffff7f", {}},
      {"float 1", 1.0f, "72 3f800000", {}},
      {"double 1", 1.0, "82 3ff0000000000000", {}},
      {"decimal32", decimal32{{b(0x22), b(0x50), b(0), b(1)}}, "74 22500001", {}},
      {"decimal64", decimal64{{b(0x22)}}, "84 2200000000000000", {}},
      {"decimal128", decimal128{{b(0x22)}}, "94 22000000000000000000000000000000", {}},
      {"char U+1F600", U'\U0001F600', "73 0001f600", {}},
      {"timestamp", timestamp{1311704463521}, "83 0000013167adb8a1", {}},
      {"timestamp before the epoch", timestamp{-1}, "83 ffffffffffffffff", {}},
      {"uuid", some_uuid(), "98 00112233445566778899aabbccddeeff", {}},
      {"binary of none", binary(), "a0 00", {"b0 00000000"}},
      {"binary of one", binary("x"), "a0 01 78", {"b0 00000001 78"}},
      {"string", std::string("a"), "a1 01 61", {"b1 00000001 61"}},
      {"string of four octets a character", std::string("\xf0\x9f\x98\x80"), "a1 04 f09f9880", {}},
      {"symbol", symbol("a"), "a3 01 61", {"b3 00000001 61"}},
      {"list of none", list{}, "45", {"c0 01 00", "d0 00000004 00000000"}},
      {"list of null", list{{}}, "c0 02 01 40", {"d0 00000005 00000001 40"}},
      {"map of none", map{}, "c1 01 00", {"d1 00000004 00000000"}},
      {"map",
       map{{symbol("k"), std::uint32_t{0}}},
       "c1 05 02 a3 01 6b 43",
       {"d1 00000008 00000002 a3 01 6b 43", "c1 06 02 a3 01 6b 52 00"}},
      {"array of ubyte",
       array::of<std::uint8_t>({1, 2}),
       "e0 04 02 50 01 02",
       {"f0 00000007 00000002 50 01 02"}},
      {"array of no symbols", array::of<symbol>({}), "e0 02 00 a3", {}},
      {"array of true, in three zero-width elements",
       array({b(0x41)}, 3, {}),
       "e0 02 03 41",
       {"e0 05 03 56 01 01 01"}},
      {"array of lists", array::of<list>({list{}, list{{}}}), "e0 07 02 c0 01 00 02 01 40", {}},
      {"described",
       described(std::uint64_t{0x24}, list{}),
       "00 53 24 45",
       {"00 80 0000000000000024 c0 01 00"}},
      {"described by symbol",
       described(symbol("amqp:accepted:list"), list{}),
       "00 a3 12 \"amqp:accepted:list\" 45",
       {}},
      {"descriptor that is described",
       described(described(std::uint64_t{1}, std::uint64_t{2}), "x"),
       "00 00 53 01 53 02 a1 01 78",
       {}},
      {"body that is described again",
       described(std::uint64_t{1}, described(std::uint64_t{2}, true)),
       "00 53 01 00 53 02 41",
       {}},
  };
}

TEST_CASE("codec: every value of the table is sent in these octets and taken from each encoding") {
  for (const row& r : rows()) {
    CAPTURE(r.what);
    octet_buffer out;
    encode(out, r.v);
    CHECK(to_hex(out.octets()) == to_hex(hex(r.canonical)));
    std::vector<std::string_view> all = r.others;
    all.push_back(r.canonical);
    for (const std::string_view octets : all) {
      CAPTURE(octets);
      const auto got = decode<value>(hex(octets));
      REQUIRE(got.has_value());
      CHECK(*got == r.v);
      CHECK(got->held().index() == r.v.held().index());
    }
  }
}

TEST_CASE("codec: a value of the table that is cut anywhere is refused") {
  for (const row& r : rows()) {
    std::vector<std::string_view> all = r.others;
    all.push_back(r.canonical);
    for (const std::string_view text : all) {
      const auto octets = hex(text);
      for (std::size_t n = 0; n < octets.size(); ++n) {
        CAPTURE(text);
        CAPTURE(n);
        const std::span<const std::byte> cut(octets.data(), n);
        CHECK(decode<value>(cut).has_error());
        CHECK(decode<raw>(cut).has_error());
      }
    }
  }
}

TEST_CASE("codec: one flipped bit gives another value or an error, and both walks agree") {
  std::size_t values = 0;
  std::size_t errors = 0;
  for (const row& r : rows()) {
    std::vector<std::string_view> all = r.others;
    all.push_back(r.canonical);
    for (const std::string_view text : all) {
      auto octets = hex(text);
      for (std::size_t bit = 0; bit < octets.size() * 8; ++bit) {
        octets[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
        CAPTURE(to_hex(octets));
        const auto got = decode<value>(octets);
        if (got.has_value()) {
          ++values;
          CHECK(to_raw(*got).octets().size() <= octets.size());
          CHECK(decode<raw>(octets).has_value());  // the structural walk admits no less
          CHECK(!to_text(*got).empty());
        } else {
          ++errors;
        }
        octets[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
      }
    }
  }
  CHECK(values > 300);
  CHECK(errors > 300);
}

TEST_CASE("codec: each primitive decodes as its own type and as no other") {
  const std::vector<row> all = rows();
  std::size_t refused = 0;
  const auto against = [&]<class T>(T) {
    for (const row& r : all) {
      CAPTURE(r.what);
      const auto octets = hex(r.canonical);
      const auto got = decode<T>(octets);
      CHECK(got.has_value() == r.v.is<T>());
      if (got.has_value()) CHECK(value(*got) == r.v);
      if (got.has_error()) {
        ++refused;
        CHECK(got.error().fault == decode_fault::bad_format_code);
        CHECK(got.error().offset == 0);
      }
    }
  };
  against(null{});
  against(bool{});
  against(std::uint8_t{});
  against(std::uint16_t{});
  against(std::uint32_t{});
  against(std::uint64_t{});
  against(std::int8_t{});
  against(std::int16_t{});
  against(std::int32_t{});
  against(std::int64_t{});
  against(float{});
  against(double{});
  against(decimal32{});
  against(decimal64{});
  against(decimal128{});
  against(char32_t{});
  against(timestamp{});
  against(uuid{});
  against(binary{});
  against(std::string{});
  against(symbol{});
  against(list{});
  against(map{});
  against(array{});
  against(described(value{}, value{}));
  CHECK(refused > 1000);
}

TEST_CASE("codec: long strings, binaries and compounds use four octets of size") {
  octet_buffer out;
  encode(out, std::string(256, 'x'));
  CHECK(to_hex(out.octets().first(5)) == "b1 00 00 01 00");
  CHECK(*decode<std::string>(out.octets()) == std::string(256, 'x'));

  list of_many;
  for (int i = 0; i < 256; ++i) of_many.push_back({});
  out.clear();
  encode(out, of_many);
  CHECK(to_hex(out.octets().first(9)) == "d0 00 00 01 04 00 00 01 00");
  CHECK(*decode<list>(out.octets()) == of_many);

  const list of_one_long{std::string(300, 'y')};
  out.clear();
  encode(out, of_one_long);
  CHECK(to_hex(out.octets().first(9)) == "d0 00 00 01 35 00 00 00 01");
  CHECK(*decode<list>(out.octets()) == of_one_long);

  // 254 octets of items are the most that fit behind one octet of size, which counts the count.
  const list fits{std::string(252, 'z')};
  out.clear();
  encode(out, fits);
  CHECK(to_hex(out.octets().first(3)) == "c0 ff 01");
  const list does_not{std::string(253, 'z')};
  out.clear();
  encode(out, does_not);
  CHECK(to_hex(out.octets().first(1)) == "d0");
}

TEST_CASE("codec: a list or map larger than what holds it is refused at its size") {
  for (const std::string_view octets : {"c0 03 01 40", "d0 00000006 00000001 40"}) {
    CAPTURE(octets);
    const auto bytes = hex(octets);
    reader r(bytes);
    const auto head = read_list_header(r);
    REQUIRE(head.has_error());
    CHECK(to_text(head.error().fault) == to_text(decode_fault::bad_length));
  }
  for (const std::string_view octets : {"c1 04 02 40 40", "d1 00000007 00000002 40 40"}) {
    CAPTURE(octets);
    const auto bytes = hex(octets);
    reader r(bytes);
    const auto head = read_map_header(r);
    REQUIRE(head.has_error());
    CHECK(to_text(head.error().fault) == to_text(decode_fault::bad_length));
  }
}

TEST_CASE("codec: what is malformed is refused with the fault that names it") {
  struct {
    std::string_view what, octets;
    decode_fault want;
    std::uint32_t offset;
  } const faults[] = {
      {"nothing", "", decode_fault::truncated, 0},
      {"boolean 2", "56 02", decode_fault::bad_value, 1},
      {"surrogate", "73 0000d800", decode_fault::bad_value, 1},
      {"char beyond Unicode", "73 00110000", decode_fault::bad_value, 1},
      {"unknown constructor", "46", decode_fault::bad_format_code, 1},
      {"extension octet", "4f 00", decode_fault::bad_format_code, 1},
      {"string of a stray continuation", "a1 01 80", decode_fault::bad_utf8, 3},
      {"overlong slash", "a1 02 c0af", decode_fault::bad_utf8, 4},
      {"overlong three", "a1 03 e08080", decode_fault::bad_utf8, 5},
      {"surrogate in UTF-8", "a1 03 eda080", decode_fault::bad_utf8, 5},
      {"overlong four", "a1 04 f0808080", decode_fault::bad_utf8, 6},
      {"beyond U+10FFFF", "a1 04 f4908080", decode_fault::bad_utf8, 6},
      {"lead octet alone", "a1 01 f0", decode_fault::bad_utf8, 3},
      {"lead octet f5", "a1 04 f5808080", decode_fault::bad_utf8, 6},
      {"symbol beyond ASCII", "a3 02 c3a9", decode_fault::bad_utf8, 4},
      {"symbol beyond ASCII, wide", "b3 00000002 c3a9", decode_fault::bad_utf8, 7},
      {"list size below its count field", "c0 00", decode_fault::bad_length, 2},
      {"list32 size below its count field", "d0 00000003 000000", decode_fault::bad_length, 5},
      {"list count above its octets", "c0 02 02 40", decode_fault::bad_length, 3},
      {"list items past its size", "c0 02 01 50 01", decode_fault::truncated, 4},
      {"list items short of its size", "c0 03 01 40 40", decode_fault::bad_length, 4},
      {"map of an odd count", "c1 02 01 40", decode_fault::bad_length, 3},
      {"map with a key twice", "c1 07 04 54 01 40 54 01 40", decode_fault::bad_value, 9},
      {"array size below its parts", "e0 01 00", decode_fault::bad_length, 2},
      {"array32 size below its parts", "f0 00000004 00000000", decode_fault::bad_length, 5},
      {"array elements short of the size", "e0 05 02 50 01 02 03", decode_fault::bad_length, 4},
      {"array elements past the size", "e0 03 02 50 01", decode_fault::bad_length, 4},
      {"array with octets behind zero-width elements", "e0 03 02 41 00", decode_fault::bad_length,
       4},
      {"array of an unknown constructor", "e0 02 00 46", decode_fault::bad_format_code, 4},
      {"array of symbols with octets left", "e0 05 01 a3 01 61 00", decode_fault::bad_length, 6},
      {"array of booleans with a 2", "e0 04 02 56 01 02", decode_fault::bad_value, 5},
      {"array whose descriptor is cut", "e0 02 00 00", decode_fault::truncated, 4},
      {"octets behind the value", "40 40", decode_fault::bad_length, 1},
  };
  for (const auto& f : faults) {
    CAPTURE(f.what);
    CAPTURE(f.octets);
    const auto got = decode<value>(hex(f.octets));
    REQUIRE(got.has_error());
    CHECK(to_text(got.error().fault) == to_text(f.want));
    CHECK(got.error().offset == f.offset);
  }
}

}  // namespace
}  // namespace whimbrel::amqp::codec
