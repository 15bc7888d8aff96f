// SPDX-License-Identifier: Apache-2.0
// Which queues take part in what.
#include "broker/core/fan_out.hpp"

#include <algorithm>
#include <vector>

#include "broker/core/joint.hpp"
#include "broker/core/shard.hpp"

namespace whimbrel::broker::core {

void fan_out(shard& here, std::span<const hit> to, const message_ptr& message, link_ref producer,
             std::uint32_t id) {
  const bool durable = message->header().durable;
  const auto is_stored = [&](const hit& h) { return durable && h.durable; };
  const auto stored = std::count_if(to.begin(), to.end(), is_stored);
  const bool elsewhere = std::any_of(to.begin(), to.end(), [&](const hit& h) {
    return is_stored(h) && h.queue.worker != here.self();
  });
  const bool is_joint = stored > 1 && elsewhere;
  joint& together = here.joints();
  const joint::change_id change = together.begin(producer, id);
  // What is handed to queues of this worker may come back with another message of its producer, and
  // `to` be used again by then.
  const std::vector<hit> all(to.begin(), to.end());
  for (const hit& h : all) {
    if (is_joint && is_stored(h)) together.post(change, h.queue, message);
    else together.put(change, h.queue, message);
  }
  together.close(change);
}

}  // namespace whimbrel::broker::core
