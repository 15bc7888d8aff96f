// SPDX-License-Identifier: Apache-2.0
// From octets to frames to whom they concern. [2.1, figure 2.10]
#include <algorithm>
#include <string>
#include <utility>

#include "amqp/codec/codec.hpp"
#include "amqp/engine/connection_core.hpp"
#include "amqp/spec/catalogue.hpp"
#include "amqp/spec/conditions.hpp"

namespace whimbrel::amqp::engine {

namespace conditions = spec::conditions;

namespace {

template <class Performative>
violation undecodable(const decode_error& fault) {
  const std::string_view type = Performative::type.name;  // amqp:open:list
  std::string what(type);
  what += ": ";
  what += to_text(fault);
  return connection_violation(conditions::decode_error, std::move(what));
}

std::string_view fault_text(frame::frame_fault fault) {
  switch (fault) {
    case frame::frame_fault::none:
      break;
    case frame::frame_fault::too_short:
      return "frame size is below 8";
    case frame::frame_fault::too_long:
      return "frame exceeds max-frame-size";
    case frame::frame_fault::bad_offset:
      return "data offset is outside of the frame";
  }
  return "";
}

/// 0 if there is none.
std::uint64_t code_of(std::span<const std::byte> body) {
  if (body.size() >= 3 && body[0] == std::byte{0x00} && body[1] == std::byte{0x53}) [[likely]]
    return std::to_integer<std::uint64_t>(body[2]);
  std::size_t list_offset = 0;
  return body.empty() ? 0 : spec::fast::performative_code(body, list_offset);
}

}  // namespace

void connection_core::on_octets(std::span<const std::byte> in, clock::time_point now) {
  now_ = now;
  if (finished_ || deaf_) return;
  decoder_.lend(in);
}

const event* connection_core::poll_event() {
  bury();
  for (;;) {
    if (const event* e = next_deferred()) return e;
    if (const event* e = next_pending()) return e;
    if (finished_ || deaf_ || is_stalled()) break;
    const event* e = nullptr;
    if (!step(e)) break;
    if (e != nullptr) return e;
  }
  decoder_.keep();
  if (is_stalled() && decoder_.pending() > limits::handshake_octets_max)
    end_connection({.condition = symbol(conditions::resource_limit_exceeded),
                    .description = "too much was sent before the handshake was over"});
  return next_deferred();
}

/// What earlier frames have set going; our close ends it.
const event* connection_core::next_pending() {
  if (walk_.on == nullptr && scans_ == 0) [[likely]]
    return nullptr;
  if (!may_send()) {
    walk_.on = nullptr;
    return nullptr;
  }
  while (walk_.on != nullptr)
    if (const event* e = next_of_walk()) return e;
  return scans_ != 0 ? next_ready() : nullptr;
}

/// The application owes an answer, and what lies behind depends on it.
bool connection_core::is_stalled() const {
  if (sasl_server_ && layer_ == layer::sasl) return sasl_server_->is_judging();
  return state_ == connection_state::open_rcvd;
}

/// Takes one header or frame. False if there is none.
bool connection_core::step(const event*& out) {
  if (layer_ == layer::header || layer_ == layer::sasl_header) return step_header(out);
  frame::frame_view f;
  switch (decoder_.next(f)) {
    case frame::decoder::status::frame:
      break;
    case frame::decoder::status::need_more:
      return false;
    case frame::decoder::status::fault:
      on_bad_frame();
      return true;
  }
  last_received_ = now_;
  if (options_.trace) [[unlikely]]
    options_.trace(false, f.channel, spec::frame_text(f.body));
  if (!remote_open_ && ++handshake_frames_ > options_.handshake_frames_max) [[unlikely]] {
    end_connection({.condition = symbol(conditions::resource_limit_exceeded),
                    .description = "too many frames before open"});
    return true;
  }
  out = layer_ == layer::sasl ? on_sasl_frame(f) : on_amqp_frame(f);
  return true;
}

bool connection_core::step_header(const event*& out) {
  const auto octets = decoder_.next_protocol_header();
  if (octets.empty()) return false;
  last_received_ = now_;
  const auto header = frame::parse_protocol_header(octets);
  if (header) {
    out = on_header(*header);
  } else {
    refuse_header();
  }
  return true;
}

/// A frame that is well delimited is passed over, so that the peer's close can still be found.
void connection_core::on_bad_frame() {
  const std::string_view what = fault_text(decoder_.fault());
  if (!decoder_.skip_frame()) {
    deaf_ = true;
    decoder_.drop_all();
  }
  if (!is_discarding())
    end_connection(
        {.condition = symbol(conditions::framing_error), .description = std::string(what)});
}

const event* connection_core::on_amqp_frame(const frame::frame_view& f) {
  checked<const event*> result = on_frame(f);
  if (result.has_value()) [[likely]]
    return *result;
  answer(std::move(result).error(), at_remote_channel(f.channel));
  return nullptr;
}

session* connection_core::at_remote_channel(std::uint16_t channel) const {
  return channel < by_remote_channel_.size() ? by_remote_channel_[channel] : nullptr;
}

/// A peer whose end crosses our detach has nothing more to say on that channel [2.5.5], but
/// fe2o3-amqp 0.18.4 still answers the detach. That ends nothing that it has not ended itself.
bool connection_core::is_crossing_detach(std::uint64_t code, std::uint16_t channel) const {
  return code == spec::detach::type.code &&
         std::find(detaches_crossing_.begin(), detaches_crossing_.end(), channel) !=
             detaches_crossing_.end();
}

checked<const event*> connection_core::on_frame(const frame::frame_view& f) {
  const std::uint64_t code = code_of(f.body);
  if (is_discarding()) return on_discarded(f, code);
  if (f.type != static_cast<std::uint8_t>(frame::frame_type::amqp))
    return connection_violation(conditions::framing_error,
                                "frame type " + std::to_string(f.type) + " has no place here");
  if (f.channel > options_.channel_max)
    return connection_violation(conditions::framing_error,
                                "channel " + std::to_string(f.channel) + " exceeds channel-max");
  if (f.body.empty()) return nullptr;  // a sign of life [2.4.5]
  switch (code) {
    case spec::open::type.code:
      return on_open(f);
    case spec::close::type.code:
      return on_close(f);
    default:
      break;
  }
  if (!remote_open_)
    return connection_violation(conditions::illegal_state, "the first frame must be an open");
  if (code < spec::begin::type.code || code > spec::end::type.code)
    return connection_violation(conditions::decode_error, "not a performative of AMQP 1.0");
  if (code == spec::begin::type.code) return on_begin(f);
  session* on = at_remote_channel(f.channel);
  if (on == nullptr) {
    if (is_crossing_detach(code, f.channel)) return nullptr;
    return connection_violation(conditions::not_allowed,
                                "no session on channel " + std::to_string(f.channel));
  }
  return on_session_frame(code, *on, f.body);
}

/// After our close, until the peer's. [2.4.6]
checked<const event*> connection_core::on_discarded(const frame::frame_view& f,
                                                    std::uint64_t code) {
  if (f.type != static_cast<std::uint8_t>(frame::frame_type::amqp)) return nullptr;
  if (code == spec::close::type.code) return on_close(f);
  if (code == spec::open::type.code && next(state_, wire_step::recv_open))
    advance(wire_step::recv_open);
  return nullptr;
}

checked<const event*> connection_core::on_session_frame(std::uint64_t code, session& s,
                                                        std::span<const std::byte> body) {
  if (s.phase_ != session::phase::mapped) {  // ended by us: silence until the peer's end [2.5.5]
    if (code != spec::end::type.code) return nullptr;
    decoded<spec::end> end = codec::decode<spec::end>(body);
    return on_end(s, end.has_value() ? *std::move(end) : spec::end{});
  }
  switch (code) {
    case spec::attach::type.code: {
      decoded<spec::attach> attach = codec::decode<spec::attach>(body);
      if (attach.has_error()) return undecodable<spec::attach>(attach.error());
      return s.on_attach(*std::move(attach));
    }
    case spec::flow::type.code: {
      const auto flow = spec::fast::decode_flow(body);
      if (flow.has_error()) return undecodable<spec::flow>(flow.error());
      return s.on_flow(*flow);
    }
    case spec::transfer::type.code: {
      const auto transfer = spec::fast::decode_transfer(body);
      if (transfer.has_error()) return undecodable<spec::transfer>(transfer.error());
      return s.on_transfer(*transfer);
    }
    case spec::disposition::type.code: {
      const auto disposition = spec::fast::decode_disposition(body);
      if (disposition.has_error()) return undecodable<spec::disposition>(disposition.error());
      const checked<> done = s.on_disposition(*disposition);
      if (done.has_error()) return done.error();
      return nullptr;
    }
    case spec::detach::type.code: {
      decoded<spec::detach> detach = codec::decode<spec::detach>(body);
      if (detach.has_error()) return undecodable<spec::detach>(detach.error());
      return s.on_detach(*std::move(detach));
    }
    default: {
      decoded<spec::end> end = codec::decode<spec::end>(body);
      if (end.has_error()) return undecodable<spec::end>(end.error());
      return on_end(s, *std::move(end));
    }
  }
}

checked<const event*> connection_core::on_begin(const frame::frame_view& f) {
  decoded<spec::begin> begin = codec::decode<spec::begin>(f.body);
  if (begin.has_error()) return undecodable<spec::begin>(begin.error());
  session* old = at_remote_channel(f.channel);
  if (old != nullptr) {
    if (old->phase_ == session::phase::end_sent) return nullptr;  // it has not seen our end
    return connection_violation(conditions::not_allowed, "begin on a channel in use");
  }
  session* fresh = nullptr;
  if (begin->remote_channel) {  // answers ours
    const std::uint16_t channel = *begin->remote_channel;
    if (channel < sessions_.size()) fresh = sessions_[channel].get();
    if (fresh == nullptr || fresh->remote_channel_)
      return connection_violation(conditions::not_allowed, "begin answers no begin of ours");
  } else {
    const auto channel = free_channel();
    if (!channel)
      return connection_violation(conditions::resource_limit_exceeded,
                                  "no channel left that the peer admits");
    fresh = &adopt(*channel);
  }
  if (by_remote_channel_.size() <= f.channel) by_remote_channel_.resize(f.channel + 1u);
  by_remote_channel_[f.channel] = fresh;
  std::erase(detaches_crossing_, f.channel);
  fresh->on_begin(*begin, f.channel);
  if (fresh->phase_ == session::phase::end_sent) return nullptr;  // answered too late
  if (!begin->remote_channel) fresh->send_begin();
  return &next_event(event_kind::session_begun, fresh, nullptr);
}

std::optional<std::uint16_t> connection_core::free_channel() const {
  const auto at = std::find(sessions_.begin(), sessions_.end(), nullptr);
  const auto channel = static_cast<std::size_t>(at - sessions_.begin());
  const std::size_t most = remote_open_ ? remote_open_->channel_max : 0;
  if (channel > most) return std::nullopt;
  return static_cast<std::uint16_t>(channel);
}

session& connection_core::adopt(std::uint16_t channel) {
  if (channel == sessions_.size()) sessions_.emplace_back();
  sessions_[channel].reset(new session(*this, channel));
  ++session_count_;
  return *sessions_[channel];
}

session* connection_core::begin() {
  const auto channel = free_channel();
  if (!may_send() || !channel) return nullptr;
  session& fresh = adopt(*channel);
  fresh.send_begin();
  return &fresh;
}

const event* connection_core::on_end(session& s, spec::end&& end) {
  const bool was_ours = s.phase_ == session::phase::end_sent;
  if (s.awaits_detach()) detaches_crossing_.push_back(*s.remote_channel_);
  if (!was_ours) s.send_end({});
  s.phase_ = session::phase::ended;
  const bool told = s.told_end_;
  retire(s);
  if (told) return nullptr;
  event& e = next_event(event_kind::session_ended, &s, nullptr);
  e.error = keep_error(std::move(end.error));
  return &e;
}

}  // namespace whimbrel::amqp::engine
