// SPDX-License-Identifier: Apache-2.0
// What is behind engine::connection: layers, the life of the connection, dispatch of frames to
// sessions, the queue of events. Not for use outside of engine/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "amqp/engine/connection.hpp"
#include "amqp/engine/event.hpp"
#include "amqp/engine/link.hpp"
#include "amqp/engine/options.hpp"
#include "amqp/engine/output.hpp"
#include "amqp/engine/session.hpp"
#include "amqp/engine/state.hpp"
#include "amqp/engine/violation.hpp"
#include "amqp/frame/decoder.hpp"
#include "amqp/sasl/negotiation.hpp"

namespace whimbrel::amqp::engine {

/// The deliveries that a disposition speaks of, reported one event at a time. [2.7.6]
struct disposition_walk {
  session* on = nullptr;  // null: none under way
  spec::role ours = spec::role::sender;
  bool settled = false;
  std::uint32_t next = 0;
  std::uint32_t last = 0;
  std::span<const std::byte> state = {};
  spec::fast::state_kind kind = spec::fast::state_kind::none;
};

/// Octets pass through these in turn. Each begins with an exchange of protocol headers. [5.1]
enum class layer : std::uint8_t {
  header,       // a server: any header may come; a client without SASL: the AMQP one
  sasl_header,  // a client that has sent the SASL header
  sasl,
  amqp,
};

class connection_core {
 public:
  connection_core(connection& owner, options settings);
  ~connection_core();
  connection_core(const connection_core&) = delete;
  connection_core& operator=(const connection_core&) = delete;

  // --- the driver's ---
  void start(clock::time_point now);
  void on_octets(std::span<const std::byte> in, clock::time_point now);
  void on_written(std::size_t n);
  void on_timeout(clock::time_point now);
  void on_lost();
  [[nodiscard]] const event* poll_event();
  [[nodiscard]] std::span<const std::byte> poll_octets();
  [[nodiscard]] std::optional<clock::time_point> next_timeout() const;
  [[nodiscard]] bool has_output() const { return !out_.octets().empty() || !dirty_.empty(); }
  [[nodiscard]] bool is_finished() const { return finished_; }

  // --- the application's ---
  void sasl_outcome(spec::sasl_code code, std::span<const std::byte> additional_data);
  void sasl_challenge(std::span<const std::byte> challenge);
  void open(const codec::map& more = {});
  void close(std::optional<spec::error> error);
  [[nodiscard]] session* begin();

  // --- for sessions and links ---
  [[nodiscard]] connection& owner() { return owner_; }
  [[nodiscard]] const options& settings() const { return options_; }
  [[nodiscard]] const std::optional<spec::open>& remote_open() const { return remote_open_; }
  [[nodiscard]] output& out() { return out_; }
  [[nodiscard]] const output& out() const { return out_; }
  [[nodiscard]] bool may_send() const { return engine::may_send(state_); }
  [[nodiscard]] bool is_open() const { return state_ == connection_state::opened; }
  [[nodiscard]] std::size_t session_count() const { return session_count_; }
  [[nodiscard]] std::size_t link_count() const { return link_count_; }

  /// The one slot for an event that is returned at once; only its kind's members are set.
  [[nodiscard]] event& next_event(event_kind kind, session* on, link* at);
  /// An event for later, before any further frame is looked at.
  void defer(event_kind kind, session* on, link* at, bool by_us = false,
             std::optional<spec::error> error = {});
  void defer_attach(link& l);
  [[nodiscard]] const spec::error* keep_error(std::optional<spec::error> error);
  void become_dirty(session& s) { dirty_.push_back(&s); }
  void count_link(link& l);
  void uncount_link(link& l);
  /// Ends a link or session for a reason of ours, and tells the application.
  void detach_with(link& l, spec::error error);
  void end_with(session& s, spec::error error);
  /// Both sides have detached.
  void retire(link& l);
  /// A suspended link has nothing to live for any more.
  void retire_suspended(link& l);
  void walk(const disposition_walk& w) { walk_ = w; }
  void scan_ready(session& s);
  void on_fresh_attach(link& l) { fresh_attach_ = &l; }
  /// Dispositions that take effect in a transaction must not be overtaken by a discharge.
  void keep_order() { in_order_ = true; }
  void flush_in_order();
  [[nodiscard]] bool add_partial(std::uint64_t octets);
  void remove_partial(std::uint64_t octets) { partial_octets_ -= octets; }

 private:
  struct deferred_event {
    event_kind kind = event_kind::opened;
    bool by_us = false;
    session* on = nullptr;
    link* at = nullptr;
    std::optional<spec::error> error = {};
  };

  static constexpr auto never = clock::time_point::max();

