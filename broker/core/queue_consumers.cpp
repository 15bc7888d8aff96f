// SPDX-License-Identifier: Apache-2.0
// Who among the consumers of a queue comes first: priorities, one active at a time, one at all.
#include <algorithm>
#include <utility>

#include "amqp/spec/conditions.hpp"
#include "broker/core/queue.hpp"
#include "broker/core/queue_manners.hpp"
#include "broker/core/selection.hpp"
#include "broker/core/shard.hpp"

namespace whimbrel::broker::core {

/// exclusive-consumer: browsers, who take nothing, are no consumers. True: it has been refused.
bool queue::refuses_consumer(const letter& l) {
  if (!manners_ || l.has(letter_flag::copy)) return false;
  if (!manners_->policy.exclusive_consumer.value_or(false)) return false;
  const bool taken = std::any_of(consumers_.begin(), consumers_.end(), [](const consumer& c) {
    return c.used && !c.browsing && !c.closing;
  });
  if (!taken) return false;
  letter refusal;
  refusal.kind = letter_kind::detached;
  refusal.link = l.link;
  refusal.queue = self_;
  refusal.detail = std::make_unique<letter_detail>();
  refusal.detail->condition = amqp::spec::conditions::resource_locked;
  refusal.detail->description =
      "queue '" + settings_.name + "' has a consumer, and takes one alone";
  home_.send(std::move(refusal));
  return true;
}

/// A consumer has come: its rank, and its place among those who wait to be the active one.
void queue::rank(slot s, std::int32_t priority) {
  if (priority != 0 && !manners_) manners_ = std::make_unique<queue_manners>();
  if (!manners_) return;
  consumers_[s].priority = priority;
  manners_->ranked = manners_->ranked || priority != 0;
  if (!manners_->has_single_active() || consumers_[s].browsing) return;
  stand_in_line(s);
  tell_active(s, is_active(s));
}

/// Whoever is active stays so, whatever priority the others have.
void queue::stand_in_line(slot s) {
  auto& line = manners_->line;
  const auto from = line.empty() ? line.begin() : line.begin() + 1;
  const auto place = std::find_if(from, line.end(), [&](slot other) {
    return consumers_[other].priority < consumers_[s].priority;
  });
  line.insert(place, s);
}

/// The policy has come or gone while there are consumers.
void queue::line_up() {
  manners_->line.clear();
  if (manners_->groups) manners_->groups->end_all();
  const bool single = manners_->has_single_active();
  for (slot s = 0; s < consumers_.size(); ++s) {
    if (!consumers_[s].used || consumers_[s].browsing) continue;
    if (single) stand_in_line(s);
  }
  ready_.clear();
  if (selection_) selection_->ready.clear();
  for (slot s = 0; s < consumers_.size(); ++s) {
    consumer& c = consumers_[s];
    c.ready = false;
    if (!c.used || c.browsing) continue;
    make_ready(s);
    if (!c.closing) tell_active(s, !single || is_active(s));
  }
  unpark();  // for those who have a turn now
}

/// The consumer has gone, and holds nothing any more: so the next sees nothing out of order.
void queue::leave_line(slot s) {
  if (!manners_) return;
  auto& line = manners_->line;
  const bool was_active = !line.empty() && line.front() == s;
  std::erase(line, s);
  if (!was_active || line.empty()) return;
  make_ready(line.front());
  tell_active(line.front(), true);
  if (!parked_.empty()) unpark();
}

bool queue::is_active(slot s) const {
  return !manners_->line.empty() && manners_->line.front() == s;
}

bool queue::may_have_turn(slot s) const {
  return !manners_ || !manners_->has_single_active() || is_active(s);
}

void queue::tell_active(slot s, bool active) {
  letter l;
  l.kind = letter_kind::active;
  l.flags = active ? letter_flag::open : std::uint8_t{0};
  l.link = consumers_[s].link;
  l.queue = self_;
  home_.send(std::move(l));
}

/// Into the line of those with credit: behind all of the same priority, before those of a lower.
void queue::take_turn_by_rank(slot s) {
  if (manners_->groups) manners_->groups->warm(s);
  const auto place = std::find_if(ready_.begin(), ready_.end(), [&](slot other) {
    return consumers_[other].priority < consumers_[s].priority;
  });
  ready_.insert(place, s);
}

}  // namespace whimbrel::broker::core
