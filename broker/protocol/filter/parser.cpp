// SPDX-License-Identifier: Apache-2.0
// Conditions and arithmetic.
#include "broker/protocol/filter/parser.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "broker/protocol/filter/limits.hpp"
#include "broker/protocol/filter/text.hpp"

namespace whimbrel::broker::protocol::filter {

namespace {

std::string_view describe(expectation gives) {
  switch (gives) {
    case expectation::condition: return "a condition";
    case expectation::number: return "a number";
    case expectation::text: return "a text";
    default: return "a value";
  }
}

}  // namespace

// --- small things ----------------------------------------------------------------------------

std::uint8_t parser::flags(bool negated) const {
  std::uint8_t out = negated ? node_flag::negated : std::uint8_t{0};
  // JMS: a comparison of unlike types is false; filtex: it cannot be evaluated.
  if (dialect_ == dialect::selector) out |= node_flag::unlike_is_false;
  return out;
}

error parser::fault_here(std::string expected) const {
  const std::string found =
      ahead_.what == token_kind::end ? "the expression ends" : quote(ahead_.source) + " stands";
  return lexer_.fault(ahead_.begin, found + " where " + std::move(expected));
}

error parser::too_deep(std::size_t octet) const {
  return lexer_.fault(octet, "nested deeper than " + std::to_string(limits::depth_max) +
                                 " levels: make it shallower");
}

checked<void> parser::advance() {
  auto next = lexer_.next();
  if (next.has_error()) return next.error();
  ahead_ = *std::move(next);
  return {};
}

checked<void> parser::expect(std::string_view symbol, std::string_view why) {
  if (!ahead_.is(symbol)) {
    return fault_here("a " + quote(symbol) + " " + std::string(why) + " is expected");
  }
  return advance();
}

checked<part> parser::add(node n, expectation gives, std::size_t begin, std::size_t depth) {
  if (depth > limits::depth_max) return too_deep(begin);
  const auto added = into_.add(n);
  if (!added) {
    return lexer_.fault(begin, "more than " + std::to_string(limits::nodes_max) +
                                   " fields, constants and operators in one filter");
  }
  return part{*added, gives, begin, depth};
}

checked<part> parser::add_members(op what, const std::vector<part>& members) {
  std::vector<node_index> nodes;
  std::size_t depth = 0;
  for (const part& p : members) {
    nodes.push_back(p.node);
    depth = std::max(depth, p.depth);
  }
  node n{what};
  n.a = into_.append_list(nodes);
  n.b = static_cast<std::uint16_t>(nodes.size());
  return add(n, expectation::condition, members.front().begin, depth + 1);
}

checked<part> parser::constant(const operand& value, expectation gives) {
  const auto added = into_.add_constant(value);
  if (!added) {
    return lexer_.fault(ahead_.begin, "more than " + std::to_string(limits::nodes_max) +
                                          " fields, constants and operators in one filter");
  }
  return part{*added, gives, ahead_.begin, 1};
}

const operand* parser::constant_at(const part& p) const {
  const node& n = into_.at(p.node);
  return n.what == op::constant ? &into_.constant_of(n) : nullptr;
}

checked<void> parser::require_condition(const part& p) const {
  if (p.gives == expectation::condition || p.gives == expectation::anything) return {};
  return lexer_.fault(p.begin, std::string(describe(p.gives)) +
                                   " where a condition is needed, as in `a = 1` or `b IS NULL`");
}

checked<void> parser::require_value(const part& p) const {
  if (p.gives != expectation::condition || constant_at(p) != nullptr) return {};
  return lexer_.fault(p.begin, "a condition cannot be computed with: a field, number or text is "
                               "needed");
}

// --- logic -----------------------------------------------------------------------------------

checked<node_index> parser::parse() {
  if (auto moved = advance(); moved.has_error()) return moved.error();
  if (ahead_.what == token_kind::end) {
    return fault_here("a condition is expected, as in `a = 1`");
  }
  AMQP_TRY(whole, condition());
  if (ahead_.what != token_kind::end) {
    return fault_here("AND, OR or the end of the expression is expected");
  }
  if (auto good = require_condition(whole); good.has_error()) return good.error();
  return whole.node;
}

checked<part> parser::condition() {
  AMQP_TRY(first, conjunction());
  if (!ahead_.is("or")) return first;
  std::vector<part> members{first};
  while (ahead_.is("or")) {
    if (auto moved = advance(); moved.has_error()) return moved.error();
    AMQP_TRY(next, conjunction());
    members.push_back(next);
  }
  for (const part& p : members) {
    if (auto good = require_condition(p); good.has_error()) return good.error();
  }
  return add_members(op::any, members);
}

checked<part> parser::conjunction() {
  AMQP_TRY(first, negation());
  if (!ahead_.is("and")) return first;
  std::vector<part> members{first};
  while (ahead_.is("and")) {
    if (auto moved = advance(); moved.has_error()) return moved.error();
    AMQP_TRY(next, negation());
    members.push_back(next);
  }
  for (const part& p : members) {
    if (auto good = require_condition(p); good.has_error()) return good.error();
  }
  return add_members(op::all, members);
}

checked<part> parser::negation() {
  const std::size_t begin = ahead_.begin;
  bool is_negated = false;
  bool is_negation = false;
  while (ahead_.is("not")) {
    is_negated = !is_negated;
    is_negation = true;
    if (auto moved = advance(); moved.has_error()) return moved.error();
  }
  AMQP_TRY(inner, comparison());
  if (!is_negation) return inner;
  if (auto good = require_condition(inner); good.has_error()) return good.error();
  // Twice NOT is nothing, but for a value that is no boolean: that stays unknown either way.
  inner.gives = expectation::condition;
  if (!is_negated) return inner;
  node n{op::invert};
  n.a = inner.node;
  return add(n, expectation::condition, begin, inner.depth + 1);
}

checked<part> parser::comparison() {
  AMQP_TRY(left, sum());
  AMQP_TRY(whole, comparison_behind(left));
  if (whole.node == left.node) return left;
  for (const std::string_view each : {"=", "<>", "!=", "<", "<=", ">", ">="}) {
    if (!ahead_.is(each)) continue;
    return fault_here("AND, OR or the end is expected: comparisons do not chain");
  }
  return whole;
}

checked<part> parser::comparison_behind(part left) {
  struct row {
    std::string_view symbol;
    op what;
  };
  constexpr std::array<row, 7> rows{{{"=", op::equal},
                                     {"<>", op::unequal},
                                     {"!=", op::unequal},
                                     {"<", op::less},
                                     {"<=", op::less_equal},
                                     {">", op::greater},
                                     {">=", op::greater_equal}}};
  for (const row& r : rows) {
    if (!ahead_.is(r.symbol)) continue;
    if (auto moved = advance(); moved.has_error()) return moved.error();
    AMQP_TRY(right, sum());
    node n{r.what, flags(false)};
    n.a = left.node;
    n.b = right.node;
    return add(n, expectation::condition, left.begin, std::max(left.depth, right.depth) + 1);
  }
  if (ahead_.is("is")) return is_null(left);
  const bool negated = ahead_.is("not");
  if (negated) {
    if (auto moved = advance(); moved.has_error()) return moved.error();
  }
  if (ahead_.is("like")) return like(left, negated);
  if (ahead_.is("in")) return in(left, negated);
  if (ahead_.is("between")) return between(left, negated);
  if (negated) return fault_here("LIKE, IN or BETWEEN is expected, behind NOT");
  return left;
}

checked<part> parser::is_null(part left) {
  if (auto moved = advance(); moved.has_error()) return moved.error();
  const bool negated = ahead_.is("not");
  if (negated) {
    if (auto moved = advance(); moved.has_error()) return moved.error();
  }
  if (!ahead_.is("null")) return fault_here("NULL is expected: IS [NOT] NULL");
  if (auto moved = advance(); moved.has_error()) return moved.error();
  node n{op::is_null, flags(negated)};
  n.a = left.node;
  return add(n, expectation::condition, left.begin, left.depth + 1);
}

checked<part> parser::like(part left, bool negated) {
  if (auto moved = advance(); moved.has_error()) return moved.error();
  if (left.gives == expectation::number) {
    return lexer_.fault(left.begin, "a number cannot be LIKE something: a text is needed");
  }
  AMQP_TRY(pattern, sum());
  node n{op::like, flags(negated)};
  n.a = left.node;
  n.b = pattern.node;
  n.c = no_node;
  std::size_t depth = std::max(left.depth, pattern.depth);
  if (pattern.gives != expectation::text && pattern.gives != expectation::anything) {
    return lexer_.fault(pattern.begin, "the pattern must be a text, as in LIKE 'a%'");
  }
  if (ahead_.is("escape")) {
    if (auto moved = advance(); moved.has_error()) return moved.error();
    AMQP_TRY(escape, sum());
    const operand* c = constant_at(escape);
    if (c != nullptr && (c->what != kind::text || count_characters(c->text) != 1)) {
      return lexer_.fault(escape.begin, "ESCAPE takes a text of one character");
    }
    n.c = escape.node;
    depth = std::max(depth, escape.depth);
  }
  return add(n, expectation::condition, left.begin, depth + 1);
}

checked<part> parser::in(part left, bool negated) {
  if (auto moved = advance(); moved.has_error()) return moved.error();
  if (auto open = expect("(", "before the members of IN"); open.has_error()) return open.error();
  std::vector<node_index> members;
  std::size_t depth = left.depth;
  for (;;) {
    const std::size_t begin = ahead_.begin;
    AMQP_TRY(member, sum());
    if (members.size() == limits::in_list_max) {
      return lexer_.fault(begin, "IN takes at most " + std::to_string(limits::in_list_max) +
                                     " members");
    }
    members.push_back(member.node);
    depth = std::max(depth, member.depth);
    if (!ahead_.is(",")) break;
    if (auto moved = advance(); moved.has_error()) return moved.error();
  }
  if (auto close = expect(")", "or ',' behind a member of IN"); close.has_error()) {
    return close.error();
  }
  node n{op::in, flags(negated)};
  n.a = left.node;
  n.b = into_.append_list(members);
  n.c = static_cast<std::uint16_t>(members.size());
  return add(n, expectation::condition, left.begin, depth + 1);
}

checked<part> parser::between(part left, bool negated) {
  if (auto moved = advance(); moved.has_error()) return moved.error();
  AMQP_TRY(low, sum());
  if (!ahead_.is("and")) return fault_here("AND is expected: BETWEEN low AND high");
  if (auto moved = advance(); moved.has_error()) return moved.error();
  AMQP_TRY(high, sum());
  node n{op::between, flags(negated)};
  n.a = left.node;
  n.b = low.node;
  n.c = high.node;
  const std::size_t depth = std::max({left.depth, low.depth, high.depth});
  return add(n, expectation::condition, left.begin, depth + 1);
}

// --- arithmetic ------------------------------------------------------------------------------

checked<part> parser::arithmetic_part(op what, const part& left, const part& right) {
  for (const part* p : {&left, &right}) {
    if (auto good = require_value(*p); good.has_error()) return good.error();
    const bool is_good = p->gives == expectation::anything || p->gives == expectation::number ||
                         (what == op::add && p->gives == expectation::text);
    if (!is_good) {
      return lexer_.fault(p->begin, std::string(describe(p->gives)) +
                                        " cannot be computed with: a number is needed");
    }
  }
  node n{what};
  n.a = left.node;
  n.b = right.node;
  if (what == op::add) n.c = into_.add_buffer();
  const bool may_be_text = what == op::add && left.gives != expectation::number &&
                           right.gives != expectation::number;
  const bool is_text = left.gives == expectation::text || right.gives == expectation::text;
  const expectation gives = !may_be_text ? expectation::number
                            : is_text    ? expectation::text
                                         : expectation::anything;
  return add(n, gives, left.begin, std::max(left.depth, right.depth) + 1);
}

checked<part> parser::sum() {
  AMQP_TRY(left, product());
  while (ahead_.is("+") || ahead_.is("-")) {
    const op what = ahead_.is("+") ? op::add : op::subtract;
    if (auto moved = advance(); moved.has_error()) return moved.error();
    AMQP_TRY(right, product());
    AMQP_TRY(joined, arithmetic_part(what, left, right));
    left = joined;
  }
  return left;
}

checked<part> parser::product() {
  AMQP_TRY(left, unary());
  while (ahead_.is("*") || ahead_.is("/") || ahead_.is("%")) {
    const op what = ahead_.is("*") ? op::multiply : ahead_.is("/") ? op::divide : op::remainder;
    if (auto moved = advance(); moved.has_error()) return moved.error();
    AMQP_TRY(right, unary());
    AMQP_TRY(joined, arithmetic_part(what, left, right));
    left = joined;
  }
  return left;
}

checked<part> parser::unary() {
  const std::size_t begin = ahead_.begin;
  bool is_signed = false;
  bool is_negative = false;
  while (ahead_.is("+") || ahead_.is("-")) {
    is_signed = true;
    if (ahead_.is("-")) is_negative = !is_negative;
    if (auto moved = advance(); moved.has_error()) return moved.error();
  }
  AMQP_TRY(inner, primary());
  if (!is_signed) return inner;
  if (inner.gives != expectation::number && inner.gives != expectation::anything) {
    return lexer_.fault(inner.begin, "a sign needs a number behind it");
  }
  inner.begin = begin;
  inner.gives = expectation::number;
  if (!is_negative) return inner;
  if (const operand* c = constant_at(inner)) {
    AMQP_TRY(folded, constant(negate(*c), expectation::number));
    folded.begin = begin;
    return folded;
  }
  node n{op::negate};
  n.a = inner.node;
  return add(n, expectation::number, begin, inner.depth + 1);
}

checked<part> parser::primary() {
  if (ahead_.is("(")) {
    const std::size_t begin = ahead_.begin;
    if (++depth_ > limits::depth_max) return too_deep(begin);
    if (auto moved = advance(); moved.has_error()) return moved.error();
    AMQP_TRY(inner, condition());
    if (auto close = expect(")", "for the '(' before"); close.has_error()) return close.error();
    --depth_;
    inner.begin = begin;
    return inner;
  }
  switch (ahead_.what) {
    case token_kind::integer: {
      AMQP_TRY(out, constant(of_integer(static_cast<int128>(ahead_.number)),
                             expectation::number));
      if (auto moved = advance(); moved.has_error()) return moved.error();
      return out;
    }
    case token_kind::decimal: {
      const auto value = decimal_constant(ahead_.source);
      if (!value) return lexer_.fault(ahead_.begin, "a number that a double cannot hold");
      AMQP_TRY(out, constant(*value, expectation::number));
      if (auto moved = advance(); moved.has_error()) return moved.error();
      return out;
    }
    case token_kind::text:
    case token_kind::binary: {
      const bool is_text = ahead_.what == token_kind::text;
      operand value = of_text(into_.keep(ahead_.content));
      if (!is_text) value.what = kind::binary;
      AMQP_TRY(out, constant(value, is_text ? expectation::text : expectation::other));
      if (auto moved = advance(); moved.has_error()) return moved.error();
      return out;
    }
    case token_kind::word:
    case token_kind::identifier: return word();
    default: return fault_here("a field, a number, a 'text' or '(' is expected");
  }
}

/// Words of the language that cannot be names of fields unless they are delimited.
bool parser::is_reserved(const token& t) const {
  for (const std::string_view each :
       {"null", "true", "false", "not", "and", "or", "between", "like", "in", "is", "escape"}) {
    if (t.is(each)) return true;
  }
  return dialect_ == dialect::sql && t.is("exists");
}

checked<part> parser::word() {
  const bool is_sql = dialect_ == dialect::sql;
  std::optional<operand> value;
  expectation gives = expectation::condition;
  if (ahead_.is("true")) value = of_boolean(true);
  if (ahead_.is("false")) value = of_boolean(false);
  if (is_sql && (ahead_.is("inf") || ahead_.is("nan"))) {
    gives = expectation::number;
    value = of_real(ahead_.is("inf") ? std::numeric_limits<double>::infinity()
                                     : std::numeric_limits<double>::quiet_NaN());
  }
  if (is_sql && ahead_.is("null")) {
    gives = expectation::anything;
    value = null_operand();
  }
  if (value) {
    AMQP_TRY(out, constant(*value, gives));
    if (auto moved = advance(); moved.has_error()) return moved.error();
    return out;
  }
  if (is_sql && ahead_.is("exists")) return exists();
  if (is_reserved(ahead_)) {
    const bool is_null_word = ahead_.is("null");
    return fault_here(is_null_word ? "a value is expected: whether there is one, IS NULL tells"
                                   : "a field, a number, a 'text' or '(' is expected");
  }
  return is_sql && is_function_ahead() ? function() : field();
}

}  // namespace whimbrel::broker::protocol::filter
