// SPDX-License-Identifier: Apache-2.0
// Reading operands from the wire, and comparing those that are not numbers.
#include "broker/protocol/filter/operand.hpp"

#include <bit>
#include <cmath>
#include <limits>

#include "amqp/codec/reader.hpp"
#include "broker/protocol/filter/date.hpp"

namespace whimbrel::broker::protocol::filter {

namespace codec = amqp::codec;
using codec::code;

operand null_operand() { return {}; }

operand of_boolean(bool truth) {
  operand out;
  out.what = kind::boolean;
  out.truth = truth;
  return out;
}

operand of_integer(int128 whole, bool is_time) {
  operand out;
  out.what = kind::integer;
  out.whole = whole;
  out.is_time = is_time;
  return out;
}

operand of_real(double real) {
  operand out;
  out.what = kind::real;
  out.real = real;
  return out;
}

operand of_text(std::string_view text) {
  operand out;
  out.what = kind::text;
  out.text = text;
  return out;
}

namespace {

operand of_octets(kind what, std::string_view octets, code c = code::null) {
  operand out;
  out.what = what;
  out.text = octets;
  out.code = static_cast<std::uint8_t>(c);
  return out;
}

operand compound() {
  operand out;
  out.what = kind::compound;
  return out;
}

uint128 load(std::span<const std::byte> octets) {
  uint128 out = 0;
  for (const std::byte b : octets) out = out << 8 | std::to_integer<unsigned>(b);
  return out;
}

/// IEEE 754-2008 in the binary encoding of the coefficient: sign, exponent, coefficient; or, when
/// two ones follow the sign, a coefficient with an implied 100 in front. [1.6.13]
operand read_decimal(std::span<const std::byte> octets) {
  struct shape {
    unsigned bits, exponent_bits;
    int bias, digits;
  };
  const shape s = octets.size() == 4   ? shape{32, 8, 101, 7}
                  : octets.size() == 8 ? shape{64, 10, 398, 16}
                                       : shape{128, 14, 6176, 34};
  const uint128 bits = load(octets);
  const bool negative = (bits >> (s.bits - 1) & 1) != 0;
  const auto top = static_cast<unsigned>(bits >> (s.bits - 6) & 31);
  if (top >= 30) {
    if (top == 31) return of_real(std::numeric_limits<double>::quiet_NaN());
    const double infinity = std::numeric_limits<double>::infinity();
    return of_real(negative ? -infinity : infinity);
  }
  const bool is_large = top >> 3 == 3;
  const unsigned coefficient_bits = s.bits - 1 - s.exponent_bits - (is_large ? 2 : 0);
  const uint128 one = 1;
  uint128 coefficient = bits & ((one << coefficient_bits) - 1);
  if (is_large) coefficient |= uint128{4} << coefficient_bits;
  uint128 bound = 1;
  for (int i = 0; i < s.digits; ++i) bound *= 10;
  if (coefficient >= bound) coefficient = 0;  // not canonical: stands for zero
  operand out;
  out.what = kind::decimal;
  out.negative = negative;
  out.whole = static_cast<int128>(coefficient);
  const auto exponent =
      static_cast<int>(bits >> coefficient_bits & ((one << s.exponent_bits) - 1));
  out.exponent = exponent - s.bias;
  return out;
}

template <class Signed>
operand read_signed(uint128 bits) {
  return of_integer(static_cast<Signed>(static_cast<std::make_unsigned_t<Signed>>(bits)));
}

operand read_fixed(code c, std::span<const std::byte> octets) {
  const std::string_view text(reinterpret_cast<const char*>(octets.data()), octets.size());
  const uint128 bits = octets.size() <= 8 ? load(octets) : 0;
  switch (c) {
    case code::true_: return of_boolean(true);
    case code::false_: return of_boolean(false);
    case code::boolean: return of_boolean(bits != 0);
    case code::uint0:
    case code::ulong0:
    case code::ubyte:
    case code::smalluint:
    case code::smallulong:
    case code::ushort:
    case code::uint:
    case code::ulong: return of_integer(static_cast<int128>(bits));
    case code::byte:
    case code::smallint:
    case code::smalllong: return read_signed<std::int8_t>(bits);
    case code::short_: return read_signed<std::int16_t>(bits);
    case code::int_: return read_signed<std::int32_t>(bits);
    case code::long_: return read_signed<std::int64_t>(bits);
    case code::timestamp: {
      operand out = read_signed<std::int64_t>(bits);
      out.is_time = true;
      return out;
    }
    case code::float_:
      return of_real(static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(bits))));
    case code::double_:
      return of_real(std::bit_cast<double>(static_cast<std::uint64_t>(bits)));
    case code::decimal32:
    case code::decimal64:
    case code::decimal128: return read_decimal(octets);
    case code::uuid:
    case code::char_: return of_octets(kind::opaque, text, c);
    default: return null_operand();
  }
}

}  // namespace

operand read_operand(std::span<const std::byte> octets) {
  if (octets.empty()) return null_operand();
  return read_operand(static_cast<code>(octets[0]), octets.subspan(1));
}

operand read_operand(code c, std::span<const std::byte> data) {
  const auto at = codec::layout(c);
  if (at.kind == codec::category::none || data.size() < at.width) return null_operand();
  if (at.kind == codec::category::fixed) {
    return c == code::list0 ? compound() : read_fixed(c, data.first(at.width));
  }
  if (at.kind != codec::category::variable) return compound();
  const auto content = data.subspan(at.width);
  const std::string_view text(reinterpret_cast<const char*>(content.data()), content.size());
  return codec::is_binary(c) ? of_octets(kind::binary, text) : of_text(text);
}

namespace {

order of_sign(int sign) {
  return sign < 0 ? order::less : sign > 0 ? order::greater : order::equal;
}

/// A timestamp and a text: as times, if the text is one. [filtex 6.3.2]
order compare_time(const operand& time, const operand& text) {
  const auto other = parse_date_or_duration(text.text);
  if (!other) return order::unlike;
  return compare_numbers(time, of_integer(*other));
}

order reversed(order o) {
  if (o == order::less) return order::greater;
  if (o == order::greater) return order::less;
  return o;
}

}  // namespace

order compare(const operand& a, const operand& b) {
  const auto is_known = [](const operand& o) {
    return o.what != kind::null && o.what != kind::compound;
  };
  if (!is_known(a) || !is_known(b)) return order::unknown;
  if (a.is_number() && b.is_number()) return compare_numbers(a, b);
  if (a.is_time && b.what == kind::text) return compare_time(a, b);
  if (b.is_time && a.what == kind::text) return reversed(compare_time(b, a));
  if (a.what != b.what) return order::unlike;
  if (a.what == kind::boolean) return a.truth == b.truth ? order::equal : order::different;
  if (a.what == kind::opaque) {
    if (a.code != b.code) return order::unlike;
    return a.text == b.text ? order::equal : order::different;
  }
  return of_sign(a.text.compare(b.text));
}

}  // namespace whimbrel::broker::protocol::filter
