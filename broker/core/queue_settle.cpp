// SPDX-License-Identifier: Apache-2.0
// What becomes of messages that were given out, and what the store is told of it. [3.4]
#include <algorithm>
#include <functional>
#include <utility>

#include "amqp/base/assert.hpp"
#include "broker/core/queue.hpp"
#include "broker/core/selection.hpp"
#include "broker/core/shard.hpp"

namespace whimbrel::broker::core {

void queue::settle(letter&& l) {
  if (manners_ && l.outcome != outcome::accepted) [[unlikely]] return settle_each(l);
  bool wrote = false;
  const auto found = by_link_.find(l.link);
  if (found != by_link_.end()) {
    const slot holder = found->second;
    if (l.outcome == outcome::accepted) {
      accept(holder, l.first, l.last, wrote);
    } else {
      take_back(l, holder, wrote);
    }
    consumer& c = consumers_[holder];
    if (c.closing && c.held == 0) forget(c, holder);
  }
  if (l.has(letter_flag::answer)) {
    const auto count = static_cast<std::uint32_t>(l.last - l.first + 1);
    // Told only when the removal is durable; at once if nothing had to be written.
    if (wrote) home_.commits().answer(l.link, l.id, count, l.outcome);
    else home_.send_answer(l.link, l.id, count, l.outcome);
  }
  if (manners_) [[unlikely]] {
    update_own_gate();
    dispatch();  // the active consumer may be another one now
  } else if (l.outcome != outcome::accepted) {
    if (selection_ != nullptr) offer_again(l.first, l.last);
    dispatch();
  } else if (draining_ > 0) {
    finish_drains();
  }
}

/// Those of [first, last] that `holder` has go for good. What is told and counted once a message is
/// told and counted once a range.
void queue::accept(slot holder, sequence first, sequence last, bool& wrote) {
  std::uint32_t gone = 0;
  std::uint32_t left_memory = 0;
  std::int64_t octets = 0;
  for (sequence at = first; at <= last; ++at) {
    stub* s = ring_.find(at);
    if (s == nullptr || s->at != place::held || s->holder != holder) continue;
    ++gone;
    s->at = place::available;  // nobody's any more, whoever looks from inside a letter
    if (s->stored) remove_from_store(at, *s, wrote);
    if (s->excluded) excluded_.erase(at);
    if (s->formatted) formats_.erase(at);
    if (manners_) [[unlikely]] on_erase(at, *s);
    if (s->counted) {
      ++left_memory;
      octets += static_cast<std::int64_t>(s->body->footprint());
    }
    ring_.clear(at);
  }
  ring_.trim();
  consumers_[holder].held -= gone;
  counters_.accepted += gone;
  depth_ -= gone;
  resident_ -= left_memory;
  if (octets != 0) home_.add_resident(-octets);
}

void queue::take_back(const letter& l, slot holder, bool& wrote) {
  for (sequence at = l.first; at <= l.last; ++at) {
    stub* s = ring_.find(at);
    if (s == nullptr || s->at != place::held || s->holder != holder) continue;
    --consumers_[holder].held;
    settle_one(l, at, *s, wrote);
  }
}

void queue::settle_one(const letter& l, sequence at, stub& s, bool& wrote) {
  s.at = place::available;
  switch (l.outcome) {
    case outcome::accepted: AMQP_ASSERT(!"accept has seen to it"); return;
    case outcome::rejected:
      ++counters_.rejected;
      return discard(at, s, wrote);
    case outcome::released: return give_back(at, s);
    case outcome::modified: return apply_modified(l, at, s, wrote);
  }
}

/// The message goes for good, from the store too.
void queue::discard(sequence at, stub& s, bool& wrote) {
  if (s.stored) remove_from_store(at, s, wrote);
  erase(at, s);
}

void queue::remove_from_store(sequence at, const stub& s, bool& wrote) {
  if (is_in_open_batch(at, s)) {
    home_.commits().cancel(s.in_batch);
  } else {
    home_.commits().settle(settings_.id, at, at);
    wrote = true;
  }
}

void queue::change_annotations(stub& s, const amqp::codec::map& changes) {
  if (!s.body) return;
  set_resident(s, false);
  s.body = annotate(*s.body, changes);
  s.annotated = true;
  set_resident(s, true);
}

void queue::apply_modified(const letter& l, sequence at, stub& s, bool& wrote) {
  if (l.has(letter_flag::failed)) {
    ++s.failed;
    if (s.stored && is_in_open_batch(at, s)) {
      home_.commits().recount_in_batch(s.in_batch, stored_count(s.failed, s.priority));
      wrote = true;
    } else if (s.stored) {
      home_.commits().recount(settings_.id, at, stored_count(s.failed, s.priority));
      wrote = true;
    }
  }
  std::int64_t later = 0;
  if (l.detail && l.detail->annotations) {
    change_annotations(s, *l.detail->annotations);
    later = delivery_time_in(*l.detail->annotations, home_.run_on().wall_ms());
  }
  if (l.has(letter_flag::undeliverable)) {
    auto& who = excluded_[at];
    std::erase_if(who, [this](link_ref gone) { return !by_link_.contains(gone); });
    who.push_back(l.link);
    s.excluded = true;
    if (manners_ && manners_->groups) end_group_of(s);
  }
  later = retry_time(s, l.has(letter_flag::failed), later);
  if (later > home_.run_on().wall_ms() && !s.outdated) {
    hold_back(at, s, later);
    if (manners_->groups) rest_in_group(at, s);
    return;
  }
  give_back(at, s);
}

/// Back to its place in the order, unless its time is up or a newer one has its key.
void queue::give_back(sequence at, stub& s) {
  if (s.outdated) [[unlikely]] {
    bool wrote = false;
    return discard(at, s, wrote);
  }
  if (is_expired(s)) {
    bool wrote = false;
    return drop(at, s, death_reason::expired, wrote);
  }
  if (manners_) [[unlikely]] {
    if (manners_->groups && return_to_group(at, s)) return;
    if (manners_->levels) return manners_->levels->push_back(at, s.priority);
  }
  if (at >= cursor_ || s.returned) return;
  s.returned = true;
  returned_.push_back(at);
  std::push_heap(returned_.begin(), returned_.end(), std::greater<>{});
}

void queue::erase(sequence at, stub& s) {
  if (s.excluded) excluded_.erase(at);
  if (s.formatted) formats_.erase(at);
  if (manners_) [[unlikely]] on_erase(at, s);
  set_resident(s, false);
  --depth_;
  ring_.erase(at);
}

bool queue::is_in_open_batch(sequence at, const stub& s) const {
  return s.stored && at >= open_from_ && !s.joint;
}

void queue::set_resident(stub& s, bool resident) {
  if (s.counted == resident || !s.body) return;
  s.counted = resident;
  resident ? ++resident_ : --resident_;
  const auto octets = static_cast<std::int64_t>(s.body->footprint());
  home_.add_resident(resident ? octets : -octets);
}

}  // namespace whimbrel::broker::core
