// SPDX-License-Identifier: Apache-2.0
// Protocol logic of one connection, for either side of it: protocol headers, SASL, open, sessions,
// links. Performs no I/O, starts no thread and never asks what time it is. [part 2, part 5]
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "amqp/base/octet_buffer.hpp"
#include "amqp/engine/event.hpp"
#include "amqp/engine/options.hpp"
#include "amqp/spec/security.hpp"
#include "amqp/spec/transport.hpp"

namespace whimbrel::amqp::engine {

class session;
class connection_core;

///   in      `start`, `on_octets`, `on_written`, `on_timeout`, `on_lost`, and the verbs
///   out     `poll_event`, `poll_octets`, `next_timeout`
///
/// Input is pulled: `on_octets` only lends the engine a view, and each `poll_event` decodes frames
/// in place until one has something to tell, so a verb called between two events takes effect
/// before the next frame is looked at. The order of a turn:
///
///     on_octets(chunk, now);                  // chunk must live until poll_event returns null
///     while (const event* e = poll_event()) ...verbs...
///     write poll_octets(), on_written(n)
///     while (const event* e = poll_event()) ...     // room was made: sender_ready
///     arm a timer for next_timeout()                // firing early is harmless
///
/// A verb outside of a turn (a verdict that came from elsewhere) is followed by the rest of one:
/// poll_event and poll_octets. While an answer is owed to `sasl_init`, `sasl_response` or `opened`,
/// nothing behind it is looked at; the octets are kept, 64 KiB at most.
///
/// Violations by the peer end exactly the scope that the standard names; the engine sends the
/// detach, end or close itself and then reports `link_detached`, `session_ended` or
/// `connection_closed` with `by_us` set. Verbs on something that has ended do nothing.
/// Time arrives as an argument and must not go backwards. One thread at a time.
class connection {
 public:
  explicit connection(options);
  ~connection();
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  // --- in ---
  /// The transport is up. A client writes its protocol header now; a server waits for one.
  void start(clock::time_point now);
  void on_octets(std::span<const std::byte> in, clock::time_point now);
  void on_written(std::size_t n);
  void on_timeout(clock::time_point now);
  /// The transport is gone: reports `connection_closed` (not by us, no error) unless that was told
  /// before.
  void on_lost();

  // --- out ---
  /// Valid until the next call of any member. Null: nothing more to tell at present.
  [[nodiscard]] const event* poll_event();
  /// What to write next, in full; flushes coalesced dispositions and flows first. Valid until
  /// the next non-const call.
  [[nodiscard]] std::span<const std::byte> poll_octets();
  [[nodiscard]] bool has_output() const;
  [[nodiscard]] std::size_t output_size() const;
  [[nodiscard]] std::optional<clock::time_point> next_timeout() const;
  /// Nothing more will be said or heard: the driver closes the transport once output is written.
  [[nodiscard]] bool is_finished() const;

  // --- verbs ---
  /// Server: the verdict on a `sasl_init` or `sasl_response`.
  void sasl_outcome(spec::sasl_code, std::span<const std::byte> additional_data = {});
  void sasl_challenge(std::span<const std::byte>);
  /// Sends our open (from the options). A server calls it to accept an `opened` event; a client may
  /// call it at any time, it goes out when the layers below are ready.
  /// `more` stands in its properties beside those of the options.
  void open(const codec::map& more = {});
  /// Sends close, with or without an error; later frames are discarded but for the answer, with
  /// which `connection_closed` comes. Sends open before it if need be. [2.4.3]
  void close(std::optional<spec::error> = {});
  /// Starts a session of ours (client side); null when channel-max is reached.
  session* begin();

  [[nodiscard]] const options& settings() const;
  [[nodiscard]] const spec::open* remote_open() const;
  /// min(what the peer accepts, what we want to buffer): largest frame we send. [2.7.1]
  [[nodiscard]] std::uint32_t frame_size_max_out() const;
  [[nodiscard]] bool is_open() const;
  [[nodiscard]] std::size_t session_count() const;
  [[nodiscard]] std::size_t link_count() const;
  /// True while output is below `options::output_octets_max`; senders stop writing above it and
  /// get `sender_ready` once it has drained to half.
  [[nodiscard]] bool output_has_room() const;

  void* context = nullptr;  // the application's; not touched here

 private:
  std::unique_ptr<connection_core> core_;
};

}  // namespace whimbrel::amqp::engine
