// SPDX-License-Identifier: Apache-2.0
// Encoding and decoding of the primitive types. [1.6]
#include "amqp/codec/primitives.hpp"

#include <bit>

#include "amqp/base/limits.hpp"
#include "amqp/codec/skip.hpp"

namespace whimbrel::amqp::codec {

namespace {

/// The data of a fixed-width type that has one encoding only.
template <class U>
decoded<U> read_fixed(reader& r, code only) {
  const decode_error misplaced = r.fault(decode_fault::bad_format_code);
  AMQP_TRY(c, r.constructor());
  if (c != only) return misplaced;
  return r.integer<U>();
}

template <class T>
decoded<T> read_octets(reader& r, code only) {
  const decode_error misplaced = r.fault(decode_fault::bad_format_code);
  AMQP_TRY(c, r.constructor());
  if (c != only) return misplaced;
  T out;
  AMQP_TRY(data, r.take(out.octets.size()));
  std::memcpy(out.octets.data(), data.data(), data.size());
  return out;
}

/// An integer in one octet or in all of them; `Narrow` carries the sign.
template <class T, class Narrow>
decoded<T> read_integer(reader& r, code narrow, code wide) {
  const decode_error misplaced = r.fault(decode_fault::bad_format_code);
  AMQP_TRY(c, r.constructor());
  if (c == narrow) {
    AMQP_TRY(octet, r.integer<std::uint8_t>());
    return static_cast<T>(static_cast<Narrow>(octet));
  }
  if (c != wide) return misplaced;
  AMQP_TRY(all, r.integer<std::make_unsigned_t<T>>());
  return static_cast<T>(all);
}

bool fits_octet(std::int64_t v) { return v >= -128 && v <= 127; }

}  // namespace

void encode(writer& w, null) { w.constructor(code::null); }
void encode(writer& w, bool v) { w.constructor(v ? code::true_ : code::false_); }
void encode(writer& w, std::uint8_t v) { w.fixed(code::ubyte, v); }
void encode(writer& w, std::uint16_t v) { w.fixed(code::ushort, v); }
void encode(writer& w, std::uint32_t v) {
  if (v == 0) return w.constructor(code::uint0);
  if (v <= 255) return w.fixed(code::smalluint, static_cast<std::uint8_t>(v));
  w.fixed(code::uint, v);
}
void encode(writer& w, std::uint64_t v) {
  if (v == 0) return w.constructor(code::ulong0);
  if (v <= 255) return w.fixed(code::smallulong, static_cast<std::uint8_t>(v));
  w.fixed(code::ulong, v);
}
void encode(writer& w, std::int8_t v) { w.fixed(code::byte, static_cast<std::uint8_t>(v)); }
void encode(writer& w, std::int16_t v) { w.fixed(code::short_, static_cast<std::uint16_t>(v)); }
void encode(writer& w, std::int32_t v) {
  if (fits_octet(v)) return w.fixed(code::smallint, static_cast<std::uint8_t>(v));
  w.fixed(code::int_, static_cast<std::uint32_t>(v));
}
void encode(writer& w, std::int64_t v) {
  if (fits_octet(v)) return w.fixed(code::smalllong, static_cast<std::uint8_t>(v));
  w.fixed(code::long_, static_cast<std::uint64_t>(v));
}
void encode(writer& w, float v) { w.fixed(code::float_, std::bit_cast<std::uint32_t>(v)); }
void encode(writer& w, double v) { w.fixed(code::double_, std::bit_cast<std::uint64_t>(v)); }
void encode(writer& w, const decimal32& v) {
  w.constructor(code::decimal32);
  w.octets(v.octets);
}
void encode(writer& w, const decimal64& v) {
  w.constructor(code::decimal64);
  w.octets(v.octets);
}
void encode(writer& w, const decimal128& v) {
  w.constructor(code::decimal128);
  w.octets(v.octets);
}
void encode(writer& w, char32_t v) { w.fixed(code::char_, static_cast<std::uint32_t>(v)); }
void encode(writer& w, timestamp v) { w.fixed(code::timestamp, static_cast<std::uint64_t>(v.ms)); }
void encode(writer& w, const uuid& v) {
  w.constructor(code::uuid);
  w.octets(v.octets);
}
void encode(writer& w, const binary& v) {
  w.variable(code::vbin8, code::vbin32, std::span<const std::byte>(v.octets));
}
void encode(writer& w, const std::string& v) { encode(w, std::string_view(v)); }
void encode(writer& w, std::string_view v) { w.variable(code::str8, code::str32, v); }
void encode(writer& w, const symbol& v) {
  w.variable(code::sym8, code::sym32, std::string_view(v.text));
}
void encode(writer& w, const raw& v) {
  if (v.empty()) return w.constructor(code::null);
  w.octets(v.octets());
}

void encode(writer& w, const multiple<symbol>& v) {
  if (v.size() == 1) return encode(w, v.values.front());
  encode(w, array::of(v.values));
}

template <>
decoded<null> decode_as(reader& r) {
  const decode_error misplaced = r.fault(decode_fault::bad_format_code);
  AMQP_TRY(c, r.constructor());
  if (c != code::null) return misplaced;
  return null{};
}
template <>
decoded<bool> decode_as(reader& r) {
  const decode_error misplaced = r.fault(decode_fault::bad_format_code);
  AMQP_TRY(c, r.constructor());
  if (c == code::true_) return true;
  if (c == code::false_) return false;
  if (c != code::boolean) return misplaced;
  const decode_error neither = r.fault(decode_fault::bad_value);
  AMQP_TRY(octet, r.integer<std::uint8_t>());
  if (octet > 1) return neither;
  return octet == 1;
}
template <>
decoded<std::uint8_t> decode_as(reader& r) {
  return read_fixed<std::uint8_t>(r, code::ubyte);
}
template <>
decoded<std::uint16_t> decode_as(reader& r) {
  return read_fixed<std::uint16_t>(r, code::ushort);
}
template <>
decoded<std::uint32_t> decode_as(reader& r) {
  if (r.peek() != code::uint0) {
    return read_integer<std::uint32_t, std::uint8_t>(r, code::smalluint, code::uint);
  }
  static_cast<void>(r.constructor());
  return std::uint32_t{0};
}
template <>
decoded<std::uint64_t> decode_as(reader& r) {
  if (r.peek() != code::ulong0) {
    return read_integer<std::uint64_t, std::uint8_t>(r, code::smallulong, code::ulong);
  }
  static_cast<void>(r.constructor());
  return std::uint64_t{0};
}
template <>
decoded<std::int8_t> decode_as(reader& r) {
  AMQP_TRY(octet, read_fixed<std::uint8_t>(r, code::byte));
  return static_cast<std::int8_t>(octet);
}
template <>
decoded<std::int16_t> decode_as(reader& r) {
  AMQP_TRY(both, read_fixed<std::uint16_t>(r, code::short_));
  return static_cast<std::int16_t>(both);
}
template <>
decoded<std::int32_t> decode_as(reader& r) {
  return read_integer<std::int32_t, std::int8_t>(r, code::smallint, code::int_);
}
template <>
decoded<std::int64_t> decode_as(reader& r) {
  return read_integer<std::int64_t, std::int8_t>(r, code::smalllong, code::long_);
}
template <>
decoded<float> decode_as(reader& r) {
  AMQP_TRY(bits, read_fixed<std::uint32_t>(r, code::float_));
  return std::bit_cast<float>(bits);
}
template <>
decoded<double> decode_as(reader& r) {
  AMQP_TRY(bits, read_fixed<std::uint64_t>(r, code::double_));
  return std::bit_cast<double>(bits);
}
template <>
decoded<decimal32> decode_as(reader& r) {
  return read_octets<decimal32>(r, code::decimal32);
}
template <>
decoded<decimal64> decode_as(reader& r) {
  return read_octets<decimal64>(r, code::decimal64);
}
template <>
decoded<decimal128> decode_as(reader& r) {
  return read_octets<decimal128>(r, code::decimal128);
}
template <>
decoded<char32_t> decode_as(reader& r) {
  const decode_error misplaced = r.fault(decode_fault::bad_value);
  AMQP_TRY(c, read_fixed<std::uint32_t>(r, code::char_));
  if (!is_scalar_value(c)) return misplaced;
  return static_cast<char32_t>(c);
}
template <>
decoded<timestamp> decode_as(reader& r) {
  AMQP_TRY(ms, read_fixed<std::uint64_t>(r, code::timestamp));
  return timestamp{static_cast<std::int64_t>(ms)};
}
template <>
decoded<uuid> decode_as(reader& r) {
  return read_octets<uuid>(r, code::uuid);
}
template <>
decoded<binary> decode_as(reader& r) {
  AMQP_TRY(data, read_binary(r));
  return binary(data);
}
template <>
decoded<std::string> decode_as(reader& r) {
  AMQP_TRY(text, read_string(r));
  return std::string(text);
}
template <>
decoded<symbol> decode_as(reader& r) {
  AMQP_TRY(text, read_symbol(r));
  return symbol(text);
}
template <>
decoded<raw> decode_as(reader& r) {
  AMQP_TRY(octets, take_value(r));
  return raw(octets);
}

template <>
decoded<multiple<symbol>> decode_as(reader& r) {
  multiple<symbol> out;
  const decode_error misplaced = r.fault(decode_fault::bad_format_code);
  if (!is_array(r.peek())) {
    AMQP_TRY(single, decode_as<symbol>(r));
    out.push_back(std::move(single));
    return out;
  }
  AMQP_TRY(several, decode_as<array>(r));
  // An empty array says no more than null does, whatever its element type.
  if (several.empty()) return out;
  if (several.is_described() || !is_symbol(several.element_code())) return misplaced;
  if (several.size() > limits::multiple_values_max) return r.fault(decode_fault::limit_exceeded);
  for (const value element : several) out.push_back(*element.to<symbol>());
  return out;
}

}  // namespace whimbrel::amqp::codec
