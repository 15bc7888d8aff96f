// SPDX-License-Identifier: Apache-2.0
// Facts about messages, and the bindings that want them.
#include "broker/core/headers_index.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "amqp/base/octet_buffer.hpp"
#include "amqp/codec/codec.hpp"
#include "amqp/message/view.hpp"

namespace whimbrel::broker::core {

namespace {

using amqp::codec::map;
using amqp::codec::value;

std::optional<std::string> text_in(const value& v) {
  if (const auto* s = v.get_if<std::string>()) return *s;
  if (const auto* s = v.get_if<amqp::symbol>()) return s->text;
  return std::nullopt;
}

template <class... Whole>
std::optional<std::string> whole_number(const value& v) {
  std::optional<std::string> out;
  ((v.get_if<Whole>() != nullptr ? void(out = std::to_string(*v.get_if<Whole>())) : void()), ...);
  return out;
}

/// One text for values that count as equal.
std::string canonical(const value& v) {
  if (auto text = text_in(v)) return 's' + *text;
  if (auto number =
          whole_number<std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t, std::int8_t,
                       std::int16_t, std::int32_t, std::int64_t>(v)) {
    return 'n' + *number;
  }
  if (const auto* b = v.get_if<bool>()) return *b ? "btrue" : "bfalse";
  amqp::octet_buffer octets;
  amqp::codec::encode(octets, v);
  const auto span = octets.octets();
  return 'o' + std::string(reinterpret_cast<const char*>(span.data()), span.size());
}

/// "There is a property of this name", or, with a value, "and this is what it says".
std::string fact(const std::string& name, const value& v) {
  std::string out = std::to_string(name.size()) + ':' + name;
  if (!v.is_null()) out += canonical(v);
  return out;
}

std::string octets_of(const map& m) {
  return {reinterpret_cast<const char*>(m.octets().data()), m.octets().size()};
}

}  // namespace

void headers_index::add(std::string_view, const map& arguments, target to) {
  rule r;
  r.to = to;
  r.arguments = octets_of(arguments);
  const auto mode = arguments.find("x-match");
  const std::string how = mode ? text_in(*mode).value_or("all") : "all";
  r.any = how.starts_with("any");
  for (const auto& [key, wanted] : arguments) {
    const auto name = text_in(key);
    if (!name || *name == "x-match") continue;
    if (name->starts_with("x-") && !how.ends_with("-with-x")) continue;
    r.wanted.push_back(fact(*name, wanted));
  }
  rule_id id = 0;
  if (free_rules_.empty()) {
    id = static_cast<rule_id>(rules_.size());
    rules_.emplace_back();
  } else {
    id = free_rules_.back();
    free_rules_.pop_back();
  }
  by_arguments_.emplace(r.arguments, id);
  if (r.any) {
    for (const std::string& f : r.wanted) by_fact_[f].push_back(id);
  } else if (r.wanted.empty()) {
    always_.push_back(id);
  } else {
    std::size_t least = ~std::size_t{0};
    for (std::size_t i = 0; i < r.wanted.size(); ++i) {
      const auto found = by_fact_.find(r.wanted[i]);
      const std::size_t others = found == by_fact_.end() ? 0 : found->second.size();
      if (others < least) {
        least = others;
        r.under = i;
      }
    }
    by_fact_[r.wanted[r.under]].push_back(id);
  }
  r.filed = true;
  rules_[id] = std::move(r);
}

void headers_index::drop(std::string_view fact, rule_id which) {
  const auto found = by_fact_.find(fact);
  if (found == by_fact_.end()) return;
  std::erase(found->second, which);
  if (found->second.empty()) by_fact_.erase(found);
}

void headers_index::remove(std::string_view, const map& arguments, target to) {
  const auto [first, last] = by_arguments_.equal_range(octets_of(arguments));
  const auto found =
      std::find_if(first, last, [&](const auto& e) { return rules_[e.second].to == to; });
  if (found == last) return;
  const rule_id id = found->second;
  by_arguments_.erase(found);
  const rule r = std::exchange(rules_[id], rule{});
  free_rules_.push_back(id);
  if (r.any) {
    for (const std::string& f : r.wanted) drop(f, id);
  } else if (r.wanted.empty()) {
    std::erase(always_, id);
  } else {
    drop(r.wanted[r.under], id);
  }
}

/// A message whose maps cannot be read has no facts.
void headers_index::collect(const message& m) {
  facts_.clear();
  const amqp::message::view view(m.octets(), m.sections());
  const auto take = [this](const amqp::decoded<map>& from, bool annotations) {
    if (from.has_error()) return;
    for (const auto& [key, v] : *from) {
      const auto name = text_in(key);
      if (!name || (annotations && !name->starts_with("x-"))) continue;
      facts_.insert(fact(*name, value()));
      if (!v.is_null()) facts_.insert(fact(*name, v));
    }
  };
  take(view.application_properties(), false);
  take(view.message_annotations(), true);
}

bool headers_index::has_all(const rule& r, std::size_t but) {
  for (std::size_t i = 0; i < r.wanted.size(); ++i) {
    if (i == but) continue;
    ++steps_;
    if (!facts_.contains(r.wanted[i])) return false;
  }
  return true;
}

void headers_index::match(std::string_view, const message& m, std::vector<target>& out) {
  for (const rule_id id : always_) out.push_back(rules_[id].to);
  if (by_fact_.empty()) return;
  collect(m);
  for (const std::string& f : facts_) {
    ++steps_;
    const auto found = by_fact_.find(f);
    if (found == by_fact_.end()) continue;
    for (const rule_id id : found->second) {
      ++steps_;
      const rule& r = rules_[id];
      if (r.any || has_all(r, r.under)) out.push_back(r.to);
    }
  }
}

}  // namespace whimbrel::broker::core
