// SPDX-License-Identifier: Apache-2.0
// How a connection comes and goes: headers [2.2], SASL [5.3], open and close [2.4], time-outs.
#include <algorithm>

#include "amqp/codec/codec.hpp"
#include "amqp/engine/connection_core.hpp"
#include "amqp/spec/conditions.hpp"

namespace whimbrel::amqp::engine {

using frame::protocol;
using frame::protocol_header;
namespace conditions = spec::conditions;

namespace {

/// Below this a peer would ask for more traffic than an idle connection is worth.
constexpr std::uint32_t idle_ms_least = 100;

/// How long buffers stay for the next burst.
constexpr std::chrono::seconds quiet_time{2};

}  // namespace

connection_core::connection_core(connection& owner, options settings)
    : owner_(owner),
      options_(std::move(settings)),
      out_(options_.output_octets_max, options_.trace),
      decoder_(options_.handshake_frame_size_max) {}

connection_core::~connection_core() = default;

void connection_core::start(clock::time_point now) {
  now_ = last_received_ = last_sent_ = now;
  handshake_deadline_ = now + options_.handshake_time;
  if (options_.role == side::server) return;
  if (options_.credentials && options_.sasl != sasl_policy::none) {
    layer_ = layer::sasl_header;
    out_.write_header(protocol_header(protocol::sasl));
  } else {
    out_.write_header(protocol_header(protocol::amqp));
    advance(wire_step::send_header);
    if (wants_open_) send_open();
  }
}

void connection_core::advance(wire_step step) {
  const auto to = next(state_, step);
  AMQP_ASSERT(to.has_value());
  state_ = *to;
}

// --- protocol headers ---

const event* connection_core::on_header(const protocol_header& header) {
  if (options_.trace) options_.trace(false, 0, frame::to_text(header));
  if (options_.role == side::client) return on_client_header(header);
  const bool is_amqp = header == protocol_header(protocol::amqp);
  const bool behind_sasl = sasl_server_ != nullptr;
  if (is_amqp && (behind_sasl || options_.sasl != sasl_policy::required)) {
    advance(wire_step::recv_header);
    out_.write_header(header);
    advance(wire_step::send_header);
    begin_amqp();
  } else if (header == protocol_header(protocol::sasl) && !behind_sasl &&
             options_.sasl != sasl_policy::none) {
    begin_sasl_server();
  } else {
    refuse_header();
  }
  return nullptr;
}

/// The supported header, then the end. [2.2]
void connection_core::refuse_header() {
  if (options_.role == side::server) {
    const bool sasl = options_.sasl != sasl_policy::none && sasl_server_ == nullptr;
    out_.write_header(protocol_header(sasl ? protocol::sasl : protocol::amqp));
  }
  finish(spec::error{.condition = symbol(conditions::framing_error),
                     .description = "the peer's protocol header is not one for this place"},
         true);
}

const event* connection_core::on_client_header(const protocol_header& header) {
  if (layer_ == layer::sasl_header) {
    if (header != protocol_header(protocol::sasl)) {
      refuse_header();
      return nullptr;
    }
    const client_credentials& mine = *options_.credentials;
    sasl_client_ = mine.choose ? std::make_unique<sasl::client>(mine.choose)
                               : std::make_unique<sasl::client>(mine.mechanism, mine.user,
                                                                mine.password);
    layer_ = layer::sasl;
    return nullptr;
  }
  if (header != protocol_header(protocol::amqp)) {
    refuse_header();
    return nullptr;
  }
  advance(wire_step::recv_header);
  begin_amqp();
  return nullptr;
}

void connection_core::begin_amqp() {
  layer_ = layer::amqp;
  sasl_server_.reset();
  sasl_client_.reset();
}

// --- SASL ---

void connection_core::begin_sasl_server() {
  layer_ = layer::sasl;
  out_.write_header(protocol_header(protocol::sasl));
  sasl_server_ = std::make_unique<sasl::server>(options_.mechanisms);
  write_sasl(sasl_server_->offer());
}

template <class Performative>
void connection_core::write_sasl(const Performative& p) {
  // A frame of ours that is too large for the layer is a fault of the configuration.
  if (!out_.write(frame::frame_type::sasl, 0, p)) {
    finish(spec::error{.condition = symbol(conditions::frame_size_too_small),
                       .description = "a SASL frame exceeds 512 octets"},
           true);
  }
}

const event* connection_core::on_sasl_frame(const frame::frame_view& f) {
  const auto refuse = [&](std::string_view why) -> const event* {
    if (sasl_server_) write_sasl(spec::sasl_outcome{.code = spec::sasl_code::auth});
    finish(spec::error{.condition = symbol(conditions::unauthorized_access),
                       .description = std::string(why)},
           true);
    return nullptr;
  };
  if (f.type != static_cast<std::uint8_t>(frame::frame_type::sasl) || f.body.empty())
    return refuse("not a SASL frame in the SASL layer");  // irrecoverable [5.3.1]
  if (sasl_client_) return on_sasl_client_frame(f.body);
  switch (sasl_server_->on_frame(f.body)) {
    case sasl::server::step::init: {
      event& e = next_event(event_kind::sasl_init, nullptr, nullptr);
      e.sasl_init = &sasl_server_->init();
      return &e;
    }
    case sasl::server::step::response: {
      event& e = next_event(event_kind::sasl_response, nullptr, nullptr);
      e.sasl_octets = sasl_server_->response();
      return &e;
    }
    case sasl::server::step::refused:
      break;
  }
  return refuse(sasl_server_->reason());
}

const event* connection_core::on_sasl_client_frame(std::span<const std::byte> body) {
  switch (sasl_client_->on_frame(body)) {
    case sasl::client::step::send_init:
      write_sasl(sasl_client_->init());
      return nullptr;
    case sasl::client::step::send_response:
      write_sasl(sasl_client_->response());
      return nullptr;
    case sasl::client::step::authenticated:
      break;
    case sasl::client::step::refused:
      finish(spec::error{.condition = symbol(conditions::unauthorized_access),
                         .description = std::string(sasl_client_->reason())},
             true);
      return nullptr;
  }
  layer_ = layer::header;
  out_.write_header(protocol_header(protocol::amqp));
  advance(wire_step::send_header);
  if (wants_open_) send_open();
  return &next_event(event_kind::authenticated, nullptr, nullptr);
}

void connection_core::sasl_outcome(spec::sasl_code code,
                                   std::span<const std::byte> additional_data) {
  if (finished_ || sasl_server_ == nullptr || !sasl_server_->is_judging()) return;
  spec::sasl_outcome outcome{.code = code};
  if (!additional_data.empty()) outcome.additional_data = binary(additional_data);
  write_sasl(outcome);
  if (code == spec::sasl_code::ok) {
    layer_ = layer::header;  // sasl_server_ stays, to say that this layer is behind us
    return;
  }
  finish(spec::error{.condition = symbol(conditions::unauthorized_access),
                     .description = "authentication failed"},
         false);
}

void connection_core::sasl_challenge(std::span<const std::byte> challenge) {
  if (finished_ || sasl_server_ == nullptr || !sasl_server_->is_judging()) return;
  write_sasl(spec::sasl_challenge{.challenge = binary(challenge)});
  sasl_server_->on_challenged();
}

// --- open ---

void connection_core::open(const codec::map& more) {
  if (finished_) return;
  using enum connection_state;
  if (state_ == hdr_exch || state_ == hdr_sent || state_ == open_rcvd) {
    send_open(more);
  } else if (state_ == start) {
    wants_open_ = true;
  }
}

void connection_core::send_open(const codec::map& more) {
  spec::open mine{.container_id = options_.container_id,
                  .hostname = options_.hostname,
                  .max_frame_size = std::max(options_.max_frame_size, limits::frame_size_least),
                  .channel_max = options_.channel_max,
                  .offered_capabilities = codec::multiple<symbol>(options_.offered_capabilities),
                  .desired_capabilities = codec::multiple<symbol>(options_.desired_capabilities),
                  .properties = options_.properties};
  if (!more.empty() && !mine.properties) mine.properties.emplace();
  for (const auto& [key, mapped] : more) mine.properties->set(key, mapped);
  if (options_.idle_time_out)
    mine.idle_time_out = static_cast<std::uint32_t>(options_.idle_time_out->count());
  advance(wire_step::send_open);
  // Until the peer's open has been read, 512 octets must do. [2.4.1]
  if (out_.write(frame::frame_type::amqp, 0, mine)) return;
  mine.properties.reset();
  if (out_.write(frame::frame_type::amqp, 0, mine)) return;
  mine.desired_capabilities = {};
  mine.offered_capabilities = {};
  if (out_.write(frame::frame_type::amqp, 0, mine)) return;
  mine.hostname.reset();
  mine.container_id.resize(std::min<std::size_t>(mine.container_id.size(), 256));
  AMQP_ASSERT(out_.write(frame::frame_type::amqp, 0, mine));
}

checked<const event*> connection_core::on_open(const frame::frame_view& f) {
  if (f.channel != 0)
    return connection_violation(conditions::framing_error, "open on a channel other than 0");
  if (!next(state_, wire_step::recv_open))
    return connection_violation(conditions::illegal_state, "a second open");
  decoded<spec::open> open = codec::decode<spec::open>(f.body);
  if (open.has_error())
    return connection_violation(conditions::decode_error, "open: " + to_text(open.error()));
  advance(wire_step::recv_open);
  remote_open_ = *std::move(open);
  handshake_deadline_ = never;
  if (remote_open_->max_frame_size < limits::frame_size_least)
    return connection_violation(conditions::invalid_field, "max-frame-size is below 512");
  out_.set_frame_size_max(std::min(remote_open_->max_frame_size,
                                   std::max(options_.max_frame_size, limits::frame_size_least)));
  decoder_.set_frame_size_max(std::max(options_.max_frame_size, limits::frame_size_least));
  const std::uint32_t idle = remote_open_->idle_time_out.value_or(0);
  if (idle != 0 && idle < idle_ms_least)
    return connection_violation(conditions::invalid_field,
                                "idle-time-out is below " + std::to_string(idle_ms_least) + " ms");
  event& e = next_event(event_kind::opened, nullptr, nullptr);
  e.open = &*remote_open_;
  return &e;
}

// --- close ---

void connection_core::close(std::optional<spec::error> error) {
  if (finished_ || is_discarding()) return;
  using enum connection_state;
  if (layer_ != layer::amqp) {  // there is nobody yet to say it to
    finish({}, false);
    return;
  }
  if (state_ == hdr_exch || state_ == open_rcvd) send_open();
  send_close(std::move(error));
}

void connection_core::send_close(std::optional<spec::error> error) {
  flush();
  const bool is_error = error.has_value();
  out_.write_with_error(0, spec::close{.error = std::move(error)});
  advance(wire_step::send_close);
  if (state_ == connection_state::end) return;
  if (is_error) state_ = connection_state::discarding;
  close_deadline_ = now_ + options_.close_time;
}

checked<const event*> connection_core::on_close(const frame::frame_view& f) {
  if (!next(state_, wire_step::recv_close))
    return connection_violation(conditions::illegal_state, "close without an open");
  decoded<spec::close> close = codec::decode<spec::close>(f.body);
  // Whatever is wrong with it, it is the last that the peer sends.
  std::optional<spec::error> error;
  if (close.has_value()) error = std::move(close->error);
  const bool was_ours = is_discarding();
  advance(wire_step::recv_close);
  if (!was_ours) send_close({});
  finish(std::move(error), false);
  return nullptr;
}

/// Limits are run into by those who mean well, with more under way behind the one too much: they
/// lose the link. Who broke a rule is held to what the standard says of it. [2.6.5]
bool connection_core::is_broken_rule(std::string_view condition) {
  return condition != conditions::message_size_exceeded &&
         condition != conditions::resource_limit_exceeded;
}

/// The one place where violations are answered.
void connection_core::answer(violation v, session* on) {
  spec::error error{.condition = symbol(v.condition), .description = std::move(v.description)};
  switch (v.scope) {
    case scope::link:
      v.culprit->errant_ = is_broken_rule(v.condition);
      detach_with(*v.culprit, std::move(error));
      break;
    case scope::session:
      AMQP_ASSERT(on != nullptr);
      end_with(*on, std::move(error));
      break;
    case scope::connection:
      end_connection(std::move(error));
      break;
  }
}

void connection_core::detach_with(link& l, spec::error error) {
  l.detach(true, error);
  defer(event_kind::link_detached, &l.on(), &l, true, std::move(error));
}

void connection_core::end_with(session& s, spec::error error) {
  s.send_end(error);
  forget_events_of(&s, nullptr);
  defer(event_kind::session_ended, &s, nullptr, true, std::move(error));
}

void connection_core::end_connection(spec::error error) {
  if (finished_) return;
  using enum connection_state;
  if (layer_ == layer::amqp && !is_discarding()) {
    if (state_ == hdr_exch || state_ == open_rcvd) send_open();
    send_close(error);
    if (remote_open_) {  // worth waiting for its close
      if (!told_closed_) defer(event_kind::connection_closed, nullptr, nullptr, true, error);
      told_closed_ = true;
      return;
    }
  }
  finish(std::move(error), true);
}

void connection_core::finish(std::optional<spec::error> error, bool by_us) {
  finished_ = true;
  state_ = connection_state::end;
  handshake_deadline_ = close_deadline_ = never;
  walk_.on = nullptr;
  decoder_.drop_all();
  if (told_closed_) return;
  told_closed_ = true;
  defer(event_kind::connection_closed, nullptr, nullptr, by_us, std::move(error));
}

void connection_core::on_lost() {
  if (!finished_) finish({}, false);
}

// --- time ---

clock::time_point connection_core::idle_deadline() const {
  if (!options_.idle_time_out || !remote_open_ || state_ != connection_state::opened) return never;
  return last_received_ + 2 * *options_.idle_time_out;
}

clock::time_point connection_core::heartbeat_deadline() const {
  if (!remote_open_ || !may_send()) return never;
  const std::uint32_t idle = remote_open_->idle_time_out.value_or(0);
  return idle == 0 ? never : last_sent_ + std::chrono::milliseconds(idle) / 2;
}

std::optional<clock::time_point> connection_core::next_timeout() const {
  if (finished_) return std::nullopt;
  const auto first = std::min({handshake_deadline_, close_deadline_, quiet_deadline_,
                               idle_deadline(), heartbeat_deadline()});
  return first == never ? std::nullopt : std::optional(first);
}

void connection_core::on_timeout(clock::time_point now) {
  now_ = now;
  if (finished_) return;
  if (now >= handshake_deadline_) {
    handshake_deadline_ = never;
    end_connection({.condition = symbol(conditions::resource_limit_exceeded),
                    .description = "no open in time"});
    return;
  }
  if (now >= close_deadline_) {  // the peer had its chance to answer [2.4.3]
    finish({}, false);
    return;
  }
  if (now >= idle_deadline()) {
    end_connection({.condition = symbol(conditions::resource_limit_exceeded),
                    .description = "nothing was heard for twice the idle-time-out"});
    return;
  }
  if (now >= heartbeat_deadline()) {
    if (out_.octets().empty()) out_.write_empty();
    last_sent_ = now;
  }
  if (now >= quiet_deadline_) release_spare();
}

void connection_core::release_spare() {
  quiet_deadline_ = never;
  if (out_.octets().empty()) out_.octets().release();
  dirty_.shrink_to_fit();
  deferred_.shrink_to_fit();
  dead_links_.shrink_to_fit();
  dead_sessions_.shrink_to_fit();
  for (const auto& s : sessions_)
    if (s) s->release_spare();
}

// --- output ---

void connection_core::flush() {
  for (session* s : dirty_) {
    s->flush();
    s->is_dirty_ = false;
  }
  dirty_.clear();
  in_order_ = false;
}

void connection_core::flush_in_order() {
  if (!in_order_) [[likely]]
    return;
  for (session* s : dirty_) s->flush_dispositions();
  in_order_ = false;
}

std::span<const std::byte> connection_core::poll_octets() {
  if (!dirty_.empty()) flush();
  const auto octets = out_.octets().octets();
  if (!octets.empty()) {
    last_sent_ = now_;
    quiet_deadline_ = now_ + quiet_time;
  }
  return octets;
}

void connection_core::on_written(std::size_t n) {
  octet_buffer& octets = out_.octets();
  if (octets.size() >= out_.octets_max()) was_full_ = true;
  octets.consume(n);
  if (!was_full_ || octets.size() > out_.octets_max() / 2) return;
  was_full_ = false;
  if (!may_send()) return;
  for (const auto& s : sessions_)
    if (s) scan_ready(*s);
}

}  // namespace whimbrel::amqp::engine
