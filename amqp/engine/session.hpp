// SPDX-License-Identifier: Apache-2.0
// One session: windows, delivery-ids, the links on it. [2.5]
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "amqp/engine/delivery_map.hpp"
#include "amqp/engine/dispositions.hpp"
#include "amqp/engine/violation.hpp"
#include "amqp/engine/window.hpp"
#include "amqp/spec/fast.hpp"
#include "amqp/spec/transport.hpp"

namespace whimbrel::amqp::engine {

class connection;
class connection_core;
class link;
class sender;
class receiver;
struct event;

/// A delivery of ours that one side has not settled.
struct outgoing_delivery {
  sender* owner = nullptr;
  std::uint64_t token = 0;
  bool whole = false;  // its last frame has been written
};

/// A delivery of the peer's that one side has not settled.
struct incoming_delivery {
  receiver* owner = nullptr;
  std::uint64_t token = 0;
  bool second = false;  // we settle only after the sender [2.7.5]
};

/// Lives from `session_begun` (or connection::begin) until its `session_ended` event has been
/// polled past; pointers to it and its links are stable until then.
class session {
 public:
  ~session();
  session(const session&) = delete;
  session& operator=(const session&) = delete;

  /// Ends the session; its links vanish with it. `session_ended` comes with the peer's answer.
  void end(std::optional<spec::error> = {});

  /// A link of ours (client side). Name, source, target, modes from the given frame; handle and
  /// initial-delivery-count are filled in here. Null when handle-max or links-max is reached, when
  /// the attach does not fit the peer's frames, or the session is ending.
  sender* attach_sender(spec::attach);
  receiver* attach_receiver(spec::attach);

  /// Shrinks or restores what the peer may send, in frames (memory pressure). [2.5.6]
  void set_incoming_window(std::uint32_t frames);

  [[nodiscard]] connection& on() const;
  /// Ours; the peer's may be another. [2.4]
  [[nodiscard]] std::uint16_t channel() const { return channel_; }
  /// Transfers that the peer's window still admits.
  [[nodiscard]] std::uint32_t outgoing_room() const { return outgoing_.room(); }
  /// Neither side has ended it.
  [[nodiscard]] bool is_active() const { return phase_ == phase::mapped; }

  void* context = nullptr;  // the application's; not touched here

 private:
  friend class connection_core;
  friend class link;
  friend class sender;
  friend class receiver;

  /// Handles index arrays: whatever the options say, they stay below this.
  static constexpr std::uint32_t handle_max_most = 65'535;

  /// [2.5.5]. BEGIN RCVD does not last: the engine answers at once.
  enum class phase : std::uint8_t {
    begin_sent,  // ours, not answered
    mapped,
    end_sent,  // discarding until the peer's end
    ended,
  };

  session(connection_core& core, std::uint16_t channel);

  [[nodiscard]] bool may_send() const;

  // --- what the peer sends ---
  void on_begin(const spec::begin&, std::uint16_t remote_channel);
  [[nodiscard]] checked<const event*> on_attach(spec::attach&&);
  [[nodiscard]] checked<const event*> on_detach(spec::detach&&);
  [[nodiscard]] checked<const event*> on_flow(const spec::fast::flow_view&);
  [[nodiscard]] checked<const event*> on_transfer(const spec::fast::transfer_view&);
  [[nodiscard]] checked<> on_disposition(const spec::fast::disposition_view&);

  [[nodiscard]] link* at_remote_handle(std::uint32_t handle) const;
  [[nodiscard]] link* by_name(std::string_view name, spec::role ours) const;
  [[nodiscard]] const event* on_answer(link&, spec::attach&&);
  [[nodiscard]] checked<const event*> on_remote_link(spec::attach&&);
  [[nodiscard]] checked<> on_input_after_detach(const link&, bool was_seen) const;

  // --- links ---
  [[nodiscard]] std::optional<std::uint32_t> free_handle() const;
  link& adopt(std::unique_ptr<link> fresh, std::uint32_t handle);
  template <class Link>
  Link* attach_ours(spec::attach&&);

  // --- what goes out ---
  void send_begin();
  void send_end(std::optional<spec::error>);
  void send_flow(link* on);
  /// Of the deliveries [first, last].
  void tell(spec::role ours, std::uint32_t first, std::uint32_t last, bool settled,
            std::span<const std::byte> state);
  void write_disposition(const spec::fast::disposition_view&);
  void flush_dispositions();
  void flush();
  void owe_flow();
  void owe_flow(link&);
  void become_dirty();

  /// A detach of ours has no answer yet.
  [[nodiscard]] bool awaits_detach() const;
  void drop_accounts();
  /// All links go, without events.
  void drop_links();
  void release_spare();

  connection_core& core_;
  std::uint16_t channel_ = 0;
  std::optional<std::uint16_t> remote_channel_ = {};
  phase phase_ = phase::begin_sent;
  bool told_end_ = false;  // session_ended was reported
  bool is_dirty_ = false;  // something waits for flush()
  bool owes_flow_ = false;
  bool begin_seen_ = false;  // the peer's
  std::uint32_t remote_handle_max_ = 0;
  std::uint32_t next_delivery_id_ = 0;
  std::optional<std::uint32_t> last_incoming_id_ = {};
  outgoing_window outgoing_ = {};
  incoming_window incoming_;
  delivery_map<outgoing_delivery> sent_ = {};
  delivery_map<incoming_delivery> received_ = {};
  disposition_range as_sender_ = {};
  disposition_range as_receiver_ = {};
  std::vector<std::unique_ptr<link>> links_ = {};  // by our handle
  std::vector<link*> by_remote_handle_ = {};       // null where nothing is attached
  std::vector<std::unique_ptr<link>> suspended_ = {};  // have no handle, but deliveries
  std::vector<link*> owing_flow_ = {};
  // Senders still to be told that they may go on: all from this handle of ours on.
  bool scan_ready_ = false;
  std::uint32_t scan_at_ = 0;
};

}  // namespace whimbrel::amqp::engine
