// SPDX-License-Identifier: Apache-2.0
// Comparing and computing with numbers of different types, exactly where that is promised.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "broker/protocol/filter/operand.hpp"

namespace whimbrel::broker::protocol::filter {

namespace {

constexpr int digits_max = 39;  // of 2^128

/// The decimal digits of `value`, most significant first.
struct digit_string {
  std::array<char, digits_max + 1> digits{};
  int count = 0;

  explicit digit_string(uint128 value) {
    std::array<char, digits_max + 1> reversed{};
    while (value != 0) {
      reversed[static_cast<std::size_t>(count++)] =
          static_cast<char>('0' + static_cast<int>(value % 10));
      value /= 10;
    }
    std::reverse_copy(reversed.begin(), reversed.begin() + count, digits.begin());
  }
  [[nodiscard]] std::string_view view() const {
    return {digits.data(), static_cast<std::size_t>(count)};
  }
};

/// Sign, coefficient, exponent of ten: what integers and decimals have in common.
struct scaled {
  int sign = 0;  // -1, 0, 1
  uint128 coefficient = 0;
  int exponent = 0;
};

scaled scale(const operand& n) {
  scaled out;
  if (n.what == kind::integer) {
    const bool negative = n.whole < 0;
    out.coefficient = negative ? uint128{0} - static_cast<uint128>(n.whole)
                               : static_cast<uint128>(n.whole);
    out.sign = n.whole == 0 ? 0 : negative ? -1 : 1;
    return out;
  }
  out.coefficient = static_cast<uint128>(n.whole);
  out.sign = n.whole == 0 ? 0 : n.negative ? -1 : 1;
  out.exponent = n.exponent;
  return out;
}

/// Digits compare as if endless zeros followed.
int compare_digits(std::string_view a, std::string_view b) {
  const std::size_t common = std::min(a.size(), b.size());
  if (const int head = std::memcmp(a.data(), b.data(), common); head != 0) return head;
  const auto is_zero = [](std::string_view rest) {
    return rest.find_first_not_of('0') == std::string_view::npos;
  };
  if (!is_zero(a.substr(common))) return 1;
  return is_zero(b.substr(common)) ? 0 : -1;
}

int compare_scaled(const scaled& a, const scaled& b) {
  if (a.sign != b.sign) return a.sign < b.sign ? -1 : 1;
  if (a.sign == 0) return 0;
  const digit_string x(a.coefficient);
  const digit_string y(b.coefficient);
  const int magnitude_x = x.count + a.exponent;
  const int magnitude_y = y.count + b.exponent;
  const int magnitude = magnitude_x != magnitude_y ? (magnitude_x < magnitude_y ? -1 : 1)
                                                   : compare_digits(x.view(), y.view());
  return magnitude * a.sign;
}

int compare_real(double a, double b) { return a < b ? -1 : a > b ? 1 : 0; }

/// Exact: an integer of 65 bits may lie between two doubles.
int compare_integer_real(int128 a, double b) {
  constexpr double beyond = 4e19;  // above 2^65
  if (b >= beyond) return -1;
  if (b <= -beyond) return 1;
  const double whole = std::trunc(b);
  const auto truncated = static_cast<int128>(whole);
  if (a != truncated) return a < truncated ? -1 : 1;
  return compare_real(whole, b);
}

/// The exact value of a finite double other than 0, in digits. 767 are enough for any.
int compare_decimal_real_exactly(const scaled& a, double b) {
  std::array<char, 800> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), std::abs(b),
                                 std::chars_format::scientific, 770)
                       .ptr;
  const std::string_view printed(text.data(), static_cast<std::size_t>(end - text.data()));
  const std::size_t e = printed.find('e');
  int exponent = 0;
  const std::size_t skip = printed[e + 1] == '+' ? 2 : 1;
  std::from_chars(printed.data() + e + skip, end, exponent);
  std::array<char, 800> digits{};
  digits[0] = printed[0];
  std::copy(printed.begin() + 2, printed.begin() + static_cast<std::ptrdiff_t>(e),
            digits.begin() + 1);
  const digit_string x(a.coefficient);
  const int magnitude_x = x.count + a.exponent;
  const int magnitude_b = exponent + 1;
  if (magnitude_x != magnitude_b) return magnitude_x < magnitude_b ? -a.sign : a.sign;
  return a.sign * compare_digits(x.view(), {digits.data(), e - 1});
}

/// Rounding keeps order, so only what rounds to the same double has to be looked at closely.
int compare_decimal_real(const operand& a, double b) {
  const double rounded = to_real(a);
  if (rounded != b || a.is_constant) return compare_real(rounded, b);
  const scaled s = scale(a);
  if (b == 0) return s.sign;
  if (std::isinf(b)) return s.sign < 0 ? 1 : -1;  // a decimal is finite
  return compare_decimal_real_exactly(s, b);
}

order of_sign(int sign) {
  return sign < 0 ? order::less : sign > 0 ? order::greater : order::equal;
}

operand not_a_number() { return of_real(std::numeric_limits<double>::quiet_NaN()); }

