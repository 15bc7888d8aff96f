// SPDX-License-Identifier: Apache-2.0
// Reading filter-sets.
#include "broker/protocol/filter/filter_set.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "amqp/codec/codec.hpp"
#include "broker/protocol/filter/field.hpp"
#include "broker/protocol/filter/limits.hpp"

namespace whimbrel::broker::protocol::filter {

namespace codec = amqp::codec;
using codec::value;

namespace {

enum class archetype : std::uint8_t {
  selector,
  no_local,
  sql,
  always,
  never,
  group_all,
  group_any,
  group_none,
  properties,  // of the section in the row
};

struct row {
  std::uint64_t code;
  std::string_view name;
  archetype what;
  section where = section::header;
};

constexpr std::uint64_t apache = 0x0000468c00000000;
constexpr std::array<row, 15> rows{{
    {apache | 4, "apache.org:selector-filter:string", archetype::selector},
    {apache | 4, "apache.org:jms-selector-filter:string", archetype::selector},
    {apache | 3, "apache.org:no-local-filter:list", archetype::no_local},
    {0x100, "amqp:all-filter", archetype::group_all},
    {0x101, "amqp:any-filter", archetype::group_any},
    {0x102, "amqp:not-filter", archetype::group_none},
    {0x110, "amqp:true-filter", archetype::always},
    {0x111, "amqp:false-filter", archetype::never},
    {0x120, "amqp:sql-filter", archetype::sql},
    {0x170, "amqp:header-filter", archetype::properties, section::header},
    {0x171, "amqp:delivery-annotations-filter", archetype::properties,
     section::delivery_annotations},
    {0x172, "amqp:message-annotations-filter", archetype::properties,
     section::message_annotations},
    {0x173, "amqp:properties-filter", archetype::properties, section::properties},
    {0x174, "amqp:application-properties-filter", archetype::properties,
     section::application_properties},
    {0x178, "amqp:footer-filter", archetype::properties, section::footer},
}};

const row* row_of(const value& descriptor) {
  const auto number = descriptor.to_unsigned();
  const auto name = descriptor.text();
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const row& r) {
    return (number && r.code == *number) || (name && r.name == *name);
  });
  return found == rows.end() ? nullptr : &*found;
}

/// Whether a reference value is of the type that the standard gives the field. [filtex 4]
bool is_of_type(field_type type, const value& v) {
  if (v.is_null()) return true;
  switch (type) {
    case field_type::boolean: return v.is<bool>();
    case field_type::number: return v.to_unsigned().has_value();
    case field_type::text: return v.text().has_value();
    case field_type::binary: return v.is<codec::binary>();
    case field_type::time: return v.is<codec::timestamp>();
    case field_type::id:
      return v.to_unsigned().has_value() || v.is<codec::uuid>() || v.is<codec::binary>() ||
             v.is<std::string>();
  }
  return false;
}

bool is_deeper(const value& v, std::size_t levels) {
  const auto* of_list = v.get_if<codec::list>();
  const auto* of_map = v.get_if<codec::map>();
  const auto* of_array = v.get_if<codec::array>();
  const auto* of_described = v.get_if<codec::described>();
  if (of_list == nullptr && of_map == nullptr && of_array == nullptr && of_described == nullptr) {
    return false;
  }
  if (levels == 0) return true;
  if (of_list != nullptr) {
    for (const value item : *of_list) {
      if (is_deeper(item, levels - 1)) return true;
    }
  }
  if (of_map != nullptr) {
    for (const codec::entry item : *of_map) {
      if (is_deeper(item.second, levels - 1)) return true;
    }
  }
  if (of_array != nullptr && !of_array->empty()) return is_deeper(*of_array->begin(), levels - 1);
  return of_described != nullptr && is_deeper(of_described->body(), levels - 1);
}

class reader {
 public:
  reader(program& into, std::uint64_t connection) : into_(into), connection_(connection) {}

  [[nodiscard]] checked<node_index> read(const row& kind, const value& body, std::size_t depth);
  [[nodiscard]] checked<node_index> conjunction(const std::vector<node_index>& members) {
    return members.size() == 1 ? checked<node_index>(members[0])
                               : added(into_.add_list(op::all, members));
  }

