// SPDX-License-Identifier: Apache-2.0
// Fields and functions. [filtex 6.4.4.3, 6.4.4.4; JMS 2.0, 3.8.1.1]
#include <algorithm>
#include <array>
#include <utility>

#include "broker/protocol/filter/date.hpp"
#include "broker/protocol/filter/limits.hpp"
#include "broker/protocol/filter/parser.hpp"

namespace whimbrel::broker::protocol::filter {

namespace {

struct selector_name {
  std::string_view name;
  section where;
  std::string_view field;
  field_form form = field_form::plain;
};

constexpr std::array<selector_name, 13> jms_names{{
    {"JMSDeliveryMode", section::header, "durable", field_form::jms_delivery_mode},
    {"JMSPriority", section::header, "priority", field_form::jms_priority},
    {"JMSXDeliveryCount", section::header, "delivery-count", field_form::jms_delivery_count},
    {"JMSMessageID", section::properties, "message-id", field_form::jms_id},
    {"JMSCorrelationID", section::properties, "correlation-id", field_form::jms_id},
    {"JMSTimestamp", section::properties, "creation-time"},
    {"JMSExpiration", section::properties, "absolute-expiry-time"},
    {"JMSType", section::properties, "subject"},
    {"JMSDestination", section::properties, "to"},
    {"JMSReplyTo", section::properties, "reply-to"},
    {"JMSXUserID", section::properties, "user-id", field_form::jms_user_id},
    {"JMSXGroupID", section::properties, "group-id"},
    {"JMSXGroupSeq", section::properties, "group-sequence"},
}};

constexpr std::string_view annotation_prefixes[] = {"amqp.annotation.", "m."};

struct section_name {
  std::string_view name;
  section where;
};

constexpr std::array<section_name, 15> section_names{{
    {"header", section::header},
    {"h", section::header},
    {"footer", section::footer},
    {"f", section::footer},
    {"properties", section::properties},
    {"p", section::properties},
    {"application_properties", section::application_properties},
    {"application-properties", section::application_properties},
    {"a", section::application_properties},
    {"delivery_annotations", section::delivery_annotations},
    {"delivery-annotations", section::delivery_annotations},
    {"d", section::delivery_annotations},
    {"message_annotations", section::message_annotations},
    {"message-annotations", section::message_annotations},
    {"m", section::message_annotations},
}};

field_ref to_known(section where, const known_field& known, field_form form) {
  field_ref out;
  out.where = where;
  out.index = known.index;
  out.form = form;
  return out;
}

}  // namespace

checked<part> parser::field() {
  const std::size_t begin = ahead_.begin;
  std::vector<path_step> path;
  AMQP_TRY(found, field_reference(path));
  node n{op::field};
  if (found.form == field_form::jms_id) n.c = into_.add_buffer();
  n.a = into_.add_field(found, path);
  return add(n, expectation::anything, begin, 1);
}

checked<field_ref> parser::field_reference(std::vector<path_step>& path) {
  const bool is_name = ahead_.what == token_kind::identifier ||
                       (ahead_.what == token_kind::word && !is_reserved(ahead_));
  if (!is_name) return fault_here("the name of a field is expected");
  return dialect_ == dialect::sql ? sql_reference(path) : selector_reference();
}

checked<field_ref> parser::selector_reference() {
  const token t = ahead_;
  if (auto moved = advance(); moved.has_error()) return moved.error();
  field_ref out;
  if (t.what == token_kind::identifier) {  // "as it is"
    out.name = into_.keep(t.content);
    return out;
  }
  if (ahead_.is("(")) return lexer_.fault(t.begin, "a selector has no functions");
  for (const selector_name& each : jms_names) {
    if (t.source != each.name) continue;
    return to_known(each.where, *find_known_field(each.where, each.field), each.form);
  }
  for (const std::string_view prefix : annotation_prefixes) {
    if (!t.source.starts_with(prefix)) continue;
    out.where = section::message_annotations;
    out.name = into_.keep(std::string(t.source.substr(prefix.size())));
    return out;
  }
  constexpr std::string_view amqp_prefix = "amqp.";
  if (t.source.starts_with(amqp_prefix)) {
    const std::string_view name = t.source.substr(amqp_prefix.size());
    for (const section where : {section::properties, section::header}) {
      const known_field* known = find_known_field(where, name);
      if (known != nullptr) return to_known(where, *known, field_form::plain);
    }
    return lexer_.fault(t.begin, quote(t.source) +
                                     " is no field of header or properties; amqp.reply_to is one");
  }
  out.name = into_.keep(std::string(t.source));
  return out;
}

checked<field_ref> parser::sql_reference(std::vector<path_step>& path) {
  const token first = ahead_;
  const auto is_first = [&](const section_name& s) {
    return first.what == token_kind::word && first.source == s.name;
  };
  const auto found = std::find_if(section_names.begin(), section_names.end(), is_first);
  if (auto moved = advance(); moved.has_error()) return moved.error();
  field_ref out;
  if (found == section_names.end() || !ahead_.is(".")) {
    const bool is_word = first.what == token_kind::word;
    out.name = into_.keep(is_word ? std::string(first.source) : first.content);
    if (auto steps = path_steps(path); steps.has_error()) return steps.error();
    return out;
  }
  out.where = found->where;
  if (is_list(out.where)) {
    const std::string_view known = lexer_.take_known_field(out.where == section::header);
    if (!known.empty()) {
      if (auto moved = advance(); moved.has_error()) return moved.error();
      return to_known(out.where, *find_known_field(out.where, known), field_form::plain);
    }
  }
  if (auto moved = advance(); moved.has_error()) return moved.error();
  if (ahead_.what != token_kind::word && ahead_.what != token_kind::identifier) {
    return fault_here("the name of a field is expected, behind the section");
  }
  const token name = ahead_;
  const bool is_word = name.what == token_kind::word;
  std::string text = is_word ? std::string(name.source) : name.content;
  if (is_list(out.where)) {
    const known_field* known = find_known_field(out.where, text);
    if (known == nullptr) {
      return lexer_.fault(name.begin, quote(text) + " is no field of " +
                                          std::string(name_of(out.where)));
    }
    if (auto moved = advance(); moved.has_error()) return moved.error();
    return to_known(out.where, *known, field_form::plain);
  }
  out.name = into_.keep(std::move(text));
  if (auto moved = advance(); moved.has_error()) return moved.error();
  if (auto steps = path_steps(path); steps.has_error()) return steps.error();
  return out;
}

/// `.entry` and `[index]`, any number. The lexer takes what stands in brackets for a name.
checked<void> parser::path_steps(std::vector<path_step>& path) {
  for (;;) {
    if (ahead_.is(".")) {
      if (auto moved = advance(); moved.has_error()) return moved.error();
      if (ahead_.what != token_kind::word && ahead_.what != token_kind::identifier) {
        return fault_here("the name of an entry is expected, behind the point");
      }
      const bool is_word = ahead_.what == token_kind::word;
      path.push_back({into_.keep(is_word ? std::string(ahead_.source) : ahead_.content), no_node});
      if (auto moved = advance(); moved.has_error()) return moved.error();
      continue;
    }
    if (ahead_.what != token_kind::identifier || !ahead_.source.starts_with('[')) return {};
    const std::string_view inside = into_.keep(ahead_.content);
    if (++depth_ > limits::depth_max) return too_deep(ahead_.begin);
    parser index(into_, inside, dialect_);
    index.depth_ = depth_;
    if (auto moved = index.advance(); moved.has_error()) {
      return lexer_.fault(ahead_.begin, moved.error().text);
    }
    auto value = index.sum();
    --depth_;
    const bool is_whole = value.has_value() && index.ahead_.what == token_kind::end;
    if (!is_whole || (value->gives != expectation::number &&
                      value->gives != expectation::anything)) {
      return lexer_.fault(ahead_.begin,
                          "[ ] behind a field takes the number of an element, from 0");
    }
    path.push_back({{}, value->node});
    if (auto moved = advance(); moved.has_error()) return moved.error();
  }
}

checked<part> parser::exists() {
  const std::size_t begin = ahead_.begin;
  if (auto moved = advance(); moved.has_error()) return moved.error();
  if (auto open = expect("(", "behind EXISTS"); open.has_error()) return open.error();
  std::vector<path_step> path;
  AMQP_TRY(found, field_reference(path));
  if (auto close = expect(")", "behind the field"); close.has_error()) return close.error();
  node n{op::exists};
  n.a = into_.add_field(found, path);
  return add(n, expectation::condition, begin, 1);
}

// --- functions -------------------------------------------------------------------------------

/// A name and `(`, or a vendor's prefix, `:`, a name and `(`.
bool parser::is_function_ahead() {
  if (ahead_.what != token_kind::word) return false;
  lexer further = lexer_;
  const auto next = further.next();
  return next.has_value() && (next->is("(") || next->is(":"));
}

checked<part> parser::function() {
  token name = ahead_;
  if (auto moved = advance(); moved.has_error()) return moved.error();
  const bool is_of_vendor = ahead_.is(":");
  if (is_of_vendor) {
    if (auto moved = advance(); moved.has_error()) return moved.error();
    if (ahead_.what != token_kind::word && ahead_.what != token_kind::identifier) {
      return fault_here("the name of a function is expected, behind the vendor's prefix");
    }
    if (auto moved = advance(); moved.has_error()) return moved.error();
  }
  if (++depth_ > limits::depth_max) return too_deep(name.begin);
  AMQP_TRY(given, arguments());
  --depth_;
  if (!is_of_vendor) return call(name, std::move(given));
  // A vendor's function that is not ours is NULL, whatever it is given. [filtex 6.4.4.3]
  return constant(null_operand(), expectation::anything);
}

checked<std::vector<part>> parser::arguments() {
  constexpr std::size_t arguments_max = 8;
  std::vector<part> out;
  if (auto open = expect("(", "behind the function's name"); open.has_error()) return open.error();
  if (ahead_.is(")")) {
    if (auto moved = advance(); moved.has_error()) return moved.error();
    return out;
  }
  for (;;) {
    if (out.size() == arguments_max) return fault_here("at most 8 arguments are expected");
    AMQP_TRY(argument, sum());
    out.push_back(argument);
    if (!ahead_.is(",")) break;
    if (auto moved = advance(); moved.has_error()) return moved.error();
  }
  if (auto close = expect(")", "or ',' behind an argument"); close.has_error()) {
    return close.error();
  }
  return out;
}

checked<part> parser::call(const token& name, std::vector<part> given) {
  struct signature {
    std::string_view name;
    op what;
    std::size_t least, most;
    std::string_view shape;
  };
  constexpr std::array<signature, 6> known{{
      {"lower", op::lower, 1, 2, "LOWER(text [, language])"},
      {"upper", op::upper, 1, 2, "UPPER(text [, language])"},
      {"left", op::left, 2, 2, "LEFT(text, count)"},
      {"right", op::right, 2, 2, "RIGHT(text, count)"},
      {"substring", op::substring, 3, 3, "SUBSTRING(text, start, count)"},
      {"date", op::date, 1, 1, "DATE(text)"},
  }};
  if (name.is("utc")) {
    return lexer_.fault(name.begin, "UTC() is not offered: what a filter says of a message must "
                                    "not change with the time");
  }
  const auto found = std::find_if(known.begin(), known.end(),
                                  [&](const signature& s) { return name.is(s.name); });
  if (found == known.end()) {
    return lexer_.fault(name.begin, quote(name.source) +
                                        " is no function; there are LOWER, UPPER, LEFT, RIGHT, "
                                        "SUBSTRING and DATE");
  }
  if (given.size() < found->least || given.size() > found->most) {
    return lexer_.fault(name.begin, "it is used so: " + std::string(found->shape));
  }
  const bool is_text = given[0].gives == expectation::text ||
                       given[0].gives == expectation::anything;
  if (!is_text) {
    return lexer_.fault(given[0].begin, "a text is needed: " + std::string(found->shape));
  }
  if (found->what == op::date) return date_call(name, given[0]);
  if (auto good = require_counts(given); found->least > 1 && good.has_error()) return good.error();
  node n{found->what};
  n.a = given[0].node;
  if (found->least > 1) n.b = given[1].node;
  if (found->least > 2) n.c = given[2].node;
  if (found->least == 1) n.c = into_.add_buffer();
  std::size_t depth = 0;
  for (const part& p : given) depth = std::max(depth, p.depth);
  return add(n, expectation::text, name.begin, depth + 1);
}

/// What is known to be no count is an error of the expression. [filtex 6.4.4.3]
checked<void> parser::require_counts(const std::vector<part>& given) {
  for (std::size_t i = 1; i < given.size(); ++i) {
    const operand* c = constant_at(given[i]);
    const bool is_good = c == nullptr ? given[i].gives == expectation::number ||
                                            given[i].gives == expectation::anything
                                      : c->what == kind::integer && c->whole >= 0;
    if (!is_good) return lexer_.fault(given[i].begin, "a positive integer is needed");
  }
  return {};
}

checked<part> parser::date_call(const token& name, const part& argument) {
  if (const operand* c = constant_at(argument); c != nullptr && c->what == kind::text) {
    const auto ms = parse_date(c->text);
    if (!ms) {
      return lexer_.fault(argument.begin,
                          "no date: write it as 2024-02-29 or 2024-02-29T12:30:00Z");
    }
    AMQP_TRY(out, constant(of_integer(*ms, true), expectation::number));
    out.begin = name.begin;
    return out;
  }
  node n{op::date};
  n.a = argument.node;
  return add(n, expectation::number, name.begin, argument.depth + 1);
}

}  // namespace whimbrel::broker::protocol::filter
