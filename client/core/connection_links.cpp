// SPDX-License-Identifier: Apache-2.0
// The session and its links: attached, told what happens, lost.
#include <algorithm>
#include <utility>

#include "amqp/engine/link.hpp"
#include "amqp/spec/conditions.hpp"
#include "client/core/connection.hpp"
#include "client/core/receiver.hpp"
#include "client/core/sender.hpp"

namespace whimbrel::client::core {

namespace engine = amqp::engine;

namespace {

failure failure_of(error_scope scope, const engine::event& e, const char* otherwise) {
  if (e.error == nullptr) return {scope, {}, otherwise};
  return {scope, e.error->condition.text, e.error->description.value_or("")};
}

link* ours(const engine::event& e) {
  return e.on_link == nullptr ? nullptr : static_cast<link*>(e.on_link->context);
}

}  // namespace

void connection::begin() {
  session_ = wire_->engine().begin();
  if (session_ != nullptr) return owe_flush();
  const failure why{error_scope::session, {}, "the peer admits no session"};
  lose_links(why);
  if (const done then = std::exchange(when_open_, {})) then(why);
}

void connection::on_begun() {
  begun_ = true;
  if (phase_ == phase::opening) {
    phase_ = phase::open;
    timer_.cancel();
  }
  if (const done then = std::exchange(when_open_, {})) then(std::nullopt);
  for (const auto& each : std::exchange(waiting_, {})) start_link(each);
}

void connection::attach(std::shared_ptr<link> fresh, done then) {
  if (phase_ != phase::open) {
    const failure why = why_gone_.value_or(failure{error_scope::usage, {},
                                                   "the connection is not open"});
    return then(why);
  }
  fresh->when_attached_ = std::move(then);
  if (begun_) return start_link(fresh);
  waiting_.push_back(std::move(fresh));
  if (session_ == nullptr) begin();
}

void connection::start_link(const std::shared_ptr<link>& fresh) {
  if (fresh->phase_ != link::phase::idle) return;  // given up meanwhile
  if (!fresh->start(*session_)) {
    return fresh->gone(failure{error_scope::session, {}, "the session admits no more links"});
  }
  fresh->phase_ = link::phase::attaching;
  fresh->on_ = this;
  links_.push_back(fresh);
  owe_flush();
}

void connection::on_link_event(const engine::event& e) {
  link* const at = ours(e);
  if (at == nullptr) {
    // Nobody here waits for links of the peer's making.
    if (e.kind == engine::event_kind::link_attached) {
      e.on_link->refuse({.condition = symbol(amqp::spec::conditions::not_allowed),
                         .description = "links are attached by the client alone"});
    } else if (e.kind == engine::event_kind::link_detached && !e.by_us) {
      e.on_link->detach(true);
    }
    return;
  }
  switch (e.kind) {
    case engine::event_kind::link_attached: return at->attached(*e.attach);
    case engine::event_kind::link_detached: return on_link_detached(e);
    case engine::event_kind::sender_ready: return static_cast<sender*>(at)->on_ready();
    case engine::event_kind::outcome: return static_cast<sender*>(at)->on_outcome(e);
    case engine::event_kind::transfer: return static_cast<receiver*>(at)->on_transfer(e);
    case engine::event_kind::drained: return static_cast<receiver*>(at)->on_drained();
    default: return;
  }
}

void connection::on_link_detached(const engine::event& e) {
  link* const at = ours(e);
  const failure why = failure_of(error_scope::link, e, "the peer detached the link");
  if (!e.by_us) e.on_link->detach(e.closed);  // does nothing where it answers ours
  const auto it = std::find_if(links_.begin(), links_.end(),
                               [at](const auto& each) { return each.get() == at; });
  if (it == links_.end()) return;
  const auto last = std::move(*it);
  links_.erase(it);
  last->gone(why);
}

void connection::on_session_ended(const engine::event& e) {
  if (e.on_session != session_) return;
  session_ = nullptr;
  begun_ = false;
  const failure why = failure_of(error_scope::session, e, "the peer ended the session");
  lose_links(why);
  if (phase_ == phase::opening) {
    fail(why);
    stop();
  }
}

}  // namespace whimbrel::client::core
