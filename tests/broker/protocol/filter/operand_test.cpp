// SPDX-License-Identifier: Apache-2.0
// Numbers of different types compare by their exact values; dates and text.
#include <limits>

#include <doctest/doctest.h>

#include "broker/protocol/filter/date.hpp"
#include "broker/protocol/filter/operand.hpp"
#include "broker/protocol/filter/text.hpp"
#include "tests/support/hex.hpp"

using namespace whimbrel;
using namespace whimbrel::broker::protocol::filter;
using whimbrel::test::hex;

namespace {

char sign_of(order o) {
  switch (o) {
    case order::less: return '<';
    case order::equal: return '=';
    case order::greater: return '>';
    case order::unlike: return '#';
    case order::different: return '!';
    case order::unknown: return '?';
  }
  return ' ';
}

char compared(const operand& a, const operand& b) {
  const char out = sign_of(compare(a, b));
  const char back = sign_of(compare(b, a));
  const char mirrored = out == '<' ? '>' : out == '>' ? '<' : out;
  CHECK(back == mirrored);
  return out;
}

operand decimal64(const char* octets) { return read_operand(hex(std::string("84 ") + octets)); }

}  // namespace

TEST_CASE("operand: integers and doubles compare exactly where a double has no room") {
  const double limit = 9007199254740992.0;  // 2^53
  CHECK(compared(of_integer(9007199254740993), of_real(limit)) == '>');
  CHECK(compared(of_integer(9007199254740992), of_real(limit)) == '=');
  CHECK(compared(of_integer(-9007199254740993), of_real(-limit)) == '<');
  CHECK(compared(of_integer(std::numeric_limits<std::uint64_t>::max()),
                 of_real(18446744073709551616.0)) == '<');
  CHECK(compared(of_integer(2), of_real(2.5)) == '<');
  CHECK(compared(of_integer(-2), of_real(-2.5)) == '>');
  CHECK(compared(of_integer(5), of_real(1e300)) == '<');
  CHECK(compared(of_integer(5), of_real(-std::numeric_limits<double>::infinity())) == '>');
  CHECK(compared(of_integer(5), of_real(std::numeric_limits<double>::quiet_NaN())) == '?');
}

TEST_CASE("operand: decimals are read from the wire and compare exactly") {
  // 1 x 10^-1, 15 x 10^-1, -2 x 10^0, 1 x 10^2 as decimal64: bias 398
  const operand tenth = decimal64("31 a0 00 00 00 00 00 01");
  CHECK(tenth.what == kind::decimal);
  CHECK(compared(tenth, *decimal_constant("0.1")) == '=');
  CHECK(compared(tenth, *decimal_constant("0.10000000000000000000001")) == '<');
  CHECK(compared(tenth, of_real(0.1)) == '<');  // the double is 5.5e-18 more
  CHECK(compared(*decimal_constant("0.1"), of_real(0.1)) == '=');
  CHECK(compared(decimal64("31 a0 00 00 00 00 00 0f"), of_real(1.5)) == '=');
  CHECK(compared(decimal64("b1 c0 00 00 00 00 00 02"), of_integer(-2)) == '=');
  CHECK(compared(decimal64("32 00 00 00 00 00 00 01"), of_integer(100)) == '=');
  CHECK(compared(decimal64("32 00 00 00 00 00 00 01"), of_integer(101)) == '<');
  CHECK(compared(decimal64("5f e0 00 00 00 00 00 01"), of_real(1.7e308)) == '>');
  CHECK(compared(decimal64("00 00 00 00 00 00 00 01"), of_real(0.0)) == '>');
  CHECK(compared(decimal64("80 00 00 00 00 00 00 00"), of_integer(0)) == '=');
  CHECK(compared(decimal64("78 00 00 00 00 00 00 00"), of_integer(5)) == '>');  // infinity
  CHECK(compared(decimal64("7c 00 00 00 00 00 00 00"), of_integer(5)) == '?');  // no number
  // 9 999 999 999 999 999 needs the encoding with two more exponent bits in front
  CHECK(compared(decimal64("6c 73 86 f2 6f c0 ff ff"), of_integer(9999999999999999)) == '=');
  const operand small = read_operand(hex("74 32 00 00 0f"));  // 15 x 10^-1 as decimal32
  CHECK(compared(small, of_real(1.5)) == '=');
  const operand large = read_operand(hex("94 30 40 00 00 00 00 00 00 00 00 00 00 00 00 00 2a"));
  CHECK(compared(large, of_integer(42)) == '=');
}