/// What long and ulong hold between them; outside there is no number. [filtex 6.3.1]
operand checked_integer(int128 whole, bool is_time) {
  constexpr int128 least = std::numeric_limits<std::int64_t>::min();
  constexpr int128 most = std::numeric_limits<std::uint64_t>::max();
  return whole < least || whole > most ? not_a_number() : of_integer(whole, is_time);
}

operand compute_integers(arithmetic how, const operand& a, const operand& b) {
  switch (how) {
    case arithmetic::add: return checked_integer(a.whole + b.whole, a.is_time != b.is_time);
    case arithmetic::subtract: return checked_integer(a.whole - b.whole, a.is_time && !b.is_time);
    case arithmetic::multiply: {
      int128 product = 0;
      if (__builtin_mul_overflow(a.whole, b.whole, &product)) return not_a_number();
      return checked_integer(product, false);
    }
    case arithmetic::divide:
      return b.whole == 0 ? not_a_number() : checked_integer(a.whole / b.whole, false);
    case arithmetic::remainder:
      return b.whole == 0 ? not_a_number() : checked_integer(a.whole % b.whole, false);
  }
  return null_operand();
}

}  // namespace

double to_real(const operand& n) {
  if (n.what == kind::real || n.is_constant) return n.real;
  if (n.what == kind::integer) return static_cast<double>(n.whole);
  std::array<char, 64> text{};
  const digit_string digits(static_cast<uint128>(n.whole));
  if (digits.count == 0) return 0;
  char* at = std::copy_n(digits.digits.begin(), digits.count, text.data());
  *at++ = 'e';
  at = std::to_chars(at, text.data() + text.size(), n.exponent).ptr;
  double out = 0;
  if (std::from_chars(text.data(), at, out).ec == std::errc::result_out_of_range) {
    out = digits.count + n.exponent > 0 ? std::numeric_limits<double>::infinity() : 0;
  }
  return n.negative ? -out : out;
}

order compare_numbers(const operand& a, const operand& b) {
  const auto is_nan = [](const operand& o) { return o.what == kind::real && std::isnan(o.real); };
  if (is_nan(a) || is_nan(b)) return order::unknown;
  if (a.what == kind::integer && b.what == kind::integer) {
    return a.whole < b.whole ? order::less : a.whole > b.whole ? order::greater : order::equal;
  }
  if (a.what == kind::real && b.what == kind::real) return of_sign(compare_real(a.real, b.real));
  if (a.what == kind::integer && b.what == kind::real) {
    return of_sign(compare_integer_real(a.whole, b.real));
  }
  if (a.what == kind::real && b.what == kind::integer) {
    return of_sign(-compare_integer_real(b.whole, a.real));
  }
  if (b.what == kind::real) return of_sign(compare_decimal_real(a, b.real));
  if (a.what == kind::real) return of_sign(-compare_decimal_real(b, a.real));
  return of_sign(compare_scaled(scale(a), scale(b)));
}

operand compute(arithmetic how, const operand& a, const operand& b) {
  if (!a.is_number() || !b.is_number()) return null_operand();
  if (a.what == kind::integer && b.what == kind::integer) return compute_integers(how, a, b);
  const double x = to_real(a);
  const double y = to_real(b);
  const auto checked = [&](double result) {
    // An overflow is no number; what was infinite before may stay so. [filtex 6.4.4.1.2]
    const bool overflows = std::isinf(result) && std::isfinite(x) && std::isfinite(y);
    return overflows ? not_a_number() : of_real(result);
  };
  switch (how) {
    case arithmetic::add: return checked(x + y);
    case arithmetic::subtract: return checked(x - y);
    case arithmetic::multiply: return checked(x * y);
    case arithmetic::divide: return y == 0 ? not_a_number() : checked(x / y);
    case arithmetic::remainder: return null_operand();  // of integers alone
  }
  return null_operand();
}

operand negate(const operand& a) {
  if (a.what == kind::integer) return checked_integer(-a.whole, false);
  if (a.what == kind::real) return of_real(-a.real);
  if (a.what != kind::decimal) return null_operand();
  operand out = a;
  out.negative = !a.negative;
  out.real = -a.real;
  return out;
}

std::optional<operand> decimal_constant(std::string_view digits) {
  operand out;
  out.what = kind::decimal;
  out.is_constant = true;
  const char* const end = digits.data() + digits.size();
  const auto read = std::from_chars(digits.data(), end, out.real);
  if (read.ec != std::errc{} || read.ptr != end) return std::nullopt;
  constexpr std::size_t kept = 34;  // digits of a decimal128
  std::size_t count = 0;
  bool behind_point = false;
  std::size_t i = 0;
  for (; i < digits.size() && digits[i] != 'e' && digits[i] != 'E'; ++i) {
    if (digits[i] == '.') {
      behind_point = true;
      continue;
    }
    if (count < kept) out.whole = out.whole * 10 + (digits[i] - '0');
    if (count < kept && behind_point) --out.exponent;
    if (count >= kept && !behind_point) ++out.exponent;
    if (out.whole != 0) ++count;
  }
  if (i < digits.size()) {
    int exponent = 0;
    const std::size_t skip = i + 1 < digits.size() && digits[i + 1] == '+' ? 2 : 1;
    std::from_chars(digits.data() + i + skip, end, exponent);
    out.exponent += exponent;
  }
  return out;
}

}  // namespace whimbrel::broker::protocol::filter
