// SPDX-License-Identifier: Apache-2.0
// Values: fields, arithmetic, functions.
#include <algorithm>
#include <charconv>
#include <limits>

#include "broker/protocol/filter/date.hpp"
#include "broker/protocol/filter/evaluation.hpp"
#include "broker/protocol/filter/limits.hpp"
#include "broker/protocol/filter/text.hpp"

namespace whimbrel::broker::protocol::filter {

operand evaluation::value(node_index i) const {
  const node& n = p_.at(i);
  switch (n.what) {
    case op::constant: return p_.operands_[n.a];
    case op::field: return field_value(n);
    case op::negate: return negate(value(n.a));
    case op::add: return add(n);
    case op::subtract: return compute(arithmetic::subtract, value(n.a), value(n.b));
    case op::multiply: return compute(arithmetic::multiply, value(n.a), value(n.b));
    case op::divide: return compute(arithmetic::divide, value(n.a), value(n.b));
    case op::remainder: return compute(arithmetic::remainder, value(n.a), value(n.b));
    case op::lower:
    case op::upper: return in_case(n);
    case op::left:
    case op::right:
    case op::substring: return part_of(n);
    case op::date: return date(n);
    default: {
      const truth t = condition(i);
      return t == truth::unknown ? null_operand() : of_boolean(t == truth::yes);
    }
  }
}

/// Each node that puts text together has a buffer of its own, so views of it stay good for as
/// long as the evaluation runs.
std::string& evaluation::buffer(const node& n) const {
  std::string& out = p_.buffers_[n.c];
  out.clear();
  return out;
}

encoded evaluation::find(const field_ref& f) const {
  const auto octets = section_octets(s_.message, f.where);
  encoded at = is_list(f.where) ? find_field(octets, f.index) : find_entry(octets, f.name);
  for (std::size_t i = 0; i < f.path_count && at.is_present; ++i) {
    const path_step& step = p_.steps_[f.path_begin + i];
    if (step.index == no_node) {
      at = find_in_map(at, step.name);
      continue;
    }
    const operand index = value(step.index);
    const bool is_good = index.what == kind::integer && index.whole >= 0;
    at = is_good ? find_in_list(at, static_cast<std::uint64_t>(index.whole)) : encoded{};
  }
  return at;
}

operand evaluation::field_value(const node& n) const {
  const field_ref& f = p_.fields_[n.a];
  const encoded found = find(f);
  operand plain = read_operand(found);
  if (!found.is_present && f.where == section::header) plain = default_of_header(f.index);
  return f.form == field_form::plain ? plain : jms_value(f, plain, n);
}

namespace {

void append_hex(std::string& out, std::string_view octets) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  for (const char c : octets) {
    const auto octet = static_cast<unsigned char>(c);
    out += digits[octet >> 4];
    out += digits[octet & 15];
  }
}

void append_uuid(std::string& out, std::string_view octets) {
  constexpr std::string_view digits = "0123456789abcdef";
  for (std::size_t i = 0; i < octets.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    const auto octet = static_cast<unsigned char>(octets[i]);
    out += digits[octet >> 4];
    out += digits[octet & 15];
  }
}

/// As JMS clients show the ids that are not strings.
operand jms_id(std::string& out, const operand& id) {
  if (id.what == kind::text || id.what == kind::null) return id;
  out = "ID:AMQP_";
  if (id.what == kind::integer) {
    char digits[24] = {};
    const auto number = static_cast<std::uint64_t>(id.whole);
    out.append("ULONG:").append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
  } else if (id.what == kind::binary && id.text.size() <= limits::text_result_octets_max / 4) {
    append_hex(out.append("BINARY:"), id.text);
  } else if (id.what == kind::opaque) {
    append_uuid(out.append("UUID:"), id.text);
  } else {
    return null_operand();
  }
  return of_text(out);
}

}  // namespace

operand evaluation::jms_value(const field_ref& f, const operand& plain, const node& n) const {
  switch (f.form) {
    case field_form::jms_delivery_mode:
      return of_text(plain.truth ? "PERSISTENT" : "NON_PERSISTENT");
    case field_form::jms_priority: return of_integer(std::min<int128>(plain.whole, 9));
    case field_form::jms_delivery_count: return of_integer(plain.whole + 1);
    case field_form::jms_id: return jms_id(buffer(n), plain);
    case field_form::jms_user_id:
      return plain.what == kind::binary ? of_text(plain.text) : null_operand();
    case field_form::plain: break;
  }
  return plain;
}

operand evaluation::add(const node& n) const {
  const operand a = value(n.a);
  const operand b = value(n.b);
  if (a.what != kind::text || b.what != kind::text) return compute(arithmetic::add, a, b);
  if (a.text.size() + b.text.size() > limits::text_result_octets_max) return null_operand();
  std::string& out = buffer(n);
  out.append(a.text).append(b.text);
  return of_text(out);
}

operand evaluation::in_case(const node& n) const {
  const operand a = value(n.a);
  // A character may grow from two octets to three.
  if (a.what != kind::text || a.text.size() > limits::text_result_octets_max / 2) {
    return null_operand();
  }
  std::string& out = buffer(n);
  n.what == op::lower ? append_lower(out, a.text) : append_upper(out, a.text);
  return of_text(out);
}

operand evaluation::part_of(const node& n) const {
  const operand text = value(n.a);
  const operand first = value(n.b);
  const operand second = n.what == op::substring ? value(n.c) : first;
  const auto is_count = [](const operand& o) { return o.what == kind::integer && o.whole >= 0; };
  if (text.what != kind::text || !is_count(first) || !is_count(second)) return null_operand();
  const auto count = static_cast<std::uint64_t>(second.whole);
  if (n.what == op::left) {
    return of_text(text.text.substr(0, octets_of_characters(text.text, count)));
  }
  if (n.what == op::right) {
    const std::size_t all = count_characters(text.text);
    const std::uint64_t skipped = all > count ? all - count : 0;
    return of_text(text.text.substr(octets_of_characters(text.text, skipped)));
  }
  if (first.whole == 0) return null_operand();  // characters are counted from 1
  const auto start = static_cast<std::uint64_t>(first.whole) - 1;
  const std::string_view rest = text.text.substr(octets_of_characters(text.text, start));
  return of_text(rest.substr(0, octets_of_characters(rest, count)));
}

operand evaluation::date(const node& n) const {
  const operand text = value(n.a);
  if (text.is_time) return text;
  if (text.what != kind::text) return null_operand();
  const auto ms = parse_date(text.text);
  return ms ? of_integer(*ms, true) : null_operand();
}

}  // namespace whimbrel::broker::protocol::filter
