// SPDX-License-Identifier: Apache-2.0
// Reaching the peer, and what the engine tells of the connection as a whole.
#include "client/core/connection.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

#include <boost/asio/connect.hpp>
#include <boost/asio/post.hpp>

#include "amqp/base/limits.hpp"
#include "amqp/engine/link.hpp"
#include "client/core/login.hpp"
#include "client/core/names.hpp"
#include "client/core/tls.hpp"
#include "whimbrel/client/error.hpp"

namespace whimbrel::client::core {

namespace asio = boost::asio;
namespace engine = amqp::engine;
using boost::system::error_code;

namespace {

constexpr std::size_t read_octets = 64 * 1024;

failure network_failure(const broker_url& to, const std::string& why) {
  return {error_scope::network, {}, "cannot connect to " + to.host + ":" + to.port + ": " + why};
}

}  // namespace

connection::connection(asio::any_io_executor on, broker_url to, connection_options options)
    : executor_(std::move(on)),
      to_(std::move(to)),
      options_(std::move(options)),
      resolver_(executor_),
      socket_(executor_),
      timer_(executor_),
      buffer_(read_octets) {
  if (options_.container_id.empty()) options_.container_id = random_name("whimbrel");
  if (options_.user.empty()) {
    options_.user = to_.user;
    options_.password = to_.password;
  }
}

connection::~connection() = default;

// --- reaching the peer ---

void connection::open(done then) {
  phase_ = phase::connecting;
  when_open_ = std::move(then);
  self_ = shared_from_this();
  timer_.expires_after(options_.time_out);
  timer_.async_wait([self = self_](error_code ec) {
    if (ec || (self->phase_ != phase::connecting && self->phase_ != phase::opening)) return;
    self->fail({error_scope::time_out, {}, "no connection to " + self->to_.host + ":" +
                                               self->to_.port + " in time"});
    self->stop();
  });
  if (const auto fault = fault_of({options_.user, {}, options_.sasl_mechanisms})) {
    fail({error_scope::usage, {}, *fault});
    return stop();
  }
  if (prepare_tls()) resolve();
}

/// Files that cannot be used are told of before anybody is asked for anything.
bool connection::prepare_tls() {
  if (!to_.tls) return true;
  try {
    ssl_ = make_ssl(options_.tls, to_.host);
    return true;
  } catch (const error& e) {
    fail(e.why());
    stop();
    return false;
  }
}

void connection::resolve() {
  std::uint16_t port = 0;
  const char* const end = to_.port.data() + to_.port.size();
  const auto read = std::from_chars(to_.port.data(), end, port);
  if (read.ec != std::errc{} || read.ptr != end) {
    fail({error_scope::usage, {}, "not a port number: " + to_.port});
    return stop();
  }
  error_code not_literal;
  const auto address = asio::ip::make_address(to_.host, not_literal);
  if (!not_literal) {  // no need to ask anybody
    return connect(tcp::resolver::results_type::create(tcp::endpoint(address, port), to_.host,
                                                       to_.port));
  }
  resolver_.async_resolve(
      to_.host, to_.port,
      [self = shared_from_this()](error_code ec, const tcp::resolver::results_type& found) {
        if (self->phase_ != phase::connecting) return;
        if (!ec) return self->connect(found);
        self->fail(network_failure(self->to_, ec.message()));
        self->stop();
      });
}

void connection::connect(const tcp::resolver::results_type& to) {
  asio::async_connect(socket_, to, [self = shared_from_this()](error_code ec, const auto&) {
    if (self->phase_ != phase::connecting) return;
    if (!ec) return self->start();
    self->fail(network_failure(self->to_, ec.message()));
    self->stop();
  });
}

engine::options connection::engine_options() const {
  engine::options out;
  out.role = engine::side::client;
  out.container_id = options_.container_id;
  out.hostname = to_.host;
  out.sasl = options_.sasl ? engine::sasl_policy::required : engine::sasl_policy::none;
  if (options_.sasl) {
    out.credentials = engine::client_credentials{};
    out.credentials->choose =
        choice_of({options_.user, options_.password, options_.sasl_mechanisms});
  }
  out.max_frame_size = std::max(options_.max_frame_size, amqp::limits::frame_size_least);
  out.max_message_size = options_.max_message_size;
  out.idle_time_out.reset();
  if (options_.idle_time_out.count() > 0) out.idle_time_out = options_.idle_time_out;
  out.desired_capabilities = options_.desired_capabilities;
  out.properties = options_.properties;
  out.unsettled_in_max = 65'536;  // a bound against strangers, which who we chose to ask is not
  out.handshake_time = options_.time_out;
  out.outcome_runs = true;
  out.trace = options_.trace;
  return out;
}

void connection::start() {
  phase_ = phase::opening;
  amqp::io::driver_owner& owner = *this;
  std::unique_ptr<amqp::io::tls_stream> tls;
  if (ssl_) {
    tls = std::make_unique<amqp::io::tls_stream>(std::move(ssl_), socket_.native_handle(),
                                                 amqp::io::tls_entry::client);
  }
  wire_ = std::make_shared<amqp::io::driver>(std::move(socket_), engine_options(), owner,
                                             std::move(tls));
  wire_->start();
  wire_->engine().open();
  wire_->flush();
}

void connection::stop() {
  if (wire_) return wire_->stop();  // on_stopped follows
  if (phase_ != phase::gone) fail({error_scope::network, {}, "stopped"});
  error_code ignored;  // what is not open need not be closed
  timer_.cancel();
  resolver_.cancel();
  socket_.close(ignored);
  for (const done& then : std::exchange(when_gone_, {})) then(why_gone_);
  self_.reset();
}

void connection::close(done then) {
  if (!self_ || phase_ == phase::idle) return then(why_gone_);
  when_gone_.push_back(std::move(then));
  if (!wire_) return stop();
  if (phase_ == phase::gone || phase_ == phase::closing) return;  // on_stopped follows
  phase_ = phase::closing;
  wire_->engine().close();
  owe_flush();
}

void connection::on_stopped(amqp::io::driver&) {
  fail({error_scope::network, {}, "the connection was lost"});
  for (const done& then : std::exchange(when_gone_, {})) then(why_gone_);
  const auto last = std::exchange(self_, nullptr);  // may be the end of us
}

void connection::owe_flush() {
  if (flush_owed_ || !wire_) return;
  flush_owed_ = true;
  asio::post(executor_, [self = shared_from_this()] {
    self->flush_owed_ = false;
    self->on_events(*self->wire_);
  });
}

// --- what the engine tells ---

void connection::on_events(amqp::io::driver& d) {
  while (const engine::event* e = d.engine().poll_event()) on_event(*e);
  d.flush();
}

void connection::on_event(const engine::event& e) {
  switch (e.kind) {
    case engine::event_kind::opened:
      remote_container_id_ = e.open->container_id;
      return begin();
    case engine::event_kind::session_begun:
      if (e.on_session == session_) on_begun();
      return;
    case engine::event_kind::session_ended: return on_session_ended(e);
    case engine::event_kind::connection_closed: return on_closed(e);
    case engine::event_kind::authenticated: return;
    default: return on_link_event(e);
  }
}

void connection::on_closed(const engine::event& e) {
  const bool was_opening = phase_ == phase::opening;
  failure why{error_scope::network, {}, "the connection was lost"};
  if (e.error != nullptr) {
    why = {error_scope::connection, e.error->condition.text, e.error->description.value_or("")};
  } else if (!wire_->tls_failure().empty()) {
    why = {error_scope::network, {},
           "TLS with " + to_.host + ":" + to_.port + ": " + wire_->tls_failure()};
  } else if (was_opening) {
    why = {error_scope::connection, {}, "the peer ended the connection before it was open"};
  }
  fail(why);
}

void connection::fail(const failure& why) {
  if (phase_ == phase::gone) return;
  const bool is_ours = phase_ == phase::closing;
  if (!is_ours) why_gone_ = why;
  phase_ = phase::gone;
  timer_.cancel();
  session_ = nullptr;
  begun_ = false;
  lose_links(is_ours ? failure{error_scope::usage, {}, "the connection is closed"} : why);
  if (const done then = std::exchange(when_open_, {})) then(why);
}

void connection::lose_links(const failure& why) {
  for (const auto& each : std::exchange(links_, {})) each->gone(why);
  for (const auto& each : std::exchange(waiting_, {})) each->gone(why);
}

}  // namespace whimbrel::client::core
