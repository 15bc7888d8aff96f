// SPDX-License-Identifier: Apache-2.0
// From expression to program: JMS selectors and the SQL of filtex, one grammar. [filtex 6.4]
//
//     condition   conjunction { OR conjunction }
//     conjunction negation { AND negation }
//     negation    { NOT } comparison
//     comparison  sum [ (= | <> | != | < | <= | > | >=) sum
//                     | IS [NOT] NULL | [NOT] LIKE sum [ESCAPE sum]
//                     | [NOT] IN ( sum {, sum} ) | [NOT] BETWEEN sum AND sum ]
//     sum         product { (+ | -) product }
//     product     unary { (* | / | %) unary }
//     unary       { + | - } primary
//     primary     constant | field | function ( ... ) | EXISTS ( field ) | ( condition )
#pragma once

#include <string_view>
#include <vector>

#include "broker/protocol/filter/lexer.hpp"
#include "broker/protocol/filter/program.hpp"

namespace whimbrel::broker::protocol::filter {

/// What is known of a part before any message is seen.
enum class expectation : std::uint8_t { anything, condition, number, text, other };

struct part {
  node_index node = no_node;
  expectation gives = expectation::anything;
  std::size_t begin = 0;    // in the expression, in octets
  std::size_t depth = 1;
};

class parser {
 public:
  /// Adds to `into`, which outlives this.
  parser(program& into, std::string_view expression, dialect d)
      : into_(into), lexer_(expression, d), dialect_(d) {}

  /// The node of the whole expression.
  [[nodiscard]] checked<node_index> parse();

 private:
  [[nodiscard]] checked<part> condition();
  [[nodiscard]] checked<part> conjunction();
  [[nodiscard]] checked<part> negation();
  [[nodiscard]] checked<part> comparison();
  [[nodiscard]] checked<part> comparison_behind(part left);
  [[nodiscard]] checked<part> is_null(part left);
  [[nodiscard]] checked<part> like(part left, bool negated);
  [[nodiscard]] checked<part> in(part left, bool negated);
  [[nodiscard]] checked<part> between(part left, bool negated);
  [[nodiscard]] checked<part> sum();
  [[nodiscard]] checked<part> product();
  [[nodiscard]] checked<part> unary();
  [[nodiscard]] checked<part> primary();
  [[nodiscard]] checked<part> word();
  [[nodiscard]] checked<part> constant(const operand& value, expectation gives);

  // parse_fields.cpp
  [[nodiscard]] checked<part> field();
  [[nodiscard]] checked<field_ref> field_reference(std::vector<path_step>& path);
  [[nodiscard]] checked<field_ref> sql_reference(std::vector<path_step>& path);
  [[nodiscard]] checked<field_ref> selector_reference();
  [[nodiscard]] checked<void> path_steps(std::vector<path_step>& path);
  [[nodiscard]] checked<part> exists();
  [[nodiscard]] checked<part> function();
  [[nodiscard]] checked<part> call(const token& name, std::vector<part> arguments);
  [[nodiscard]] checked<part> date_call(const token& name, const part& argument);
  [[nodiscard]] checked<std::vector<part>> arguments();
  [[nodiscard]] checked<void> require_counts(const std::vector<part>& arguments);
  [[nodiscard]] bool is_function_ahead();

  [[nodiscard]] checked<part> arithmetic_part(op what, const part& left, const part& right);
  [[nodiscard]] checked<part> add(node n, expectation gives, std::size_t begin, std::size_t depth);
  [[nodiscard]] checked<part> add_members(op what, const std::vector<part>& members);
  [[nodiscard]] checked<void> require_condition(const part& p) const;
  [[nodiscard]] checked<void> require_value(const part& p) const;
  [[nodiscard]] checked<void> advance();
  [[nodiscard]] checked<void> expect(std::string_view symbol, std::string_view why);
  [[nodiscard]] error fault_here(std::string expected) const;
  [[nodiscard]] error too_deep(std::size_t octet) const;
  [[nodiscard]] const operand* constant_at(const part& p) const;
  [[nodiscard]] bool is_reserved(const token& t) const;
  [[nodiscard]] std::uint8_t flags(bool negated) const;

  program& into_;
  lexer lexer_;
  dialect dialect_;
  token ahead_ = {};
  std::size_t depth_ = 0;  // parentheses that are open
};

}  // namespace whimbrel::broker::protocol::filter
