// SPDX-License-Identifier: Apache-2.0
// Reading ISO 8601.
#include "broker/protocol/filter/date.hpp"

#include <chrono>
#include <initializer_list>

namespace whimbrel::broker::protocol::filter {

namespace {

/// What remains to be read. A read that does not fit leaves it failed.
class scanner {
 public:
  explicit scanner(std::string_view text) : rest_(text) {}

  [[nodiscard]] bool is_at_end() const { return rest_.empty(); }
  [[nodiscard]] bool has_failed() const { return failed_; }

  bool skip(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) { failed_ = !skip(c) || failed_; }

  /// Exactly `width` digits, a number of at most `max`.
  int number(std::size_t width, int max) {
    int out = 0;
    if (rest_.size() < width) failed_ = true;
    for (std::size_t i = 0; i < width && !failed_; ++i) {
      if (!is_digit(rest_[i])) failed_ = true;
      else out = out * 10 + (rest_[i] - '0');
    }
    if (failed_ || out > max) {
      failed_ = true;
      return 0;
    }
    rest_.remove_prefix(width);
    return out;
  }

  /// One digit at least, and not so many that a sum of them could overflow.
  std::int64_t digits() {
    constexpr std::size_t width_max = 9;
    std::int64_t out = 0;
    std::size_t width = 0;
    while (width < rest_.size() && is_digit(rest_[width])) {
      if (width == width_max) failed_ = true;
      if (failed_) return 0;
      out = out * 10 + (rest_[width++] - '0');
    }
    if (width == 0) failed_ = true;
    rest_.remove_prefix(width);
    return out;
  }

  /// The digits behind a point, as thousandths; what is finer is cut off.
  int thousandths() {
    int out = 0;
    int scale = 100;
    if (rest_.empty() || !is_digit(rest_[0])) failed_ = true;
    while (!rest_.empty() && is_digit(rest_[0])) {
      out += (rest_[0] - '0') * scale;
      scale /= 10;
      rest_.remove_prefix(1);
    }
    return out;
  }

  [[nodiscard]] char take() {
    if (rest_.empty()) {
      failed_ = true;
      return '\0';
    }
    const char c = rest_[0];
    rest_.remove_prefix(1);
    return c;
  }

 private:
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }

  std::string_view rest_;
  bool failed_ = false;
};

constexpr std::int64_t second_ms = 1000;
constexpr std::int64_t minute_ms = 60 * second_ms;
constexpr std::int64_t hour_ms = 60 * minute_ms;
constexpr std::int64_t day_ms = 24 * hour_ms;

std::int64_t read_time(scanner& s) {
  std::int64_t ms = s.number(2, 23) * hour_ms;
  s.expect(':');
  ms += s.number(2, 59) * minute_ms;
  if (s.skip(':')) {
    ms += s.number(2, 59) * second_ms;
    if (s.skip('.') || s.skip(',')) ms += s.thousandths();
  }
  if (s.skip('Z')) return ms;
  for (const char sign : {'+', '-'}) {
    if (!s.skip(sign)) continue;
    std::int64_t zone = s.number(2, 23) * hour_ms;
    const bool has_minutes = s.skip(':') || !s.is_at_end();
    if (has_minutes) zone += s.number(2, 59) * minute_ms;
    return sign == '+' ? ms - zone : ms + zone;
  }
  return ms;
}

}  // namespace

std::optional<std::int64_t> parse_date(std::string_view text) {
  scanner s(text);
  const int year = s.number(4, 9999);
  s.expect('-');
  const int month = s.number(2, 12);
  s.expect('-');
  const int day = s.number(2, 31);
  if (s.has_failed()) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day)));
  if (!date.ok()) return std::nullopt;
  std::int64_t ms = std::chrono::sys_days(date).time_since_epoch().count() * day_ms;
  if (s.skip('T')) ms += read_time(s);
  if (s.has_failed() || !s.is_at_end()) return std::nullopt;
  return ms;
}

std::optional<std::int64_t> parse_duration(std::string_view text) {
  scanner s(text);
  s.expect('P');
  std::int64_t ms = 0;
  bool in_time = s.skip('T');
  if (s.is_at_end()) return std::nullopt;
  while (!s.is_at_end() && !s.has_failed()) {
    const std::int64_t count = s.digits();
    const bool has_fraction = s.skip('.');
    const int fraction = has_fraction ? s.thousandths() : 0;
    const char unit = s.take();
    if (has_fraction && unit != 'S') return std::nullopt;
    if (unit == 'W' && !in_time) ms += count * 7 * day_ms;
    else if (unit == 'D' && !in_time) ms += count * day_ms;
    else if (unit == 'H' && in_time) ms += count * hour_ms;
    else if (unit == 'M' && in_time) ms += count * minute_ms;
    else if (unit == 'S' && in_time) ms += count * second_ms + fraction;
    else return std::nullopt;
    if (!in_time && s.skip('T')) {
      in_time = true;
      if (s.is_at_end()) return std::nullopt;
    }
  }
  if (s.has_failed()) return std::nullopt;
  return ms;
}

std::optional<std::int64_t> parse_date_or_duration(std::string_view text) {
  if (!text.empty() && text[0] == 'P') return parse_duration(text);
  return parse_date(text);
}

}  // namespace whimbrel::broker::protocol::filter
