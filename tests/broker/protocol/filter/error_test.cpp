// SPDX-License-Identifier: Apache-2.0
// What is wrong with an expression, where, and what would be right.
#include <string>

#include "broker/protocol/filter/limits.hpp"
#include "tests/broker/protocol/filter/messages.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using filter::dialect;

namespace {

std::string joined(std::size_t count, const std::string& piece, const std::string& between) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += (i > 0 ? between : "") + piece;
  return out;
}

}  // namespace

TEST_CASE("filter: an error names the character and what would be right") {
  const struct {
    dialect in;
    std::string text;
    std::size_t position;
    const char* says;
  } rows[] = {
      {dialect::selector, "color = ", 9, "the expression ends"},
      {dialect::selector, "color == 'red'", 8, "a field, a number"},
      {dialect::selector, "color 'red'", 7, "AND, OR or the end"},
      {dialect::selector, "color = 'red", 9, "no closing '"},
      {dialect::selector, "(a = 1", 7, "')'"},
      {dialect::selector, "a = 1)", 6, "AND, OR or the end"},
      {dialect::selector, "a = 1 AND", 10, "a field, a number"},
      {dialect::selector, "a = NULL", 5, "IS NULL"},
      {dialect::selector, "a IS 5", 6, "IS [NOT] NULL"},
      {dialect::selector, "a NOT = 5", 7, "LIKE, IN or BETWEEN"},
      {dialect::selector, "a LIKE 5", 8, "a text"},
      {dialect::selector, "a LIKE 'x' ESCAPE 'ab'", 19, "one character"},
      {dialect::selector, "a IN 'x'", 6, "'('"},
      {dialect::selector, "a IN ('x' 'y')", 11, "')'"},
      {dialect::selector, "a BETWEEN 1 OR 2", 13, "AND"},
      {dialect::selector, "5", 1, "a condition is needed"},
      {dialect::selector, "'text'", 1, "a condition is needed"},
      {dialect::selector, "a = 1 OR 5 + 5", 10, "a condition is needed"},
      {dialect::selector, "NOT 5", 5, "a condition is needed"},
      {dialect::selector, "a = 1 = 1", 7, "do not chain"},
      {dialect::selector, "a + 'x' - 1 = 2", 1, "a number is needed"},
      {dialect::selector, "(a = 1) + 1 = 2", 1, "cannot be computed with"},
      {dialect::selector, "-'x' = 2", 2, "a sign needs a number"},
      {dialect::selector, "a = 18446744073709551616", 5, "18446744073709551615"},
      {dialect::selector, "a = 1x", 5, "letters"},
      {dialect::selector, "a = 1e999", 5, "double"},
      {dialect::selector, "a # 1", 3, "no meaning"},
      {dialect::selector, "lower(a) = 'x'", 1, "no functions"},
      {dialect::selector, "amqp.colour = 'x'", 1, "amqp.reply_to"},
      {dialect::selector, "\xc3\xbc = 'x' AND", 12, "a field, a number"},
      {dialect::selector, "\"\" = 1", 1, "empty"},
      {dialect::sql, "", 1, "a condition is expected"},
      {dialect::sql, "p.colour = 'x'", 3, "no field of properties"},
      {dialect::sql, "h.[colour] = 'x'", 3, "no field of header"},
      {dialect::sql, "a.1 = 1", 3, "name of a field"},
      {dialect::sql, "[a = 1", 1, "no closing ]"},
      {dialect::sql, "x = 0x1", 5, "pairs"},
      {dialect::sql, "UTC() > 5", 1, "not offered"},
      {dialect::sql, "SIZE(a) > 5", 1, "LOWER, UPPER"},
      {dialect::sql, "LEFT(a) = 'x'", 1, "LEFT(text, count)"},
      {dialect::sql, "LEFT(a, -1) = 'x'", 9, "a positive integer"},
      {dialect::sql, "LOWER(5) = 'x'", 7, "a text is needed"},
      {dialect::sql, "x > DATE('soon')", 10, "2024-02-29"},
      {dialect::sql, "x > DATE('2023-02-29')", 10, "2024-02-29"},
      {dialect::sql, "EXISTS(5)", 8, "name of a field"},
      {dialect::sql, "a.list[b = 1] = 5", 7, "from 0"},
      {dialect::sql, "a.list['x'] = 5", 7, "from 0"},
  };
  for (const auto& r : rows) {
    CAPTURE(r.text);
    const auto p = program_of(r.text, r.in);
    REQUIRE(p.has_error());
    CAPTURE(p.error().to_text());
    CHECK(p.error().position == r.position);
    CHECK(p.error().text.find(r.says) != std::string::npos);
  }
}

TEST_CASE("filter: expressions beyond the limits are refused, those at them are not") {
  namespace limits = filter::limits;
  const auto is_good = [](const std::string& text) {
    return program_of(text, dialect::sql).has_value();
  };
  const std::string open(limits::depth_max, '(');
  const std::string close(limits::depth_max, ')');
  CHECK(is_good(open + "a = 1" + close));
  CHECK_FALSE(is_good("(" + open + "a = 1" + close + ")"));
  CHECK(is_good(joined(limits::depth_max - 1, "a", " + ") + " = 1"));
  CHECK_FALSE(is_good(joined(limits::depth_max + 1, "a", " + ") + " = 1"));
  CHECK(is_good("a IN (" + joined(limits::in_list_max, "1", ",") + ")"));
  CHECK_FALSE(is_good("a IN (" + joined(limits::in_list_max + 1, "1", ",") + ")"));
  CHECK(is_good(joined(340, "a=1", " OR ")));
  CHECK_FALSE(is_good(joined(342, "a=1", " OR ")));
  CHECK(is_good(joined(1000, "NOT", " ") + " a = 1"));  // needs no depth
  CHECK_FALSE(is_good("a[" + joined(70, "b[", "") + joined(70, "]]", "") + "] = 1"));
  const std::string long_text(limits::expression_octets_max, ' ');
  CHECK(filter::compile("a = 1" + long_text.substr(5), dialect::sql).has_value());
  CHECK(filter::compile("a = 1 " + long_text.substr(5), dialect::sql).has_error());
}

TEST_CASE("filter: a text that grows beyond its limit is unknown") {
  amqp::message::message m;
  m.application_properties =
      amqp::codec::map{{value(std::string("s")), value(std::string(40000, 'a'))}};
  m.body = value(std::string("x"));
  CHECK(verdict("s + s IS NULL", dialect::sql, m) == 'y');
  CHECK(verdict("UPPER(s) IS NULL AND LEFT(s, 10) = 'aaaaaaaaaa'", dialect::sql, m) == 'y');
}
