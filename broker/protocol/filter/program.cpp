// SPDX-License-Identifier: Apache-2.0
// Building programs, and what indexes may know of them.
#include "broker/protocol/filter/program.hpp"

#include <cmath>
#include <functional>

#include "broker/protocol/filter/evaluation.hpp"
#include "broker/protocol/filter/limits.hpp"

namespace whimbrel::broker::protocol::filter {

std::optional<node_index> program::add(node n) {
  if (nodes_.size() >= limits::nodes_max) return std::nullopt;
  nodes_.push_back(n);
  return static_cast<node_index>(nodes_.size() - 1);
}

std::optional<node_index> program::add_constant(const operand& value) {
  operands_.push_back(value);
  node n{op::constant};
  n.a = static_cast<std::uint16_t>(operands_.size() - 1);
  return add(n);
}

std::uint16_t program::append_list(const std::vector<node_index>& members) {
  const std::size_t begin = lists_.size();
  lists_.insert(lists_.end(), members.begin(), members.end());
  return static_cast<std::uint16_t>(begin);
}

std::optional<node_index> program::add_list(op what, const std::vector<node_index>& members) {
  node n{what};
  n.a = append_list(members);
  n.b = static_cast<std::uint16_t>(members.size());
  return add(n);
}

std::uint16_t program::add_field(field_ref f, const std::vector<path_step>& path) {
  f.path_begin = static_cast<std::uint16_t>(steps_.size());
  f.path_count = static_cast<std::uint16_t>(path.size());
  steps_.insert(steps_.end(), path.begin(), path.end());
  fields_.push_back(f);
  return static_cast<std::uint16_t>(fields_.size() - 1);
}

std::uint16_t program::add_reference(std::span<const std::byte> octets) {
  references_.emplace_back(octets.begin(), octets.end());
  return static_cast<std::uint16_t>(references_.size() - 1);
}

std::uint16_t program::add_buffer() {
  buffers_.resize(++buffer_count_);
  return static_cast<std::uint16_t>(buffer_count_ - 1);
}

truth program::evaluate(const subject& s) const {
  return evaluation(*this, s).condition(root_);
}

namespace {

std::uint64_t mixed(std::uint64_t value, std::uint64_t salt) {
  value = (value + salt) * 0x9e3779b97f4a7c15u;
  return value ^ value >> 29;
}

/// Equal operands have equal keys; those that may equal operands of several keys have all.
program::key key_of_operand(const operand& value) {
  using state = program::key::state;
  switch (value.what) {
    case kind::null:
    case kind::binary:   // terms are text, integers and booleans: these equal none of them
    case kind::opaque:
    case kind::compound: return {};
    case kind::boolean: return {state::only, mixed(value.truth ? 1 : 0, 1)};
    case kind::text: return {state::only, mixed(std::hash<std::string_view>{}(value.text), 2)};
    case kind::integer:
      if (value.is_time) return {state::anything, 0};  // text can spell it
      return {state::only, mixed(static_cast<std::uint64_t>(value.whole), 3)};
    case kind::real:
    case kind::decimal: return {state::anything, 0};  // may be whole
  }
  return {};
}

}  // namespace

std::string program::canonical_name(const field_ref& f) const {
  std::string out(name_of(f.where));
  out += '/';
  out += std::to_string(static_cast<int>(f.form)) + '/';
  out += is_list(f.where) ? std::to_string(f.index) : std::string(f.name);
  for (std::size_t i = 0; i < f.path_count; ++i) {
    out += '\0';
    out += steps_[f.path_begin + i].name;
  }
  return out;
}

std::optional<program::equality> program::equality_of(const node& n) const {
  if (n.what == op::match) {
    const encoded reference = encoded_of(references_[n.b]);
    const operand value = read_operand(reference);
    const bool has_modifier =
        amqp::codec::is_string(reference.constructor) && value.text.starts_with('&');
    return has_modifier ? std::nullopt : equality_with(n.c, value);
  }
  if (n.what != op::equal) return std::nullopt;
  const bool field_first = at(n.a).what == op::field;
  const node_index field = field_first ? n.a : n.b;
  const node& constant = at(field_first ? n.b : n.a);
  if (at(field).what != op::field || constant.what != op::constant) return std::nullopt;
  return equality_with(field, operands_[constant.a]);
}

std::optional<program::equality> program::equality_with(node_index field,
                                                        const operand& value) const {
  const field_ref& f = fields_[at(field).a];
  for (std::size_t i = 0; i < f.path_count; ++i) {
    if (steps_[f.path_begin + i].index != no_node) return std::nullopt;
  }
  if (value.what == kind::real || value.what == kind::decimal) return std::nullopt;
  const key k = key_of_operand(value);
  if (k.which != key::state::only) return std::nullopt;
  return equality{canonical_name(f), field, k.hash};
}

std::optional<program::equality> program::find_equality() const {
  node_index i = root_;
  for (;;) {
    const node& n = at(i);
    if (n.what != op::all && n.what != op::group_all) return equality_of(n);
    // The first that there is; conjunctions in conjunctions are looked into if they come first.
    for (std::size_t m = 0; m < n.b; ++m) {
      if (auto found = equality_of(at(lists_[n.a + m]))) return found;
    }
    const node_index first = n.b > 0 ? lists_[n.a] : no_node;
    if (first == no_node) return std::nullopt;
    if (at(first).what != op::all && at(first).what != op::group_all) return std::nullopt;
    i = first;
  }
}

program::key program::key_of(node_index field_node, const subject& s) const {
  return key_of_operand(evaluation(*this, s).value(field_node));
}

}  // namespace whimbrel::broker::protocol::filter
