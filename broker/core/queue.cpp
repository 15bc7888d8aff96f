// SPDX-License-Identifier: Apache-2.0
// A queue's door: what links ask of it, and what the shard tells it.
#include "broker/core/queue.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include "amqp/base/assert.hpp"
#include "broker/core/selection.hpp"
#include "broker/core/shard.hpp"

namespace whimbrel::broker::core {

queue::queue(shard& home, queue_ref self, queue_settings settings)
    : home_(home), self_(self), settings_(std::move(settings)) {}

queue::~queue() {
  stop_schedule();
  for (sequence at = ring_.next_present(ring_.first()); at < ring_.end();
       at = ring_.next_present(at + 1)) {
    set_resident(*ring_.find(at), false);
  }
}

void queue::on_letter(letter&& l) {
  switch (l.kind) {
    case letter_kind::put:
      if (l.has(letter_flag::internal)) [[unlikely]] return put_internal(std::move(l));
      return put(std::move(l.message), l.link, l.id, l.has(letter_flag::presettled));
    case letter_kind::grant: return grant(l);
    case letter_kind::settle: return settle(std::move(l));
    case letter_kind::subscribe: return subscribe(l);
    case letter_kind::unsubscribe: return unsubscribe(l.link);
    case letter_kind::add_producer: {
      producers_.push_back(l.link);
      return send_gate(l.link);
    }
    case letter_kind::remove_producer: {
      std::erase(producers_, l.link);
      return;
    }
    case letter_kind::prepare: return prepare(std::move(l));
    case letter_kind::apply: return apply(l.first);
    case letter_kind::undo: return undo(l.first);
    default: AMQP_ASSERT(!"a letter for a link came to a queue");
  }
}

void queue::put(message_ptr message, link_ref from, std::uint32_t id, bool presettled) {
  const bool is_later = has_annotations(*message) &&
                        delivery_time_of(*message) > home_.run_on().wall_ms();
  if (manners_ || is_later) [[unlikely]] {
    const std::uint8_t flags = presettled ? letter_flag::presettled : std::uint8_t{0};
    return put_with_manners(std::move(message), from, id, flags);
  }
  ++counters_.in;
  const sequence at = ring_.end();
  stub& s = enter(std::move(message));
  if (const auto ttl = s.body->header().ttl) {
    s.expires_ms = home_.run_on().wall_ms() + *ttl;
    watch_expiry(at, s);
  }
  store_or_answer(at, s, presettled ? link_ref{} : from, id);
  dispatch_new(at);
}

/// From another queue, where it still stands: never refused, and never cancelled out, so that what
/// its consumer is told waits for the batch that takes it from there.
void queue::put_internal(letter&& l) {
  if (manners_) return put_with_manners(std::move(l.message), l.link, l.id, l.flags);
  ++counters_.in;
  const sequence at = ring_.end();
  stub& s = enter(std::move(l.message));
  s.joint = true;
  if (const auto ttl = s.body->header().ttl) {
    s.expires_ms = home_.run_on().wall_ms() + *ttl;
    watch_expiry(at, s);
  }
  store_or_answer(at, s, l.link, l.id);
  dispatch();
}

/// At the end of the line.
stub& queue::enter(message_ptr message) {
  stub& s = ring_.push_back();
  s.body = std::move(message);
  s.at = place::available;
  ++depth_;
  set_resident(s, true);
  return s;
}

/// `accepted` comes when it is durable, at once if it is not to be stored. Letters may come back
/// from inside.
void queue::store_or_answer(sequence at, stub& s, link_ref producer, std::uint32_t id) {
  if (s.body->header().durable && settings_.durable) {
    s.stored = true;
    storage::put change{{settings_.id, at},       s.body, {}, s.body->format(),
                        stored_count(0, s.priority, s.delayed), s.expires_ms};
    s.in_batch = home_.commits().put(std::move(change), self_, producer, id);
    if (open_from_ == no_sequence) open_from_ = at;
  } else if (producer) {
    home_.send_verdict(producer, id, outcome::accepted);
  }
}

void queue::restore(const storage::recovered_entry& entry) {
  ring_.skip_to(entry.key.at);
  stub& s = ring_.push_back();
  s.at = place::available;
  s.stored = true;
  s.acquired = true;  // whether somebody had it before the crash, we cannot know [3.2.1]
  s.failed = failed_of(entry.delivery_count);
  s.priority = priority_of(entry.delivery_count);
  s.delayed = is_delayed(entry.delivery_count);
  s.expires_ms = entry.expires_ms;
  ++depth_;
  if (s.expires_ms != 0) watch_expiry(entry.key.at, s);
  if (entry.flags != 0) {
    s.formatted = true;
    formats_[entry.key.at] = entry.flags;
  }
  durable_to_ = entry.key.at;
  if (depth_ == 1) cursor_ = entry.key.at;
  if (!manners_) return;
  manners_->limit.add(entry.key.at, entry.size);
  if (manners_->levels) manners_->levels->push(entry.key.at, s.priority);
}

void queue::continue_at(sequence next) {
  if (next > ring_.end()) ring_.skip_to(next);
}

void queue::subscribe(letter& l) {
  if (refuses_consumer(l)) return;
  slot s = 0;
  if (free_consumers_.empty()) {
    s = static_cast<slot>(consumers_.size());
    consumers_.emplace_back();
  } else {
    s = free_consumers_.back();
    free_consumers_.pop_back();
  }
  consumer& c = consumers_[s] = consumer{};
  c.used = true;
  c.link = l.link;
  c.browsing = l.has(letter_flag::copy);
  c.cursor = ring_.first();
  by_link_[l.link] = s;
  if (l.detail) c.wants = std::move(l.detail->wants);
  if (c.browsing) browsers_.push_back(s);
  if (is_selecting(c)) select(s);
  rank(s, static_cast<std::int32_t>(l.count));
  unpark();
  if (manners_ && manners_->groups && !consumers_[s].browsing) rebalance_groups();
}

void queue::grant(const letter& l) {
  const auto found = by_link_.find(l.link);
  if (found == by_link_.end()) return;
  consumer& c = consumers_[found->second];
  if (c.closing) return;
  c.limit = l.count;
  const bool drain = l.has(letter_flag::drain);
  if (drain != c.draining) drain ? ++draining_ : --draining_;
  c.draining = drain;
  if (!parked_.empty() || manners_) unpark();
  if (!c.browsing) make_ready(found->second);
  dispatch();
}

void queue::unsubscribe(link_ref link) {
  const auto found = by_link_.find(link);
  if (found == by_link_.end()) return;
  const slot s = found->second;
  consumer& c = consumers_[s];
  if (c.draining) --draining_;
  c.draining = false;
  c.closing = true;
  c.limit = c.delivered;
  if (c.browsing) std::erase(browsers_, s);
  if (is_selecting(c)) stop_selecting(s);
  if (manners_ && manners_->groups) manners_->groups->leave(s);
  if (c.held == 0) forget(c, s);
  if (manners_ || !parked_.empty()) {
    unpark();
    dispatch();
  }
}

void queue::forget(consumer& c, slot s) {
  by_link_.erase(c.link);
  if (c.ready) std::erase(ready_, s);
  c = consumer{};
  free_consumers_.push_back(s);
  leave_line(s);
  if (manners_) manners_->unused_since = 0;
  if (settings_.auto_delete && by_link_.empty()) ask_to_retire();
}

void queue::retire_if_unused() {
  if (!manners_ || !manners_->policy.expires) return;
  const std::int64_t now = home_.run_on().wall_ms();
  std::int64_t& since = manners_->unused_since;
  if (!by_link_.empty()) since = 0;
  else if (since == 0) since = now;
  else if (now - since >= static_cast<std::int64_t>(*manners_->policy.expires)) ask_to_retire();
}

/// In a later turn: whoever removes it must not do so from inside one of its letters.
void queue::ask_to_retire() {
  home_.run_on().post([&home = home_, self = self_] {
    const queue* q = home.find(self);
    if (q == nullptr || !home.retire_queue || !q->by_link_.empty()) return;
    home.retire_queue(q->settings_.name, self);
  });
}

void queue::on_durable(sequence last) {
  const sequence from = std::max(durable_to_ + 1, ring_.first());
  durable_to_ = std::max(durable_to_, last);
  if (!home_.memory_is_tight()) return;
  // What has just become safe may leave memory, unless consumers are about to reach it.
  const sequence begin = home_.memory_is_short() ? from : std::max(from, cursor_ + kept_ahead);
  for (sequence at = ring_.next_present(begin); at <= last; at = ring_.next_present(at + 1)) {
    page_out(at, *ring_.find(at));
  }
}

void queue::leave_memory() {
  std::size_t to_see = resident_;
  for (sequence at = ring_.next_present(ring_.first()); to_see > 0 && at < ring_.end();
       at = ring_.next_present(at + 1)) {
    stub& s = *ring_.find(at);
    if (!s.counted) continue;
    --to_see;
    page_out(at, s);
  }
}

/// The body leaves memory if the store has it as it is and nobody holds it.
void queue::page_out(sequence at, stub& s) {
  const bool is_idle = s.at == place::available || s.at == place::scheduled;
  if (!s.stored || s.annotated || !is_idle || !s.body || at > durable_to_) return;
  if (s.body->format() != 0) {
    s.formatted = true;
    formats_[at] = s.body->format();
  }
  set_resident(s, false);
  s.body.reset();
}

void queue::on_submitted() {
  open_from_ = no_sequence;
  if (manners_ && manners_->window) [[unlikely]] save_window();
}

void queue::on_gate() {
  for (const link_ref& p : producers_) send_gate(p);
}

void queue::send_gate(link_ref producer) {
  home_.send_gate(producer, !manners_ || !manners_->gate_closed);
}

void queue::drop_expired() {
  const std::int64_t now = home_.run_on().wall_ms();
  bool dropped = false;
  while (!expiry_.empty() && expiry_.front().first <= now) {
    const sequence at = expiry_.front().second;
    std::pop_heap(expiry_.begin(), expiry_.end(), std::greater<>{});
    expiry_.pop_back();
    stub* s = ring_.find(at);
    // One that is held is looked at again when it comes back.
    if (s == nullptr || s->at != place::available || s->expires_ms == 0) continue;
    bool wrote = false;
    drop(at, *s, death_reason::expired, wrote);
    dropped = true;
  }
  if (dropped && manners_) {
    update_own_gate();
    if (manners_->groups) dispatch();  // what came behind in a group may have waited for it
  }
  if (dropped) finish_drains();
}

/// Messages mostly go before their time is up. Their entries are swept out when they are the most.
void queue::watch_expiry(sequence at, const stub& s) {
  constexpr std::size_t few = 64;
  if (expiry_.size() >= few && expiry_.size() >= 2 * depth_) {
    std::erase_if(expiry_, [this](const auto& e) {
      const stub* there = ring_.find(e.second);
      return there == nullptr || there->at == place::gone;
    });
    std::make_heap(expiry_.begin(), expiry_.end(), std::greater<>{});
  }
  expiry_.emplace_back(s.expires_ms, at);
  std::push_heap(expiry_.begin(), expiry_.end(), std::greater<>{});
}

bool queue::is_expired(const stub& s) const {
  return s.expires_ms != 0 && s.expires_ms <= home_.run_on().wall_ms();
}

bool queue::begin_withdraw(sequence at) {
  stub* s = ring_.find(at);
  if (s == nullptr || s->at != place::available || s->acquired || s->bound) return false;
  s->at = place::withdrawing;
  return true;
}

void queue::end_withdraw(sequence at, bool gone) {
  stub* s = ring_.find(at);
  if (s == nullptr || s->at != place::withdrawing) return;
  if (gone) {
    erase(at, *s);
  } else {
    s->at = place::available;
    give_back(at, *s);
  }
  dispatch();
}

void queue::close(std::string_view condition, const std::string& description) {
  const auto tell = [&](link_ref link) {
    letter l;
    l.kind = letter_kind::detached;
    l.link = link;
    l.queue = self_;
    l.detail = std::make_unique<letter_detail>();
    l.detail->condition = condition;
    l.detail->description = description;
    home_.send(std::move(l));
  };
  for (const consumer& c : consumers_) {
    if (c.used && !c.closing) tell(c.link);
  }
  for (const link_ref& p : producers_) tell(p);
}

void queue::check_invariants() const {
  auto& ring = const_cast<stub_ring&>(ring_);
  std::size_t depth = 0;
  std::size_t leaving = 0;
  std::size_t scheduled = 0;
  std::vector<std::uint32_t> held(consumers_.size(), 0);
  for (sequence at = ring.next_present(ring.first()); at < ring.end();
       at = ring.next_present(at + 1)) {
    const stub& s = *ring.find(at);
    if (s.at == place::gone) continue;
    ++depth;
    if (s.at == place::held) ++held[s.holder];
    leaving += s.at == place::leaving ? 1 : 0;
    scheduled += s.at == place::scheduled ? 1 : 0;
    if (s.at == place::available && at < cursor_) {
      const bool parked = std::find(parked_.begin(), parked_.end(), at) != parked_.end();
      AMQP_ASSERT(s.returned || s.grouped || parked);
    }
    if (!s.stored) AMQP_ASSERT(s.body != nullptr);
  }
  AMQP_ASSERT(depth == depth_);
  AMQP_ASSERT(leaving == (manners_ ? manners_->leaving : 0));
  AMQP_ASSERT(scheduled == (manners_ ? manners_->later.waiting : 0));
  std::size_t draining = 0;
  for (std::size_t i = 0; i < consumers_.size(); ++i) {
    const consumer& c = consumers_[i];
    AMQP_ASSERT(held[i] == c.held);
    draining += c.draining ? 1 : 0;
    const bool selects = is_selecting(c) && !c.closing;
    const auto& line = selects ? selection_->ready : ready_;
    const auto stands = std::count(line.begin(), line.end(), static_cast<slot>(i));
    AMQP_ASSERT(stands == (c.ready ? 1 : 0));
    if (selects) AMQP_ASSERT(std::count(ready_.begin(), ready_.end(), static_cast<slot>(i)) == 0);
    if (c.used && !c.browsing && !c.closing && !selects && c.credit() > 0) {
      AMQP_ASSERT(c.ready == may_have_turn(static_cast<slot>(i)));
    }
  }
  AMQP_ASSERT(draining == draining_);
  check_groups();
}

}  // namespace whimbrel::broker::core
