// SPDX-License-Identifier: Apache-2.0
// Messages that are to wait before they are delivered: because their sender says so, because their
// consumer does, or because the queue lets failed ones rest. When its time has come a message has
// the place in the order that it had when it came.
//
//     available, held ──hold_back──> scheduled ──release_due──> available
#include <algorithm>
#include <chrono>

#include "broker/core/delivery_time.hpp"
#include "broker/core/queue.hpp"
#include "broker/core/selection.hpp"
#include "broker/core/shard.hpp"

namespace whimbrel::broker::core {

void queue::hold_back(sequence at, stub& s, std::int64_t until) {
  if (!manners_) manners_ = std::make_unique<queue_manners>();
  schedule& plan = manners_->later;
  s.at = place::scheduled;
  ++plan.waiting;
  plan.add(until, at);
  arm_schedule();
}

/// A message found in the store, or just come, that its sender wanted delivered later. True: not
/// yet. Asked when a consumer reaches it, as its body tells.
bool queue::waits_for_its_time(sequence at, stub& s) {
  s.delayed = false;
  const std::int64_t until = delivery_time_of(*s.body);
  if (until <= home_.run_on().wall_ms()) return false;
  s.delayed = true;
  hold_back(at, s, until);
  return true;
}

/// How long the queue wants a message to rest that has failed, and no less than `asked`.
std::int64_t queue::retry_time(const stub& s, bool failed, std::int64_t asked) const {
  if (asked != 0 || !failed || !manners_ || !manners_->policy.retry_delay) return asked;
  const queue_policy& p = manners_->policy;
  std::uint64_t delay = *p.retry_delay * std::max<std::uint64_t>(s.failed, 1);
  if (p.retry_delay_max) delay = std::min(delay, *p.retry_delay_max);
  return delay == 0 ? 0 : home_.run_on().wall_ms() + static_cast<std::int64_t>(delay);
}

/// The timer is a steady one and the times are not: it looks again at least once an hour.
void queue::arm_schedule() {
  constexpr std::int64_t longest_ms = 3'600'000;
  schedule& plan = manners_->later;
  if (plan.times.empty()) return;
  const std::int64_t first = plan.times.front().first;
  if (plan.armed_for != 0 && plan.armed_for <= first) return;
  if (plan.armed_for != 0) home_.run_on().cancel(plan.timer);
  plan.armed_for = first;
  const std::int64_t wait =
      std::clamp<std::int64_t>(first - home_.run_on().wall_ms(), 1, longest_ms);
  plan.timer = home_.run_on().after(std::chrono::milliseconds(wait), [&home = home_, self = self_] {
    if (queue* q = home.find(self)) q->release_due();
  });
}

void queue::release_due() {
  if (!manners_) return;
  schedule& plan = manners_->later;
  plan.armed_for = 0;
  const std::int64_t now = home_.run_on().wall_ms();
  while (plan.is_due(now)) {
    const sequence at = plan.take_first();
    stub* s = ring_.find(at);
    if (s == nullptr || s->at != place::scheduled) continue;
    s->at = place::available;
    s->delayed = false;
    --plan.waiting;
    give_back(at, *s);
    if (selection_ != nullptr) offer_again(at, at);
  }
  if (plan.waiting == 0) plan.times.clear();
  arm_schedule();
  if (manners_->is_idle()) end_manners();
  dispatch();
}

void queue::end_manners() {
  stop_schedule();
  manners_.reset();
}

void queue::stop_schedule() {
  if (manners_ && manners_->later.armed_for != 0) home_.run_on().cancel(manners_->later.timer);
}

}  // namespace whimbrel::broker::core
