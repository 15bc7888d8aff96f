// SPDX-License-Identifier: Apache-2.0
// One session: windows, delivery-ids, the links on it. [2.5]
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "amqp/spec/transport.hpp"

namespace whimbrel::amqp::engine {

class connection;
class sender;
class receiver;

/// Lives from `session_begun` (or connection::begin) until its `session_ended` event has been
/// polled past; pointers to it and its links are stable until then.
class session {
 public:
  virtual ~session() = default;
  /// Ends the session; its links vanish with it.
  virtual void end(std::optional<spec::error> = {}) = 0;

  /// A link of ours (client side). Name, source, target, modes from the given frame; handle and
  /// initial-delivery-count are filled in here. Null when handle-max or links-max is reached.
  virtual sender* attach_sender(spec::attach) = 0;
  virtual receiver* attach_receiver(spec::attach) = 0;

  /// Shrinks or restores what the peer may send, in frames (memory pressure). [2.5.6]
  virtual void set_incoming_window(std::uint32_t frames) = 0;

  [[nodiscard]] virtual connection& on() const = 0;
  [[nodiscard]] virtual std::uint16_t channel() const = 0;
  /// Transfers that the peer's window still admits.
  [[nodiscard]] virtual std::uint32_t outgoing_room() const = 0;

  void* context = nullptr;  // the application's
};

}  // namespace whimbrel::amqp::engine
