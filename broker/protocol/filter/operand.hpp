// SPDX-License-Identifier: Apache-2.0
// The values that expressions compute with, and what may be done with them. Text and octets are
// borrowed: from the message, from the expression, or from an evaluation's buffers.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "amqp/codec/code.hpp"

namespace whimbrel::broker::protocol::filter {

__extension__ using int128 = __int128;
__extension__ using uint128 = unsigned __int128;

enum class kind : std::uint8_t {
  null,      // absent, or could not be computed
  boolean,
  integer,   // any of the eight AMQP types, and timestamps
  real,      // float and double
  decimal,   // the three decimal types, and constants with a point
  text,      // string and symbol
  binary,
  opaque,    // uuid, char: equal or not, no more
  compound,  // there, but nothing to compute with: list, map, array, described
};

struct operand {
  kind what = kind::null;
  bool truth = false;          // boolean
  bool is_time = false;        // integer: milliseconds since the epoch
  bool is_constant = false;    // decimal: from an expression, `real` is the nearest double
  std::uint8_t code = 0;       // opaque: the format code
  bool negative = false;       // decimal: its sign
  std::int32_t exponent = 0;   // decimal: of ten
  double real = 0;
  int128 whole = 0;            // integer; decimal: the coefficient, not negative
  std::string_view text = {};  // text, binary, opaque

  [[nodiscard]] bool is_number() const {
    return what == kind::integer || what == kind::real || what == kind::decimal;
  }
};

operand null_operand();
operand of_boolean(bool truth);
operand of_integer(int128 whole, bool is_time = false);
operand of_real(double real);
operand of_text(std::string_view text);

/// The value that `octets` hold; they are empty (then null) or one well-formed encoded value.
operand read_operand(std::span<const std::byte> octets);
/// The same with the constructor apart, as in an array.
operand read_operand(amqp::codec::code constructor, std::span<const std::byte> data);

/// The constant that `digits` spell, `1.50` or `2.5E-3`; nothing when a double cannot hold it.
std::optional<operand> decimal_constant(std::string_view digits);

enum class order : std::uint8_t {
  less,
  equal,
  greater,
  different,  // not equal, and neither is greater
  unlike,     // not of kinds that can be compared
  unknown,    // one is null, not a number, or compound
};

/// Numbers compare by their exact values, whatever their types; a constant with a point compares
/// with a float or double as the double nearest to it. Text compares by code points. A timestamp
/// compares with text that is an ISO 8601 date. [filtex 6.4.2.3, 6.3]
order compare(const operand& a, const operand& b);

/// As compare, of numbers alone.
order compare_numbers(const operand& a, const operand& b);

enum class arithmetic : std::uint8_t { add, subtract, multiply, divide, remainder };

/// Integers stay integers, and give not-a-number outside of long and ulong and when divided by
/// zero; everything else is computed in double. Null for what is not a number. [filtex 6.4.4.1]
operand compute(arithmetic how, const operand& a, const operand& b);
operand negate(const operand& a);

/// The nearest double.
double to_real(const operand& number);

}  // namespace whimbrel::broker::protocol::filter
