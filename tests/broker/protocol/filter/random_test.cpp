// SPDX-License-Identifier: Apache-2.0
// Random expressions over random messages: the compiled program says what the obvious evaluator
// says.
#include <cfloat>
#include <random>
#include <string>

#include "tests/broker/protocol/filter/messages.hpp"
#include "tests/broker/protocol/filter/slow_evaluator.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using slow::tree;

namespace {

static_assert(LDBL_MANT_DIG >= 64, "the obvious evaluator compares as long double");

const char* const names[] = {"a", "b", "c", "d", "e", "missing"};
const char* const words[] = {"", "x", "y", "xy", "yx", "x%y"};

/// n eighths as a decimal64, which has them exactly: 125 n x 10^-3.
amqp::decimal64 eighths(std::int64_t n) {
  amqp::decimal64 out;
  const std::uint64_t bits = (n < 0 ? std::uint64_t{1} << 63 : 0) | std::uint64_t{398 - 3} << 53 |
                             static_cast<std::uint64_t>(n < 0 ? -n : n) * 125;
  for (std::size_t i = 0; i < 8; ++i) out.octets[i] = static_cast<std::byte>(bits >> (56 - 8 * i));
  return out;
}

class generator {
 public:
  explicit generator(std::uint64_t seed) : random_(seed) {}

  /// A message's application properties, and the same for the obvious evaluator.
  amqp::codec::map properties(slow::fields& also) {
    amqp::codec::map out;
    for (std::size_t i = 0; i < 5; ++i) {
      const std::string name = names[i];
      const auto put = [&](const value& v, const slow::thing& t) {
        out.append(value(name), v);
        also[name] = t;
      };
      const auto n = static_cast<std::int64_t>(random_.below(41)) - 20;
      switch (random_.below(11)) {
        case 0: put(value(static_cast<std::int32_t>(n)), slow::of(n)); break;
        case 1: put(value(static_cast<std::int8_t>(n)), slow::of(n)); break;
        case 2: {
          const std::uint64_t v = std::numeric_limits<std::uint64_t>::max() - random_.below(3);
          put(value(v), slow::of(static_cast<slow::wide>(v)));
          break;
        }
        case 3: {
          const std::int64_t v = std::numeric_limits<std::int64_t>::min() + n + 20;
          put(value(v), slow::of(v));
          break;
        }
        case 4: {
          const std::int64_t v = 9007199254740992 + n;
          put(value(v), slow::of(v));
          break;
        }
        case 5: {
          const double v = random_.one_in(3) ? 9007199254740992.0 + 2 * static_cast<double>(n)
                                             : static_cast<double>(n) / 8;
          put(value(v), slow::of_real(v));
          break;
        }
        case 6: put(value(static_cast<float>(n) / 8), slow::of_real(static_cast<double>(n) / 8));
          break;
        case 7: put(value(eighths(n)), slow::of_real(static_cast<double>(n) / 8)); break;
        case 8: put(value(n > 0), slow::of_truth(n > 0)); break;
        case 9: {
          const std::string text = words[random_.below(6)];
          if (random_.one_in(2)) put(value(symbol(text)), slow::of_text(text));
          else put(value(text), slow::of_text(text));
          break;
        }
        default: put(value(), {}); break;
      }
    }
    return out;
  }

  tree condition(int depth) {
    if (depth > 0 && random_.one_in(2)) {
      const std::size_t which = random_.below(3);
      if (which == 2) return over("not", {condition(depth - 1)});
      return over(which == 0 ? "and" : "or", {condition(depth - 1), condition(depth - 1)});
    }
    static const char* const orders[] = {"=", "<>", "<", "<=", ">", ">="};
    switch (random_.below(8)) {
      case 0: return field();
      case 1: return either(over("is null", {number(depth)}));
      case 2: return either(over("between", {number(depth), number(0), number(0)}));
      case 3: return either(over("in", {leaf(), literal_text(), number(0), number(0)}));
      case 4: {
        tree pattern = literal_text();
        pattern.literal.characters += random_.one_in(2) ? "%" : "_";
        pattern.text = "'" + pattern.literal.characters + "'";
        return either(over("like", {field(), pattern}));
      }
      case 5: return over(orders[random_.below(6)], {field(), literal_text()});
      default: return over(orders[random_.below(6)], {number(depth), number(depth)});
    }
  }

 private:
  static tree over(const char* word, std::vector<tree> under) {
    tree t;
    t.word = word;
    t.under = std::move(under);
    return t;
  }
  tree either(tree t) {
    t.negated = random_.one_in(2);
    return t;
  }
  tree leaf() { return random_.one_in(3) ? number(0) : field(); }
  tree field() {
    tree t;
    t.word = "field";
    t.text = names[random_.below(6)];
    return t;
  }
  tree literal_text() {
    tree t;
    t.word = "literal";
    t.literal = slow::of_text(words[random_.below(6)]);
    t.text = "'" + t.literal.characters + "'";
    return t;
  }
  tree number(int depth) {
    static const char* const operators[] = {"+", "-", "*", "/", "%"};
    if (depth > 0 && random_.one_in(3)) {
      if (random_.one_in(5)) return over("-1", {number(depth - 1)});
      return over(operators[random_.below(5)], {number(depth - 1), number(depth - 1)});
    }
    if (random_.one_in(2)) return field();
    tree t;
    t.word = "literal";
    const std::size_t n = random_.below(21);
    if (random_.one_in(3)) {
      t.literal = slow::of_real(static_cast<double>(n) / 8);
      const std::string thousandths = std::to_string(n % 8 * 125 + 1000);
      t.text = std::to_string(n / 8) + "." + thousandths.substr(1);
    } else {
      t.literal = slow::of(static_cast<slow::wide>(n));
      t.text = std::to_string(n);
    }
    return t;
  }

  random_source random_;
};

}  // namespace

TEST_CASE("filter: random expressions are evaluated as the obvious evaluator does") {
  const std::uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  generator random(seed);
  std::size_t seen[3] = {};
  for (int i = 0; i < 4000; ++i) {
    const tree t = random.condition(3);
    const std::string text = t.print();
    CAPTURE(text);
    const bool is_selector = i % 2 == 0;
    const auto p =
        program_of(text, is_selector ? filter::dialect::selector : filter::dialect::sql);
    if (p.has_error()) FAIL(p.error().to_text());
    for (int k = 0; k < 3; ++k) {
      slow::fields fields;
      amqp::message::message m;
      m.application_properties = random.properties(fields);
      m.body = value(std::string("x"));
      const auto octets = made(m);
      const filter::subject s{amqp::message::view(octets->octets(), octets->sections()), 0};
      const filter::truth said = p->evaluate(s);
      const auto wanted = slow::evaluator(fields, is_selector).condition(t);
      const filter::truth expected = !wanted ? filter::truth::unknown
                                     : *wanted ? filter::truth::yes
                                               : filter::truth::no;
      CAPTURE(to_text(*m.application_properties));
      REQUIRE(said == expected);
      ++seen[static_cast<std::size_t>(said)];
    }
  }
  // Each answer is met often enough to mean something.
  for (const std::size_t count : seen) CHECK(count > 1000);
}
