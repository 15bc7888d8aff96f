// SPDX-License-Identifier: Apache-2.0
// Pumps one engine over one TCP socket. The only file that knows both.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "amqp/engine/connection.hpp"

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

  driver(tcp::socket socket, engine::options options, driver_owner& owner);

  /// Starts reading. Once.
  void start();
  /// Writes what the engine has to say, and arms its timer.
  void flush();
  /// Drops the transport at once. Idempotent; on_stopped follows in a later turn.
  void stop();

  [[nodiscard]] engine::connection& engine() { return engine_; }

  void* context = nullptr;  // the owner's

 private:
  void wait_readable();
  void on_readable();
  void wait_writable();
  [[nodiscard]] bool write_some();
  void arm();
  void lose();

  static constexpr std::size_t unread_max = 4u << 20;

  tcp::socket socket_;
  boost::asio::steady_timer timer_;
  engine::connection engine_;
  driver_owner& owner_;
  std::optional<engine::clock::time_point> armed_for_;
  bool reading_ = false;
  bool writing_ = false;
  bool flushing_ = false;
  bool stopped_ = false;
};

}  // namespace whimbrel::amqp::io
