// SPDX-License-Identifier: Apache-2.0
// A link's two ends: sender and receiver, named by the role of *our* endpoint. [2.6]
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "amqp/base/limits.hpp"
#include "amqp/base/serial.hpp"
#include "amqp/engine/credit.hpp"
#include "amqp/engine/session.hpp"
#include "amqp/engine/violation.hpp"
#include "amqp/spec/fast.hpp"
#include "amqp/spec/transport.hpp"

namespace whimbrel::amqp::engine {

/// Lives from its `link_attached` event (or session::attach_...) until both sides have detached or
/// its session ended: there is one `link_detached` for each link, also for one that was refused or
/// that we detached first, unless `session_ended` or `connection_closed` takes all links along.
/// The pointer is dead once the event that said so has been polled past; a link that the engine
/// detached itself (`by_us`) is dead then too. Answered to a peer's detach, it is dead with the
/// next poll_event.
class link {
 public:
  virtual ~link() = default;
  link(const link&) = delete;
  link& operator=(const link&) = delete;

  [[nodiscard]] session& on() const { return session_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] bool is_sender() const { return role_ == spec::role::sender; }
  /// The peer's attach, but for its unsettled map. Empty before it has come.
  [[nodiscard]] const spec::attach& remote_attach() const { return remote_attach_; }
  /// Both sides are attached.
  [[nodiscard]] bool is_attached() const {
    return local_ == half::attached && remote_ == half::attached;
  }

  /// Answers the peer's attach: the termini, modes, properties, capabilities and max-message-size
  /// in force are taken from `reply`; name, handle, role, initial-delivery-count (0) are filled in.
  /// May come any time after `link_attached`. A reply that does not fit the peer's frames goes
  /// without its properties and capabilities; if that is not enough the link is refused with
  /// `amqp:frame-size-too-small`.
  void attach(spec::attach reply);
  /// Refuses it: an attach without our terminus, then a closing detach with the error. What the
  /// peer still sends on it is ignored. [2.6.3]
  void refuse(spec::error);
  /// Detaches, or answers the peer's detach; unsettled deliveries of the link are forgotten. With
  /// an error the link is closed too, for its endpoint is destroyed [2.6.5].
  void detach(bool closed, std::optional<spec::error> = {});

  /// Answers a detach of the peer's that did not close the link. Deliveries that are not settled
  /// stay so, and their outcomes are told and settled as before; one that is half sent or half
  /// received is void. Name and handle are free, but the link lives, and counts as one, until
  /// `forget` or the end of its session. [2.6.4, 2.7.6]
  void suspend();
  /// Of a suspended link: its deliveries are forgotten; it is dead with the next poll_event.
  void forget();
  /// Deliveries not settled yet.
  [[nodiscard]] std::uint32_t unsettled() const { return unsettled_; }

  void* context = nullptr;  // the application's

 protected:
  friend class session;
  friend class connection_core;

  enum class half : std::uint8_t { unattached, attached, detached };

  link(session& on, spec::role ours, std::string name)
      : session_(on), name_(std::move(name)), role_(ours) {}

  /// The peer's attach has come.
  void on_remote_attach(spec::attach&&);
  [[nodiscard]] bool send_attach(spec::attach&&);
  void send_bare_attach();
  /// Forgets the link's deliveries on the session.
  virtual void drop_deliveries() = 0;
  /// The peer has detached in the middle of a delivery.
  virtual void end_partial() = 0;
  [[nodiscard]] connection_core& core() const;

