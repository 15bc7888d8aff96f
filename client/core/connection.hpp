// SPDX-License-Identifier: Apache-2.0
// One engine on one socket, a session on it, and the links of that. Asynchronous, by callbacks.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "amqp/io/driver.hpp"
#include "client/core/link.hpp"
#include "whimbrel/client/options.hpp"

namespace whimbrel::client::core {

/// Belongs to its executor, which must run one handler at a time (a single-threaded io_context, or
/// a strand): every member is called there, and every callback comes from there. Keeps itself
/// alive from open() until the transport is gone.
///
/// One session, begun anew for the next link if the peer ended it.
class connection final : public std::enable_shared_from_this<connection>,
                         private amqp::io::driver_owner {
 public:
  connection(boost::asio::any_io_executor on, broker_url to, connection_options options);
  ~connection() override;

  /// Once. Completes with the peer's open and begin, within `options.time_out`.
  void open(done then);
  /// `then` gets the peer's answer, or nothing when there is none to have. The link must be new.
  void attach(std::shared_ptr<link> fresh, done then);
  /// Completes when the transport is gone.
  void close(done then);
  /// Drops the transport at once.
  void stop();

  /// The engine has something to say: at the end of what the executor has at hand, together.
  void owe_flush();

  [[nodiscard]] bool is_open() const { return phase_ == phase::open; }
  [[nodiscard]] const std::string& container_id() const { return options_.container_id; }
  [[nodiscard]] const std::string& remote_container_id() const { return remote_container_id_; }
  /// Why it is gone, if not by us.
  [[nodiscard]] const std::optional<failure>& why_gone() const { return why_gone_; }

 private:
  using tcp = boost::asio::ip::tcp;
  enum class phase { idle, connecting, opening, open, closing, gone };

  std::span<std::byte> read_buffer() override { return buffer_; }
  amqp::engine::clock::time_point driver_now() override { return amqp::engine::clock::now(); }
  void on_events(amqp::io::driver& d) override;
  void on_written(amqp::io::driver&) override {}
  void on_stopped(amqp::io::driver&) override;

  [[nodiscard]] bool prepare_tls();
  void resolve();
  void connect(const tcp::resolver::results_type& to);
  void start();
  [[nodiscard]] amqp::engine::options engine_options() const;
  void on_event(const amqp::engine::event& e);
  void on_link_event(const amqp::engine::event& e);
  void on_begun();
  void on_session_ended(const amqp::engine::event& e);
  void on_link_detached(const amqp::engine::event& e);
  void on_closed(const amqp::engine::event& e);
  void begin();
  void start_link(const std::shared_ptr<link>& fresh);
  /// All links go, and what waits is told.
  void fail(const failure& why);
  void lose_links(const failure& why);

  boost::asio::any_io_executor executor_;
  broker_url to_;
  connection_options options_;
  tcp::resolver resolver_;
  tcp::socket socket_;
  amqp::io::ssl_handle ssl_ = {};  // for amqps, until the driver has it
  boost::asio::steady_timer timer_;
  std::vector<std::byte> buffer_ = {};
  std::shared_ptr<amqp::io::driver> wire_ = {};
  std::shared_ptr<connection> self_ = {};  // while the driver refers to us
  phase phase_ = phase::idle;
  amqp::engine::session* session_ = nullptr;
  bool begun_ = false;
  bool flush_owed_ = false;
  std::vector<std::shared_ptr<link>> links_ = {};    // known to the engine
  std::vector<std::shared_ptr<link>> waiting_ = {};  // for the session
  std::string remote_container_id_ = {};
  std::optional<failure> why_gone_ = {};
  done when_open_ = {};
  std::vector<done> when_gone_ = {};
};

}  // namespace whimbrel::client::core
