// SPDX-License-Identifier: Apache-2.0
// A link's two ends: sender and receiver, named by the role of *our* endpoint. [2.6]
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "amqp/base/serial.hpp"
#include "amqp/spec/fast.hpp"
#include "amqp/spec/transport.hpp"

namespace whimbrel::amqp::engine {

class session;

/// Lives from its `link_attached` event until both sides have detached (or its session ended);
/// then the pointer is dead once the event that said so has been polled past.
class link {
 public:
  virtual ~link() = default;

  [[nodiscard]] virtual session& on() const = 0;
  [[nodiscard]] virtual const std::string& name() const = 0;
  [[nodiscard]] virtual bool is_sender() const = 0;
  /// The peer's attach, but for its unsettled map.
  [[nodiscard]] virtual const spec::attach& remote_attach() const = 0;

  /// Answers the peer's attach: the termini, modes, properties, capabilities and max-message-size
  /// in force are taken from `reply`; name, handle, role, initial-delivery-count (0) are filled in.
  /// May come any time after `link_attached`.
  virtual void attach(spec::attach reply) = 0;
  /// Refuses it: an attach without our terminus, then a closing detach with the error. [2.6.3]
  virtual void refuse(spec::error) = 0;
  /// Detaches, or answers the peer's detach.
  virtual void detach(bool closed, std::optional<spec::error> = {}) = 0;

  void* context = nullptr;  // the application's
};

/// What became of sender::send and sender::resume.
struct progress {
  std::uint32_t delivery_id = 0;
  std::size_t taken = 0;   // octets of head + body now in the output, over all calls
  bool complete = false;   // false: call `resume` after the next `sender_ready`
};

struct outgoing {
  std::span<const std::byte> tag = {};   // <= 32 octets; unique among our unsettled ones [2.6.12]
  std::uint32_t message_format = 0;
  bool settled = false;
  std::uint64_t token = 0;               // comes back in the `outcome` event
  std::span<const std::byte> state = {};   // transactional-state, or empty
};

class sender : public link {
 public:
  /// Messages that the receiver still wants. [2.6.7]
  [[nodiscard]] virtual std::uint32_t credit() const = 0;
  [[nodiscard]] virtual delivery_count count() const = 0;
  [[nodiscard]] virtual bool is_draining() const = 0;
  /// Credit, session window, output room and the unsettled bound all admit one more, and no
  /// delivery is half sent.
  [[nodiscard]] virtual bool can_send() const = 0;

  /// Starts a delivery whose octets are head followed by body, and writes as many frames as
  /// window and output allow. Requires can_send(). When not complete, the caller keeps the octets.
  virtual progress send(const outgoing&, std::span<const std::byte> head,
                        std::span<const std::byte> body) = 0;
  /// Goes on with the delivery in progress: the same head and body again; `taken` says where.
  virtual progress resume(std::span<const std::byte> head, std::span<const std::byte> body) = 0;
  /// Voids the delivery in progress. [2.7.5]
  virtual void abort() = 0;

  /// Settles a delivery of ours, stating the outcome that is now final. Ranges are coalesced.
  virtual void settle(std::uint32_t delivery_id, std::span<const std::byte> state) = 0;

  /// Nothing left to send: uses up the credit and tells the receiver, if it asked to drain; the
  /// flow says credit 0.
  virtual void finish_drain() = 0;
  /// How much waits behind this link; told with the next flow. [2.6.7]
  virtual void set_available(std::uint32_t) = 0;
  /// Deliveries not settled yet.
  [[nodiscard]] virtual std::uint32_t unsettled() const = 0;
  /// Calls visit(delivery_id, token, sent_whole) for each, oldest first.
  using visitor = void (*)(void* context, std::uint32_t delivery_id, std::uint64_t token, bool whole);
  virtual void each_unsettled(visitor, void* context) const = 0;
};

class receiver : public link {
 public:
  /// Lets the peer have `credit` messages outstanding from now on; sends a flow if that changes
  /// what it may send. [2.6.7]
  virtual void grant(std::uint32_t credit) = 0;
  /// As grant, with the drain flag set: the answer is the `drained` event.
  virtual void drain(std::uint32_t credit) = 0;
  [[nodiscard]] virtual std::uint32_t credit() const = 0;

  /// States the outcome of a delivery, and settles it unless the link's receiver-settle-mode is
  /// second (then the peer settles first, and we forget it with the `settled` event).
  /// `state` is an encoded delivery-state. Ranges are coalesced until output is polled.
  virtual void settle(std::uint32_t delivery_id, std::span<const std::byte> state) = 0;
  /// The same for [first, last], which the caller got on this link without gaps of other links.
  virtual void settle_range(std::uint32_t first, std::uint32_t last,
                            std::span<const std::byte> state) = 0;
  /// States a non-terminal or provisional state without settling.
  virtual void update(std::uint32_t delivery_id, std::span<const std::byte> state) = 0;
  [[nodiscard]] virtual std::uint32_t unsettled() const = 0;
};

}  // namespace whimbrel::amqp::engine
