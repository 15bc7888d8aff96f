// SPDX-License-Identifier: Apache-2.0
// Expressions as tokens, in the two dialects. What one dialect has and the other would call an
// error is read in both; the switch is for what means something else in each:
//
//                     selector                         sql
//     "a"             the identifier a                 the string a
//     a.b             one identifier                   a, then the entry b of it
//     [a b]           (an error)                       the identifier `a b`
//     0x1F            the integer 31                   the octet 1f
//     m.a-b           the annotation a-b               m.a minus b
//     INF NAN EXISTS  identifiers                      words of the language
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "broker/protocol/filter/error.hpp"
#include "broker/protocol/filter/operand.hpp"

namespace whimbrel::broker::protocol::filter {

enum class dialect : std::uint8_t { selector, sql };

enum class token_kind : std::uint8_t {
  end,
  word,        // an identifier, or a word of the language
  identifier,  // delimited: never a word of the language
  integer,
  decimal,     // with a point or an exponent
  text,
  binary,
  symbol,      // operators and punctuation, in `source`
};

struct token {
  token_kind what = token_kind::end;
  std::size_t begin = 0;        // in the expression, in octets
  std::string_view source = {};  // as written
  std::string content = {};      // identifier, text and binary: without delimiters
  uint128 number = 0;           // integer

  /// An operator, or a word in any case.
  [[nodiscard]] bool is(std::string_view what_is) const;
};

/// Borrows the expression, which is UTF-8.
class lexer {
 public:
  lexer(std::string_view expression, dialect d) : all_(expression), dialect_(d) {}

  [[nodiscard]] checked<token> next();

  /// In sql, behind `p.`: the longest of the standard's names that stands here, which may have
  /// hyphens; passes over it.
  [[nodiscard]] std::string_view take_known_field(bool of_header);

  /// The number of the character at this octet, from 1.
  [[nodiscard]] std::size_t position_of(std::size_t octet) const;
  [[nodiscard]] error fault(std::size_t octet, std::string text) const {
    return {position_of(octet), std::move(text)};
  }

 private:
  [[nodiscard]] std::string_view rest() const { return all_.substr(at_); }
  [[nodiscard]] token make(token_kind what, std::size_t begin) const;
  [[nodiscard]] bool is_word_start(std::size_t at) const;
  [[nodiscard]] bool is_word_part(std::size_t at) const;
  token word();
  [[nodiscard]] checked<token> number();
  [[nodiscard]] checked<token> hex_number(std::size_t begin);
  [[nodiscard]] checked<token> quoted();
  [[nodiscard]] checked<token> bracketed();

  std::string_view all_;
  dialect dialect_;
  std::size_t at_ = 0;
};

/// `'` around, and a bounded part of it: for messages.
std::string quote(std::string_view text);

}  // namespace whimbrel::broker::protocol::filter
