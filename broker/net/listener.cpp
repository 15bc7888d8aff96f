// SPDX-License-Identifier: Apache-2.0
// Binding and accepting.
#include "broker/net/listener.hpp"

#include <utility>

#include <boost/asio/ip/v6_only.hpp>

namespace whimbrel::broker::net {

namespace asio = boost::asio;

listener::listener(asio::io_context& io, config::listener where, pick next, accepted on_accept)
    : where_(std::move(where)),
      acceptor_(io),
      pause_(io),
      next_(std::move(next)),
      on_accept_(std::move(on_accept)) {
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
      on_accept_(std::move(socket));
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

std::string listener::address() const {
  const auto at = acceptor_.local_endpoint();
  const std::string host = at.address().to_string();
  return (at.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(at.port());
}

}  // namespace whimbrel::broker::net
