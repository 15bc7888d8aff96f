// SPDX-License-Identifier: Apache-2.0
// Which message goes to which consumer.
#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>

#include "amqp/base/assert.hpp"
#include "broker/core/queue.hpp"
#include "broker/core/selection.hpp"
#include "broker/core/shard.hpp"

namespace whimbrel::broker::core {

/// Gives out what can be given out. Stops at a body that has to be read first.
void queue::dispatch() {
  if (manners_) [[unlikely]] {
    if (manners_->values && !note_values()) return;
    if (manners_->groups) offer_opened_groups();
  }
  if (selection_ != nullptr) [[unlikely]] {
    dispatch_selecting();
  } else {
    while (!ready_.empty() && dispatch_next()) {}
  }
  if (!browsers_.empty()) dispatch_browsers();
  if (draining_ > 0) finish_drains();
}

/// As dispatch, after a message has come.
void queue::dispatch_new(sequence at) {
  const bool is_plain = at == cursor_ && returned_.empty() && browsers_.empty() &&
                        draining_ == 0 && selection_ == nullptr;
  if (!is_plain) return dispatch();
  // Nothing waits before it: it goes to whoever is first in line, or waits.
  if (ready_.empty()) return;
  stub& s = *ring_.find(at);
  if (s.expires_ms != 0 || s.at != place::available) return dispatch();
  const auto to = pick(at, s);
  if (!to) return;
  cursor_ = at + 1;
  deliver(*to, at, s);
}

/// One message for somebody without a filter. False: there is none, or nobody may have one.
bool queue::dispatch_next() {
  if (manners_ && manners_->groups) [[unlikely]] return dispatch_grouped();
  const auto at = next_available();
  return at && dispatch_first(*at);
}

/// The message at `at` is the first in line.
bool queue::dispatch_first(sequence at) {
  stub& s = *ring_.find(at);
  if (is_expired(s)) {
    bool wrote = false;
    take(at, s);
    drop(at, s, death_reason::expired, wrote);
    return true;
  }
  if (!has_body(at, s)) return false;
  if (s.delayed) [[unlikely]] {
    take(at, s);
    if (waits_for_its_time(at, s)) return true;
    give_back(at, s);
    return true;
  }
  const auto to = pick(at, s);
  if (to) {
    take(at, s);
    deliver(*to, at, s);
    return true;
  }
  if (ready_.empty()) return false;
  take(at, s);
  parked_.push_back(at);
  return true;
}

std::optional<sequence> queue::next_available() {
  if (manners_ && manners_->levels) [[unlikely]] return next_by_level(false);
  while (!returned_.empty()) {
    const sequence at = returned_.front();
    stub* s = ring_.find(at);
    if (s != nullptr && s->at == place::available && s->returned) return at;
    if (s != nullptr) s->returned = false;  // taken by somebody with a filter
    std::pop_heap(returned_.begin(), returned_.end(), std::greater<>{});
    returned_.pop_back();
  }
  cursor_ = std::max(cursor_, ring_.first());
  while (cursor_ < ring_.end()) {
    const stub* s = ring_.find(cursor_);
    if (s == nullptr) {
      cursor_ = ring_.next_present(cursor_);
      continue;
    }
    if (s->at == place::available) return cursor_;
    // It may stay, or come: nothing overtakes it.
    if (s->at == place::withdrawing || s->at == place::prepared) return std::nullopt;
    ++cursor_;
  }
  return std::nullopt;
}

/// The message at `at`, which next_available named, leaves the line of those that wait.
void queue::take(sequence at, stub& s) {
  if (manners_ && manners_->levels) [[unlikely]] return manners_->levels->take(at);
  if (s.returned) {
    std::pop_heap(returned_.begin(), returned_.end(), std::greater<>{});
    returned_.pop_back();
    s.returned = false;
  } else {
    cursor_ = at + 1;
  }
}

/// The next consumer in turn that may have this message; its turn is over then. Leaves the others
/// where they stand.
std::optional<queue::slot> queue::pick(sequence at, const stub& s) {
  for (std::size_t i = 0; i < ready_.size();) {
    const slot candidate = i == 0 ? ready_.front() : ready_[i];
    consumer& c = consumers_[candidate];
    if (c.credit() == 0) {
      c.ready = false;
      ready_.erase(ready_.begin() + static_cast<std::ptrdiff_t>(i));
      continue;
    }
    if (s.excluded && is_excluded(at, c.link)) {
      ++i;
      continue;
    }
    end_turn(i);
    return candidate;
  }
  return std::nullopt;
}

/// The consumer at `place` gets a message: it goes to the end of the line, or out of it when that
/// was its last credit.
void queue::end_turn(std::size_t place) {
  const slot s = place == 0 ? ready_.front() : ready_[place];
  consumer& c = consumers_[s];
  c.ready = c.credit() > 1;
  if (c.ready && ready_.size() == 1) return;
  ready_.erase(ready_.begin() + static_cast<std::ptrdiff_t>(place));
  if (!c.ready) return;
  if (manners_) [[unlikely]] return take_turn_by_rank(s);
  ready_.push_back(s);
}

bool queue::is_excluded(sequence at, link_ref link) const {
  const auto found = excluded_.find(at);
  return found != excluded_.end() &&
         std::find(found->second.begin(), found->second.end(), link) != found->second.end();
}

void queue::deliver(slot to, sequence at, stub& s) {
  const bool first = !s.acquired;
  note_holder(to, s);
  // Sending may come back here with a settlement: nothing below may rely on `s`.
  send_delivery(consumers_[to], at, s, first);
}

void queue::note_holder(slot to, stub& s) {
  consumer& c = consumers_[to];
  s.at = place::held;
  s.holder = to;
  s.acquired = true;
  ++c.held;
  ++c.delivered;
}

void queue::send_delivery(const consumer& c, sequence at, const stub& s, bool first_acquirer) {
  ++counters_.out;
  home_.send_delivery(c.link, self_, {at, s.failed, first_acquirer, s.expires_ms}, s.body);
}

void queue::make_ready(slot s) {
  consumer& c = consumers_[s];
  if (c.ready || c.closing || c.credit() == 0) return;
  if (manners_ && !may_have_turn(s)) return;
  c.ready = true;
  if (is_selecting(c)) return selection_->ready.push_back(s);
  if (manners_) return take_turn_by_rank(s);
  ready_.push_back(s);
}

void queue::unpark() {
  for (const sequence at : parked_) {
    stub* s = ring_.find(at);
    if (s != nullptr && s->at == place::available) give_back(at, *s);
  }
  parked_.clear();
  if (manners_ && manners_->groups) manners_->groups->unstall();
}

bool queue::has_body(sequence at, const stub& s) {
  if (s.body) return true;
  if (!reading_) request_read(at);
  return false;
}

void queue::request_read(sequence from) {
  constexpr std::size_t read_octets = 512 * 1024;
  reading_ = true;
  reading_from_ = from;
  home_.read(self_, settings_.id, from, read_octets);
}

void queue::on_read(std::vector<storage::read_item> items, bool failed) {
  if (failed) return read_again_later();
  reading_ = false;
  bool found = false;
  for (storage::read_item& item : items) {
    stub* s = ring_.find(item.key.at);
    found = found || item.key.at == reading_from_;
    if (s == nullptr || s->at == place::gone || s->body) continue;
    const std::uint32_t format = s->formatted ? formats_.at(item.key.at) : 0;
    auto made = item.body ? make_message(item.body->octets(), format)
                          : amqp::decoded<message_ptr>(amqp::decode_error{});
    if (made.has_value()) {
      s->body = *std::move(made);
      set_resident(*s, true);
    } else {
      discard_unreadable(item.key.at, *s);
    }
  }
  stub* s = ring_.find(reading_from_);
  const bool wanted = s != nullptr && s->at != place::held && s->at != place::gone;
  if (!found && wanted && !s->body) discard_unreadable(reading_from_, *s);
  schedule_burials();
  dispatch();
}

/// The disk may recover: until then nobody asks again, and drains stay unanswered.
void queue::read_again_later() {
  constexpr std::chrono::milliseconds pause{100};
  home_.run_on().after(pause, [&home = home_, self = self_] {
    queue* q = home.find(self);
    if (q == nullptr) return;
    q->reading_ = false;
    q->schedule_burials();
    q->dispatch();
  });
}

/// A stub without a body is nobody's: who holds a message has its body too.
void queue::discard_unreadable(sequence at, stub& s) {
  AMQP_ASSERT(s.at != place::held && s.at != place::gone);
  home_.report_unreadable(settings_.name, at);
  ++counters_.lost;
  bool wrote = false;
  discard(at, s, wrote);
}

void queue::dispatch_browsers() {
  for (std::size_t i = 0; i < browsers_.size(); ++i) browse(consumers_[browsers_[i]]);
}

/// A browser sees what is available, in order, and stays for what comes.
void queue::browse(consumer& c) {
  while (c.credit() > 0) {
    c.cursor = ring_.next_present(std::max(c.cursor, ring_.first()));
    if (c.cursor >= ring_.end()) return;
    const stub& s = *ring_.find(c.cursor);
    if (s.at == place::prepared) return;
    if (s.at != place::available || is_expired(s)) {
      ++c.cursor;
      continue;
    }
    if (!has_body(c.cursor, s)) return;
    if (s.delayed && waits_for_its_time(c.cursor, *ring_.find(c.cursor))) continue;
    counters_.evaluated += c.wants ? 1 : 0;
    if (c.wants && !c.wants->matches(*s.body)) {
      let_go(c.cursor, *ring_.find(c.cursor));
      ++c.cursor;
      continue;
    }
    ++c.delivered;
    const sequence at = c.cursor++;
    send_delivery(c, at, s, false);
    // What was read for a browser alone does not stay.
    stub* left = ring_.find(at);
    if (left != nullptr && home_.memory_is_tight() && at >= cursor_ + kept_ahead) {
      page_out(at, *left);
    }
  }
}

/// Whoever drains and could be given nothing more is told so. [2.6.7]
void queue::finish_drains() {
  if (draining_ == 0 || reading_) return;
  for (consumer& c : consumers_) {
    if (!c.used || !c.draining) continue;
    if (c.browsing && c.credit() > 0 && c.cursor < ring_.end()) continue;
    const bool waits = c.ready && (is_selecting(c) || next_available());
    if (!c.browsing && c.credit() > 0 && waits) continue;
    c.draining = false;
    --draining_;
    letter l;
    l.kind = letter_kind::drained;
    l.link = c.link;
    l.count = c.delivered;
    l.first = std::exchange(c.limit, c.delivered);
    home_.send(std::move(l));
  }
}

}  // namespace whimbrel::broker::core