  session& session_;
  std::string name_ = {};
  spec::role role_ = spec::role::sender;
  half local_ = half::unattached;
  half remote_ = half::unattached;
  bool told_gone_ = false;   // link_detached was reported, or will never be
  bool is_counted_ = false;  // among connection::link_count
  bool owes_flow_ = false;   // is in session::owing_flow_
  bool failed_ = false;      // we detached it with an error
  bool errant_ = false;      // ... which was of the peer's making
  bool keeps_ = false;       // suspended: its deliveries outlive its attachment
  spec::sender_settle_mode snd_mode_ = spec::sender_settle_mode::mixed;
  spec::receiver_settle_mode rcv_mode_ = spec::receiver_settle_mode::first;
  std::uint32_t handle_ = 0;
  std::uint32_t remote_handle_ = 0;
  std::uint32_t unsettled_ = 0;
  // Where the session stood when we detached: input beyond that was sent in the knowledge of it.
  transfer_id incoming_at_detach_{};
  transfer_id outgoing_at_detach_{};
  spec::attach remote_attach_ = {};
};

/// What became of sender::send and sender::resume.
struct progress {
  std::uint32_t delivery_id = 0;
  std::size_t taken = 0;  // octets of head + body now in the output, over all calls
  bool complete = false;  // false: call `resume` after the next `sender_ready`
};

struct outgoing {
  std::span<const std::byte> tag = {};  // <= 32 octets; unique among our unsettled ones [2.6.12]
  std::uint32_t message_format = 0;
  bool settled = false;
  std::uint64_t token = 0;                // comes back in the `outcome` event
  std::span<const std::byte> state = {};  // transactional-state, or empty; <= 128 octets
};

class sender final : public link {
 public:
  /// Messages that the receiver still wants. [2.6.7]
  [[nodiscard]] std::uint32_t credit() const { return credit_.credit(); }
  [[nodiscard]] delivery_count count() const { return credit_.count(); }
  /// The receiver asked to drain and has not been answered.
  [[nodiscard]] bool is_draining() const { return credit_.owes_drain(); }
  /// Credit, session window, output room and the unsettled bound all admit one more, and no
  /// delivery is half sent.
  [[nodiscard]] bool can_send() const;

  /// Starts a delivery whose octets are head followed by body, and writes as many frames as
  /// window and output allow. Requires can_send(). When not complete, the caller keeps the octets.
  /// On a link whose sender-settle-mode is settled, the delivery is settled whatever is said.
  progress send(const outgoing&, std::span<const std::byte> head, std::span<const std::byte> body);
  /// Goes on with the delivery in progress: the same head and body again; `taken` says where.
  progress resume(std::span<const std::byte> head, std::span<const std::byte> body);
  /// Voids the delivery in progress; the frame that says so goes out as soon as the window admits
  /// it. [2.7.5]
  void abort();

  /// Settles a delivery of ours, stating the outcome that is now final. Ranges are coalesced.
  void settle(std::uint32_t delivery_id, std::span<const std::byte> state);
  /// The same for those of [first, last] that are this link's.
  void settle_range(std::uint32_t first, std::uint32_t last, std::span<const std::byte> state);

  /// Nothing left to send: uses up the credit and tells the receiver, if it asked to drain; the
  /// flow says credit 0. In the middle of a delivery it takes effect at its end.
  void finish_drain();
  /// How much waits behind this link; told with the next flow, and nothing until it is set. [2.6.7]
  void set_available(std::uint32_t count) { available_ = count; }
  /// Link-state properties, one encoded map: told with a flow now, and with each from here on.
  /// [2.7.4]
  void tell_properties(std::span<const std::byte> encoded);
  /// Calls visit(delivery_id, token, sent_whole) for each, oldest first.
  using visitor = void (*)(void* context, std::uint32_t delivery_id, std::uint64_t token,
                           bool whole);
  void each_unsettled(visitor, void* context) const;

 private:
  friend class session;
  friend class link;
  friend class connection_core;

  /// The delivery that is half sent.
  struct half_sent {
    bool active = false;
    bool settled = false;
    bool aborted = false;  // the frame that says so waits for the window
    bool drained = false;  // finish_drain was called meanwhile
    std::uint32_t id = 0;
    std::size_t taken = 0;
  };

  sender(session& on, std::string name) : link(on, spec::role::sender, std::move(name)) {}

