// SPDX-License-Identifier: Apache-2.0
// The obvious evaluator: a tree of nodes, walked with owned values, numbers as long double or 128
// bits, patterns by trying everything. Random trees print themselves as expressions.
#pragma once

#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/hex.hpp"

namespace whimbrel::test::slow {

__extension__ using wide = __int128;

struct thing {
  enum { null, boolean, integer, real, text } what = null;
  bool truth = false;
  wide whole = 0;
  double number = 0;
  std::string characters = {};

  [[nodiscard]] bool is_number() const { return what == integer || what == real; }
  /// Exact on machines whose long double has 64 bits of mantissa.
  [[nodiscard]] long double exact() const {
    return what == integer ? static_cast<long double>(whole) : static_cast<long double>(number);
  }
};

inline thing of(wide v) { thing t; t.what = thing::integer; t.whole = v; return t; }
inline thing of_real(double v) { thing t; t.what = thing::real; t.number = v; return t; }
inline thing of_text(std::string v) {
  thing t;
  t.what = thing::text;
  t.characters = std::move(v);
  return t;
}
inline thing of_truth(bool v) { thing t; t.what = thing::boolean; t.truth = v; return t; }
inline thing nan() { return of_real(std::numeric_limits<double>::quiet_NaN()); }

using fields = std::map<std::string, thing>;

/// The words of the grammar: a leaf holds a literal or a field's name.
struct tree {
  std::string word = {};  // "field", "literal", "and", "=", "like", ...
  std::string text = {};  // as it is written, of a leaf
  thing literal = {};
  bool negated = false;
  std::vector<tree> under = {};

  [[nodiscard]] std::string print() const {
    if (word == "field" || word == "literal") return text;
    if (word == "not" || word == "-1") return (word == "not" ? "NOT " : "-") + wrap(0);
    if (word == "is null") return wrap(0) + (negated ? " IS NOT NULL" : " IS NULL");
    const std::string no = negated ? " NOT" : "";
    if (word == "like") return wrap(0) + no + " LIKE " + under[1].print();
    if (word == "between") return wrap(0) + no + " BETWEEN " + wrap(1) + " AND " + wrap(2);
    if (word == "in") {
      std::string list;
      for (std::size_t i = 1; i < under.size(); ++i) list += (i > 1 ? ", " : "") + under[i].print();
      return wrap(0) + no + " IN (" + list + ")";
    }
    return wrap(0) + " " + word + " " + wrap(1);
  }
  [[nodiscard]] std::string wrap(std::size_t i) const {
    const tree& t = under[i];
    return t.word == "field" || t.word == "literal" ? t.print() : "(" + t.print() + ")";
  }
};

class evaluator {
 public:
  evaluator(const fields& in, bool unlike_is_false) : in_(in), unlike_is_false_(unlike_is_false) {}

  /// Nothing is unknown.
  [[nodiscard]] std::optional<bool> condition(const tree& t) const {
    const thing v = value(t);
    return v.what == thing::boolean ? std::optional(v.truth) : std::nullopt;
  }

  [[nodiscard]] thing value(const tree& t) const {
    if (t.word == "literal") return t.literal;
    if (t.word == "field") {
      const auto found = in_.find(t.text);
      return found == in_.end() ? thing{} : found->second;
    }
    if (t.word == "-1") return negated(value(t.under[0]));
    if (std::string("+-*/%").find(t.word) != std::string::npos) {
      return computed(t.word[0], value(t.under[0]), value(t.under[1]));
    }
    const auto truth = judged(t);
    return truth ? of_truth(*truth) : thing{};
  }

 private:
  using maybe = std::optional<bool>;

  static maybe flip(bool negated, maybe m) { return m && negated ? maybe(!*m) : m; }

