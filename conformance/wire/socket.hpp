// SPDX-License-Identifier: Apache-2.0
// A TCP connection whose every wait ends by a deadline.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "conformance/wire/octets.hpp"

namespace whimbrel::conformance {

/// Reads all the time, also while it writes, so that two ends that both write cannot wait for each
/// other. Belongs to one thread. Throws std::runtime_error only from the constructor.
class socket {
 public:
  using clock = std::chrono::steady_clock;

  socket(const std::string& host, std::uint16_t port, clock::time_point deadline);

  /// False if the peer is gone or did not take it all by the deadline.
  bool write(std::span<const std::byte> octets, clock::time_point deadline);
  /// Waits for octets that are not there yet, or for the end. False when neither came.
  bool wait(clock::time_point deadline);

  /// What has come and was not yet taken; the caller erases what it takes.
  [[nodiscard]] bytes& input() { return input_; }
  /// The peer has ended its stream or reset the connection.
  [[nodiscard]] bool is_ended() const { return ended_; }
  [[nodiscard]] bool was_reset() const { return reset_; }

  void shutdown_write();
  /// Drops the connection without a word.
  void drop();

 private:
  void read_on();
  bool run_one(clock::time_point deadline);

  boost::asio::io_context context_{1};
  boost::asio::ip::tcp::socket socket_{context_};
  std::array<std::byte, 16384> chunk_ = {};
  bytes input_ = {};
  std::uint64_t arrived_ = 0;
  bool ended_ = false;
  bool reset_ = false;
};

}  // namespace whimbrel::conformance
