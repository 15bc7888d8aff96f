// SPDX-License-Identifier: Apache-2.0
#include "broker/core/message_groups.hpp"

#include <algorithm>
#include <functional>
#include <string_view>
#include <utility>

#include "amqp/base/assert.hpp"

namespace whimbrel::broker::core {

std::optional<message_groups::key> message_groups::key_of(const message& m) {
  const auto id = amqp::message::view(m.octets(), m.sections()).group_id();
  if (id.has_error() || !id->has_value() || (*id)->empty()) return std::nullopt;
  return std::hash<std::string_view>{}(**id);
}

bool message_groups::is_last(const message& m) {
  const auto n = amqp::message::view(m.octets(), m.sections()).group_sequence();
  return n.has_value() && *n == last_sequence;
}

message_groups::rank message_groups::rank_of(sequence at, std::uint8_t priority) const {
  const std::uint64_t level = std::min<std::uint64_t>(priority, level_last);
  return has_levels_ ? (level_last - level) << level_shift | at : at;
}

message_groups::rank message_groups::drop_rank_of(sequence at, std::uint8_t priority) const {
  return drop_rank(rank_of(at, priority));
}

message_groups::rank message_groups::drop_rank(rank r) const {
  return has_levels_ ? (level_last - (r >> level_shift)) << level_shift | sequence_of(r) : r;
}

message_groups::group& message_groups::group_of(key which) {
  group& g = groups_[which];
  g.id = which;
  return g;
}

message_groups::holder& message_groups::holder_of(slot s) {
  if (holders_.size() <= s) holders_.resize(std::size_t{s} + 1);
  return holders_[s];
}

// --- messages --------------------------------------------------------------------------------

void message_groups::add(sequence at, rank order, group& g, standing how) {
  const bool fresh = of_.try_emplace(at, member{&g, order, how}).second;
  AMQP_ASSERT(fresh);
  switch (how) {
    case standing::waiting:
      g.waiting.insert(order);
      by_drop_.insert(drop_rank(order));
      break;
    case standing::held: ++g.held; break;
    case standing::resting: g.resting.insert(order); break;
  }
  g.stalled = false;
  refresh(g);
}

void message_groups::file(sequence at, std::uint8_t priority, key which) {
  add(at, rank_of(at, priority), group_of(which), standing::waiting);
}

void message_groups::rest(sequence at, std::uint8_t priority, key which) {
  add(at, rank_of(at, priority), group_of(which), standing::resting);
}

void message_groups::file_again(sequence at) {
  member& m = of_.at(at);
  group& g = *m.of;
  AMQP_ASSERT(m.stands != standing::held);
  if (m.stands == standing::resting) {
    m.stands = standing::waiting;
    g.resting.erase(m.order);
    g.waiting.insert(m.order);
    by_drop_.insert(drop_rank(m.order));
    open(g);
  }
  g.stalled = false;
  refresh(g);
}

void message_groups::adopt(sequence at, std::uint8_t priority, key which, slot by) {
  group& g = group_of(which);
  if (g.held == 0) bind(g, by);
  g.ending = g.ending || g.owner != by;
  add(at, rank_of(at, priority), g, standing::held);
}

bool message_groups::take(sequence at, slot to) {
  member& m = of_.at(at);
  group& g = *m.of;
  AMQP_ASSERT(m.stands == standing::waiting);
  AMQP_ASSERT(g.owner == to || (g.owner == nobody && g.held == 0));
  const bool first = g.owner == nobody;
  if (first) bind(g, to);
  m.stands = standing::held;
  g.waiting.erase(m.order);
  by_drop_.erase(drop_rank(m.order));
  ++g.held;
  refresh(g);
  return first;
}

void message_groups::remove(sequence at) {
  const auto found = of_.find(at);
  AMQP_ASSERT(found != of_.end());
  const member m = found->second;
  group& g = *m.of;
  of_.erase(found);
  switch (m.stands) {
    case standing::waiting: {
      const bool was_head = m.order == *g.waiting.begin();
      g.waiting.erase(m.order);
      by_drop_.erase(drop_rank(m.order));
      if (was_head && g.owner == nobody) open(g);  // for those who could not have it
      break;
    }
    case standing::resting:
      g.resting.erase(m.order);
      open(g);
      break;
    case standing::held:
      if (--g.held == 0 && g.ending) unbind(g);
      break;
  }
  g.stalled = false;
  refresh(g);
}

// --- consumers -------------------------------------------------------------------------------

void message_groups::bind(group& g, slot to) {
  shelve(g, std::nullopt);
  g.owner = to;
  holder_of(to).owned.insert(&g);
}

void message_groups::unbind(group& g) {
  shelve(g, std::nullopt);
  holders_[g.owner].owned.erase(&g);
  g.owner = nobody;
  g.ending = false;
  open(g);
}

/// Others may have what they were refused before.
void message_groups::open(group& g) {
  if (!g.waiting.empty()) opened_.push_back(g.id);
}

void message_groups::end(group& g) {
  if (g.owner == nobody) return;
  if (g.held > 0) g.ending = true;
  else unbind(g);
  refresh(g);
}

void message_groups::end(key which) {
  const auto found = groups_.find(which);
  if (found != groups_.end()) end(found->second);
}

void message_groups::end_of(sequence at) { end(*of_.at(at).of); }

void message_groups::end_all() {
  for (slot s = 0; s < holders_.size(); ++s) {
    const auto owned = holders_[s].owned;
    for (group* g : owned) end(*g);
  }
}

void message_groups::leave(slot s) {
  if (holders_.size() <= s) return;
  cool(s);
  const auto owned = holders_[s].owned;
  for (group* g : owned) end(*g);
}

void message_groups::warm(slot s) {
  holder_of(s).warm = true;
  heat(s);
}

void message_groups::cool(slot s) {
  holder_of(s).warm = false;
  heat(s);
}

// --- who gets what ---------------------------------------------------------------------------

std::optional<message_groups::offer> message_groups::first() const {
  const bool is_hot = !hot_.empty();
  if (!free_.empty() && (!is_hot || free_.begin()->first < hot_.begin()->first)) {
    const rank r = free_.begin()->first;
    return offer{r, sequence_of(r), nobody};
  }
  if (!is_hot) return std::nullopt;
  const auto& [r, owner] = *hot_.begin();
  return offer{r, sequence_of(r), owner};
}

void message_groups::stall(sequence at) {
  group& g = *of_.at(at).of;
  g.stalled = true;
  if (!std::exchange(g.listed, true)) stalled_.push_back(g.id);
  refresh(g);
}

void message_groups::unstall() {
  for (const key k : std::exchange(stalled_, {})) {
    const auto found = groups_.find(k);
    if (found == groups_.end()) continue;
    found->second.stalled = found->second.listed = false;
    refresh(found->second);
  }
}

bool message_groups::may_take(sequence at, slot s) const {
  const member& m = of_.at(at);
  const group& g = *m.of;
  if (g.ending || (g.owner != nobody && g.owner != s)) return false;
  return g.resting.empty() || m.order < *g.resting.begin();
}

std::optional<message_groups::rank> message_groups::first_on_offer(const group& g) {
  if (g.waiting.empty() || g.ending || g.stalled) return std::nullopt;
  const rank first = *g.waiting.begin();
  if (!g.resting.empty() && *g.resting.begin() < first) return std::nullopt;
  return first;
}

void message_groups::shelve(group& g, std::optional<rank> under) {
  if (g.shelved == under) return;
  shelf& where = g.owner == nobody ? free_ : holders_[g.owner].offers;
  if (g.shelved) where.erase(*g.shelved);
  if (under) where.emplace(*under, &g);
  g.shelved = under;
  if (g.owner != nobody) heat(g.owner);
}

/// What a consumer has on offer has changed, or whether it may be given anything.
void message_groups::heat(slot s) {
  holder& h = holders_[s];
  std::optional<rank> now;
  if (h.warm && !h.offers.empty()) now = h.offers.begin()->first;
  if (now == h.hot) return;
  if (h.hot) hot_.erase(*h.hot);
  if (now) hot_.emplace(*now, s);
  h.hot = now;
}

/// After whatever has happened to a group, which may be forgotten now.
void message_groups::refresh(group& g) {
  shelve(g, first_on_offer(g));
  const bool is_idle = g.waiting.empty() && g.resting.empty() && g.held == 0;
  if (!is_idle) {
    if (g.idle) idle_.erase(*std::exchange(g.idle, std::nullopt));
    return;
  }
  if (g.owner == nobody) {
    if (g.idle) idle_.erase(*g.idle);
    groups_.erase(key{g.id});
    return;
  }
  if (!g.idle) g.idle = idle_.insert(idle_.end(), g.id);
  if (idle_.size() > idle_max) end(idle_.front());
}

std::optional<message_groups::seen> message_groups::look(sequence at) const {
  const auto found = of_.find(at);
  if (found == of_.end()) return std::nullopt;
  const group& g = *found->second.of;
  return seen{g.id, found->second.stands, g.owner, g.ending};
}

void message_groups::check_invariants() const {
  std::size_t messages = 0;
  std::size_t waiting = 0;
  std::size_t idle = 0;
  for (const auto& [id, g] : groups_) {
    AMQP_ASSERT(g.id == id);
    const std::size_t here = g.waiting.size() + g.resting.size() + g.held;
    AMQP_ASSERT(here > 0 || g.owner != nobody);
    AMQP_ASSERT((here == 0) == g.idle.has_value());
    AMQP_ASSERT(g.held == 0 || g.owner != nobody);
    AMQP_ASSERT(!g.ending || g.held > 0);
    AMQP_ASSERT(g.shelved == first_on_offer(g));
    if (g.owner != nobody) AMQP_ASSERT(holders_[g.owner].owned.contains(const_cast<group*>(&g)));
    messages += here;
    waiting += g.waiting.size();
    idle += g.idle ? 1 : 0;
  }
  AMQP_ASSERT(messages == of_.size());
  AMQP_ASSERT(waiting == by_drop_.size());
  AMQP_ASSERT(idle == idle_.size());
  std::size_t listed = 0;
  for (const auto& [id, g] : groups_) {
    AMQP_ASSERT(!g.stalled || g.listed);
    listed += g.listed ? 1 : 0;
  }
  AMQP_ASSERT(listed <= stalled_.size());
  std::size_t hot = 0;
  for (const holder& h : holders_) {
    AMQP_ASSERT(h.hot.has_value() == (h.warm && !h.offers.empty()));
    if (h.hot) AMQP_ASSERT(*h.hot == h.offers.begin()->first);
    hot += h.hot ? 1 : 0;
  }
  AMQP_ASSERT(hot == hot_.size());
}

}  // namespace whimbrel::broker::core
