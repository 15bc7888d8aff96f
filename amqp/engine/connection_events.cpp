// SPDX-License-Identifier: Apache-2.0
// Events that are not the direct answer to one frame, and the end of what they speak of.
#include <algorithm>

#include "amqp/engine/connection_core.hpp"

namespace whimbrel::amqp::engine {

event& connection_core::next_event(event_kind kind, session* on, link* at) {
  event_.kind = kind;
  event_.by_us = false;
  event_.closed = false;
  event_.error = nullptr;
  event_.on_session = on;
  event_.on_link = at;
  event_.on_sender = at != nullptr && at->is_sender() ? static_cast<sender*>(at) : nullptr;
  event_.on_receiver = at != nullptr && !at->is_sender() ? static_cast<receiver*>(at) : nullptr;
  return event_;
}

const spec::error* connection_core::keep_error(std::optional<spec::error> error) {
  error_ = std::move(error);
  return error_ ? &*error_ : nullptr;
}

void connection_core::defer(event_kind kind, session* on, link* at, bool by_us,
                            std::optional<spec::error> error) {
  deferred_.push_back(
      {.kind = kind, .by_us = by_us, .on = on, .at = at, .error = std::move(error)});
}

void connection_core::defer_attach(link& l) {
  fresh_attach_ = nullptr;
  defer(event_kind::link_attached, &l.on(), &l);
}

const event* connection_core::next_deferred() {
  if (deferred_.empty()) [[likely]]
    return nullptr;
  deferred_event d = std::move(deferred_.front());
  deferred_.erase(deferred_.begin());
  event& e = next_event(d.kind, d.on, d.at);
  e.by_us = d.by_us;
  e.closed = d.by_us;
  e.error = keep_error(std::move(d.error));
  if (d.kind == event_kind::link_detached) d.at->told_gone_ = true;
  if (d.kind == event_kind::link_attached) {
    fresh_attach_ = d.at;
    e.attach = &d.at->remote_attach_;
  }
  if (d.kind == event_kind::session_ended) {
    d.on->told_end_ = true;
    leaving_ = d.on;
  }
  return &e;
}

void connection_core::forget_events_of(const session* s, const link* l) {
  std::erase_if(deferred_, [&](const deferred_event& d) {
    return (s != nullptr && d.on == s) || (l != nullptr && d.at == l);
  });
}

/// What the last event spoke of for the last time goes now.
void connection_core::bury() {
  if (fresh_attach_ != nullptr) [[unlikely]] {
    fresh_attach_->remote_attach_.unsettled.reset();
    fresh_attach_ = nullptr;
  }
  if (leaving_ != nullptr) [[unlikely]] {
    leaving_->drop_links();
    leaving_ = nullptr;
  }
  if (!dead_links_.empty()) [[unlikely]]
    dead_links_.clear();
  if (!dead_sessions_.empty()) [[unlikely]]
    dead_sessions_.clear();
}

void connection_core::retire(link& l) {
  session& on = l.session_;
  if (fresh_attach_ == &l) fresh_attach_ = nullptr;
  if (!l.keeps_) {
    l.drop_deliveries();
    uncount_link(l);
  }
  forget_events_of(nullptr, &l);
  if (l.owes_flow_) std::erase(on.owing_flow_, &l);
  auto& slot = on.links_[l.handle_];
  (l.keeps_ ? on.suspended_ : dead_links_).push_back(std::move(slot));
}

void connection_core::retire_suspended(link& l) {
  session& on = l.session_;
  auto& all = on.suspended_;
  const auto at =
      std::find_if(all.begin(), all.end(), [&l](const auto& s) { return s.get() == &l; });
  if (at == all.end()) return;  // its session could not answer the detach, and ends
  l.drop_deliveries();
  uncount_link(l);
  forget_events_of(nullptr, &l);
  if (l.owes_flow_) std::erase(on.owing_flow_, &l);
  dead_links_.push_back(std::move(*at));
  all.erase(at);
}

void connection_core::retire(session& s) {
  s.drop_accounts();
  forget_events_of(&s, nullptr);
  if (s.remote_channel_) by_remote_channel_[*s.remote_channel_] = nullptr;
  std::erase(dirty_, &s);
  if (s.scan_ready_) --scans_;
  if (walk_.on == &s) walk_.on = nullptr;
  if (leaving_ == &s) leaving_ = nullptr;
  --session_count_;
  dead_sessions_.push_back(std::move(sessions_[s.channel_]));
}

// --- dispositions ---

const event* connection_core::next_of_walk() {
  session& s = *walk_.on;
  const bool outgoing = walk_.ours == spec::role::sender;
  const auto id = outgoing ? s.sent_.first_in(walk_.next, walk_.last)
                           : s.received_.first_in(walk_.next, walk_.last);
  if (!id || *id == walk_.last) walk_.on = nullptr;
  if (!id) {
    outgoing ? s.sent_.compact_if_sparse() : s.received_.compact_if_sparse();
    return nullptr;
  }
  walk_.next = *id + 1;
  return outgoing ? report_outcome(s, *id) : report_settled(s, *id);
}

const event* connection_core::report_outcome(session& s, std::uint32_t id) {
  const outgoing_delivery delivery = *s.sent_.find(id);
  event& e = next_event(event_kind::outcome, &s, delivery.owner);
  e.delivery_id = id;
  e.count = 1;
  e.token = delivery.token;
  e.is_settled = walk_.settled;
  e.state = walk_.state;
  e.state_kind = walk_.kind;
  if (options_.outcome_runs) e.count = run_of(s, id, delivery);
  if (!walk_.settled) return &e;
  if (e.count > 1) {
    s.sent_.erase_run(id, e.count);
  } else {
    s.sent_.erase(id);
  }
  delivery.owner->on_settled(e.count);
  return &e;
}

/// How many deliveries from `id` on the same event may speak of; the walk goes on behind them.
std::uint32_t connection_core::run_of(session& s, std::uint32_t id, const outgoing_delivery& of) {
  const std::uint32_t found =
      s.sent_.run(id, walk_.last, [&](const outgoing_delivery& d, std::uint32_t place) {
        return d.owner == of.owner && d.token == of.token + place;
      });
  const std::uint32_t n = std::max(found, 1u);
  walk_.next = id + n;
  if (id + n - 1 == walk_.last) walk_.on = nullptr;
  return n;
}

const event* connection_core::report_settled(session& s, std::uint32_t id) {
  const incoming_delivery delivery = *s.received_.find(id);
  event& e = next_event(event_kind::settled, &s, delivery.owner);
  e.delivery_id = id;
  e.token = delivery.token;
  e.state = walk_.state;
  e.state_kind = walk_.kind;
  s.received_.erase(id);
  delivery.owner->on_settled(1);
  return &e;
}

// --- senders that may go on ---

void connection_core::scan_ready(session& s) {
  s.scan_at_ = 0;
  if (!s.scan_ready_) ++scans_;
  s.scan_ready_ = true;
}

const event* connection_core::next_ready() {
  for (const auto& s : sessions_) {
    if (!s || !s->scan_ready_) continue;
    if (const event* e = next_ready_of(*s)) return e;
    s->scan_ready_ = false;
    --scans_;
  }
  return nullptr;
}

const event* connection_core::next_ready_of(session& s) {
  while (s.scan_at_ < s.links_.size()) {
    link* at = s.links_[s.scan_at_++].get();
    if (at == nullptr || !at->is_sender() || !at->is_attached()) continue;
    auto& ready = static_cast<sender&>(*at);
    if (ready.partial_.aborted) ready.send_abort();
    if (ready.credit() > 0 || ready.partial_.active)
      return &next_event(event_kind::sender_ready, &s, at);
  }
  return nullptr;
}

// --- counts ---

void connection_core::count_link(link& l) {
  l.is_counted_ = true;
  ++link_count_;
}

void connection_core::uncount_link(link& l) {
  if (l.is_counted_) --link_count_;
  l.is_counted_ = false;
}

bool connection_core::add_partial(std::uint64_t octets) {
  if (octets > options_.partial_octets_max - partial_octets_) return false;
  partial_octets_ += octets;
  return true;
}

}  // namespace whimbrel::amqp::engine
