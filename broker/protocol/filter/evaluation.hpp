// SPDX-License-Identifier: Apache-2.0
// Running a program over one message, with three truth values.
#pragma once

#include "broker/protocol/filter/program.hpp"

namespace whimbrel::broker::protocol::filter {

/// AND is false if one member is, else unknown if one is; OR the other way round. Comparisons with
/// what is null, not a number, or compound are unknown.
class evaluation {
 public:
  evaluation(const program& p, const subject& s) : p_(p), s_(s) {}

  [[nodiscard]] truth condition(node_index i) const;
  [[nodiscard]] operand value(node_index i) const;

 private:
  [[nodiscard]] truth compare_node(const node& n) const;
  [[nodiscard]] truth between(const node& n) const;
  [[nodiscard]] truth in_list(const node& n) const;
  [[nodiscard]] truth like(const node& n) const;
  [[nodiscard]] truth all_of(const node& n) const;
  [[nodiscard]] truth any_of(const node& n) const;
  [[nodiscard]] truth group(const node& n) const;
  [[nodiscard]] truth match(const node& n) const;
  [[nodiscard]] encoded find(const field_ref& f) const;
  [[nodiscard]] operand field_value(const node& n) const;
  [[nodiscard]] operand jms_value(const field_ref& f, const operand& plain, const node& n) const;
  [[nodiscard]] operand add(const node& n) const;
  [[nodiscard]] operand in_case(const node& n) const;
  [[nodiscard]] operand part_of(const node& n) const;
  [[nodiscard]] operand date(const node& n) const;
  [[nodiscard]] std::string& buffer(const node& n) const;

  const program& p_;
  const subject& s_;
};

/// Whether `value` matches `reference`. [filtex 4.1]
[[nodiscard]] bool is_match(const encoded& reference, const encoded& value);

}  // namespace whimbrel::broker::protocol::filter
