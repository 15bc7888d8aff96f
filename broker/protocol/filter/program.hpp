// SPDX-License-Identifier: Apache-2.0
// A compiled filter: nodes of eight octets in one vector, constants and fields beside them.
//
//     color = 'red' AND p.to IS NULL
//
//     nodes     [0] field 0   [1] constant 0   [2] equal 0 1   [3] field 1   [4] is_null 3
//               [5] all lists[0..2) = {2, 4}                              <- root
//     fields    {application-properties, color} {properties, 2}
//     operands  'red'
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "amqp/message/view.hpp"
#include "broker/protocol/filter/error.hpp"
#include "broker/protocol/filter/field.hpp"
#include "broker/protocol/filter/operand.hpp"

namespace whimbrel::broker::protocol::filter {

enum class op : std::uint8_t {
  // values; a, b, c are nodes unless said otherwise
  constant,   // a: operand
  field,      // a: field; c: buffer
  negate,
  add,        // c: buffer, for text
  subtract,
  multiply,
  divide,
  remainder,
  lower,      // c: buffer
  upper,      // c: buffer
  left,
  right,
  substring,
  date,
  // conditions
  equal,
  unequal,
  less,
  less_equal,
  greater,
  greater_equal,
  between,
  in,         // a in lists[b, b + c)
  like,       // a like b, c: the escape or no_node
  is_null,
  exists,     // a: field
  all,        // lists[a, a + b)
  any,
  invert,
  match,      // field a matches reference b; c: a node of the field [filtex 4.1]
  group_all,  // as all, any, and not any; but null if one member is [filtex 3]
  group_any,
  group_none,
  foreign,    // did not come over the connection that operand a names
};

namespace node_flag {
inline constexpr std::uint8_t negated = 1;         // NOT LIKE, NOT IN, IS NOT NULL ...
inline constexpr std::uint8_t unlike_is_false = 2;  // what cannot be compared: false, not unknown
}  // namespace node_flag

using node_index = std::uint16_t;
inline constexpr node_index no_node = 0xffff;

struct node {
  op what = op::constant;
  std::uint8_t flags = 0;
  std::uint16_t a = 0;
  std::uint16_t b = 0;
  std::uint16_t c = 0;

  [[nodiscard]] bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
};
static_assert(sizeof(node) == 8);

/// How a field's value is seen: JMS has its own idea of some.
enum class field_form : std::uint8_t {
  plain,
  jms_delivery_mode,   // 'PERSISTENT', 'NON_PERSISTENT'
  jms_priority,        // not above 9
  jms_delivery_count,  // counts the delivery under way
  jms_id,              // text, whatever the type: 'ID:AMQP_ULONG:7'
  jms_user_id,         // octets as text
};

struct path_step {
  std::string_view name = {};
  node_index index = no_node;  // an expression instead of a name
};

struct field_ref {
  section where = section::application_properties;
  field_form form = field_form::plain;
  std::uint8_t index = 0;     // header, properties
  std::string_view name = {};  // the others
  std::uint16_t path_begin = 0;
  std::uint16_t path_count = 0;
};

enum class truth : std::uint8_t { no, yes, unknown };

/// What is evaluated: a message, and the connection that it came over (0: not known).
struct subject {
  amqp::message::view message;
  std::uint64_t origin = 0;
};

/// Built once by a parser, then only evaluated; by one thread at a time, for texts that it puts
/// together are kept in buffers of its own. Nothing is allocated in evaluation once those have
/// grown. Moved, never copied.
class program {
 public:
  program() = default;
  program(program&&) = default;
  program& operator=(program&&) = default;
  program(const program&) = delete;
  program& operator=(const program&) = delete;

  // --- building; nothing when `limits::nodes_max` is reached ---
  [[nodiscard]] std::optional<node_index> add(node n);
  [[nodiscard]] std::optional<node_index> add_constant(const operand& value);
  /// A node over `members`: all, any, groups.
  [[nodiscard]] std::optional<node_index> add_list(op what, const std::vector<node_index>& members);
  /// Where `members` are in the lists.
  [[nodiscard]] std::uint16_t append_list(const std::vector<node_index>& members);
  [[nodiscard]] std::uint16_t add_field(field_ref f, const std::vector<path_step>& path);
  [[nodiscard]] std::uint16_t add_reference(std::span<const std::byte> octets);
  [[nodiscard]] std::uint16_t add_buffer();
  /// Keeps the text; the view is valid as long as the program.
  std::string_view keep(std::string text) { return texts_.emplace_back(std::move(text)); }
  void set_root(node_index root) { root_ = root; }

  [[nodiscard]] const node& at(node_index i) const { return nodes_[i]; }
  [[nodiscard]] const operand& constant_of(const node& n) const { return operands_[n.a]; }
  [[nodiscard]] std::size_t size() const { return nodes_.size(); }
  [[nodiscard]] node_index root() const { return root_; }

  /// Only `yes` lets the message pass.
  [[nodiscard]] truth evaluate(const subject& s) const;

  /// A conjunct `field = constant` without which the whole is not true: what the field is called
  /// (the same for the same field in any program), and which constant.
  struct equality {
    std::string field = {};
    node_index field_node = no_node;
    std::uint64_t hash = 0;
  };
  [[nodiscard]] std::optional<equality> find_equality() const;

  /// What a message's field may equal.
  struct key {
    enum class state : std::uint8_t { nothing, only, anything } which = state::nothing;
    std::uint64_t hash = 0;  // only
  };
  [[nodiscard]] key key_of(node_index field_node, const subject& s) const;

 private:
  friend class evaluation;

  [[nodiscard]] std::optional<equality> equality_of(const node& n) const;
  [[nodiscard]] std::optional<equality> equality_with(node_index field, const operand& value) const;
  [[nodiscard]] std::string canonical_name(const field_ref& f) const;

  std::vector<node> nodes_;
  std::vector<operand> operands_;
  std::vector<field_ref> fields_;
  std::vector<path_step> steps_;
  std::vector<node_index> lists_;
  std::vector<std::vector<std::byte>> references_;
  std::deque<std::string> texts_;
  std::uint16_t buffer_count_ = 0;
  node_index root_ = no_node;
  mutable std::vector<std::string> buffers_;
};

}  // namespace whimbrel::broker::protocol::filter