  // --- input: connection_input.cpp ---
  [[nodiscard]] const event* next_pending();
  [[nodiscard]] bool is_stalled() const;
  [[nodiscard]] bool step(const event*& out);
  [[nodiscard]] bool step_header(const event*& out);
  void on_bad_frame();
  [[nodiscard]] const event* on_amqp_frame(const frame::frame_view& f);
  [[nodiscard]] checked<const event*> on_frame(const frame::frame_view& f);
  [[nodiscard]] checked<const event*> on_discarded(const frame::frame_view& f, std::uint64_t code);
  [[nodiscard]] checked<const event*> on_session_frame(std::uint64_t code, session& s,
                                                       std::span<const std::byte> body);
  [[nodiscard]] checked<const event*> on_begin(const frame::frame_view& f);
  [[nodiscard]] const event* on_end(session& s, spec::end&& end);
  [[nodiscard]] session* at_remote_channel(std::uint16_t channel) const;
  [[nodiscard]] bool is_crossing_detach(std::uint64_t code, std::uint16_t channel) const;
  [[nodiscard]] std::optional<std::uint16_t> free_channel() const;
  session& adopt(std::uint16_t channel);

  // --- what was put off: connection_events.cpp ---
  void bury();
  [[nodiscard]] const event* next_deferred();
  [[nodiscard]] const event* next_of_walk();
  [[nodiscard]] const event* next_ready();
  [[nodiscard]] const event* next_ready_of(session& s);
  [[nodiscard]] const event* report_outcome(session& s, std::uint32_t id);
  [[nodiscard]] std::uint32_t run_of(session& s, std::uint32_t id, const outgoing_delivery& of);
  [[nodiscard]] const event* report_settled(session& s, std::uint32_t id);
  void forget_events_of(const session* s, const link* l);
  void retire(session& s);

  // --- coming and going: connection_life.cpp ---
  [[nodiscard]] const event* on_header(const frame::protocol_header& header);
  [[nodiscard]] const event* on_client_header(const frame::protocol_header& header);
  void refuse_header();
  void begin_sasl_server();
  void begin_amqp();
  [[nodiscard]] const event* on_sasl_frame(const frame::frame_view& f);
  [[nodiscard]] const event* on_sasl_client_frame(std::span<const std::byte> body);
  template <class Performative>
  void write_sasl(const Performative& p);
  [[nodiscard]] checked<const event*> on_open(const frame::frame_view& f);
  [[nodiscard]] checked<const event*> on_close(const frame::frame_view& f);
  void send_open(const codec::map& more = {});
  void send_close(std::optional<spec::error> error);
  void advance(wire_step step);
  void answer(violation v, session* on);
  [[nodiscard]] static bool is_broken_rule(std::string_view condition);
  void end_connection(spec::error error);
  void finish(std::optional<spec::error> error, bool by_us);
  void flush();
  /// Our close has gone out.
  [[nodiscard]] bool is_discarding() const {
    using enum connection_state;
    return state_ == discarding || state_ == close_sent || state_ == close_pipe;
  }
  [[nodiscard]] clock::time_point idle_deadline() const;
  [[nodiscard]] clock::time_point heartbeat_deadline() const;
  void release_spare();

  connection& owner_;
  const options options_;
  output out_;
  frame::decoder decoder_;
  engine::layer layer_ = layer::header;
  connection_state state_ = connection_state::start;
  bool finished_ = false;
  bool deaf_ = false;         // the input cannot be made sense of any more
  bool told_closed_ = false;  // connection_closed was reported or is in deferred_
  bool wants_open_ = false;   // open() came before its time
  bool was_full_ = false;     // output has reached its bound, and not yet drained to half
  bool in_order_ = false;     // see keep_order
  std::uint32_t handshake_frames_ = 0;
  std::uint32_t scans_ = 0;  // sessions with scan_ready_
  std::unique_ptr<sasl::server> sasl_server_ = {};
  std::unique_ptr<sasl::client> sasl_client_ = {};
  std::optional<spec::open> remote_open_ = {};

  std::vector<std::unique_ptr<session>> sessions_ = {};  // by our channel
  std::vector<session*> by_remote_channel_ = {};
  std::vector<std::uint16_t> detaches_crossing_ = {};  // see is_crossing_detach
  std::size_t session_count_ = 0;
  std::size_t link_count_ = 0;
  std::uint64_t partial_octets_ = 0;
  std::vector<session*> dirty_ = {};

  event event_ = {};
  std::optional<spec::error> error_ = {};  // of event_
  std::vector<deferred_event> deferred_ = {};
  disposition_walk walk_ = {};
  session* leaving_ = nullptr;    // we ended it, and said so with the last event
  link* fresh_attach_ = nullptr;  // its unsettled map lives until the next poll
  std::vector<std::unique_ptr<link>> dead_links_ = {};
  std::vector<std::unique_ptr<session>> dead_sessions_ = {};

  clock::time_point now_{};
  clock::time_point last_received_{};
  clock::time_point last_sent_{};
  clock::time_point handshake_deadline_ = never;
  clock::time_point close_deadline_ = never;
  clock::time_point quiet_deadline_ = never;
};

}  // namespace whimbrel::amqp::engine
