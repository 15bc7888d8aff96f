// SPDX-License-Identifier: Apache-2.0
// Conditions.
#include "broker/protocol/filter/evaluation.hpp"

#include "broker/protocol/filter/limits.hpp"
#include "broker/protocol/filter/text.hpp"

namespace whimbrel::broker::protocol::filter {

namespace {

truth of(bool yes) { return yes ? truth::yes : truth::no; }

truth inverted(truth t) {
  if (t == truth::unknown) return t;
  return of(t == truth::no);
}

truth negated_if(bool negated, truth t) { return negated ? inverted(t) : t; }

/// What `o` says of a comparison.
truth judge(op how, order o, bool unlike_is_false) {
  if (o == order::unknown) return truth::unknown;
  if (o == order::unlike) return unlike_is_false ? truth::no : truth::unknown;
  const bool is_ordered = o != order::different;
  switch (how) {
    case op::equal: return of(o == order::equal);
    case op::unequal: return of(o != order::equal);
    case op::less: return is_ordered ? of(o == order::less) : truth::unknown;
    case op::less_equal: return is_ordered ? of(o != order::greater) : truth::unknown;
    case op::greater: return is_ordered ? of(o == order::greater) : truth::unknown;
    default: return is_ordered ? of(o != order::less) : truth::unknown;
  }
}

}  // namespace

truth evaluation::condition(node_index i) const {
  const node& n = p_.at(i);
  switch (n.what) {
    case op::equal:
    case op::unequal:
    case op::less:
    case op::less_equal:
    case op::greater:
    case op::greater_equal: return compare_node(n);
    case op::between: return between(n);
    case op::in: return in_list(n);
    case op::like: return like(n);
    case op::is_null:
      return negated_if(n.has(node_flag::negated), of(value(n.a).what == kind::null));
    case op::exists: return of(find(p_.fields_[n.a]).is_present);
    case op::all: return all_of(n);
    case op::any: return any_of(n);
    case op::invert: return inverted(condition(n.a));
    case op::match: return match(n);
    case op::group_all:
    case op::group_any:
    case op::group_none: return group(n);
    case op::foreign: {
      const auto own = static_cast<std::uint64_t>(p_.constant_of(n).whole);
      return of(s_.origin != own);
    }
    default: {
      const operand v = value(i);
      return v.what == kind::boolean ? of(v.truth) : truth::unknown;
    }
  }
}

truth evaluation::compare_node(const node& n) const {
  return judge(n.what, compare(value(n.a), value(n.b)), n.has(node_flag::unlike_is_false));
}

truth evaluation::between(const node& n) const {
  const operand v = value(n.a);
  const bool unlike_is_false = n.has(node_flag::unlike_is_false);
  const truth low = judge(op::greater_equal, compare(v, value(n.b)), unlike_is_false);
  if (low == truth::no) return of(n.has(node_flag::negated));
  const truth high = judge(op::less_equal, compare(v, value(n.c)), unlike_is_false);
  const truth both = high == truth::no ? high : low == truth::unknown ? low : high;
  return negated_if(n.has(node_flag::negated), both);
}

truth evaluation::in_list(const node& n) const {
  const operand v = value(n.a);
  truth found = truth::no;
  if (v.what == kind::null) return truth::unknown;
  for (std::size_t m = 0; m < n.c; ++m) {
    const order o = compare(v, value(p_.lists_[n.b + m]));
    const truth t = judge(op::equal, o, n.has(node_flag::unlike_is_false));
    if (t == truth::yes) return of(!n.has(node_flag::negated));
    if (t == truth::unknown) found = t;
  }
  return negated_if(n.has(node_flag::negated), found);
}

truth evaluation::like(const node& n) const {
  const operand text = value(n.a);
  const operand pattern = value(n.b);
  const operand escape = n.c == no_node ? of_text({}) : value(n.c);
  for (const operand* each : {&text, &pattern, &escape}) {
    if (each->what == kind::text) continue;
    if (each->what == kind::null || each->what == kind::compound) return truth::unknown;
    return n.has(node_flag::unlike_is_false) ? truth::no : truth::unknown;
  }
  if (n.c != no_node && count_characters(escape.text) != 1) return truth::unknown;
  const bool is_constant = p_.at(n.b).what == op::constant;
  if (!is_constant && pattern.text.size() > limits::like_pattern_octets_max) return truth::unknown;
  if (text.text.size() > limits::like_text_octets_max) return truth::unknown;
  return negated_if(n.has(node_flag::negated),
                    of(is_like(text.text, pattern.text, escape.text)));
}

truth evaluation::all_of(const node& n) const {
  truth out = truth::yes;
  for (std::size_t m = 0; m < n.b; ++m) {
    const truth t = condition(p_.lists_[n.a + m]);
    if (t == truth::no) return t;
    if (t == truth::unknown) out = t;
  }
  return out;
}

truth evaluation::any_of(const node& n) const {
  truth out = truth::no;
  for (std::size_t m = 0; m < n.b; ++m) {
    const truth t = condition(p_.lists_[n.a + m]);
    if (t == truth::yes) return t;
    if (t == truth::unknown) out = t;
  }
  return out;
}

/// Every member is looked at: one that fails makes the whole fail. [filtex 3]
truth evaluation::group(const node& n) const {
  std::size_t passed = 0;
  for (std::size_t m = 0; m < n.b; ++m) {
    const truth t = condition(p_.lists_[n.a + m]);
    if (t == truth::unknown) return t;
    if (t == truth::yes) ++passed;
  }
  if (n.what == op::group_all) return of(passed == n.b);
  return of(n.what == op::group_any ? passed > 0 : passed == 0);
}

truth evaluation::match(const node& n) const {
  const encoded reference = encoded_of(p_.references_[n.b]);
  if (reference.is_null()) return truth::yes;
  const field_ref& f = p_.fields_[n.a];
  const encoded found = find(f);
  if (found.is_present || f.where != section::header) return of(is_match(reference, found));
  // An absent field of the header stands for its default. [filtex 4.2.1]
  return of(compare(read_operand(reference), default_of_header(f.index)) == order::equal);
}

}  // namespace whimbrel::broker::protocol::filter