  [[nodiscard]] progress pump(spec::fast::transfer_view, std::span<const std::byte> head,
                              std::span<const std::byte> body);
  void write_whole(const spec::fast::usual_transfer&, std::span<const std::byte> head,
                   std::span<const std::byte> body);
  std::size_t write_frame(spec::fast::transfer_view&, std::span<const std::byte> head,
                          std::span<const std::byte> body, std::size_t from);
  void on_whole();
  void after_partial();
  void on_attached();
  void send_abort();
  void on_settled(std::uint32_t count);
  void on_flow(const spec::fast::flow_view&);
  void fill(spec::fast::flow_view&) const;
  void drop_deliveries() override;
  void end_partial() override;

  sender_credit credit_ = {};
  std::optional<std::uint32_t> available_ = {};
  std::vector<std::byte> properties_ = {};
  half_sent partial_ = {};
};

class receiver final : public link {
 public:
  /// Lets the peer have `credit` messages outstanding from now on; sends a flow if that changes
  /// what it may send. Cut so that options::unsettled_in_max holds, and restored as deliveries are
  /// settled. Before the peer's attach it is told at once, before ours it waits. [2.6.7]
  void grant(std::uint32_t credit);
  /// As grant, with the drain flag set: the answer is the `drained` event.
  void drain(std::uint32_t credit);
  [[nodiscard]] std::uint32_t credit() const { return credit_.credit(); }
  /// What the sender last said of its backlog, less what has come since. [2.6.7]
  [[nodiscard]] std::uint32_t available() const { return available_; }

  /// States the outcome of a delivery, and settles it unless its receiver-settle-mode is second
  /// (then the peer settles first, and we forget it with the `settled` event).
  /// `state` is an encoded delivery-state. Ranges are coalesced until output is polled.
  void settle(std::uint32_t delivery_id, std::span<const std::byte> state);
  /// The same for [first, last], which the caller got on this link without gaps of other links.
  void settle_range(std::uint32_t first, std::uint32_t last, std::span<const std::byte> state);
  /// States a non-terminal or provisional state without settling.
  void update(std::uint32_t delivery_id, std::span<const std::byte> state);
  /// `token` comes back with the `settled` event of this delivery.
  void remember(std::uint32_t delivery_id, std::uint64_t token);

 private:
  friend class session;
  friend class link;
  friend class connection_core;

  /// The delivery that has begun and not ended.
  struct half_received {
    bool active = false;
    bool settled = false;
    bool ignored = false;  // resumed, and nobody remembers it [2.6.13]
    bool has_entry = false;
    std::uint8_t tag_size = 0;
    std::uint32_t id = 0;
    std::uint32_t message_format = 0;
    std::uint64_t octets = 0;
    std::array<std::byte, limits::delivery_tag_octets_max> tag = {};
  };

  receiver(session& on, std::string name) : link(on, spec::role::receiver, std::move(name)) {}

  /// What is wrong with a transfer; nothing if `why` is null. Becomes a violation only then, for
  /// this is the hot path.
  struct objection {
    const char* why = nullptr;
    std::string_view condition = {};
    engine::scope scope = engine::scope::link;
  };

  [[nodiscard]] checked<const event*> on_transfer(const spec::fast::transfer_view&);
  [[nodiscard]] objection on_first(const spec::fast::transfer_view&);
  [[nodiscard]] objection on_more(const spec::fast::transfer_view&);
  [[nodiscard]] objection check_modes(const spec::fast::transfer_view&) const;
  [[nodiscard]] objection on_payload(std::size_t octets, bool last);
  [[nodiscard]] static objection invalid(const char* why);
  void on_last(bool aborted);
  void on_sender_attach();
  void on_own_attach(const spec::attach& mine);
  void on_flow(const spec::fast::flow_view&);
  void fill(spec::fast::flow_view&);
  void settle_entry(std::uint32_t id, incoming_delivery&, std::span<const std::byte> state);
  void on_settled(std::uint32_t count);
  void drop_partial();
  void drop_deliveries() override;
  void end_partial() override;
  [[nodiscard]] std::uint32_t allowance() const;
  void report_drained();

  receiver_credit credit_ = {};
  std::uint32_t available_ = 0;
  std::uint64_t message_size_max_ = 0;
  bool admits_resumed_ = false;
  half_received partial_ = {};
};

}  // namespace whimbrel::amqp::engine
