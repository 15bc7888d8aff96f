// SPDX-License-Identifier: Apache-2.0
// One listening socket: hands connections to workers in turn.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "amqp/io/tls_stream.hpp"
#include "broker/config/settings.hpp"
#include "broker/security/tls_context.hpp"

namespace whimbrel::broker::net {

/// Runs on the context given; `pick` names the context that the next connection will live on.
class listener {
 public:
  using tcp = boost::asio::ip::tcp;
  using pick = std::function<boost::asio::io_context&()>;
  using accepted = std::function<void(tcp::socket, const listener&)>;

  /// Binds at once; throws boost::system::system_error, or security::tls_error.
  listener(boost::asio::io_context& io, config::listener where, pick next, accepted on_accept);

  void start();
  void close();
  /// ADDRESS:PORT, the port resolved; an IPv6 address in brackets.
  [[nodiscard]] std::string address() const;
  [[nodiscard]] const config::listener& where() const { return where_; }
  /// TLS for a connection that came in here; null if there is none. From any thread.
  [[nodiscard]] std::unique_ptr<amqp::io::tls_stream> make_tls(tcp::socket& on) const;

 private:
  void accept_next();

  config::listener where_;
  std::optional<security::tls_context> tls_ = {};
  tcp::acceptor acceptor_;
  boost::asio::steady_timer pause_;
  pick next_;
  accepted on_accept_;
};

}  // namespace whimbrel::broker::net