  [[nodiscard]] maybe judged(const tree& t) const {
    if (t.word == "not") return flip(true, condition(t.under[0]));
    if (t.word == "and" || t.word == "or") {
      const bool decides = t.word == "or";
      const maybe a = condition(t.under[0]);
      const maybe b = condition(t.under[1]);
      if (a == decides || b == decides) return decides;
      return a && b ? maybe(!decides) : std::nullopt;
    }
    if (t.word == "is null") return flip(t.negated, value(t.under[0]).what == thing::null);
    if (t.word == "between") {
      const maybe low = compared(">=", value(t.under[0]), value(t.under[1]));
      const maybe high = compared("<=", value(t.under[0]), value(t.under[2]));
      if (low == false || high == false) return flip(t.negated, false);
      return flip(t.negated, low && high ? maybe(true) : std::nullopt);
    }
    if (t.word == "in") {
      const thing v = value(t.under[0]);
      maybe found = false;
      for (std::size_t i = 1; i < t.under.size(); ++i) {
        const maybe same = compared("=", v, value(t.under[i]));
        if (same == true) return flip(t.negated, true);
        if (!same) found = std::nullopt;
      }
      return flip(t.negated, found);
    }
    if (t.word == "like") {
      const thing v = value(t.under[0]);
      if (v.what == thing::null) return std::nullopt;
      if (v.what != thing::text) return unlike_is_false_ ? maybe(false) : std::nullopt;
      return flip(t.negated, matches(v.characters, t.under[1].literal.characters));
    }
    return compared(t.word, value(t.under[0]), value(t.under[1]));
  }

  [[nodiscard]] maybe compared(const std::string& how, const thing& a, const thing& b) const {
    if (a.what == thing::null || b.what == thing::null) return std::nullopt;
    int order = 0;
    if (a.is_number() && b.is_number()) {
      if (std::isnan(a.exact()) || std::isnan(b.exact())) return std::nullopt;
      order = a.exact() < b.exact() ? -1 : a.exact() > b.exact() ? 1 : 0;
    } else if (a.what != b.what) {
      return unlike_is_false_ ? maybe(false) : std::nullopt;
    } else if (a.what == thing::boolean) {
      if (how != "=" && how != "<>" && a.truth != b.truth) return std::nullopt;
      order = a.truth == b.truth ? 0 : 1;
    } else {
      order = a.characters < b.characters ? -1 : a.characters > b.characters ? 1 : 0;
    }
    if (how == "=") return order == 0;
    if (how == "<>") return order != 0;
    if (how == "<") return order < 0;
    if (how == "<=") return order <= 0;
    return how == ">" ? order > 0 : order >= 0;
  }

  static bool matches(const std::string& text, const std::string& pattern) {
    if (pattern.empty()) return text.empty();
    if (pattern[0] == '%') {
      for (std::size_t i = 0; i <= text.size(); ++i) {
        if (matches(text.substr(i), pattern.substr(1))) return true;
      }
      return false;
    }
    if (text.empty() || (pattern[0] != '_' && pattern[0] != text[0])) return false;
    return matches(text.substr(1), pattern.substr(1));
  }

  static thing bounded(wide v) {
    const bool fits = v >= std::numeric_limits<std::int64_t>::min() &&
                      v <= std::numeric_limits<std::uint64_t>::max();
    return fits ? of(v) : nan();
  }
  static thing negated(const thing& a) {
    if (a.what == thing::integer) return bounded(-a.whole);
    return a.what == thing::real ? of_real(-a.number) : thing{};
  }
  static thing computed(char how, const thing& a, const thing& b) {
    if (how == '+' && a.what == thing::text && b.what == thing::text) {
      return of_text(a.characters + b.characters);
    }
    if (!a.is_number() || !b.is_number()) return {};
    if (a.what == thing::integer && b.what == thing::integer) {
      const long double product = a.exact() * b.exact();
      switch (how) {
        case '+': return bounded(a.whole + b.whole);
        case '-': return bounded(a.whole - b.whole);
        case '*': return std::abs(product) > 1e20L ? nan() : bounded(a.whole * b.whole);
        case '/': return b.whole == 0 ? nan() : bounded(a.whole / b.whole);
        default: return b.whole == 0 ? nan() : bounded(a.whole % b.whole);
      }
    }
    const auto x = static_cast<double>(a.exact());
    const auto y = static_cast<double>(b.exact());
    switch (how) {
      case '+': return of_real(x + y);
      case '-': return of_real(x - y);
      case '*': return of_real(x * y);
      case '/': return y == 0 ? nan() : of_real(x / y);
      default: return {};
    }
  }

  const fields& in_;
  bool unlike_is_false_;
};

}  // namespace whimbrel::test::slow
