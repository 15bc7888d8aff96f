// SPDX-License-Identifier: Apache-2.0
// The way to the dead letters: out of this queue and into others by one store batch.
//
//     available, held ──bury──> leaving ──bury_all (a later turn)──> joint change ──buried──> gone
//
// In a turn of its own, as the target may do the same to what it holds: queues that overflow into
// each other must not call each other for ever. A crash before the batch leaves it where it was.
#include <algorithm>
#include <utility>
#include <vector>

#include "broker/core/joint.hpp"
#include "broker/core/queue.hpp"
#include "broker/core/queue_manners.hpp"
#include "broker/core/router.hpp"
#include "broker/core/selection.hpp"
#include "broker/core/shard.hpp"

namespace whimbrel::broker::core {

namespace {

/// What dead letters are routed by when no key is set.
std::string_view subject_of(const message& m, std::string_view otherwise) {
  const auto subject = amqp::message::view(m.octets(), m.sections()).subject();
  return subject.has_value() && subject->has_value() ? **subject : otherwise;
}

}  // namespace

/// What a consumer says of a message that it held may be the message's end.
std::optional<death_reason> queue::death_by(const letter& l, const stub& s) const {
  const queue_manners& m = *manners_;
  if (l.outcome == outcome::rejected && m.has_target()) return death_reason::rejected;
  if (l.outcome != outcome::modified) return std::nullopt;
  if (l.has(letter_flag::undeliverable) && m.has_target()) return death_reason::undeliverable_here;
  const bool too_often = l.has(letter_flag::failed) && m.policy.delivery_limit &&
                         std::uint64_t{s.failed} + 1 > *m.policy.delivery_limit;
  return too_often ? std::optional(death_reason::delivery_limit) : std::nullopt;
}

/// `settle` where messages may die of it: each is answered for itself, the dead ones later.
void queue::settle_each(const letter& l) {
  const auto found = by_link_.find(l.link);
  const bool known = found != by_link_.end();
  const slot holder = known ? found->second : slot{0};
  for (sequence at = l.first; at <= l.last; ++at) {
    const std::uint32_t id = l.id + static_cast<std::uint32_t>(at - l.first);
    stub* s = known ? ring_.find(at) : nullptr;
    bool wrote = false;
    if (s != nullptr && s->at == place::held && s->holder == holder) {
      --consumers_[holder].held;
      if (s->grouped) leave_group(at, *s);
      if (settle_dead(l, at, id, *s, wrote)) continue;
    }
    if (!l.has(letter_flag::answer)) continue;
    if (wrote) home_.commits().answer(l.link, id, 1, l.outcome);
    else home_.send_answer(l.link, id, 1, l.outcome);
  }
  if (known && consumers_[holder].closing && consumers_[holder].held == 0) {
    forget(consumers_[holder], holder);
  }
  if (selection_ != nullptr) offer_again(l.first, l.last);
  update_own_gate();
  dispatch();
}

/// True: it is on its way to the dead letters, and is answered from there.
bool queue::settle_dead(const letter& l, sequence at, std::uint32_t id, stub& s, bool& wrote) {
  const auto why = death_by(l, s);
  if (!why) {
    settle_one(l, at, s, wrote);
    return false;
  }
  counters_.rejected += *why == death_reason::delivery_limit ? 0 : 1;
  s.failed += l.has(letter_flag::failed) ? 1 : 0;
  if (l.detail && l.detail->annotations) change_annotations(s, *l.detail->annotations);
  if (!manners_->has_target()) {
    discard(at, s, wrote);
    return false;
  }
  const bool told = l.has(letter_flag::answer);
  bury({at, *why, told ? l.link : link_ref{}, id, l.outcome}, s);
  return true;
}

void queue::bury(const dying_message& d, stub& s) {
  if (s.grouped) leave_group(d.at, s);
  s.at = place::leaving;
  ++manners_->leaving;
  manners_->dying.push_back(d);
  schedule_burials();
}

void queue::schedule_burials() {
  if (!manners_ || manners_->burial_due || manners_->dying.empty()) return;
  manners_->burial_due = true;
  home_.run_on().post([&home = home_, self = self_] {
    if (queue* q = home.find(self)) q->bury_all();
  });
}

void queue::bury_all() {
  if (!manners_) return;
  const queue_policy& p = manners_->policy;
  if (!p.dead_letter_exchange || !p.dead_letter_exchange->empty() || !home_.lookup_queue) {
    return bury_into({});
  }
  home_.lookup_queue(p.dead_letter_routing_key.value_or(""), [&home = home_,
                                                              self = self_](const hit& found) {
    if (queue* q = home.find(self)) q->bury_into(found);
  });
}

/// `named`: the queue that the default exchange leads to; null if there is none, or another
/// exchange is to be asked.
void queue::bury_into(const hit& named) {
  if (!manners_) return;
  manners_->burial_due = false;
  while (!manners_->dying.empty()) {
    const dying_message d = manners_->dying.front();
    stub* s = ring_.find(d.at);
    if (s != nullptr && s->at == place::leaving && !s->body) {
      if (!reading_) request_read(d.at);
      return;  // on_read goes on
    }
    manners_->dying.pop_front();
    if (s != nullptr && s->at == place::leaving) bury_one(d, *s, named);
  }
  update_own_gate();
}

std::vector<hit> queue::targets_of(const dying_message& d, const message& m, const hit& named) {
  std::vector<hit> out;
  const queue_policy& p = manners_->policy;
  if (!p.dead_letter_exchange || goes_in_circles(m, settings_.name, d.why)) return out;
  if (named.queue) {
    out.push_back(named);
  } else if (const exchange_ref from = home_.routes().find(*p.dead_letter_exchange)) {
    const std::string_view key = p.dead_letter_routing_key
                                     ? std::string_view(*p.dead_letter_routing_key)
                                     : subject_of(m, settings_.name);
    static_cast<void>(home_.routes().route(from, key, m, out));
  }
  // Straight back to where it was too old, or too many.
  if (!is_consumers_word(d.why)) std::erase_if(out, [&](const hit& h) { return h.queue == self_; });
  return out;
}

void queue::bury_one(const dying_message& d, const stub& s, const hit& named) {
  const message_ptr old = s.body;
  const std::vector<hit> to = targets_of(d, *old, named);
  if (to.empty()) {
    ++counters_.undeliverable;
    return finish_burial(d);
  }
  const death how{settings_.name, d.why, home_.run_on().wall_ms(), s.expires_ms};
  const message_ptr dead = make_dead_letter(*old, how);
  const auto is_stored = [&](const hit& h) { return dead->header().durable && h.durable; };
  // Its removal here and its puts there are one batch: of this worker, whoever's those queues are.
  const bool elsewhere = std::any_of(to.begin(), to.end(), [&](const hit& h) {
    return is_stored(h) && h.queue.worker != home_.self();
  });
  joint& together = home_.joints();
  const joint::change_id change = together.begin_internal();
  together.together_with(change, [&home = home_, self = self_, d] {
    queue* q = home.find(self);
    if (q == nullptr) return;
    ++q->counters_.dead_lettered;
    q->finish_burial(d);
  });
  for (const hit& h : to) {
    if (elsewhere && is_stored(h)) together.post(change, h.queue, dead);
    else together.put(change, h.queue, dead);
  }
  together.close(change);
}

/// The message leaves this queue with the batch that is open now. Its own put, should that stand in
/// the same batch, is not cancelled out: its producer is answered when its successor is durable.
void queue::finish_burial(const dying_message& d) {
  stub* s = ring_.find(d.at);
  if (s == nullptr || s->at != place::leaving) return;
  const bool stored = s->stored;
  if (stored) home_.commits().settle(settings_.id, d.at, d.at);
  erase(d.at, *s);
  if (d.consumer && stored) home_.commits().answer(d.consumer, d.id, 1, d.what);
  else if (d.consumer) home_.send_answer(d.consumer, d.id, 1, d.what);
}

}  // namespace whimbrel::broker::core
