// SPDX-License-Identifier: Apache-2.0
// Dynamic values: access, change, equality, text, and random round trips.
#include <doctest/doctest.h>

#include <limits>

#include "amqp/base/limits.hpp"
#include "amqp/codec/codec.hpp"
#include "amqp/codec/skip.hpp"
#include "tests/support/hex.hpp"
#include "tests/support/random_amqp.hpp"

namespace whimbrel::amqp::codec {
namespace {

using test::hex;
using test::to_hex;

TEST_CASE("map: is looked up by name, symbol or string") {
  const map m{{symbol("a"), std::uint32_t{1}}, {"b", true}, {std::uint64_t{3}, "c"}};
  CHECK(m.size() == 3);
  CHECK(m.get<std::uint32_t>("a") == 1u);
  CHECK(m.get<bool>("b") == true);
  CHECK(!m.get<bool>("a").has_value());
  CHECK(!m.find("c").has_value());
  CHECK(m.contains("b"));
  CHECK(m.find_key(std::uint64_t{3}) == value("c"));
  CHECK(!m.find_key("a").has_value());  // the key is a symbol
}

TEST_CASE("map: setting replaces in place, appends what is new, and erases") {
  map m{{symbol("a"), std::uint32_t{1}}, {symbol("b"), std::uint32_t{2}}};
  m.set(symbol("a"), "longer than before");
  m.set(symbol("c"), {});
  CHECK(to_text(m) == R"({:a="longer than before", :b=2, :c=null})");
  CHECK(m.erase(symbol("b")));
  CHECK(!m.erase(symbol("b")));
  CHECK(to_text(m) == R"({:a="longer than before", :c=null})");
  CHECK(*decode<map>(to_raw(m).octets()) == m);
}

TEST_CASE("map: keys of different type are different keys") {
  map m;
  m.set(symbol("k"), 1.0);
  m.set("k", 2.0);
  m.set(std::uint32_t{1}, 3.0);
  m.set(std::uint64_t{1}, 4.0);
  CHECK(m.size() == 4);
  CHECK(decode<map>(to_raw(m).octets()).has_value());
}

TEST_CASE("map: iterates in the order in which it was filled") {
  const map m{{"z", std::int32_t{1}}, {"a", std::int32_t{2}}};
  std::string seen;
  for (const auto& [key, mapped] : m) seen += *key.text() + std::to_string(*mapped.to_signed());
  CHECK(seen == "z1a2");
}

TEST_CASE("list: items come back as they went in") {
  list l{std::uint32_t{1}, "two", list{true}};
  l.push_back({});
  CHECK(l.size() == 4);
  CHECK(l[1] == value("two"));
  CHECK(l[2].to<list>()->size() == 1);
  CHECK(l[3].is_null());
  std::size_t seen = 0;
  for (const value item : l) seen += item.is_null() ? 10 : 1;
  CHECK(seen == 13);
}

TEST_CASE("value: equality looks at values, not at how a peer encoded them") {
  const auto of = [](std::string_view octets) { return *decode<value>(hex(octets)); };
  CHECK(of("c0 02 01 43") == of("d0 00000009 00000001 70 00000000"));
  CHECK(of("c0 02 01 43") != of("c0 02 01 44"));
  CHECK(of("c0 02 01 43") != of("c0 03 02 43 43"));
  CHECK(of("c0 02 01 43") != of("c1 03 02 43 43"));
  CHECK(of("c1 03 02 43 41") == of("c1 05 02 52 00 56 01"));
  CHECK(of("e0 03 01 52 05") == of("e0 06 01 70 00000005"));
  CHECK(of("e0 03 01 52 05") != of("e0 03 01 52 06"));
  CHECK(of("e0 02 00 52") != of("e0 02 00 41"));
  CHECK(of("e0 03 01 52 05") != of("e0 04 02 52 05 05"));
  CHECK(of("e0 06 02 a1 01 78 01 79") == of("e0 0c 02 b1 00000001 78 00000001 79"));
  CHECK(of("00 53 24 45") == of("00 80 0000000000000024 45"));
  CHECK(of("00 53 24 45") != of("00 53 25 45"));
  // Arrays of elements without width are compared by one element, not by four billion.
  CHECK(of("f0 00000005 ffffffff 41") == of("f0 00000005 ffffffff 41"));
  CHECK(of("f0 00000005 ffffffff 41") != of("f0 00000005 ffffffff 42"));
  CHECK(of("f0 00000008 ffffffff 00 53 24 45") ==
        of("f0 0000000f ffffffff 00 80 0000000000000024 45"));
}

TEST_CASE("value: numbers convert when they fit") {
  CHECK(value(std::uint8_t{200}).to_signed() == 200);
  CHECK(value(std::int64_t{-1}).to_signed() == -1);
  CHECK(!value(std::int64_t{-1}).to_unsigned().has_value());
  CHECK(!value(std::numeric_limits<std::uint64_t>::max()).to_signed().has_value());
  CHECK(value(std::numeric_limits<std::uint64_t>::max()).to_unsigned() ==
        std::numeric_limits<std::uint64_t>::max());
  CHECK(!value(true).to_signed().has_value());
  CHECK(!value(U'a').to_unsigned().has_value());
  CHECK(!value("1").to_signed().has_value());
  CHECK(value(symbol("s")).text() == "s");
  CHECK(value("s").text() == "s");
  CHECK(!value(binary("s")).text().has_value());
  const value held(std::uint32_t{5});
  CHECK(*held.get_if<std::uint32_t>() == 5);
  CHECK(held.get_if<std::uint64_t>() == nullptr);
}

TEST_CASE("described: the code is that of the number or of the standard's symbol") {
  CHECK(described(std::uint64_t{0x24}, list{}).descriptor_code() == 0x24u);
  CHECK(described(symbol("amqp:accepted:list"), list{}).descriptor_code() == 0x24u);
  CHECK(!described(symbol("x"), list{}).descriptor_code().has_value());
  CHECK(!described("x", list{}).descriptor_code().has_value());
  const described d(std::uint64_t{1}, "body");
  CHECK(d.body() == value("body"));
  CHECK(d.descriptor() == value(std::uint64_t{1}));
}

TEST_CASE("array: elements of every kind go in, over the wire and out again") {
  const auto check = [](const auto& items, std::string_view constructor) {
    using T = typename std::remove_cvref_t<decltype(items)>::value_type;
    const array a = array::of(items);
    CHECK(to_hex(a.constructor()) == constructor);
    CHECK(a.size() == items.size());
    const auto got = from_raw<array>(to_raw(a));
    REQUIRE(got.has_value());
    CHECK(*got == a);
    const auto back = got->template to_vector<T>();
    REQUIRE(back.has_value());
    CHECK(*back == items);
    CHECK(!got->template to_vector<null>().has_value());
    for (std::size_t n = 0; n < to_raw(a).octets().size(); ++n) {
      CHECK(decode<array>(to_raw(a).octets().first(n)).has_error());
    }
  };
  check(std::vector<bool>{true, false}, "56");
  check(std::vector<std::uint8_t>{0, 255}, "50");
  check(std::vector<std::uint16_t>{0, 65535}, "60");
  check(std::vector<std::uint32_t>{0, 255}, "52");
  check(std::vector<std::uint32_t>{0, 255, 256}, "70");
  check(std::vector<std::uint64_t>{0, 255}, "53");
  check(std::vector<std::uint64_t>{1, 0, 256, ~std::uint64_t{0}}, "80");
  check(std::vector<std::int8_t>{-128, 127}, "51");
  check(std::vector<std::int16_t>{-32768, 127}, "61");
  check(std::vector<std::int32_t>{-128, 127}, "54");
  check(std::vector<std::int32_t>{1000, -128, 127}, "71");
  check(std::vector<std::int64_t>{-128, 127}, "55");
  check(std::vector<std::int64_t>{-128, std::numeric_limits<std::int64_t>::min()}, "81");
  check(std::vector<float>{1.5f, -2}, "72");
  check(std::vector<double>{1.5, -2}, "82");
  check(std::vector<decimal32>{{}, {}}, "74");
  check(std::vector<decimal64>{{}, {}}, "84");
  check(std::vector<decimal128>{{}, {}}, "94");
  check(std::vector<char32_t>{U'a', U'\U0001F600'}, "73");
  check(std::vector<timestamp>{{1}, {-1}}, "83");
  check(std::vector<uuid>{{}, {}}, "98");
  check(std::vector<binary>{binary("a"), binary()}, "a0");
  check(std::vector<binary>{binary("a"), binary(std::string(256, 'b'))}, "b0");
  check(std::vector<std::string>{"a", ""}, "a1");
  check(std::vector<std::string>{"a", std::string(256, 'b'), "c"}, "b1");
  check(std::vector<symbol>{"a", "b"}, "a3");
  check(std::vector<symbol>{std::string(256, 'b'), "a"}, "b3");
  check(std::vector<list>{list{}, list{true}}, "c0");
  check(std::vector<list>{list{}, list{std::string(300, 'x')}, list{true}}, "d0");
  check(std::vector<map>{map{}, map{{"k", true}}}, "c1");
  check(std::vector<map>{map{}, map{{"k", std::string(300, 'x')}}}, "d1");
  check(std::vector<array>{array::of<std::uint8_t>({1}), array::of<std::uint8_t>({})}, "e0");
  check(std::vector<array>{array::of<std::uint8_t>({1}),
                           array::of(std::vector<std::uint16_t>(200, 7))},
        "f0");
}

TEST_CASE("array: described elements carry their descriptor once") {
  const auto a = decode<array>(hex("e0 08 02 00 53 05 a1 01 78 00"));
  REQUIRE(a.has_value());
  CHECK(a->is_described());
  CHECK(a->size() == 2);
  const auto items = a->to_vector<described>();
  REQUIRE(items.has_value());
  CHECK(items->at(0) == described(std::uint64_t{5}, "x"));
  CHECK(items->at(1) == described(std::uint64_t{5}, ""));
  CHECK(to_hex(to_raw(*a).octets()) == "e0 08 02 00 53 05 a1 01 78 00");
  CHECK(array().empty());
  CHECK(array() == *from_raw<array>(to_raw(array())));
}

TEST_CASE("array: of zero-width elements is not unrolled beyond reason") {
  const auto few = decode<array>(hex("f0 00000005 00001000 43"));
  CHECK(few->to_vector<std::uint32_t>() == std::vector<std::uint32_t>(4096, 0));
  const auto many = decode<array>(hex("f0 00000005 ffffffff 43"));
  CHECK(many->size() == 0xffffffffu);
  CHECK(!many->to_vector<std::uint32_t>().has_value());
}

TEST_CASE("text: values are shown on one line, in printable characters, and cut when long") {
  const auto text = [](const value& v) { return to_text(v); };
  CHECK(text({}) == "null");
  CHECK(text(true) == "true");
  CHECK(text(std::uint8_t{7}) == "7");
  CHECK(text(std::int8_t{-7}) == "-7");
  CHECK(text(std::uint16_t{7}) == "7");
  CHECK(text(std::int16_t{-7}) == "-7");
  CHECK(text(std::int64_t{-7}) == "-7");
  CHECK(text(1.5f) == "1.5");
  CHECK(text(0.1) == "0.1");
  CHECK(text(decimal32{}) == "decimal32 x\"00000000\"");
  CHECK(text(decimal64{}) == "decimal64 x\"0000000000000000\"");
  CHECK(text(decimal128{}) == "decimal128 x\"00000000000000000000000000000000\"");
  CHECK(text(U'a') == "U+0061");
  CHECK(text(U'\U0001F600') == "U+01f600");
  CHECK(text(timestamp{1311704463521}) == "2011-07-26T18:21:03.521Z");
  CHECK(text(timestamp{-1}) == "1969-12-31T23:59:59.999Z");
  CHECK(text(timestamp{std::numeric_limits<std::int64_t>::min()}) == "-9223372036854775808");
  CHECK(text("a\"b\\c\n\x7f") == R"("a\"b\\c\x0a\x7f")");
  CHECK(text(symbol("amqp:x")) == ":amqp:x");
  CHECK(text(symbol("a b")) == ":\"a b\"");
  CHECK(text(symbol()) == ":\"\"");
  CHECK(text(binary("ab")) == "x\"6162\"");
  CHECK(text(list{true, "x"}) == "[true, \"x\"]");
  CHECK(text(map{{symbol("k"), list{}}}) == "{:k=[]}");
  CHECK(text(array::of<std::uint8_t>({1, 2})) == "array[1, 2]");
  CHECK(text(described(std::uint64_t{0x24}, list{})) == "@amqp:accepted:list []");
  CHECK(text(described(symbol("x"), "y")) == "@:x \"y\"");

  CHECK(text(std::string(1000, 'x')) == '"' + std::string(256, 'x') + "\"... of 1000");
  CHECK(text(binary(std::string(100, 'x'))).ends_with("... of 100"));
  CHECK(text(*decode<value>(hex("f0 00000005 ffffffff 41"))).ends_with("true, ... of 4294967295]"));
  list wide;
  for (int i = 0; i < 60; ++i) wide.push_back(std::string(200, 'w'));
  list outer;
  for (int i = 0; i < 60; ++i) outer.push_back(wide);
  CHECK(text(outer).size() < 2 * limits::text_line_max);
}

TEST_CASE("text: raw octets are shown as the value that they are, or in hex") {
  std::string out;
  print(out, raw());
  print(out += ' ', raw(hex("52 07")));
  print(out += ' ', raw(hex("a1 01 ff")));
  CHECK(out == "null 7 x\"a101ff\"");
}

TEST_CASE("value: random ones survive the wire, and both walks agree on damaged octets") {
  constexpr std::uint64_t seed = 42;
  CAPTURE(seed);
  test::random_source random(seed);
  std::size_t damaged_but_good = 0;
  std::size_t nested = 0;
  for (int round = 0; round < 2000; ++round) {
    const value sent = test::random_value(random, 5);
    const raw octets = to_raw(sent);
    CAPTURE(to_hex(octets.octets()));
    const auto got = from_raw<value>(octets);
    REQUIRE(got.has_value());
    REQUIRE(*got == sent);
    REQUIRE(to_raw(*got) == octets);
    if (sent.is<list>() || sent.is<map>() || sent.is<described>()) ++nested;

    std::vector<std::byte> damaged(octets.octets().begin(), octets.octets().end());
    for (std::size_t n = 1 + random.below(3); n > 0; --n) {
      damaged[random.below(damaged.size())] ^= static_cast<std::byte>(1u << random.below(8));
    }
    reader structure(damaged);
    reader everything(damaged);
    const auto skipped = skip_value(structure);
    const auto checked = check_value(everything);
    if (checked.has_value()) {
      ++damaged_but_good;
      REQUIRE(skipped.has_value());
      CHECK(*skipped == *checked);
      const value other = value_of_checked(std::span(damaged).first(*checked));
      CHECK(first_of_checked(damaged).size() == *checked);
      CHECK(from_raw<value>(to_raw(other)).has_value());
      static_cast<void>(to_text(other));
    } else if (skipped.has_value()) {
      // Only what the structural walk does not look into may set them apart.
      const decode_fault f = checked.error().fault;
      CHECK((f == decode_fault::bad_utf8 || f == decode_fault::bad_value));
    }
  }
  CHECK(nested > 300);
  CHECK(damaged_but_good > 200);
}

}  // namespace
}  // namespace whimbrel::amqp::codec
