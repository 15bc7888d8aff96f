// SPDX-License-Identifier: Apache-2.0
// Binding and accepting.
#include "broker/net/listener.hpp"

#include <utility>

#include <boost/asio/ip/v6_only.hpp>

#include "broker/config/complete.hpp"

namespace whimbrel::broker::net {

namespace asio = boost::asio;

listener::listener(asio::io_context& io, config::listener where, pick next, accepted on_accept)
    : where_(std::move(where)),
      acceptor_(io),
      pause_(io),
      next_(std::move(next)),
      on_accept_(std::move(on_accept)) {
  if (where_.speaks_tls()) tls_.emplace(config::tls_files_of(where_));
  const tcp::endpoint at(asio::ip::make_address(where_.address), where_.port);
  acceptor_.open(at.protocol());
  acceptor_.set_option(tcp::acceptor::reuse_address(true));
  if (at.address().is_v6()) acceptor_.set_option(asio::ip::v6_only(true));
  acceptor_.bind(at);
  acceptor_.listen(asio::socket_base::max_listen_connections);
}

void listener::start() { accept_next(); }

void listener::accept_next() {
  acceptor_.async_accept(next_(), [this](boost::system::error_code ec, tcp::socket socket) {
    if (ec == asio::error::operation_aborted) return;
    if (!ec) {
      on_accept_(std::move(socket), *this);
      return accept_next();
    }
    // Out of descriptors, most likely: those who are connected are served meanwhile.
    pause_.expires_after(std::chrono::milliseconds(100));
    pause_.async_wait([this](boost::system::error_code stopped) {
      if (!stopped) accept_next();
    });
  });
}

void listener::close() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
}

std::unique_ptr<amqp::io::tls_stream> listener::make_tls(tcp::socket& on) const {
  if (!tls_) return nullptr;
  using amqp::io::tls_entry;
  const bool must = *where_.tls == security::tls_use::required;
  return std::make_unique<amqp::io::tls_stream>(amqp::io::ssl_handle(SSL_new(tls_->native())),
                                                on.native_handle(),
                                                must ? tls_entry::required : tls_entry::allowed);
}

std::string listener::address() const {
  const auto at = acceptor_.local_endpoint();
  const std::string host = at.address().to_string();
  return (at.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(at.port());
}

}  // namespace whimbrel::broker::net
