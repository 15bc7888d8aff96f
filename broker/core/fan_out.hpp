// SPDX-License-Identifier: Apache-2.0
// One message into several queues.
#pragma once

#include <cstdint>
#include <span>

#include "broker/core/letter.hpp"
#include "broker/core/router.hpp"

namespace whimbrel::broker::core {

/// The message goes to all of `to`, which are two queues at least, and its producer gets one
/// verdict when all have it: none if it has none (pre-settled). Called on the producer's worker.
///
/// A durable message is stored once. If all the durable queues are on this worker, their puts join
/// its open batch, and consumers get it at once. Otherwise it is a joint change, and consumers of
/// the durable queues get it when that has been committed.
void fan_out(shard& here, std::span<const hit> to, const message_ptr& message, link_ref producer,
             std::uint32_t id);

}  // namespace whimbrel::broker::core
