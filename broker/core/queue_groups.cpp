// SPDX-License-Identifier: Apache-2.0
// A queue with message groups: messages of one group-id go to one consumer at a time, in order.
//
// A message with a group leaves the line of those that wait when the line reaches it, and stands
// with its group. So what waits for other consumers is looked at once, however much it is:
//
//     line ──file──> group of nobody ──────> whoever is first in turn, who then has the group
//                    group of a consumer ──> that consumer, when it has credit
//
// Whatever comes first in the order of all these is given out first.
#include <algorithm>
#include <utility>

#include "amqp/base/assert.hpp"
#include "amqp/codec/value.hpp"
#include "broker/core/queue.hpp"
#include "broker/core/queue_manners.hpp"
#include "broker/core/selection.hpp"
#include "broker/core/shard.hpp"

namespace whimbrel::broker::core {

namespace {

/// Told to the consumer alone: the message is not changed.
message_ptr marked_as_first(const message& m) {
  using amqp::codec::value;
  return annotate(m, {{value(amqp::symbol("x-opt-group-first")), value(true)}});
}

}  // namespace

/// What consumers hold already makes them owners. A group of which several hold something goes to
/// none of them before all have been settled.
void queue::begin_groups() {
  manners_->groups = std::make_unique<message_groups>(manners_->levels != nullptr);
  message_groups& groups = *manners_->groups;
  for (sequence at = ring_.next_present(ring_.first()); at < ring_.end();
       at = ring_.next_present(at + 1)) {
    stub& s = *ring_.find(at);
    if (s.at == place::scheduled && !s.delayed && s.body) rest_in_group(at, s);
    if (s.at != place::held) continue;
    const auto group = message_groups::key_of(*s.body);
    if (!group) continue;
    s.grouped = true;
    groups.adopt(at, s.priority, *group, s.holder);
    if (consumers_[s.holder].closing) groups.end(*group);
  }
  for (const slot s : ready_) groups.warm(s);
}

/// All that waits goes back into the line.
void queue::end_groups() {
  manners_->groups.reset();
  for (sequence at = ring_.next_present(ring_.first()); at < ring_.end();
       at = ring_.next_present(at + 1)) {
    stub& s = *ring_.find(at);
    if (!s.grouped) continue;
    s.grouped = false;
    if (s.at == place::available) give_back(at, s);
  }
}

/// A consumer has come.
void queue::rebalance_groups() {
  if (!manners_->policy.group_rebalance.value_or(false)) return;
  manners_->groups->end_all();
  dispatch();
}

/// Consumers with filters have gone past what was another's then.
void queue::offer_opened_groups() {
  if (selection_ == nullptr) return manners_->groups->forget_opened();
  manners_->groups->tell_opened([this](sequence at) { offer_again(at, at); });
}

/// One step on the way to the next message for somebody without a filter.
bool queue::dispatch_grouped() {
  const message_groups& groups = *manners_->groups;
  ++counters_.group_steps;
  const auto in_line = next_in_line();
  if (const auto offer = groups.first()) {
    const bool is_first = !in_line || offer->order < groups.rank_of(
                                                         *in_line, ring_.find(*in_line)->priority);
    if (is_first) return dispatch_of_group(offer->at, offer->owner);
  }
  if (!in_line) return false;
  stub& s = *ring_.find(*in_line);
  const bool is_fit = s.body && !s.delayed && !is_expired(s);
  return (is_fit && file_in_group(*in_line, s)) || dispatch_first(*in_line);
}

/// As next_available; what stands with its group is passed by.
std::optional<sequence> queue::next_in_line() {
  for (;;) {
    const auto at = next_available();
    if (!at || !ring_.find(*at)->grouped) return at;
    ++counters_.group_steps;
    take(*at, *ring_.find(*at));
  }
}

/// False: it has no group.
bool queue::file_in_group(sequence at, stub& s) {
  const auto group = message_groups::key_of(*s.body);
  if (!group) return false;
  take(at, s);
  s.grouped = true;
  manners_->groups->file(at, s.priority, *group);
  const auto next = manners_->groups->first();
  const bool is_next = next && next->at == at;  // what is given out now has its body, or is read
  if (!is_next && home_.memory_is_tight()) page_out(at, s);
  return true;
}

/// The message at `at` is the first on offer, to its group's owner if it has one. False: nobody can
/// be given anything.
bool queue::dispatch_of_group(sequence at, slot owner) {
  message_groups& groups = *manners_->groups;
  stub& s = *ring_.find(at);
  if (s.at != place::available) {  // asked back from the store: nothing of its group overtakes it
    groups.stall(at);
    return true;
  }
  if (is_expired(s)) {
    bool wrote = false;
    drop(at, s, death_reason::expired, wrote);
    return true;
  }
  if (!has_body(at, s)) return false;
  if (owner == message_groups::nobody) {
    if (const auto to = pick(at, s)) {
      deliver_of_group(*to, at, s);
      return true;
    }
    if (ready_.empty()) return false;
    groups.stall(at);
    return true;
  }
  if (give_turn(at, s, owner)) deliver_of_group(owner, at, s);
  return true;
}

/// Whether the owner of a message's group may have it now; its turn is over then.
bool queue::give_turn(sequence at, const stub& s, slot owner) {
  consumer& c = consumers_[owner];
  const auto stands = c.ready && !is_selecting(c)
                          ? std::find(ready_.begin(), ready_.end(), owner)
                          : ready_.end();
  if (stands == ready_.end() || c.credit() == 0) {
    if (stands != ready_.end()) {
      c.ready = false;
      ready_.erase(stands);
    }
    manners_->groups->cool(owner);
    return false;
  }
  if (s.excluded && is_excluded(at, c.link)) {
    manners_->groups->end_of(at);
    offer_opened_groups();
    return false;
  }
  end_turn(static_cast<std::size_t>(stands - ready_.begin()));
  return true;
}

/// As deliver, of a message that may have a group.
void queue::deliver_of_group(slot to, sequence at, stub& s) {
  if (!s.grouped) return deliver(to, at, s);
  message_groups& groups = *manners_->groups;
  const bool begins = groups.take(at, to);
  if (message_groups::is_last(*s.body)) groups.end_of(at);
  if (!begins || !manners_->policy.group_first.value_or(false)) return deliver(to, at, s);
  const bool first = !s.acquired;
  note_holder(to, s);
  ++counters_.out;
  home_.send_delivery(consumers_[to].link, self_, {at, s.failed, first, s.expires_ms},
                      marked_as_first(*s.body));
}

/// Whether a consumer that wants this message, wherever it stands, may have it. If not, it hears of
/// it again when it may.
bool queue::may_have_of_group(slot to, sequence at, stub& s) {
  if (!s.grouped) {
    const auto group = message_groups::key_of(*s.body);
    if (!group) return true;
    s.grouped = true;
    manners_->groups->file(at, s.priority, *group);
  }
  ++counters_.group_steps;
  if (!manners_->groups->may_take(at, to)) return false;
  // One that it cannot have comes first: another is to have the group.
  const sequence head = manners_->groups->head_of(at);
  return head == at || !ring_.find(head)->excluded || !is_excluded(head, consumers_[to].link);
}

void queue::leave_group(sequence at, stub& s) {
  s.grouped = false;
  manners_->groups->remove(at);
}

/// One that is available again stands with its group at once, before what came after it. False: it
/// has no group, or has not been looked at.
bool queue::return_to_group(sequence at, stub& s) {
  if (s.grouped) {
    manners_->groups->file_again(at);
    return true;
  }
  const auto group = s.body ? message_groups::key_of(*s.body) : std::nullopt;
  if (!group) return false;
  s.grouped = true;
  manners_->groups->file(at, s.priority, *group);
  return true;
}

/// It was given out before, and failed: its group waits for it.
void queue::rest_in_group(sequence at, stub& s) {
  const auto group = message_groups::key_of(*s.body);
  if (!group) return;
  s.grouped = true;
  manners_->groups->rest(at, s.priority, *group);
}

/// Its consumer cannot have this one: another gets the group, as nobody may have the rest first.
void queue::end_group_of(const stub& s) {
  if (const auto group = message_groups::key_of(*s.body)) manners_->groups->end(*group);
}

/// The oldest of all that wait, in line or with groups; of the lowest level first.
std::optional<sequence> queue::take_oldest_of_groups() {
  const message_groups& groups = *manners_->groups;
  std::optional<sequence> in_line;
  for (;;) {
    in_line = manners_->levels ? next_by_level(true) : next_available();
    if (!in_line || !ring_.find(*in_line)->grouped) break;
    take(*in_line, *ring_.find(*in_line));
  }
  const auto filed = groups.first_to_drop(
      [this](sequence at) { return ring_.find(at)->at == place::available; });
  const auto order = [&](sequence at) {
    return groups.drop_rank_of(at, ring_.find(at)->priority);
  };
  if (filed && (!in_line || order(*filed) < order(*in_line))) return filed;
  if (in_line) take(*in_line, *ring_.find(*in_line));
  return in_line;
}

void queue::check_groups() const {
  if (!manners_ || !manners_->groups) return;
  using standing = message_groups::standing;
  const message_groups& groups = *manners_->groups;
  groups.check_invariants();
  auto& ring = const_cast<stub_ring&>(ring_);
  std::size_t grouped = 0;
  for (sequence at = ring.next_present(ring.first()); at < ring.end();
       at = ring.next_present(at + 1)) {
    const stub& s = *ring.find(at);
    if (!s.grouped) continue;
    ++grouped;
    const auto seen = groups.look(at);
    AMQP_ASSERT(seen.has_value());
    AMQP_ASSERT((s.at == place::held) == (seen->stands == standing::held));
    AMQP_ASSERT((s.at == place::scheduled) == (seen->stands == standing::resting));
    if (s.at == place::held) AMQP_ASSERT(s.holder == seen->owner || seen->ending);
  }
  AMQP_ASSERT(grouped == groups.message_count());
}

}  // namespace whimbrel::broker::core