 private:
  [[nodiscard]] checked<node_index> added(std::optional<node_index> node) const;
  [[nodiscard]] checked<node_index> expression(const row& kind, const value& body);
  [[nodiscard]] checked<node_index> group(const row& kind, const value& body, std::size_t depth);
  [[nodiscard]] checked<node_index> properties(const row& kind, const value& body);
  [[nodiscard]] checked<node_index> entry(const row& kind, const codec::entry& e);

  program& into_;
  std::uint64_t connection_;
  std::size_t filters_ = 0;
};

checked<node_index> reader::added(std::optional<node_index> node) const {
  if (node) return *node;
  return error{0, "more than " + std::to_string(limits::nodes_max) +
                      " fields, constants and operators in one source"};
}

checked<node_index> reader::read(const row& kind, const value& body, std::size_t depth) {
  if (++filters_ > limits::filters_max) {
    return error{0, "more than " + std::to_string(limits::filters_max) + " filters in one source"};
  }
  switch (kind.what) {
    case archetype::selector:
    case archetype::sql: return expression(kind, body);
    case archetype::always:
    case archetype::never:
      return added(into_.add_constant(of_boolean(kind.what == archetype::always)));
    case archetype::group_all:
    case archetype::group_any:
    case archetype::group_none: return group(kind, body, depth);
    case archetype::properties: return properties(kind, body);
    case archetype::no_local: {
      // Peers send a list, as registered, or a string: what is in it says nothing.
      node n{op::foreign};
      AMQP_TRY(own, added(into_.add_constant(of_integer(static_cast<int128>(connection_)))));
      n.a = into_.at(own).a;
      return added(into_.add(n));
    }
  }
  return error{0, "a filter of no kind"};
}

checked<node_index> reader::expression(const row& kind, const value& body) {
  const auto text = body.text();
  if (!text) return error{0, "an expression must be a string"};
  if (text->size() > limits::expression_octets_max) {
    return error{0, "an expression may have at most " +
                        std::to_string(limits::expression_octets_max) + " octets, this one has " +
                        std::to_string(text->size())};
  }
  const bool is_selector = kind.what == archetype::selector;
  if (is_selector && text->find_first_not_of(" \t\r\n") == std::string::npos) {
    return added(into_.add_constant(of_boolean(true)));  // an empty selector selects everything
  }
  return parser(into_, *text, is_selector ? dialect::selector : dialect::sql).parse();
}

checked<node_index> reader::group(const row& kind, const value& body, std::size_t depth) {
  const auto* members = body.get_if<codec::list>();
  if (members == nullptr || members->empty()) {
    return error{0, "a group must be a list of at least one filter"};
  }
  if (depth == limits::group_depth_max) {
    return error{0, "groups deeper in one another than " +
                        std::to_string(limits::group_depth_max) + " levels"};
  }
  std::vector<node_index> nodes;
  for (const value item : *members) {
    const auto* d = item.get_if<codec::described>();
    const row* known = d == nullptr ? nullptr : row_of(d->descriptor());
    if (known == nullptr) {
      return error{0, "a group has a member that is no filter known here: " + to_text(item)};
    }
    AMQP_TRY(node, read(*known, d->body(), depth + 1));
    nodes.push_back(node);
  }
  const op what = kind.what == archetype::group_all   ? op::group_all
                  : kind.what == archetype::group_any ? op::group_any
                                                      : op::group_none;
  return added(into_.add_list(what, nodes));
}

checked<node_index> reader::properties(const row& kind, const value& body) {
  const auto* entries = body.get_if<codec::map>();
  if (entries == nullptr) return error{0, "a " + std::string(kind.name) + " must be a map"};
  if (entries->size() > limits::entries_max) {
    return error{0, "more than " + std::to_string(limits::entries_max) +
                        " entries in one property filter"};
  }
  if (entries->empty()) return added(into_.add_constant(of_boolean(true)));
  std::vector<node_index> nodes;
  for (const codec::entry e : *entries) {
    AMQP_TRY(node, entry(kind, e));
    nodes.push_back(node);
  }
  return conjunction(nodes);
}

