// SPDX-License-Identifier: Apache-2.0
// A queue that keeps one message a key: a newer one replaces the older, at its own place in the
// order. One that a consumer holds stays the consumer's, and does not come back.
//
// The removal joins the batch that the newer one's put is in, so that a crash leaves either both as
// they were or the newer alone. Where that is another worker's batch (joint.hpp) a crash between
// the two leaves both, and the walk over the messages, which a restart begins anew, sees to it.
#include <algorithm>
#include <utility>

#include "broker/core/queue.hpp"
#include "broker/core/selection.hpp"
#include "broker/core/shard.hpp"

namespace whimbrel::broker::core {

/// The policy has come, gone, or names another key.
void queue::begin_values() {
  auto& values = manners_->values;
  const std::string wanted = manners_->policy.last_value_key.value_or("");
  if (wanted == (values ? values->key_name() : "")) return;
  values = wanted.empty() ? nullptr : std::make_unique<last_values>(wanted, ring_.first());
}

/// Looks at all messages that it has not seen yet, in order. False: a body has to be read first.
/// Until then nobody is given anything, as it may be outdated.
bool queue::note_values() {
  last_values& v = *manners_->values;
  for (;;) {
    v.noted_to = ring_.next_present(std::max(v.noted_to, ring_.first()));
    if (v.noted_to >= ring_.end()) return true;
    const sequence at = v.noted_to;
    stub& s = *ring_.find(at);
    const bool counts = s.at == place::available || s.at == place::scheduled ||
                        s.at == place::held || s.at == place::withdrawing;
    if (counts && !has_body(at, s)) return false;
    ++v.noted_to;
    if (!counts || s.outdated) continue;
    note_value(at, s);
    stub* left = ring_.find(at);
    if (left != nullptr && left->at == place::available) let_go(at, *left);
  }
}

void queue::note_value(sequence at, stub& s) {
  auto key = manners_->values->key_of(*s.body);
  if (!key) return;
  const auto old = manners_->values->add(at, *std::move(key));
  if (!old) return;
  if (*old == at) return supersede(at, s);
  stub* before = ring_.find(*old);
  s.bound = true;  // its put must not be taken back once the other has gone for it
  if (before != nullptr) supersede(*old, *before);
}

/// What it leaves behind is never cancelled out: its producer is answered when its successor is
/// durable.
void queue::supersede(sequence at, stub& s) {
  const bool is_nobodys = s.at == place::available || s.at == place::scheduled;
  const bool may_return = s.at == place::held || s.at == place::withdrawing;
  if (!is_nobodys && !may_return) return;
  ++counters_.replaced;
  if (s.stored) home_.commits().settle(settings_.id, at, at);
  if (is_nobodys) return erase(at, s);
  s.outdated = true;
  s.joint = true;
}

/// A message of a joint change is there at last. Others that came after it may be newer.
void queue::note_late_value(sequence at, stub& s) {
  if (manners_->values && at < manners_->values->noted_to) note_value(at, s);
}

/// Makes room for itself, in a queue that is full.
bool queue::would_replace(const message& m) {
  if (!manners_->values) return false;
  const auto key = manners_->values->key_of(m);
  const auto old = key ? manners_->values->find(*key) : std::nullopt;
  const stub* s = old ? ring_.find(*old) : nullptr;
  return s != nullptr && (s->at == place::available || s->at == place::scheduled);
}

}  // namespace whimbrel::broker::core
