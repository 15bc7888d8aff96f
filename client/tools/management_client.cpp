// SPDX-License-Identifier: Apache-2.0
// A connection, a session, two links; requests in turn.
#include "client/tools/management_client.hpp"

#include <array>
#include <utility>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <unistd.h>

#include "amqp/codec/codec.hpp"
#include "amqp/engine/session.hpp"
#include "amqp/spec/fast.hpp"
#include "client/core/login.hpp"
#include "client/core/tls.hpp"

namespace whimbrel::client {

namespace asio = boost::asio;
namespace engine = amqp::engine;
using amqp::codec::map;
using amqp::codec::value;

namespace {

constexpr const char* reply_address = "whimbrel-ctl";
constexpr const char* node = "$management";

std::string text_of(const amqp::spec::error* error) {
  if (error == nullptr) return "the broker closed the connection";
  return error->condition.text + ": " + error->description.value_or("");
}

}  // namespace

// --- the connection --------------------------------------------------------------------------

management_client::management_client(const broker_url& to, std::chrono::milliseconds time_out,
                                     const tls_options& tls)
    : time_out_(time_out) {
  try {
    connect(to, tls);
  } catch (const boost::system::system_error& e) {
    throw connection_error("cannot connect to " + to.host + ":" + to.port + ": " +
                           e.code().message());
  }
  run_until([this] { return opened_; }, "open");
  attach();
  run_until([this] {
    return requests_->is_attached() && responses_->is_attached() && requests_->can_send();
  }, "the management node");
}

management_client::~management_client() {
  if (!gone_) {
    wire_->engine().close();
    wire_->flush();
    try {
      run_until([this] { return gone_; }, "close");
    } catch (const connection_error&) {
      wire_->stop();  // nothing is owed any more
      io_.run_for(time_out_);
    }
  }
}

void management_client::connect(const broker_url& to, const tls_options& tls) {
  amqp::io::ssl_handle ssl;
  if (to.tls) ssl = core::make_ssl(tls, to.host);
  asio::ip::tcp::resolver resolver(io_);
  asio::ip::tcp::socket socket(io_);
  asio::connect(socket, resolver.resolve(to.host, to.port));
  engine::options o;
  o.role = engine::side::client;
  o.container_id = "whimbrel-ctl-" + std::to_string(::getpid());
  o.hostname = to.host;
  o.credentials = engine::client_credentials{};
  o.credentials->choose = core::choice_of({to.user, to.password, {}});
  amqp::io::driver_owner& owner = *this;
  std::unique_ptr<amqp::io::tls_stream> secure;
  if (ssl) {
    secure = std::make_unique<amqp::io::tls_stream>(std::move(ssl), socket.native_handle(),
                                                    amqp::io::tls_entry::client);
  }
  wire_ = std::make_shared<amqp::io::driver>(std::move(socket), std::move(o), owner,
                                             std::move(secure));
  wire_->start();
  wire_->engine().open();
  wire_->flush();
}

void management_client::attach() {
  engine::session* on = wire_->engine().begin();
  wire_->flush();
  run_until([this] { return begun_; }, "begin");
  amqp::spec::attach request;
  request.name = "whimbrel-ctl-requests";
  request.source = amqp::spec::source{};
  request.source->address = reply_address;
  amqp::spec::target target;
  target.address = node;
  request.target = amqp::codec::to_raw(target);
  requests_ = on->attach_sender(std::move(request));
  amqp::spec::attach response;
  response.name = "whimbrel-ctl-responses";
  response.snd_settle_mode = amqp::spec::sender_settle_mode::settled;
  response.source = amqp::spec::source{};
  response.source->address = node;
  target.address = reply_address;
  response.target = amqp::codec::to_raw(target);
  responses_ = on->attach_receiver(std::move(response));
  if (requests_ == nullptr || responses_ == nullptr) throw connection_error("no session");
  responses_->grant(8);
  wire_->flush();
}

template <class Condition>
void management_client::run_until(Condition condition, const char* what) {
  const auto deadline = engine::clock::now() + time_out_;
  while (!condition()) {
    if (gone_ || !why_gone_.empty()) {
      throw connection_error(why_gone_.empty() ? "the connection was lost" : why_gone_);
    }
    if (engine::clock::now() >= deadline) {
      throw connection_error(std::string("no answer in time from the broker: ") + what);
    }
    io_.run_one_until(deadline);
  }
}

void management_client::on_events(amqp::io::driver& d) {
  while (const engine::event* e = d.engine().poll_event()) on_event(*e);
  d.flush();
}

void management_client::on_event(const engine::event& e) {
  switch (e.kind) {
    case engine::event_kind::opened: opened_ = true; return;
    case engine::event_kind::session_begun: begun_ = true; return;
    case engine::event_kind::transfer: return on_transfer(e);
    case engine::event_kind::connection_closed:
    case engine::event_kind::session_ended:
    case engine::event_kind::link_detached:
      if (why_gone_.empty()) why_gone_ = why_ended(e);
      return;
    default: return;
  }
}

std::string management_client::why_ended(const engine::event& e) const {
  const std::string& tls = wire_->tls_failure();
  return e.error == nullptr && !tls.empty() ? "TLS: " + tls : text_of(e.error);
}

// --- requests --------------------------------------------------------------------------------

void management_client::send(std::span<const std::byte> octets) {
  const std::uint64_t tag = ++last_id_;
  engine::outgoing o;
  o.tag = std::as_bytes(std::span(&tag, 1));
  bool whole = requests_->send(o, {}, octets).complete;
  wire_->flush();
  while (!whole) {
    run_until([this] { return wire_->engine().output_has_room(); }, "room for the request");
    whole = requests_->resume({}, octets).complete;
    wire_->flush();
  }
}

management_response management_client::request(const std::string& operation, const map& properties,
                                               const value& body) {
  amqp::message::message asked;
  asked.props().message_id = std::to_string(last_id_ + 1);
  asked.props().reply_to = reply_address;
  map all = properties;
  all.set(value("operation"), value(operation));
  asked.application_properties = std::move(all);
  asked.body = body;
  amqp::octet_buffer octets;
  amqp::message::encode(octets, asked);
  run_until([this] { return requests_->can_send(); }, "credit");
  response_.reset();
  send(octets.octets());
  run_until([this] { return response_.has_value(); }, operation.c_str());
  management_response out;
  const map answered = response_->application_properties.value_or(map{});
  if (const auto code = answered.find("statusCode")) {
    out.code = static_cast<int>(code->to_signed().value_or(0));
  }
  out.text = answered.get<std::string>("statusDescription").value_or("");
  if (const auto* v = std::get_if<value>(&response_->body)) out.body = *v;
  return out;
}

void management_client::on_transfer(const engine::event& e) {
  partial_.insert(partial_.end(), e.payload.begin(), e.payload.end());
  if (!e.last) return;
  auto read = amqp::message::decode(std::exchange(partial_, {}));
  if (!e.is_settled) responses_->settle(e.delivery_id, amqp::spec::fast::accepted_octets);
  if (responses_->credit() < 4) responses_->grant(8);
  if (e.aborted || read.has_error()) return;
  const amqp::spec::message_id awaited = std::to_string(last_id_);
  if (read->properties && read->properties->correlation_id == awaited) {
    response_ = *std::move(read);
  }
}

}  // namespace whimbrel::client
