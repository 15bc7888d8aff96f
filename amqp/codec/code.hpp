// SPDX-License-Identifier: Apache-2.0
// The constructor octets ("format codes") of the type system. [1.2, 1.6]
#pragma once

#include <cstddef>
#include <cstdint>

namespace whimbrel::amqp::codec {

/// The high nibble says how the data is laid out, the low one which type it is.
enum class code : std::uint8_t {
  described = 0x00,
  null = 0x40,
  true_ = 0x41,
  false_ = 0x42,
  uint0 = 0x43,
  ulong0 = 0x44,
  list0 = 0x45,
  ubyte = 0x50,
  byte = 0x51,
  smalluint = 0x52,
  smallulong = 0x53,
  smallint = 0x54,
  smalllong = 0x55,
  boolean = 0x56,
  ushort = 0x60,
  short_ = 0x61,
  uint = 0x70,
  int_ = 0x71,
  float_ = 0x72,
  char_ = 0x73,
  decimal32 = 0x74,
  ulong = 0x80,
  long_ = 0x81,
  double_ = 0x82,
  timestamp = 0x83,
  decimal64 = 0x84,
  decimal128 = 0x94,
  uuid = 0x98,
  vbin8 = 0xa0,
  str8 = 0xa1,
  sym8 = 0xa3,
  vbin32 = 0xb0,
  str32 = 0xb1,
  sym32 = 0xb3,
  list8 = 0xc0,
  map8 = 0xc1,
  list32 = 0xd0,
  map32 = 0xd1,
  array8 = 0xe0,
  array32 = 0xf0,
};

/// How the octets after a constructor are laid out.
enum class category : std::uint8_t { none, described, fixed, variable, compound, array };

struct layout_of_code {
  category kind = category::none;  // none: not a constructor of the standard
  std::uint8_t width = 0;          // of the data (fixed), or of the size field (the others)
};

/// The layout that belongs to `c`; octets that no type of the standard uses have none.
constexpr layout_of_code layout(code c) {
  switch (c) {
    case code::described:
      return {category::described, 0};
    case code::null:
    case code::true_:
    case code::false_:
    case code::uint0:
    case code::ulong0:
    case code::list0:
      return {category::fixed, 0};
    case code::ubyte:
    case code::byte:
    case code::smalluint:
    case code::smallulong:
    case code::smallint:
    case code::smalllong:
    case code::boolean:
      return {category::fixed, 1};
    case code::ushort:
    case code::short_:
      return {category::fixed, 2};
    case code::uint:
    case code::int_:
    case code::float_:
    case code::char_:
    case code::decimal32:
      return {category::fixed, 4};
    case code::ulong:
    case code::long_:
    case code::double_:
    case code::timestamp:
    case code::decimal64:
      return {category::fixed, 8};
    case code::decimal128:
    case code::uuid:
      return {category::fixed, 16};
    case code::vbin8:
    case code::str8:
    case code::sym8:
      return {category::variable, 1};
    case code::vbin32:
    case code::str32:
    case code::sym32:
      return {category::variable, 4};
    case code::list8:
    case code::map8:
      return {category::compound, 1};
    case code::list32:
    case code::map32:
      return {category::compound, 4};
    case code::array8:
      return {category::array, 1};
    case code::array32:
      return {category::array, 4};
  }
  return {};
}

constexpr bool is_map(code c) { return c == code::map8 || c == code::map32; }
constexpr bool is_list(code c) { return c == code::list0 || c == code::list8 || c == code::list32; }
constexpr bool is_array(code c) { return c == code::array8 || c == code::array32; }
constexpr bool is_string(code c) { return c == code::str8 || c == code::str32; }
constexpr bool is_symbol(code c) { return c == code::sym8 || c == code::sym32; }
constexpr bool is_binary(code c) { return c == code::vbin8 || c == code::vbin32; }

}  // namespace whimbrel::amqp::codec
