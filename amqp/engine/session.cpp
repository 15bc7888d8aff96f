// SPDX-License-Identifier: Apache-2.0
// A session: begin and end, and what its frames mean for windows, links and deliveries. [2.5]
#include "amqp/engine/session.hpp"

#include <algorithm>

#include "amqp/engine/connection_core.hpp"
#include "amqp/engine/shorten.hpp"
#include "amqp/spec/conditions.hpp"

namespace whimbrel::amqp::engine {

namespace conditions = spec::conditions;

session::session(connection_core& core, std::uint16_t channel)
    : core_(core), channel_(channel), incoming_(core.settings().incoming_window) {
  next_delivery_id_ = core.settings().first_delivery_id;
}
session::~session() = default;

connection& session::on() const { return core_.owner(); }

bool session::may_send() const {
  return (phase_ == phase::mapped || phase_ == phase::begin_sent) && core_.may_send();
}

void session::end(std::optional<spec::error> error) {
  if (may_send()) send_end(std::move(error));
}

void session::set_incoming_window(std::uint32_t frames) {
  if (!may_send() || frames == incoming_.size()) return;
  incoming_.resize(frames);
  owe_flow();
}

// --- what the peer sends ---

void session::on_begin(const spec::begin& begin, std::uint16_t remote_channel) {
  remote_channel_ = remote_channel;
  remote_handle_max_ = begin.handle_max;
  incoming_.on_begin(begin.next_outgoing_id);
  outgoing_.on_begin(begin.incoming_window);
  begin_seen_ = true;
  if (phase_ == phase::begin_sent) phase_ = phase::mapped;
}

link* session::at_remote_handle(std::uint32_t handle) const {
  return handle < by_remote_handle_.size() ? by_remote_handle_[handle] : nullptr;
}

namespace {

violation unattached(std::uint32_t handle) {
  return session_violation(conditions::unattached_handle,
                           "no link is attached to handle " + std::to_string(handle));
}

}  // namespace

/// Input for a link that we have detached may have crossed our detach. Behind an error of the
/// peer's own making it ends the session, as it must [2.6.5]. Behind one that came from elsewhere
/// (a queue deleted, a link stolen) the other links of the session would pay for what their peer
/// could not know: there it is ignored, unless the peer shows that it has seen later frames of
/// ours.
checked<> session::on_input_after_detach(const link& l, bool was_seen) const {
  if (!was_seen && !l.errant_) return {};
  if (!l.failed_) return unattached(l.remote_handle_);
  return session_violation(conditions::errant_link,
                           "input for link " + l.name_ + ", which was detached with an error");
}

checked<const event*> session::on_flow(const spec::fast::flow_view& flow) {
  if (!incoming_.on_flow(flow.next_outgoing_id))
    return session_violation(conditions::window_violation, "next-outgoing-id went back");
  const bool was_blocked = outgoing_.room() == 0;
  outgoing_.on_flow(flow.next_incoming_id, flow.incoming_window);
  if (was_blocked && outgoing_.room() > 0) core_.scan_ready(*this);
  if (!flow.handle) {
    if (flow.echo) owe_flow();
    return nullptr;
  }
  link* const at = at_remote_handle(*flow.handle);
  if (at == nullptr) return unattached(*flow.handle);
  if (at->local_ == link::half::detached) {
    const bool seen = flow.next_incoming_id &&
                      at->outgoing_at_detach_.precedes(transfer_id(*flow.next_incoming_id));
    const checked<> ignored = on_input_after_detach(*at, seen);
    if (ignored.has_error()) return ignored.error();
    return nullptr;
  }
  if (flow.echo) owe_flow(*at);
  if (!at->is_sender()) {
    static_cast<receiver*>(at)->on_flow(flow);
    return nullptr;
  }
  static_cast<sender*>(at)->on_flow(flow);
  if (at->local_ == link::half::unattached) return nullptr;  // told when we attach
  return &core_.next_event(event_kind::sender_ready, this, at);
}

checked<const event*> session::on_transfer(const spec::fast::transfer_view& transfer) {
  const transfer_id id = incoming_.next();
  if (!incoming_.on_transfer()) [[unlikely]]
    return session_violation(conditions::window_violation, "more transfers than the window admits");
  if (incoming_.wants_flow()) [[unlikely]]
    owe_flow();
  link* const at = at_remote_handle(transfer.handle);
  if (at == nullptr) [[unlikely]]
    return unattached(transfer.handle);
  if (at->local_ == link::half::detached) [[unlikely]] {
    const checked<> ignored = on_input_after_detach(*at, !id.precedes(at->incoming_at_detach_));
    if (ignored.has_error()) return ignored.error();
    return nullptr;
  }
  if (at->is_sender())
    return link_violation(*at, conditions::not_allowed, "transfer from the receiver of a link");
  return static_cast<receiver*>(at)->on_transfer(transfer);
}

checked<> session::on_disposition(const spec::fast::disposition_view& disposition) {
  if (static_cast<std::int32_t>(disposition.last - disposition.first) < 0)
    return session_violation(conditions::invalid_field, "disposition: last is before first");
  const bool from_receiver = disposition.role;
  // What a sender states without settling concerns nobody: our own state stands. [2.6.12]
  if (!from_receiver && !disposition.settled) return {};
  core_.walk({.on = this,
              .ours = from_receiver ? spec::role::sender : spec::role::receiver,
              .settled = disposition.settled,
              .next = disposition.first,
              .last = disposition.last,
              .state = disposition.state,
              .kind = spec::fast::classify_state(disposition.state)});
  return {};
}

// --- what goes out ---

void session::send_begin() {
  const options& ours = core_.settings();
  const bool written =
      core_.out().write(frame::frame_type::amqp, channel_,
                        spec::begin{.remote_channel = remote_channel_,
                                    .next_outgoing_id = first_outgoing_id.value(),
                                    .incoming_window = incoming_.size(),
                                    .outgoing_window = ours.outgoing_window,
                                    .handle_max = std::min(ours.handle_max, handle_max_most)});
  AMQP_ASSERT(written);
}

void session::send_end(std::optional<spec::error> error) {
  flush();
  core_.out().write_with_error(channel_, spec::end{.error = std::move(error)});
  phase_ = phase::end_sent;
}

void session::send_flow(link* on) {
  owes_flow_ = false;
  const auto window = begin_seen_ ? incoming_.announce() : incoming_.size();
  spec::fast::flow_view flow{.incoming_window = window,
                             .next_outgoing_id = outgoing_.next().value(),
                             .outgoing_window = core_.settings().outgoing_window};
  if (begin_seen_) flow.next_incoming_id = incoming_.next().value();
  if (on != nullptr) {
    flow.handle = on->handle_;
    if (on->is_sender()) {
      static_cast<sender*>(on)->fill(flow);
    } else {
      static_cast<receiver*>(on)->fill(flow);
    }
  }
  core_.out().write_fast(channel_, spec::fast::flow_octets_max(0),
                         [&](std::byte* at) { return spec::fast::encode_flow(at, flow); });
}

void session::tell(spec::role ours, std::uint32_t first, std::uint32_t last, bool settled,
                   std::span<const std::byte> state) {
  disposition_range& range = ours == spec::role::sender ? as_sender_ : as_receiver_;
  if (range.extend(first, last, settled, state)) [[likely]]
    return;
  if (!range.empty()) write_disposition(range.take(ours));
  if (state.size() > disposition_range::state_octets_max) {
    write_disposition({.role = ours == spec::role::receiver,
                       .first = first,
                       .last = last,
                       .settled = settled,
                       .state = state});
    return;
  }
  range.begin(first, last, settled, state);
  if (spec::fast::classify_state(state) == spec::fast::state_kind::transactional)
    core_.keep_order();
  become_dirty();
}

void session::write_disposition(const spec::fast::disposition_view& disposition) {
  const auto encode = [&](std::byte* at) {
    return spec::fast::encode_disposition(at, disposition);
  };
  const std::size_t octets = spec::fast::disposition_octets_max(disposition.state.size());
  if (frame::header_octets + octets <= core_.out().frame_size_max()) [[likely]] {
    core_.out().write_fast(channel_, octets, encode);
    return;
  }
  const codec::raw shorter = shorten_state(disposition.state);
  spec::fast::disposition_view fitting = disposition;
  fitting.state = shorter.octets();
  write_disposition(fitting);
}

void session::flush_dispositions() {
  if (!as_sender_.empty()) write_disposition(as_sender_.take(spec::role::sender));
  if (!as_receiver_.empty()) write_disposition(as_receiver_.take(spec::role::receiver));
}

void session::flush() {
  if (!may_send()) return;
  flush_dispositions();
  if (!owing_flow_.empty()) {
    std::vector<link*> owing;
    owing.swap(owing_flow_);
    for (link* l : owing) {
      l->owes_flow_ = false;
      if (l->local_ != link::half::attached) continue;
      if (l->is_sender() && static_cast<sender*>(l)->partial_.active) {
        l->owes_flow_ = true;  // its delivery-count is told between deliveries only
        owing_flow_.push_back(l);
        continue;
      }
      send_flow(l);
    }
  }
  if (owes_flow_) send_flow(nullptr);
}

void session::owe_flow() {
  owes_flow_ = true;
  become_dirty();
}

void session::owe_flow(link& l) {
  become_dirty();
  if (l.owes_flow_) return;
  l.owes_flow_ = true;
  owing_flow_.push_back(&l);
}

void session::become_dirty() {
  if (is_dirty_) return;
  is_dirty_ = true;
  core_.become_dirty(*this);
}

/// What the links of the session hold of the connection's allowances.
void session::drop_accounts() {
  for (const auto& l : suspended_) core_.uncount_link(*l);
  for (const auto& l : links_) {
    if (!l) continue;
    core_.uncount_link(*l);
    if (!l->is_sender()) static_cast<receiver*>(l.get())->drop_partial();
  }
}

void session::drop_links() {
  drop_accounts();
  owing_flow_.clear();
  by_remote_handle_.clear();
  sent_ = {};
  received_ = {};
  links_.clear();
  suspended_.clear();
}

void session::release_spare() {
  sent_.release_spare();
  received_.release_spare();
  if (owing_flow_.empty()) owing_flow_.shrink_to_fit();
}

}  // namespace whimbrel::amqp::engine