TEST_CASE("operand: unlike kinds are unlike, and null is unknown") {
  CHECK(compared(of_text("5"), of_integer(5)) == '#');
  CHECK(compared(of_boolean(true), of_integer(1)) == '#');
  CHECK(compared(of_boolean(true), of_boolean(false)) == '!');
  CHECK(compared(null_operand(), null_operand()) == '?');
  CHECK(compared(read_operand(hex("45")), of_integer(5)) == '?');  // a list
  CHECK(compared(of_text("a"), of_text("b")) == '<');
  CHECK(compared(of_text("\xc3\xbc"), of_text("z")) == '>');
  CHECK(compared(read_operand(hex("73 00 00 00 41")), read_operand(hex("73 00 00 00 42"))) == '!');
}

TEST_CASE("operand: integers that leave long and ulong are no numbers") {
  const operand most = of_integer(std::numeric_limits<std::uint64_t>::max());
  const operand least = of_integer(std::numeric_limits<std::int64_t>::min());
  const auto is_nan = [](const operand& o) { return compared(o, o) == '?'; };
  CHECK(is_nan(compute(arithmetic::add, most, of_integer(1))));
  CHECK(is_nan(compute(arithmetic::subtract, least, of_integer(1))));
  CHECK(is_nan(compute(arithmetic::multiply, most, most)));
  CHECK(is_nan(compute(arithmetic::divide, most, of_integer(0))));
  CHECK(is_nan(compute(arithmetic::remainder, most, of_integer(0))));
  CHECK(is_nan(compute(arithmetic::multiply, of_real(1e300), of_real(1e300))));
  CHECK(is_nan(negate(most)));
  CHECK(compared(compute(arithmetic::subtract, most, most), of_integer(0)) == '=');
  CHECK(compute(arithmetic::remainder, of_real(5), of_integer(2)).what == kind::null);
}

TEST_CASE("date: extended ISO 8601 is read, and nothing else") {
  CHECK(parse_date("1970-01-01") == 0);
  CHECK(parse_date("2024-02-29T12:34:56.789Z") == 1'709'210'096'789);
  CHECK(parse_date("2024-02-29T12:34:56,789123+00:00") == 1'709'210'096'789);
  CHECK(parse_date("2024-02-29T13:34+01") == parse_date("2024-02-29T12:34"));
  CHECK(parse_date("1969-12-31T23:59:59.5Z") == -500);
  for (const char* bad : {"", "2024", "2023-02-29", "2024-13-01", "2024-02-29 12:00",
                          "2024-02-29T25:00", "2024-02-29T12", "2024-02-29T12:00:", "x",
                          "2024-02-29T12:00:00.Z", "2024-02-29T12:00Zx", "20240229"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_date(bad).has_value());
  }
  CHECK(parse_duration("P1DT2H3M4.5S") == 93'784'500);
  CHECK(parse_duration("PT0.25S") == 250);
  CHECK(parse_duration("P2W") == 1'209'600'000);
  for (const char* bad : {"P", "PT", "P1Y", "P1M", "1D", "P1H", "PT1D", "P1.5D", "P9999999999D"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_duration(bad).has_value());
  }
}

TEST_CASE("text: case is mapped by character, also beyond ASCII") {
  std::string out;
  append_lower(out, "A\xc3\x9cZ \xce\xa9 \xd0\x96");
  CHECK(out == "a\xc3\xbcz \xcf\x89 \xd0\xb6");
  out.clear();
  append_upper(out, "stra\xc3\x9f" "e \xc5\xbe");
  CHECK(out == "STRA\xc3\x9f" "E \xc5\xbd");  // the sharp s would be two
  CHECK(count_characters("\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80x") == 4);
  CHECK(count_characters("\xc3") == 1);  // cut short
}
