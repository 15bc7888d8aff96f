// SPDX-License-Identifier: Apache-2.0
// Pumps one engine over one TCP socket, with or without TLS. The only file that knows both.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "amqp/engine/connection.hpp"
#include "amqp/io/tls_stream.hpp"

namespace whimbrel::amqp::io {

class driver;

/// Whoever runs the thread that drivers live on. All calls come on that thread.
class driver_owner {
 public:
  virtual ~driver_owner() = default;
  /// Octets to read into, used only within one call: one buffer serves all drivers of a thread.
  virtual std::span<std::byte> read_buffer() = 0;
  /// The time, read at most once a turn.
  virtual engine::clock::time_point driver_now() = 0;
  /// The engine may have events: poll them.
  virtual void on_events(driver&) = 0;
  /// The kernel has taken all output that there was.
  virtual void on_written(driver&) = 0;
  /// The transport is gone; its last events have been polled. The owner may let go of the driver.
  virtual void on_stopped(driver&) = 0;
};

/// Reads when there is something to read, never ahead; writes when told to flush, as much as the
/// kernel takes. A peer that does not read makes output wait, first in the engine's bound for
/// senders; past `unread_max` it is not read from any more either.
///
/// Runs on the executor of its socket, which must be single-threaded: nothing here takes a lock.
class driver final : public std::enable_shared_from_this<driver> {
 public:
  using tcp = boost::asio::ip::tcp;

  /// `tls` is on the descriptor of `socket`; null: there is none, nor will there be.
  driver(tcp::socket socket, engine::options options, driver_owner& owner,
         std::unique_ptr<tls_stream> tls = nullptr);

  /// Starts reading. Once.
  void start();
  /// Writes what the engine has to say, and arms its timer.
  void flush();
  /// Drops the transport at once. Idempotent; on_stopped follows in a later turn.
  void stop();

  [[nodiscard]] engine::connection& engine() { return engine_; }
  /// Why TLS ended the transport; empty if it did not.
  [[nodiscard]] const std::string& tls_failure() const { return tls_failure_; }

  void* context = nullptr;  // the owner's

 private:
  void wait_readable();
  void on_readable();
  void wait_writable();
  void wait_to_write();
  [[nodiscard]] bool write_some();
  [[nodiscard]] ssize_t receive(std::span<std::byte> to);
  [[nodiscard]] ssize_t send(std::span<const std::byte> from);
  void read_on();
  void arm();
  void lose();

  static constexpr std::size_t unread_max = 4u << 20;

  tcp::socket socket_;
  boost::asio::steady_timer timer_;
  engine::connection engine_;
  driver_owner& owner_;
  std::unique_ptr<tls_stream> tls_ = {};  // null as soon as it is clear that there is none
  std::string tls_failure_ = {};
  std::optional<engine::clock::time_point> armed_for_;
  bool reading_ = false;
  bool writing_ = false;
  bool flushing_ = false;
  bool stopped_ = false;
};

}  // namespace whimbrel::amqp::io
