// SPDX-License-Identifier: Apache-2.0
// Encoding, decoding and printing of every primitive type. [1.6]
//
// `encode` is overloaded by type and picks the shortest encoding; `decode_as<T>` admits every
// encoding of T and nothing else; `print` is for people.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "amqp/codec/reader.hpp"
#include "amqp/codec/types.hpp"
#include "amqp/codec/value.hpp"
#include "amqp/codec/writer.hpp"

namespace whimbrel::amqp::codec {

void encode(writer& w, null);
void encode(writer& w, bool v);
void encode(writer& w, std::uint8_t v);
void encode(writer& w, std::uint16_t v);
void encode(writer& w, std::uint32_t v);
void encode(writer& w, std::uint64_t v);
void encode(writer& w, std::int8_t v);
void encode(writer& w, std::int16_t v);
void encode(writer& w, std::int32_t v);
void encode(writer& w, std::int64_t v);
void encode(writer& w, float v);
void encode(writer& w, double v);
void encode(writer& w, const decimal32& v);
void encode(writer& w, const decimal64& v);
void encode(writer& w, const decimal128& v);
void encode(writer& w, char32_t v);
void encode(writer& w, timestamp v);
void encode(writer& w, const uuid& v);
void encode(writer& w, const binary& v);
void encode(writer& w, const std::string& v);
void encode(writer& w, std::string_view v);
void encode(writer& w, const char* v) = delete;  // it would be taken for a bool
void encode(writer& w, const symbol& v);
void encode(writer& w, const raw& v);  // an empty one as null

void print(std::string& out, null);
void print(std::string& out, bool v);
void print(std::string& out, std::uint8_t v);
void print(std::string& out, std::uint16_t v);
void print(std::string& out, std::uint32_t v);
void print(std::string& out, std::uint64_t v);
void print(std::string& out, std::int8_t v);
void print(std::string& out, std::int16_t v);
void print(std::string& out, std::int32_t v);
void print(std::string& out, std::int64_t v);
void print(std::string& out, float v);
void print(std::string& out, double v);
void print(std::string& out, const decimal32& v);
void print(std::string& out, const decimal64& v);
void print(std::string& out, const decimal128& v);
void print(std::string& out, char32_t v);
void print(std::string& out, timestamp v);
void print(std::string& out, const uuid& v);
void print(std::string& out, const binary& v);
void print(std::string& out, const std::string& v);
void print(std::string& out, const symbol& v);
void print(std::string& out, const raw& v);

/// Text in quotes, control characters escaped, cut at `limits::text_octets_max`.
void print_quoted(std::string& out, std::string_view text);
void print_hex(std::string& out, std::span<const std::byte> octets);

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class T>
inline constexpr bool is_multiple = false;
template <class T>
inline constexpr bool is_multiple<multiple<T>> = true;

/// One choice of a restricted type, under the standard's name. [1.3.5]
template <class E>
struct choice {
  E value = {};
  std::string_view name = {};
};
template <class E>  // clang 14 cannot deduce aggregates unaided
choice(E, std::string_view)->choice<E>;

/// An enum that is a restricted type: `choices_of(E)`, found by argument, lists its choices.
template <class E>
concept restricted = std::is_enum_v<E> && requires(E e) {
  choices_of(e);
};

/// The next value as a T. Specialised for the types of `any`, `value` and `raw`; composites and
/// restricted types go through `decode_as` as well (see composite.hpp).
template <class T>
[[nodiscard]] decoded<T> decode_as(reader& r);

template <>
decoded<null> decode_as(reader& r);
template <>
decoded<bool> decode_as(reader& r);
template <>
decoded<std::uint8_t> decode_as(reader& r);
template <>
decoded<std::uint16_t> decode_as(reader& r);
template <>
decoded<std::uint32_t> decode_as(reader& r);
template <>
decoded<std::uint64_t> decode_as(reader& r);
template <>
decoded<std::int8_t> decode_as(reader& r);
template <>
decoded<std::int16_t> decode_as(reader& r);
template <>
decoded<std::int32_t> decode_as(reader& r);
template <>
decoded<std::int64_t> decode_as(reader& r);
template <>
decoded<float> decode_as(reader& r);
template <>
decoded<double> decode_as(reader& r);
template <>
decoded<decimal32> decode_as(reader& r);
template <>
decoded<decimal64> decode_as(reader& r);
template <>
decoded<decimal128> decode_as(reader& r);
template <>
decoded<char32_t> decode_as(reader& r);
template <>
decoded<timestamp> decode_as(reader& r);
template <>
decoded<uuid> decode_as(reader& r);
template <>
decoded<binary> decode_as(reader& r);
template <>
decoded<std::string> decode_as(reader& r);
template <>
decoded<symbol> decode_as(reader& r);
template <>
decoded<list> decode_as(reader& r);
template <>
decoded<map> decode_as(reader& r);
template <>
decoded<array> decode_as(reader& r);
template <>
decoded<described> decode_as(reader& r);
template <>
decoded<value> decode_as(reader& r);
template <>
decoded<raw> decode_as(reader& r);
template <>
decoded<multiple<symbol>> decode_as(reader& r);

void encode(writer& w, const multiple<symbol>& v);
void print(std::string& out, const multiple<symbol>& v);

template <restricted E>
void encode(writer& w, E v) {
  encode(w, static_cast<std::underlying_type_t<E>>(v));
}
template <restricted E>
void print(std::string& out, E v) {
  for (const auto& c : choices_of(v))
    if (c.value == v) out += c.name;
}

}  // namespace whimbrel::amqp::codec
