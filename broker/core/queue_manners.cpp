// SPDX-License-Identifier: Apache-2.0
// What policies change about a queue: how much it takes, in which order, how long it keeps it.
#include "broker/core/queue_manners.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "amqp/base/assert.hpp"
#include "amqp/spec/conditions.hpp"
#include "broker/core/queue.hpp"
#include "broker/core/shard.hpp"

namespace whimbrel::broker::core {

void queue::set_policy(const queue_policy& policy) {
  if (!manners_) {
    if (policy.empty()) return;
    manners_ = std::make_unique<queue_manners>();
  }
  const bool had_single_active = manners_->has_single_active();
  const bool counted = manners_->limit.counts_octets();
  manners_->policy = policy;
  manners_->limit.set(policy);
  if (manners_->limit.counts_octets() && !counted) count_octets();
  const bool leveled = policy.priorities.value_or(false);
  const bool grouped = policy.message_groups.value_or(false);
  const bool relevels = leveled != (manners_->levels != nullptr);
  if (manners_->groups && (!grouped || relevels)) end_groups();
  if (relevels) leveled ? begin_levels() : end_levels();
  if (grouped && !manners_->groups) begin_groups();
  if (manners_->has_single_active() != had_single_active) line_up();
  begin_window();
  begin_values();
  if (manners_->values) static_cast<void>(note_values());
  trim_to_limit();
  update_own_gate();
  schedule_burials();
  // What is still on its way to the dead letters is told by the manners.
  if (manners_->is_idle()) end_manners();
  dispatch();
}

/// Bodies that have left memory count nothing: only the store knows their size.
void queue::count_octets() {
  for (sequence at = ring_.next_present(ring_.first()); at < ring_.end();
       at = ring_.next_present(at + 1)) {
    const stub& s = *ring_.find(at);
    if (s.at != place::gone && s.body) manners_->limit.add(at, s.body->size());
  }
}

/// Of a message whose body has left memory before, the priority is taken to be the usual one.
void queue::begin_levels() {
  manners_->levels = std::make_unique<level_order>();
  returned_.clear();
  parked_.clear();
  for (sequence at = ring_.next_present(ring_.first()); at < ring_.end();
       at = ring_.next_present(at + 1)) {
    stub& s = *ring_.find(at);
    if (s.at == place::gone) continue;
    s.returned = false;
    if (s.body) s.priority = level_of(*s.body);
    const bool waits = s.at != place::held && s.at != place::leaving && s.at != place::scheduled;
    if (waits) manners_->levels->push(at, s.priority);
  }
  cursor_ = ring_.first();
}

void queue::end_levels() {
  manners_->levels.reset();
  parked_.clear();
  cursor_ = ring_.first();
}

std::uint8_t queue::level_of(const message& m) {
  return std::min<std::uint8_t>(m.header().priority, level_order::levels - 1);
}

// --- coming ----------------------------------------------------------------------------------

void queue::put_with_manners(message_ptr message, link_ref from, std::uint32_t id,
                             std::uint8_t flags) {
  const bool internal = (flags & letter_flag::internal) != 0;
  const link_ref producer = (flags & letter_flag::presettled) != 0 ? link_ref{} : from;
  if (!manners_) manners_ = std::make_unique<queue_manners>();  // for the schedule
  std::optional<std::string> name;  // what a copy would be known by
  if (manners_->window && !internal && is_duplicate_put(*message, name, producer, id)) return;
  if (!internal && refuses(*message)) return tell_refusal(producer, id);
  ++counters_.in;
  stub& s = enter(std::move(message));
  const sequence at = ring_.end() - 1;
  s.joint = internal;  // the message stands elsewhere, too: it is not cancelled out with this put
  on_arrival(at, s);
  if (s.delayed) static_cast<void>(waits_for_its_time(at, s));
  if (s.at == place::available && manners_->levels) manners_->levels->push(at, s.priority);
  if (name) note_id(at, s, *std::move(name));
  store_or_answer(at, s, producer, id);
  if (manners_->values) static_cast<void>(note_values());
  make_room(at);
  dispatch();
}

/// What the manners note of a message that has just got its place.
void queue::on_arrival(sequence at, stub& s) {
  queue_manners& m = *manners_;
  std::optional<std::uint64_t> ttl = m.policy.message_ttl;
  if (const auto own = s.body->header().ttl) ttl = ttl ? std::min<std::uint64_t>(*ttl, *own) : *own;
  if (ttl) {
    s.expires_ms = home_.run_on().wall_ms() + static_cast<std::int64_t>(*ttl);
    watch_expiry(at, s);
  }
  m.limit.add(at, s.body->size());
  s.delayed = delivery_time_of(*s.body) > home_.run_on().wall_ms();
  if (m.levels) s.priority = level_of(*s.body);
}

/// Messages that wait: what consumers hold is theirs, what leaves has left.
std::size_t queue::waiting() const {
  std::size_t held = 0;
  for (const consumer& c : consumers_) held += c.held;
  return depth_ - held - manners_->leaving;
}

bool queue::refuses(const message& newcomer) {
  const queue_manners& m = *manners_;
  if (m.overflow() != overflow::reject || !m.limit.is_set()) return false;
  const std::size_t octets = newcomer.size();
  return m.limit.is_full_for(depth_ - m.leaving, octets) &&
         m.limit.is_full_for(waiting(), octets) && !would_replace(newcomer);
}

std::unique_ptr<letter_detail> queue::refusal() const {
  auto out = std::make_unique<letter_detail>();
  out->condition = amqp::spec::conditions::resource_limit_exceeded;
  out->description = "queue '" + settings_.name + "' is full (maxlen)";
  out->queue = settings_.name;
  out->reason = name_of(death_reason::maxlen);
  return out;
}

void queue::tell_refusal(link_ref producer, std::uint32_t id) {
  ++counters_.refused;
  if (!producer) return;
  letter l;
  l.kind = letter_kind::verdict;
  l.outcome = outcome::rejected;
  l.link = producer;
  l.id = id;
  l.detail = refusal();
  home_.send(std::move(l));
}

/// After `newcomer` has come.
void queue::make_room(sequence newcomer) {
  switch (manners_->overflow()) {
    case overflow::drop_head: return trim_to_limit();
    case overflow::reject: return;
    case overflow::flow_control: return update_own_gate();
    case overflow::dead_letter: break;
  }
  stub* s = ring_.find(newcomer);
  if (!is_over_limit() || s == nullptr || s->at != place::available) return;
  bool wrote = false;
  drop(newcomer, *s, death_reason::maxlen, wrote);
}

bool queue::is_over_limit() const {
  const queue_manners& m = *manners_;
  return m.limit.is_exceeded(depth_ - m.leaving) && m.limit.is_exceeded(waiting());
}

/// The oldest go, of the lowest level first. What consumers hold stays.
void queue::trim_to_limit() {
  if (manners_->overflow() != overflow::drop_head) return;
  while (is_over_limit()) {
    const auto at = take_oldest();
    if (!at) return;
    stub& s = *ring_.find(*at);
    bool wrote = false;
    drop(*at, s, death_reason::maxlen, wrote);
  }
}

/// Out of the line of those that wait.
std::optional<sequence> queue::take_oldest() {
  if (manners_->groups) return take_oldest_of_groups();
  const auto at = manners_->levels ? next_by_level(true) : next_available();
  if (at) take(*at, *ring_.find(*at));
  return at;
}

/// flow-control: the gate of this queue's producers alone.
void queue::update_own_gate() {
  queue_manners& m = *manners_;
  const std::size_t there = depth_ - m.leaving;
  const bool watches = m.overflow() == overflow::flow_control;
  const bool closed = watches && (m.gate_closed ? !m.limit.has_room(there)
                                                : m.limit.is_full(there));
  if (closed == m.gate_closed) return;
  m.gate_closed = closed;
  on_gate();
}

// --- order -----------------------------------------------------------------------------------

std::optional<sequence> queue::next_by_level(bool lowest_first) {
  using standing = level_order::standing;
  return manners_->levels->next(
      [this](sequence at) {
        const stub* s = ring_.find(at);
        if (s == nullptr) return standing::gone;
        switch (s->at) {
          case place::available: return standing::ready;
          case place::withdrawing:
          case place::prepared: return standing::in_the_making;
          case place::gone:
          case place::held:
          case place::scheduled:
          case place::leaving: break;
        }
        return standing::gone;
      },
      lowest_first);
}

// --- going -----------------------------------------------------------------------------------

/// The message goes, not by its consumer's word: to the dead letters if there are any.
void queue::drop(sequence at, stub& s, death_reason why, bool& wrote) {
  counters_.expired += why == death_reason::expired ? 1 : 0;
  if (manners_) [[unlikely]] {
    counters_.dropped += why == death_reason::maxlen ? 1 : 0;
    if (manners_->has_target()) return bury({at, why, {}, 0, outcome::rejected}, s);
    s.at = place::leaving;  // it counts no more, whoever comes from inside a letter
    ++manners_->leaving;
  }
  discard(at, s, wrote);
  if (manners_) [[unlikely]] update_own_gate();
}

void queue::on_erase(sequence at, const stub& s) {
  if (s.at == place::leaving) --manners_->leaving;
  if (s.at == place::scheduled) --manners_->later.waiting;
  manners_->limit.remove(at);
  if (manners_->values) manners_->values->remove(at);
  if (s.grouped) manners_->groups->remove(at);
}

}  // namespace whimbrel::broker::core
