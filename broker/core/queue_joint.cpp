// SPDX-License-Identifier: Apache-2.0
// The queue's side of changes that span queues: see joint.hpp.
#include <utility>

#include "broker/core/queue.hpp"
#include "broker/core/shard.hpp"

namespace whimbrel::broker::core {

/// The message gets its place in the order, and stays nobody's.
void queue::prepare(letter&& l) {
  const bool internal = l.has(letter_flag::internal);
  std::optional<std::string> id;
  if (manners_ && manners_->window && !internal && is_duplicate_part(l, id)) return;
  if (manners_ && !internal && refuses(*l.message)) {
    return refuse_part(l);
  }
  ++counters_.in;
  const sequence at = ring_.end();
  stub& s = ring_.push_back();
  s.body = std::move(l.message);
  s.at = place::prepared;
  s.joint = true;
  ++depth_;
  set_resident(s, true);
  if (manners_) {
    on_arrival(at, s);
    if (manners_->levels) manners_->levels->push(at, s.priority);
  } else if (const auto ttl = s.body->header().ttl) {
    s.expires_ms = home_.run_on().wall_ms() + *ttl;
    watch_expiry(at, s);
  }
  s.delayed = delivery_time_of(*s.body) > home_.run_on().wall_ms();
  letter answer;
  answer.kind = letter_kind::prepared;
  answer.link = l.link;
  answer.id = l.id;
  answer.count = l.count;
  answer.first = at;
  answer.last = static_cast<std::uint64_t>(settings_.id);
  answer.expires_ms = s.expires_ms;
  if (id) answer.detail = note_prepared_id(at, *std::move(id));
  home_.send(std::move(answer));
}

/// The queue is full, and so takes no part.
void queue::refuse_part(const letter& l) {
  ++counters_.refused;
  letter answer;
  answer.kind = letter_kind::prepared;
  answer.link = l.link;
  answer.id = l.id;
  answer.count = l.count;
  answer.detail = refusal();
  home_.send(std::move(answer));
}

/// It is durable: from here on a message like any other.
void queue::apply(sequence at) {
  stub* s = ring_.find(at);
  if (s == nullptr || s->at != place::prepared) return;
  s->at = place::available;
  s->stored = true;
  if (s->priority != level_order::usual || s->delayed) {  // the coordinator's put does not tell
    home_.commits().recount(settings_.id, at, stored_count(s->failed, s->priority, s->delayed));
  }
  if (is_expired(*s)) {
    bool wrote = false;
    drop(at, *s, death_reason::expired, wrote);
  } else {
    if (s->delayed) static_cast<void>(waits_for_its_time(at, *s));
    if (manners_) {
      note_late_value(at, *s);
      make_room(at);
    }
  }
  dispatch();
  if (manners_ && !manners_->unapplied.empty()) answer_unapplied(at);
}

/// It was never there.
void queue::undo(sequence at) {
  stub* s = ring_.find(at);
  if (s == nullptr || s->at != place::prepared) return;
  erase(at, *s);
  dispatch();
}

}  // namespace whimbrel::broker::core
