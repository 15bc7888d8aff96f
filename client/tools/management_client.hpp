// SPDX-License-Identifier: Apache-2.0
// Asks a broker's `$management` node, one request after the other.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "amqp/codec/value.hpp"
#include "amqp/engine/link.hpp"
#include "amqp/io/driver.hpp"
#include "amqp/message/message.hpp"
#include "whimbrel/client/options.hpp"

namespace whimbrel::client {

/// There is no connection, or it went.
class connection_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct management_response {
  int code = 0;
  std::string text = {};
  amqp::codec::value body = {};

  [[nodiscard]] bool is_ok() const { return code >= 200 && code < 300; }
};

/// Blocks until the answer is there; throws connection_error if it does not come in time. Belongs
/// to one thread.
class management_client final : private amqp::io::driver_owner {
 public:
  management_client(const broker_url& to, std::chrono::milliseconds time_out,
                    const tls_options& tls);
  ~management_client() override;
  management_client(const management_client&) = delete;
  management_client& operator=(const management_client&) = delete;

  management_response request(const std::string& operation, const amqp::codec::map& properties,
                              const amqp::codec::value& body = {});

 private:
  std::span<std::byte> read_buffer() override { return buffer_; }
  amqp::engine::clock::time_point driver_now() override { return amqp::engine::clock::now(); }
  void on_events(amqp::io::driver& d) override;
  void on_written(amqp::io::driver&) override {}
  void on_stopped(amqp::io::driver&) override { gone_ = true; }

  void connect(const broker_url& to, const tls_options& tls);
  void on_event(const amqp::engine::event& e);
  void attach();
  [[nodiscard]] std::string why_ended(const amqp::engine::event& e) const;
  void on_transfer(const amqp::engine::event& e);
  void send(std::span<const std::byte> octets);
  template <class Condition>
  void run_until(Condition condition, const char* what);

  boost::asio::io_context io_{1};
  std::chrono::milliseconds time_out_{};
  std::vector<std::byte> buffer_ = std::vector<std::byte>(64 * 1024);
  std::shared_ptr<amqp::io::driver> wire_;
  amqp::engine::sender* requests_ = nullptr;
  amqp::engine::receiver* responses_ = nullptr;
  bool opened_ = false;
  bool begun_ = false;
  bool gone_ = false;
  std::string why_gone_ = {};
  std::uint64_t last_id_ = 0;
  std::vector<std::byte> partial_ = {};
  std::optional<amqp::message::message> response_ = {};
};

}  // namespace whimbrel::client