checked<node_index> reader::entry(const row& kind, const codec::entry& e) {
  const auto name = e.first.text();
  if (!name) return error{0, "the keys of a property filter are symbols or strings"};
  field_ref f;
  f.where = kind.where;
  if (is_list(kind.where)) {
    const auto fields = known_fields(kind.where);
    const auto known = std::find_if(fields.begin(), fields.end(),
                                    [&](const known_field& k) { return k.name == *name; });
    if (known == fields.end()) {
      return error{0, quote(*name) + " is no field of " + std::string(name_of(kind.where))};
    }
    if (!is_of_type(known->type, e.second)) {
      return error{0, "the field " + quote(*name) + " cannot have the value " + to_text(e.second)};
    }
    f.index = known->index;
  }
  if (is_deeper(e.second, limits::reference_depth_max)) {
    return error{0, "the value of " + quote(*name) + " is nested too deep"};
  }
  f.name = into_.keep(*name);
  const std::uint16_t field = into_.add_field(f, {});
  node plain{op::field};
  plain.a = field;
  AMQP_TRY(field_node, added(into_.add(plain)));
  node n{op::match};
  n.a = field;
  n.b = into_.add_reference(codec::to_raw(e.second).octets());
  n.c = field_node;
  return added(into_.add(n));
}

/// What older clients send without a descriptor: the key says what it is.
const row* row_of_bare(const value& key, const value& body) {
  const auto name = key.text();
  if (!name || !body.is<std::string>()) return nullptr;
  const bool is_selector = *name == rows[0].name || *name == rows[1].name ||
                           *name == "jms-selector" || *name == "selector";
  return is_selector ? &rows[0] : nullptr;
}

}  // namespace

compiled::compiled(program p) : program_(std::move(p)), equality_(program_.find_equality()) {}

bool compiled::matches(const core::message& m) const {
  const subject s{amqp::message::view(m.octets(), m.sections()), m.origin()};
  return program_.evaluate(s) == truth::yes;
}

std::optional<core::predicate::equality> compiled::find_equality() const {
  if (!equality_) return std::nullopt;
  return equality{equality_->field, equality_->hash};
}

core::predicate::key compiled::key_of(const core::message& m) const {
  if (!equality_) return {};
  const subject s{amqp::message::view(m.octets(), m.sections()), m.origin()};
  const program::key k = program_.key_of(equality_->field_node, s);
  using from = program::key::state;
  using to = key::state;
  return {k.which == from::nothing ? to::nothing : k.which == from::only ? to::only : to::anything,
          k.hash};
}

checked<filter_set> read_filter_set(const codec::map& asked, std::uint64_t connection) {
  filter_set out;
  program p;
  reader filters(p, connection);
  std::vector<node_index> roots;
  for (const codec::entry e : asked) {
    const auto* d = e.second.get_if<codec::described>();
    const row* known = d != nullptr ? row_of(d->descriptor()) : row_of_bare(e.first, e.second);
    if (known == nullptr) continue;  // also a null, which is as if the key were not there [3.5.8]
    const auto root = filters.read(*known, d != nullptr ? d->body() : e.second, 0);
    if (root.has_error()) {
      const std::string key = e.first.text().value_or("");
      return error{root.error().position, "filter " + quote(key) + ": " + root.error().to_text()};
    }
    roots.push_back(*root);
    out.in_force.append(e.first, e.second);
  }
  if (roots.empty()) return out;
  AMQP_TRY(whole, filters.conjunction(roots));
  p.set_root(whole);
  out.selects = std::make_unique<const compiled>(std::move(p));
  return out;
}

checked<std::unique_ptr<const core::predicate>> compile(std::string_view expression, dialect d) {
  program p;
  if (expression.size() > limits::expression_octets_max) {
    return error{0, "an expression may have at most " +
                        std::to_string(limits::expression_octets_max) + " octets"};
  }
  AMQP_TRY(root, parser(p, expression, d).parse());
  p.set_root(root);
  return std::unique_ptr<const core::predicate>(std::make_unique<const compiled>(std::move(p)));
}

}  // namespace whimbrel::broker::protocol::filter
