// SPDX-License-Identifier: Apache-2.0
// Names that cross workers. Each carries a generation, so that a late message for something that
// has gone, or whose slot was used again, is recognised.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "storage/store.hpp"

namespace whimbrel::broker::core {

using storage::sequence;
using storage::worker_id;

/// One slot of one worker's table. Generation 0 names nothing.
template <class Tag>
struct slot_ref {
  worker_id worker{};
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;

  bool operator==(const slot_ref&) const = default;
  explicit operator bool() const { return generation != 0; }
};

using link_ref = slot_ref<struct link_tag>;    // a link's end, on its connection's worker
using queue_ref = slot_ref<struct queue_tag>;  // a queue, on its home worker

struct slot_hash {
  template <class Tag>
  std::size_t operator()(const slot_ref<Tag>& r) const {
    const auto worker = static_cast<std::uint64_t>(r.worker);
    return std::hash<std::uint64_t>{}(worker << 48 ^ std::uint64_t{r.generation} << 32 ^ r.slot);
  }
};

}  // namespace whimbrel::broker::core
