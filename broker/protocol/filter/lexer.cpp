// SPDX-License-Identifier: Apache-2.0
// Cutting expressions into tokens.
#include "broker/protocol/filter/lexer.hpp"

#include <algorithm>
#include <limits>

#include "broker/protocol/filter/field.hpp"
#include "broker/protocol/filter/text.hpp"

namespace whimbrel::broker::protocol::filter {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_beyond_ascii(char c) { return static_cast<unsigned char>(c) >= 0x80; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  const char l = lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

bool starts_with_word(std::string_view text, std::string_view word) {
  return text.size() >= word.size() &&
         std::equal(word.begin(), word.end(), text.begin(),
                    [](char w, char t) { return w == lower(t); });
}

}  // namespace

std::string quote(std::string_view text) {
  constexpr std::size_t shown = 40;
  const std::size_t cut = octets_of_characters(text, shown);
  return '\'' + std::string(text.substr(0, cut)) + (cut < text.size() ? "...'" : "'");
}

bool token::is(std::string_view what_is) const {
  if (what == token_kind::symbol) return source == what_is;
  if (what != token_kind::word || source.size() != what_is.size()) return false;
  return std::equal(source.begin(), source.end(), what_is.begin(),
                    [](char a, char b) { return lower(a) == lower(b); });
}

std::size_t lexer::position_of(std::size_t octet) const {
  return count_characters(all_.substr(0, std::min(octet, all_.size()))) + 1;
}

token lexer::make(token_kind what, std::size_t begin) const {
  token out;
  out.what = what;
  out.begin = begin;
  out.source = all_.substr(begin, at_ - begin);
  return out;
}

bool lexer::is_word_start(std::size_t at) const {
  const char c = all_[at];
  return is_letter(c) || c == '_' || c == '$' || is_beyond_ascii(c);
}

bool lexer::is_word_part(std::size_t at) const {
  if (at >= all_.size()) return false;
  return is_word_start(at) || is_digit(all_[at]);
}

checked<token> lexer::next() {
  constexpr std::string_view blanks = " \t\r\n\f";
  while (at_ < all_.size() && blanks.find(all_[at_]) != std::string_view::npos) ++at_;
  const std::size_t begin = at_;
  if (at_ == all_.size()) return make(token_kind::end, begin);
  const char c = all_[at_];
  if (is_word_start(at_)) return word();
  const bool is_fraction = c == '.' && at_ + 1 < all_.size() && is_digit(all_[at_ + 1]);
  if (is_digit(c) || (is_fraction && dialect_ == dialect::selector)) return number();
  if (c == '\'' || c == '"') return quoted();
  if (c == '[' && dialect_ == dialect::sql) return bracketed();
  for (const std::string_view two : {"<>", "!=", "<=", ">="}) {
    if (!rest().starts_with(two)) continue;
    at_ += 2;
    return make(token_kind::symbol, begin);
  }
  constexpr std::string_view symbols = "=<>+-*/%(),.:]";
  if (symbols.find(c) != std::string_view::npos) {
    ++at_;
    return make(token_kind::symbol, begin);
  }
  const std::size_t octets = character_octets(rest());
  return fault(begin, quote(rest().substr(0, octets)) + " has no meaning here");
}

/// In sql, names of sections that have hyphens are one word; in selectors, points and what follows
/// them belong to the word.
token lexer::word() {
  const std::size_t begin = at_;
  if (dialect_ == dialect::sql) {
    for (const std::string_view name :
         {"application-properties", "delivery-annotations", "message-annotations"}) {
      if (!rest().starts_with(name) || is_word_part(at_ + name.size())) continue;
      at_ += name.size();
      return make(token_kind::word, begin);
    }
  }
  while (is_word_part(at_)) ++at_;
  if (dialect_ == dialect::sql) return make(token_kind::word, begin);
  const std::string_view head = all_.substr(begin, at_ - begin);
  const bool may_have_hyphens = head == "m" || head == "amqp";
  while (at_ < all_.size()) {
    const bool joins = all_[at_] == '.' || (may_have_hyphens && all_[at_] == '-');
    if (!joins || !is_word_part(at_ + 1)) break;
    if (all_[at_] == '-' && at_ == begin + head.size()) break;  // m-1
    ++at_;
    while (is_word_part(at_)) ++at_;
  }
  return make(token_kind::word, begin);
}

checked<token> lexer::hex_number(std::size_t begin) {
  at_ += 2;
  const std::size_t digits = at_;
  while (at_ < all_.size() && hex_digit(all_[at_]) >= 0) ++at_;
  const std::size_t count = at_ - digits;
  if (dialect_ == dialect::selector) {
    if (count == 0 || count > 16) return fault(begin, "0x takes 1 to 16 hexadecimal digits");
    token out = make(token_kind::integer, begin);
    for (std::size_t i = digits; i < at_; ++i) {
      out.number = out.number << 4 | static_cast<unsigned>(hex_digit(all_[i]));
    }
    return out;
  }
  if (count == 0 || count % 2 != 0) {
    return fault(begin, "0x takes hexadecimal digits in pairs, one pair an octet");
  }
  token out = make(token_kind::binary, begin);
  for (std::size_t i = digits; i < at_; i += 2) {
    out.content += static_cast<char>(hex_digit(all_[i]) << 4 | hex_digit(all_[i + 1]));
  }
  return out;
}

checked<token> lexer::number() {
  const std::size_t begin = at_;
  if (starts_with_word(rest(), "0x")) return hex_number(begin);
  const auto skip_digits = [&] {
    while (at_ < all_.size() && is_digit(all_[at_])) ++at_;
  };
  const auto is_next = [&](auto accepts, std::size_t ahead = 0) {
    return at_ + ahead < all_.size() && accepts(all_[at_ + ahead]);
  };
  skip_digits();
  bool is_decimal = false;
  const bool has_point = is_next([](char c) { return c == '.'; });
  if (has_point && (is_next(is_digit, 1) || dialect_ == dialect::selector)) {
    is_decimal = true;
    ++at_;
    skip_digits();
  }
  if (is_next([](char c) { return lower(c) == 'e'; })) {
    const bool has_sign = is_next([](char c) { return c == '+' || c == '-'; }, 1);
    if (is_next(is_digit, has_sign ? 2 : 1)) {
      is_decimal = true;
      at_ += has_sign ? 2 : 1;
      skip_digits();
    }
  }
  token out = make(is_decimal ? token_kind::decimal : token_kind::integer, begin);
  if (dialect_ == dialect::selector && at_ < all_.size()) {  // Java's suffixes
    const char suffix = lower(all_[at_]);
    const bool is_real = suffix == 'd' || suffix == 'f';
    if ((is_real || (suffix == 'l' && !is_decimal)) && !is_word_part(at_ + 1)) {
      if (is_real) out.what = token_kind::decimal;
      ++at_;
    }
  }
  if (is_word_part(at_)) return fault(begin, "a number may not run into letters");
  if (out.what == token_kind::decimal) return out;
  for (const char c : out.source) {
    out.number = out.number * 10 + static_cast<unsigned>(c - '0');
    if (out.number > std::numeric_limits<std::uint64_t>::max()) {
      return fault(begin, "an integer may be at most 18446744073709551615");
    }
  }
  return out;
}

/// Twice the delimiter stands for one.
checked<token> lexer::quoted() {
  const std::size_t begin = at_;
  const char delimiter = all_[at_++];
  std::string content;
  for (;; ++at_) {
    if (at_ >= all_.size()) {
      return fault(begin, "the text that begins here has no closing " + std::string(1, delimiter));
    }
    if (all_[at_] == delimiter) {
      if (at_ + 1 >= all_.size() || all_[at_ + 1] != delimiter) break;
      ++at_;
    }
    content += all_[at_];
  }
  ++at_;
  const bool is_name = delimiter == '"' && dialect_ == dialect::selector;
  token out = make(is_name ? token_kind::identifier : token_kind::text, begin);
  out.content = std::move(content);
  if (is_name && out.content.empty()) return fault(begin, "an identifier may not be empty");
  return out;
}

checked<token> lexer::bracketed() {
  const std::size_t begin = at_++;
  std::string content;
  for (;; ++at_) {
    if (at_ >= all_.size()) return fault(begin, "the [ that begins here has no closing ]");
    const char c = all_[at_];
    if (c == ']' || c == '[') {
      const bool is_doubled = at_ + 1 < all_.size() && all_[at_ + 1] == c;
      if (!is_doubled && c == '[') return fault(at_, "[ inside of [ ] is written [[");
      if (!is_doubled) break;
      ++at_;
    }
    if (static_cast<unsigned char>(c) < 0x20) return fault(at_, "a control character in a name");
    content += c;
  }
  ++at_;
  if (content.empty()) return fault(begin, "an identifier may not be empty");
  token out = make(token_kind::identifier, begin);
  out.content = std::move(content);
  return out;
}

std::string_view lexer::take_known_field(bool of_header) {
  std::string_view longest;
  for (const known_field& f : known_fields(of_header ? section::header : section::properties)) {
    if (f.name.size() <= longest.size() || !rest().starts_with(f.name)) continue;
    if (is_word_part(at_ + f.name.size())) continue;
    longest = f.name;
  }
  at_ += longest.size();
  return longest;
}

}  // namespace whimbrel::broker::protocol::filter
