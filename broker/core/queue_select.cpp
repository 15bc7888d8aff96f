// SPDX-License-Identifier: Apache-2.0
// Consumers with filters. A message is compared with a consumer's filter when it comes, and once
// more each time that it comes back; not again because something else happened.
#include <algorithm>
#include <utility>

#include "broker/core/queue.hpp"
#include "broker/core/selection.hpp"
#include "broker/core/shard.hpp"

namespace whimbrel::broker::core {

void queue::select(slot s) {
  if (!selection_) selection_ = std::make_unique<selection>();
  selection_->add(s, *consumers_[s].wants, ring_.first());
}

void queue::stop_selecting(slot s) {
  selection_->remove(s);
  consumers_[s].ready = false;
  if (selection_->empty()) selection_.reset();
}

/// Takes turns: one message for somebody with a filter, one for somebody without.
void queue::dispatch_selecting() {
  if (!reading_) {
    for (const slot s : std::exchange(selection_->blocked, {})) make_ready(s);
  }
  index_new();
  bool plain = selection_->plain_first = !selection_->plain_first;
  for (int idle = 0; idle < 2; plain = !plain) {
    // The last selective consumer may leave while a delivery is handed over.
    const bool served = plain ? !ready_.empty() && dispatch_next()
                              : selection_ != nullptr && serve_selective();
    idle = served ? 0 : idle + 1;
  }
}

void queue::index_new() {
  const auto wake = [this](slot s) { make_ready(s); };
  selection_->sweep(ring_, depth_);
  for (sequence at = ring_.next_present(selection_->next_unindexed(ring_.end()));
       at < ring_.end(); at = ring_.next_present(at + 1)) {
    stub& s = *ring_.find(at);
    if (s.at == place::gone) continue;
    if (!has_body(at, s)) return;
    selection_->index(at, *s.body, wake);
    let_go(at, s);
  }
  if (selection_->others_told >= ring_.end()) return;
  selection_->others_told = ring_.end();
  for (const slot s : selection_->others()) wake(s);
}

/// A body that was read only to be looked at does not stay.
void queue::let_go(sequence at, stub& s) {
  if (home_.memory_is_tight() && at >= cursor_ + kept_ahead) page_out(at, s);
}

/// Gives the consumer whose turn it is its next message. False: nobody can be given anything.
bool queue::serve_selective() {
  auto& line = selection_->ready;
  while (!line.empty()) {
    const slot to = line.front();
    line.pop_front();
    consumer& c = consumers_[to];
    c.ready = false;
    if (c.credit() == 0) continue;
    const auto at = find_match(to);
    if (!at) continue;
    stub& s = *ring_.find(*at);
    selection_->end_turn(to);
    if (c.credit() > 1) {
      c.ready = true;
      line.push_back(to);
    }
    if (manners_ && manners_->groups) deliver_of_group(to, *at, s);
    else deliver(to, *at, s);
    return true;
  }
  return false;
}

/// The next message for a selective consumer, which is past it then. Nothing overtakes one that may
/// become available yet.
std::optional<sequence> queue::find_match(slot to) {
  const consumer& c = consumers_[to];
  for (;;) {
    const sequence at = selection_->next_for(to, ring_);
    if (at >= ring_.end()) return std::nullopt;
    stub* s = ring_.find(at);
    const bool is_undecided =
        s != nullptr && (s->at == place::withdrawing || s->at == place::prepared);
    if (is_undecided) {
      selection_->blocked.push_back(to);
      return std::nullopt;
    }
    if (s == nullptr || s->at != place::available || (s->excluded && is_excluded(at, c.link))) {
      selection_->pass(to, at);
      continue;
    }
    if (is_expired(*s)) {
      bool wrote = false;
      drop(at, *s, death_reason::expired, wrote);
      continue;
    }
    if (!has_body(at, *s)) {
      selection_->blocked.push_back(to);
      return std::nullopt;
    }
    if (s->delayed && waits_for_its_time(at, *s)) continue;
    selection_->pass(to, at);
    ++counters_.evaluated;
    if (!c.wants->matches(*s->body)) {
      let_go(at, *s);
      continue;
    }
    if (!manners_ || !manners_->groups || may_have_of_group(to, at, *s)) return at;
  }
}

/// Messages may be available again: who went past them has to look back.
void queue::offer_again(sequence first, sequence last) {
  for (sequence at = first; at <= last; ++at) {
    const stub* s = ring_.find(at);
    if (s == nullptr || s->at != place::available) continue;
    selection_->offer_again(at, s->body.get(), s->annotated,
                            [this](slot to) { make_ready(to); });
  }
}

}  // namespace whimbrel::broker::core
