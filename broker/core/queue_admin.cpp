// SPDX-License-Identifier: Apache-2.0
// Emptying a queue at an administrator's word.
#include "broker/core/queue.hpp"

namespace whimbrel::broker::core {

std::size_t queue::purge(sequence& from, sequence end, std::size_t most) {
  std::size_t gone = 0;
  bool wrote = false;
  for (from = ring_.next_present(from); from < end && gone < most;
       from = ring_.next_present(from + 1)) {
    stub* s = ring_.find(from);
    const bool is_nobodys =
        s != nullptr && (s->at == place::available || s->at == place::scheduled);
    if (!is_nobodys) continue;
    discard(from, *s, wrote);
    ++counters_.purged;
    ++gone;
  }
  if (gone > 0 && manners_ && manners_->groups) dispatch();
  if (gone > 0) finish_drains();
  if (gone > 0 && manners_) update_own_gate();
  return gone;
}

}  // namespace whimbrel::broker::core
