// SPDX-License-Identifier: Apache-2.0
// The table of exchanges, and the way of a message through it.
#include "broker/core/router.hpp"

#include <utility>

#include "amqp/base/assert.hpp"

namespace whimbrel::broker::core {

router::node* router::find(exchange_ref at) {
  if (!at || at.slot >= nodes_.size() || nodes_[at.slot].generation != at.generation) {
    return nullptr;
  }
  return &nodes_[at.slot];
}

exchange_ref router::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return {};
  return {found->second, nodes_[found->second].generation};
}

const binding_index* router::index_of(exchange_ref at) const {
  const auto* found = const_cast<router&>(*this).find(at);
  return found == nullptr ? nullptr : found->bindings.get();
}

void router::add_exchange(exchange_ref at, const exchange_settings& what) {
  if (at.slot >= nodes_.size()) nodes_.resize(at.slot + 1);
  node& n = nodes_[at.slot];
  AMQP_ASSERT(n.bindings == nullptr);
  n.generation = at.generation;
  n.name = what.name;
  n.alternate = what.alternate;
  n.bindings = make_binding_index(what.type);
  by_name_[what.name] = at.slot;
}

void router::remove_exchange(exchange_ref at) {
  node* n = find(at);
  if (n == nullptr) return;
  by_name_.erase(n->name);
  *n = node{};
}

/// The position of where a binding leads; ~0 if it is to be found only, and is not there.
target router::place_of(const edge& e, bool make) {
  constexpr target nowhere = ~target{0};
  const bool to_queue = static_cast<bool>(e.to_queue.queue);
  if (to_queue) {
    if (const auto at = queues_.find(e.to_queue.queue); at != queues_.end()) return at->second;
  } else if (const auto at = exchanges_.find(e.to_exchange.slot); at != exchanges_.end()) {
    return at->second;
  }
  if (!make) return nowhere;
  target made = 0;
  if (free_places_.empty()) {
    made = static_cast<target>(places_.size());
    places_.emplace_back();
  } else {
    made = free_places_.back();
    free_places_.pop_back();
  }
  places_[made].to = e.to_queue;
  places_[made].next = e.to_exchange;
  if (to_queue) queues_[e.to_queue.queue] = made;
  else exchanges_[e.to_exchange.slot] = made;
  return made;
}

void router::bind(const edge& e) {
  node* n = find(e.from);
  if (n == nullptr) return;
  const target to = place_of(e, true);
  ++places_[to].uses;
  n->bindings->add(e.key, e.arguments, to);
}

void router::unbind(const edge& e) {
  node* n = find(e.from);
  const target to = place_of(e, false);
  if (n == nullptr || to == ~target{0}) return;
  n->bindings->remove(e.key, e.arguments, to);
  place& p = places_[to];
  if (--p.uses > 0) return;
  if (p.to.queue) queues_.erase(p.to.queue);
  else exchanges_.erase(p.next.slot);
  p = place{};
  free_places_.push_back(to);
}

void router::visit(node& n, std::uint32_t slot) {
  if (n.seen == round_) return;
  n.seen = round_;
  to_visit_.push_back(slot);
}

bool router::route(exchange_ref from, std::string_view key, const message& m,
                   std::vector<hit>& out) {
  node* first = find(from);
  if (first == nullptr) return false;
  ++round_;
  to_visit_.clear();
  visit(*first, from.slot);
  while (!to_visit_.empty()) {
    node& n = nodes_[to_visit_.back()];
    to_visit_.pop_back();
    matched_.clear();
    n.bindings->match(key, m, matched_);
    if (matched_.empty() && !n.alternate.empty()) {
      const auto other = by_name_.find(n.alternate);
      if (other != by_name_.end()) visit(nodes_[other->second], other->second);
    }
    for (const target t : matched_) {
      place& p = places_[t];
      if (p.seen == round_) continue;
      p.seen = round_;
      if (p.to.queue) out.push_back(p.to);
      else if (node* next = find(p.next)) visit(*next, p.next.slot);
    }
  }
  return true;
}

}  // namespace whimbrel::broker::core
