// SPDX-License-Identifier: Apache-2.0
// The coordinator's side of changes that span queues.
#include "broker/core/joint.hpp"

#include <utility>

#include "amqp/base/assert.hpp"
#include "amqp/spec/conditions.hpp"
#include "broker/core/shard.hpp"

namespace whimbrel::broker::core {

namespace {

/// Changes are numbered in 31 bits. A verdict says by its lowest bit which of two kinds of put it
/// is for: one beside the change, or one of its batch.
constexpr std::uint32_t number_bits = 0x7fff'ffff;
constexpr std::uint32_t alone_id(joint::change_id change) { return change << 1; }
constexpr std::uint32_t joint_id(joint::change_id change) { return change << 1 | 1; }

}  // namespace

joint::joint(shard& home) : home_(home), self_(home.add_link(*this)) {}

joint::change& joint::at(change_id which) {
  const std::size_t index = (which - first_) & number_bits;
  AMQP_ASSERT(index < changes_.size());
  return changes_[index];
}

joint::change_id joint::begin(link_ref owner, std::uint32_t id) {
  changes_.emplace_back();
  changes_.back().owner = owner;
  changes_.back().id = id;
  return (first_ + static_cast<change_id>(changes_.size() - 1)) & number_bits;
}

joint::change_id joint::begin_internal() {
  const change_id made = begin({}, 0);
  at(made).internal = true;
  return made;
}

void joint::post(change_id which, queue_ref to, const message_ptr& message) {
  change& c = at(which);
  ++c.unprepared;
  c.parts.emplace_back();
  c.parts.back().queue = to;
  c.parts.back().message = message;
  letter l;
  l.kind = letter_kind::prepare;
  if (c.internal) l.flags = letter_flag::internal;
  l.id = which;
  l.count = static_cast<std::uint32_t>(c.parts.size() - 1);
  l.link = self_;
  l.queue = to;
  l.message = message;
  home_.send(std::move(l));  // on this worker the answer has come when this returns
}

void joint::put(change_id which, queue_ref to, const message_ptr& message) {
  change& c = at(which);
  ++c.alone;
  ++c.unsaid_alone;
  if (!c.internal) return home_.send_put(to, self_, alone_id(which), false, message);
  letter l;
  l.kind = letter_kind::put;
  l.flags = letter_flag::internal;
  l.id = alone_id(which);
  l.link = self_;
  l.queue = to;
  l.message = message;
  home_.send(std::move(l));
}

void joint::together_with(change_id which, std::function<void()> run) {
  change& c = at(which);
  c.also = std::move(run);
  c.kept = true;
}

void joint::close(change_id which) {
  at(which).closed = true;
  submit_if_prepared(which);
}

void joint::on_letter(letter&& l) {
  if (l.kind == letter_kind::prepared) return on_prepared(std::move(l));
  if (l.kind != letter_kind::verdict) return;
  for (std::uint32_t i = 0; i <= l.last; ++i) on_verdict_of(l.id + i, l);
}

void joint::on_prepared(letter&& l) {
  change& c = at(l.id);
  if (l.has(letter_flag::known)) ++c.taken;
  if (l.detail && l.first == 0) c.why = std::move(l.detail);
  if (l.detail) {
    c.records.push_back(std::move(l.detail->record));
    c.kept = true;
  }
  part& p = c.parts[l.count];
  p.at = l.first;
  p.id = storage::queue_id{l.last};
  p.expires_ms = l.expires_ms;
  --c.unprepared;
  submit_if_prepared(l.id);
}

/// All puts of a change go into one batch: nothing else ends a turn in between.
void joint::submit_if_prepared(change_id which) {
  change& c = at(which);
  if (!c.closed || c.unprepared > 0) return;
  // Counted, and taken out, before any is made: a test's broker answers before the commit.
  const auto also = std::exchange(c.also, {});
  for (const part& p : c.parts) c.unsaid += p.at != 0 ? 1 : 0;
  const std::size_t count = c.unsaid == 0 ? 0 : c.parts.size();
  for (std::size_t i = 0; i < count; ++i) {
    part& p = at(which).parts[i];
    if (p.at == 0) continue;
    storage::put made{{p.id, p.at}, p.message, {}, p.message->format(), 0, p.expires_ms};
    p.message.reset();
    home_.commits().put(std::move(made), queue_ref{}, self_, joint_id(which));
  }
  for (storage::record& r : std::exchange(at(which).records, {})) {
    home_.commits().add(std::move(r));
  }
  if (also) also();
  if (count == 0) finish_if_done(which);
}

void joint::on_verdict_of(std::uint32_t verdict_id, const letter& l) {
  const change_id which = verdict_id >> 1;
  change& c = at(which);
  const bool is_joint = verdict_id == joint_id(which);
  if (l.outcome == outcome::accepted) {
    ++c.taken;
  } else if (is_joint) {
    c.refused = true;
  }
  // A queue that went meanwhile is one that the message does not go to.
  const bool gone = l.detail && l.detail->condition == amqp::spec::conditions::resource_deleted;
  if (l.outcome != outcome::accepted && l.detail && !gone) {
    c.why = std::make_unique<letter_detail>();
    c.why->condition = l.detail->condition;
    c.why->description = l.detail->description;
    c.why->queue = l.detail->queue;
    c.why->reason = l.detail->reason;
  }
  if (is_joint) --c.unsaid;
  else --c.unsaid_alone;
  if (is_joint && c.unsaid == 0) tell_parts(c);
  finish_if_done(which);
}

void joint::tell_parts(const change& c) {
  // Letters to queues of this worker are calls, which may come back here and move `c`.
  const bool refused = c.refused;
  std::vector<part> parts = c.parts;
  for (const part& p : parts) {
    if (p.at == 0) continue;
    letter l;
    l.kind = refused ? letter_kind::undo : letter_kind::apply;
    l.link = self_;
    l.queue = p.queue;
    l.first = p.at;
    l.last = static_cast<std::uint64_t>(p.id);
    home_.send(std::move(l));
  }
}

void joint::finish_if_done(change_id which) {
  change& c = at(which);
  if (c.over || !c.closed || c.unprepared + c.unsaid + c.unsaid_alone > 0) return;
  c.over = true;
  answer(c);
  while (!changes_.empty() && changes_.front().over) {
    changes_.pop_front();
    first_ = (first_ + 1) & number_bits;
  }
}

void joint::answer(change& c) {
  if (!c.owner) return;
  if (!c.why) {
    // Every queue that it was for has gone: it went nowhere.
    return home_.send_verdict(c.owner, c.id, c.taken > 0 ? outcome::accepted : outcome::released);
  }
  letter l;
  l.kind = letter_kind::verdict;
  l.outcome = outcome::rejected;
  l.link = c.owner;
  l.id = c.id;
  l.detail = std::move(c.why);
  home_.send(std::move(l));
}

bool joint::may_withdraw(link_ref coordinator, std::uint32_t verdict_id) const {
  if (coordinator != self_) return false;
  const change_id which = verdict_id >> 1;
  const std::size_t index = (which - first_) & number_bits;
  return verdict_id == joint_id(which) && index < changes_.size() && changes_[index].alone == 0 &&
         !changes_[index].kept;
}

}  // namespace whimbrel::broker::core
