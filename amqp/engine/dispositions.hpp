// SPDX-License-Identifier: Apache-2.0
// Dispositions on their way out, gathered into ranges. [2.7.6]
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "amqp/spec/fast.hpp"
#include "amqp/spec/transport.hpp"

namespace whimbrel::amqp::engine {

/// Deliveries with consecutive ids and the same state and settlement, not yet told to the peer.
class disposition_range {
 public:
  /// Longer states (errors, annotations) are rare, and go out one by one.
  static constexpr std::size_t state_octets_max = 48;

  [[nodiscard]] bool empty() const { return !active_; }

  /// True if [id, last] could be added.
  [[nodiscard]] bool extend(std::uint32_t id, std::uint32_t last, bool settled,
                            std::span<const std::byte> state) {
    if (!active_ || id != last_ + 1 || settled != settled_ || state.size() != size_ ||
        !std::equal(state.begin(), state.end(), state_.begin()))
      return false;
    last_ = last;
    return true;
  }

  /// Begins anew; what was there has gone out, and `state` is not longer than the most.
  void begin(std::uint32_t id, std::uint32_t last, bool settled,
             std::span<const std::byte> state) {
    active_ = true;
    settled_ = settled;
    first_ = id;
    last_ = last;
    size_ = static_cast<std::uint8_t>(state.size());
    std::copy(state.begin(), state.end(), state_.begin());
  }

  /// What is to be told; afterwards it is empty.
  [[nodiscard]] spec::fast::disposition_view take(spec::role ours) {
    active_ = false;
    return {.role = ours == spec::role::receiver,
            .first = first_,
            .last = last_,
            .settled = settled_,
            .state = std::span(state_).first(size_),
            .batchable = false};
  }

 private:
  bool active_ = false;
  bool settled_ = false;
  std::uint8_t size_ = 0;
  std::uint32_t first_ = 0;
  std::uint32_t last_ = 0;
  std::array<std::byte, state_octets_max> state_ = {};
};

}  // namespace whimbrel::amqp::engine
