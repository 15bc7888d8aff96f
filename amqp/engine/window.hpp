// SPDX-License-Identifier: Apache-2.0
// How many transfer frames each side of a session may send. [2.5.6]
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "amqp/base/assert.hpp"
#include "amqp/base/serial.hpp"

namespace whimbrel::amqp::engine {

/// Four before the wrap, so that every peer meets the wrap within a few messages.
inline constexpr transfer_id first_outgoing_id{0xffff'fffc};

/// What we may still send. Holds: room() is what the peer last admitted, less what has been sent
/// since it looked.
class outgoing_window {
 public:
  [[nodiscard]] transfer_id next() const { return next_; }
  [[nodiscard]] std::uint32_t room() const { return room_; }

  /// The peer's begin came: nothing of ours had been received.
  void on_begin(std::uint32_t window) { on_flow(std::nullopt, window); }

  /// remote-incoming-window := next-incoming-id + incoming-window - next-outgoing-id, where a peer
  /// that has not seen our begin means our first id.
  void on_flow(std::optional<std::uint32_t> next_incoming_id, std::uint32_t window) {
    const transfer_id seen = next_incoming_id ? transfer_id(*next_incoming_id) : first_outgoing_id;
    const std::int32_t under_way = std::max(next_ - seen, 0);
    room_ = window - std::min(window, static_cast<std::uint32_t>(under_way));
  }

  void on_sent() {
    AMQP_ASSERT(room_ > 0);
    ++next_;
    --room_;
  }

 private:
  transfer_id next_ = first_outgoing_id;
  std::uint32_t room_ = 0;
};

/// What the peer may still send.
///
/// Holds: a transfer is refused only if it lies beyond everything that was ever announced, for a
/// peer may have sent it before it learnt of a smaller window.
class incoming_window {
 public:
  /// Serial numbers order only what is less than 2^31 apart.
  static constexpr std::uint32_t frames_max = 1u << 30;

  explicit incoming_window(std::uint32_t frames) : size_(std::min(frames, frames_max)) {}

  [[nodiscard]] transfer_id next() const { return next_; }
  [[nodiscard]] std::uint32_t size() const { return size_; }
  [[nodiscard]] transfer_id farthest() const { return farthest_; }

  /// The peer's begin came; ours announced, or will announce, the whole window.
  void on_begin(std::uint32_t next_outgoing_id) {
    next_ = transfer_id(next_outgoing_id);
    limit_ = farthest_ = next_ + size_;
  }

  /// False if the window is exceeded.
  [[nodiscard]] bool on_transfer() {
    if (!next_.precedes(farthest_)) return false;
    ++next_;
    return true;
  }

  /// The peer states the id of its next transfer. False if it takes transfers back. [2.5.6]
  [[nodiscard]] bool on_flow(std::uint32_t next_outgoing_id) {
    if (transfer_id(next_outgoing_id).precedes(next_)) return false;
    next_ = transfer_id(next_outgoing_id);
    return true;
  }

  /// Half of it or more is used up.
  [[nodiscard]] bool wants_flow() const {
    return size_ != 0 && limit_ - next_ <= static_cast<std::int32_t>(size_ / 2);
  }

  /// A flow goes out: the whole window is open again.
  std::uint32_t announce() {
    limit_ = next_ + size_;
    if (farthest_.precedes(limit_)) farthest_ = limit_;
    return size_;
  }

  void resize(std::uint32_t frames) { size_ = std::min(frames, frames_max); }

 private:
  transfer_id next_{};
  transfer_id limit_{};     // as last announced
  transfer_id farthest_{};  // the farthest ever announced
  std::uint32_t size_ = 0;
};

}  // namespace whimbrel::amqp::engine
