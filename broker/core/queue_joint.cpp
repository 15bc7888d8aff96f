// SPDX-License-Identifier: Apache-2.0
// The queue's side of changes that span queues: see joint.hpp.
#include <utility>

#include "broker/core/queue.hpp"
#include "broker/core/shard.hpp"

namespace whimbrel::broker::core {

/// The message gets its place in the order, and stays nobody's.
void queue::prepare(letter&& l) {
  ++counters_.in;
  const sequence at = ring_.end();
  stub& s = ring_.push_back();
  s.body = std::move(l.message);
  s.at = place::prepared;
  s.joint = true;
  ++depth_;
  set_resident(s, true);
  if (const auto ttl = s.body->header().ttl) {
    s.expires_ms = home_.run_on().wall_ms() + *ttl;
    watch_expiry(at, s);
  }
  letter answer;
  answer.kind = letter_kind::prepared;
  answer.link = l.link;
  answer.id = l.id;
  answer.count = l.count;
  answer.first = at;
  answer.last = static_cast<std::uint64_t>(settings_.id);
  answer.expires_ms = s.expires_ms;
  home_.send(std::move(answer));
}

/// It is durable: from here on a message like any other.
void queue::apply(sequence at) {
  stub* s = ring_.find(at);
  if (s == nullptr || s->at != place::prepared) return;
  s->at = place::available;
  s->stored = true;
  if (is_expired(*s)) {
    bool wrote = false;
    ++counters_.expired;
    discard(at, *s, wrote);
  }
  dispatch();
}

/// It was never there.
void queue::undo(sequence at) {
  stub* s = ring_.find(at);
  if (s == nullptr || s->at != place::prepared) return;
  erase(at, *s);
  dispatch();
}

}  // namespace whimbrel::broker::core
