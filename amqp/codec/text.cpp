// SPDX-License-Identifier: Apache-2.0
// Values as text for people: bounded, on one line, in printable characters.
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "amqp/base/limits.hpp"
#include "amqp/codec/descriptor.hpp"
#include "amqp/codec/primitives.hpp"
#include "amqp/codec/skip.hpp"

namespace whimbrel::amqp::codec {

namespace {

constexpr std::string_view digits = "0123456789abcdef";

void print_octet(std::string& out, unsigned octet) {
  out += digits[octet >> 4 & 15];
  out += digits[octet & 15];
}

bool is_full(const std::string& out) { return out.size() >= limits::text_line_max; }

template <class Number>
void print_number(std::string& out, Number v) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), v).ptr;
  out.append(text.data(), end);
}

void print_digits(std::string& out, int v, int width) {
  const std::string text = std::to_string(v);
  for (int i = static_cast<int>(text.size()); i < width; ++i) out += '0';
  out += text;
}

/// The items of a container between brackets, as many as fit.
template <class Container, class PrintItem>
void print_items(std::string& out, std::string_view brackets, const Container& items,
                 PrintItem print_item) {
  out += brackets[0];
  std::size_t shown = 0;
  for (auto it = items.begin(); it != items.end(); ++it) {
    if (shown > 0) out += ", ";
    if (shown == limits::text_items_max || is_full(out)) {
      out += "... of ";
      print_number(out, items.size());
      break;
    }
    print_item(*it);
    ++shown;
  }
  out += brackets[1];
}

}  // namespace

void print_quoted(std::string& out, std::string_view text) {
  const std::size_t whole = text.size();
  text = text.substr(0, limits::text_octets_max);
  out += '"';
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (octet < 0x20 || octet == 0x7f) {
      out += "\\x";
      print_octet(out, octet);
    } else {
      out += c;
    }
  }
  out += '"';
  if (text.size() < whole) out += "... of " + std::to_string(whole);
}

void print_hex(std::string& out, std::span<const std::byte> octets) {
  const std::size_t shown = std::min(octets.size(), limits::text_octets_max / 4);
  out += "x\"";
  for (const std::byte b : octets.first(shown)) print_octet(out, std::to_integer<unsigned>(b));
  out += '"';
  if (shown < octets.size()) out += "... of " + std::to_string(octets.size());
}

void print(std::string& out, null) { out += "null"; }
void print(std::string& out, bool v) { out += v ? "true" : "false"; }
void print(std::string& out, std::uint8_t v) { print_number(out, unsigned{v}); }
void print(std::string& out, std::uint16_t v) { print_number(out, v); }
void print(std::string& out, std::uint32_t v) { print_number(out, v); }
void print(std::string& out, std::uint64_t v) { print_number(out, v); }
void print(std::string& out, std::int8_t v) { print_number(out, int{v}); }
void print(std::string& out, std::int16_t v) { print_number(out, v); }
void print(std::string& out, std::int32_t v) { print_number(out, v); }
void print(std::string& out, std::int64_t v) { print_number(out, v); }
void print(std::string& out, float v) { print_number(out, v); }
void print(std::string& out, double v) { print_number(out, v); }
void print(std::string& out, const decimal32& v) { print_hex(out += "decimal32 ", v.octets); }
void print(std::string& out, const decimal64& v) { print_hex(out += "decimal64 ", v.octets); }
void print(std::string& out, const decimal128& v) { print_hex(out += "decimal128 ", v.octets); }

void print(std::string& out, char32_t v) {
  out += "U+";
  const auto c = static_cast<std::uint32_t>(v);
  if (c > 0xffff) print_octet(out, c >> 16);
  print_octet(out, c >> 8 & 0xff);
  print_octet(out, c & 0xff);
}

void print(std::string& out, timestamp v) {
  using namespace std::chrono;
  // Years 0 to 9999; outside, the number says more than a date would.
  constexpr std::int64_t first_ms = -62'167'219'200'000;
  constexpr std::int64_t last_ms = 253'402'300'799'999;
  if (v.ms < first_ms || v.ms > last_ms) return print_number(out, v.ms);
  const sys_time<milliseconds> when{milliseconds(v.ms)};
  const auto day = floor<days>(when);
  const year_month_day date(day);
  const hh_mm_ss time(when - day);
  print_digits(out, static_cast<int>(date.year()), 4);
  print_digits(out += '-', static_cast<int>(static_cast<unsigned>(date.month())), 2);
  print_digits(out += '-', static_cast<int>(static_cast<unsigned>(date.day())), 2);
  print_digits(out += 'T', static_cast<int>(time.hours().count()), 2);
  print_digits(out += ':', static_cast<int>(time.minutes().count()), 2);
  print_digits(out += ':', static_cast<int>(time.seconds().count()), 2);
  print_digits(out += '.', static_cast<int>(time.subseconds().count()), 3);
  out += 'Z';
}

void print(std::string& out, const uuid& v) {
  for (std::size_t i = 0; i < v.octets.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    print_octet(out, std::to_integer<unsigned>(v.octets[i]));
  }
}

void print(std::string& out, const binary& v) { print_hex(out, v.octets); }
void print(std::string& out, const std::string& v) { print_quoted(out, v); }

void print(std::string& out, const symbol& v) {
  out += ':';
  const bool is_plain = std::all_of(v.text.begin(), v.text.end(), [](char c) {
    return c > 0x20 && c < 0x7f && c != '"' && c != ',' && c != '\\';
  });
  if (is_plain && !v.text.empty() && v.text.size() <= limits::text_octets_max) {
    out += v.text;
  } else {
    print_quoted(out, v.text);
  }
}

void print(std::string& out, const raw& v) {
  if (v.empty()) return print(out, null{});
  reader r(v.octets());
  const auto known = decode_as<value>(r);
  if (known.has_error() || r.remaining() != 0) return print_hex(out, v.octets());
  print(out, *known);
}

void print(std::string& out, const multiple<symbol>& v) {
  print_items(out, "[]", v, [&](const symbol& item) { print(out, item); });
}

void print(std::string& out, const value& v) {
  if (is_full(out)) {
    out += "...";
    return;
  }
  std::visit([&](const auto& held) { print(out, held); }, v.held());
}

void print(std::string& out, const list& v) {
  print_items(out, "[]", v, [&](const value& item) { print(out, item); });
}

void print(std::string& out, const map& v) {
  print_items(out, "{}", v, [&](const entry& item) {
    print(out, item.first);
    out += '=';
    print(out, item.second);
  });
}

void print(std::string& out, const array& v) {
  print_items(out += "array", "[]", v, [&](const value& item) { print(out, item); });
}

void print(std::string& out, const described& v) {
  out += '@';
  const auto code = v.descriptor_code();
  const auto all = standard_descriptors();
  const auto known = std::find_if(all.begin(), all.end(),
                                  [&](const descriptor& d) { return code && d.code == *code; });
  if (known != all.end()) {
    out += known->name;
  } else {
    print(out, v.descriptor());
  }
  out += ' ';
  print(out, v.body());
}

std::string to_text(const value& v) {
  std::string out;
  print(out, v);
  return out;
}

std::string to_text(const map& v) {
  std::string out;
  print(out, v);
  return out;
}

}  // namespace whimbrel::amqp::codec
