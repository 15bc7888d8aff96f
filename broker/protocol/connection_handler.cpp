// SPDX-License-Identifier: Apache-2.0
// Events of one connection: login, open, links coming and going.
#include "broker/protocol/connection_handler.hpp"

#include <algorithm>
#include <utility>

#include "amqp/engine/link.hpp"
#include "amqp/engine/session.hpp"
#include "amqp/sasl/plain.hpp"
#include "amqp/spec/conditions.hpp"
#include "broker/management/node_links.hpp"
#include "broker/protocol/incoming_link.hpp"
#include "broker/protocol/outgoing_link.hpp"
#include "broker/protocol/states.hpp"

namespace whimbrel::broker::protocol {

namespace engine = amqp::engine;
namespace conditions = amqp::spec::conditions;
using engine::event_kind;

namespace {

/// Whether two wire ends are of one link. [2.6.1]
bool is_same_link(const engine::link& a, const engine::link& b) {
  return &a.on() == &b.on() && a.is_sender() == b.is_sender() && a.name() == b.name();
}

}  // namespace

connection_handler::connection_handler(context& with, engine::connection& eng, peer who,
                                       std::function<void()> want_flush)
    : with_(with),
      engine_(eng),
      who_(std::move(who)),
      want_flush_(std::move(want_flush)),
      allowed_(&with.users.anonymous()) {}

connection_handler::~connection_handler() {
  *alive_ = false;
  leave_container();
  for (auto& link : links_) link->on_gone(departure::connection_lost);
  for (std::string& queue : owned_) with_.nodes.remove(with_.home, std::move(queue));
}

void connection_handler::on_events() {
  while (const engine::event* e = engine_.poll_event()) on_event(*e);
  for (outgoing_link* link : settling_) link->flush_settlements();
  settling_.clear();
  if (!suspended_.empty()) [[unlikely]] sweep_suspended();
  if (engine_.has_output() || engine_.is_finished()) want_flush_();
}

void connection_handler::on_output_written() {
  const auto written = std::exchange(presettled_, {});
  for (outgoing_link* link : written) link->on_written();
}

void connection_handler::settle_soon(outgoing_link& link) { settling_.push_back(&link); }

void connection_handler::report_written(outgoing_link& link) { presettled_.push_back(&link); }

void connection_handler::on_event(const engine::event& e) {
  switch (e.kind) {
    case event_kind::transfer: {
      auto* link = static_cast<link_base*>(e.on_receiver->context);
      if (link->of() != link_base::kind::queue) return link->on_event(e);
      return static_cast<incoming_link*>(link)->on_transfer(e);
    }
    case event_kind::outcome: {
      auto* link = static_cast<link_base*>(e.on_sender->context);
      if (link->of() != link_base::kind::queue) return link->on_event(e);
      return static_cast<outgoing_link*>(link)->on_outcome(e);
    }
    case event_kind::sender_ready: {
      auto* link = static_cast<link_base*>(e.on_sender->context);
      if (link == nullptr) return;
      if (link->of() != link_base::kind::queue) return link->on_event(e);
      return static_cast<outgoing_link*>(link)->on_ready();
    }
    case event_kind::sasl_init: return on_sasl_init(e);
    case event_kind::opened: return on_opened(e);
    case event_kind::link_attached: return on_attached(e);
    case event_kind::link_detached: return on_detached(e);
    case event_kind::session_ended: return on_session_ended(e);
    case event_kind::connection_closed: return on_closed(e);
    case event_kind::sasl_response: return on_sasl_response(e);
    case event_kind::authenticated:
    case event_kind::session_begun:
    case event_kind::drained:
    case event_kind::settled: return;
  }
}

// --- login -----------------------------------------------------------------------------------

void connection_handler::on_sasl_init(const engine::event& e) {
  const auto& mechanism = e.sasl_init->mechanism;
  if (mechanism == "ANONYMOUS" && who_.anonymous_allowed) {
    return engine_.sasl_outcome(amqp::spec::sasl_code::ok);
  }
  if (mechanism == "PLAIN" && e.sasl_init->initial_response) {
    return check_plain(e.sasl_init->initial_response->octets);
  }
  for (const security::scram_hash hash : security::scram_hashes) {
    if (mechanism != security::mechanism_of(hash)) continue;
    begin_scram(hash);
    if (!scram_) return engine_.sasl_outcome(amqp::spec::sasl_code::sys_temp);
    if (!e.sasl_init->initial_response) return engine_.sasl_challenge({});  // asks for it
    return check_scram(e.sasl_init->initial_response->octets);
  }
  on_verdict(false);
}

void connection_handler::on_sasl_response(const engine::event& e) {
  if (scram_) return check_scram(e.sasl_octets);
  on_verdict(false);
}

void connection_handler::check_plain(std::span<const std::byte> response) {
  const auto login = amqp::sasl::parse_plain(response);
  // Nobody acts for somebody else here: an authorisation identity must be the login's own.
  if (!login || (!login->authzid.empty() && login->authzid != login->authcid)) {
    return on_verdict(false);
  }
  user_claimed_ = login->authcid;
  const auto tell = [this, alive = alive_](bool good) {
    with_.post_from_anywhere([this, alive, good] {
      if (!*alive) return;
      on_verdict(good);
      want_flush_();
    });
  };
  if (with_.logins.submit(user_claimed_, std::string(login->passwd), tell)) return;
  with_.log.warning("too many logins at a time", {{"peer", who_.address}});
  engine_.sasl_outcome(amqp::spec::sasl_code::sys_temp);
}

void connection_handler::begin_scram(security::scram_hash hash) {
  std::string nonce = with_.scram_nonce();
  if (nonce.empty()) {
    return with_.log.error("no random numbers for a login", {{"peer", who_.address}});
  }
  scram_ = std::make_unique<security::scram_server>(with_.users, hash, std::move(nonce));
}

/// On this worker, since it costs no more than some HMACs.
void connection_handler::check_scram(std::span<const std::byte> response) {
  const std::string_view text(reinterpret_cast<const char*>(response.data()), response.size());
  const auto answer = scram_->respond(text);
  user_claimed_ = scram_->user();
  if (answer && !scram_->is_complete()) {
    return engine_.sasl_challenge(std::as_bytes(std::span(*answer)));
  }
  scram_.reset();
  on_verdict(answer.has_value(), answer.value_or(""));
}

/// The `proof` that we know the password too goes with a good outcome [5.3.3.5]. A failed login is
/// answered late, so that guessing is slow. (attack A9)
void connection_handler::on_verdict(bool good, std::string_view proof) {
  if (good) {
    user_ = std::exchange(user_claimed_, {});
    const security::user* user = with_.users.find(user_);
    if (user != nullptr) allowed_ = &user->allowed;
    return engine_.sasl_outcome(amqp::spec::sasl_code::ok, std::as_bytes(std::span(proof)));
  }
  with_.log.warning("login refused", {{"peer", who_.address}, {"user", user_claimed_}});
  with_.home.run_on().after(with_.settings.failed_login_delay, [this, alive = alive_] {
    if (!*alive) return;
    engine_.sasl_outcome(amqp::spec::sasl_code::auth);
    want_flush_();
  });
}

// --- links -----------------------------------------------------------------------------------

void connection_handler::on_attached(const engine::event& e) {
  std::unique_ptr<link_base> made = management::make_link(*this, with_, *e.on_link, *e.attach);
  if (made) {
    // One of the management nodes, which are no queues.
  } else if (e.on_link->is_sender()) {
    made = std::make_unique<outgoing_link>(*this, with_, static_cast<engine::sender&>(*e.on_link));
  } else {
    made =
        std::make_unique<incoming_link>(*this, with_, static_cast<engine::receiver&>(*e.on_link));
  }
  link_base& link = *made;
  links_.push_back(std::move(made));
  if (!suspended_.empty()) follow_suspended(link, *e.attach);
  link.start(*e.attach);
}

/// A link that is attached again on its session goes on: what it holds stays where it is [2.6.4]. A
/// peer that says what it still knows of that resumes the link instead: then all goes back first,
/// for no delivery is resumed here, and our attach has none to tell. [2.6.5, 2.6.13]
void connection_handler::follow_suspended(link_base& fresh, const amqp::spec::attach& asked) {
  const auto last = std::find_if(suspended_.begin(), suspended_.end(), [&](const link_base* s) {
    return s->after() == nullptr && is_same_link(s->wire(), fresh.wire());
  });
  if (last == suspended_.end()) return;
  fresh.follow(**last);
  if (asked.unsettled) end_before(fresh);
}

void connection_handler::on_detached(const engine::event& e) {
  engine::link& wire = *e.on_link;
  // One that the engine ended is not one that its peer wants to be gone.
  const bool closed = e.closed && !e.by_us;
  auto* link = static_cast<link_base*>(wire.context);
  if (closed && link != nullptr && link->on_closing()) return;
  const bool is_plain = !e.closed && e.error == nullptr;
  if (is_plain && link != nullptr && link->suspend()) return suspended_.push_back(link);
  if (link != nullptr) end_before(*link);
  drop(wire, closed ? departure::closed : departure::detached);
  wire.detach(closed);
}

void connection_handler::end_suspended(link_base& link) {
  engine::link& wire = link.wire();
  drop(wire, departure::detached);
  wire.forget();
}

void connection_handler::end_before(const link_base& link) {
  while (link.before() != nullptr) end_suspended(*link.before());
}

/// Those go whose last delivery has been settled; but who has the name stays while one that it has
/// followed still holds something, or that would not be found when the name is attached elsewhere.
void connection_handler::sweep_suspended() {
  for (std::size_t i = 0; i < suspended_.size();) {
    link_base& link = *suspended_[i];
    const bool has_past = link.before() != nullptr && link.after() == nullptr;
    if (link.wire().unsettled() > 0 || has_past) ++i;
    else end_suspended(link);
  }
}

void connection_handler::end_closing(link_base& link, std::optional<amqp::spec::error> error) {
  engine::link& wire = link.wire();
  drop(wire, departure::closed);
  wire.detach(true, std::move(error));
  want_flush_();
}

void connection_handler::on_session_ended(const engine::event& e) {
  for (std::size_t i = links_.size(); i-- > 0;) {
    if (&links_[i]->wire().on() == e.on_session) drop(links_[i]->wire(), departure::session_ended);
  }
}

void connection_handler::on_closed(const engine::event& e) {
  drop_links();
  leave_container();  // before the peer hears our close, and perhaps comes again
  const std::string why = e.error == nullptr
                              ? std::string("no error")
                              : e.error->condition.text + ": " + e.error->description.value_or("");
  with_.log.info("connection closed",
                 {{"peer", who_.address}, {"by", e.by_us ? "us" : "peer"}, {"why", why}});
}

void connection_handler::drop_links() {
  while (!links_.empty()) drop(links_.back()->wire(), departure::connection_lost);
}

void connection_handler::drop(engine::link& wire, departure why) {
  auto* link = static_cast<link_base*>(wire.context);
  if (link == nullptr) return;
  link->on_gone(why);
  wire.context = nullptr;
  forget(*link);
}

void connection_handler::forget(link_base& link) {
  std::erase(settling_, &link);
  std::erase(presettled_, &link);
  if (!suspended_.empty()) std::erase(suspended_, &link);
  link.step_out();
  const auto found = std::find_if(links_.begin(), links_.end(),
                                  [&](const auto& l) { return l.get() == &link; });
  if (found == links_.end()) return;
  std::swap(*found, links_.back());
  links_.pop_back();
}

void connection_handler::shut_down(amqp::spec::error why) {
  engine_.close(std::move(why));
  want_flush_();
}

}  // namespace whimbrel::broker::protocol
