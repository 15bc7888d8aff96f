// SPDX-License-Identifier: Apache-2.0
// From queue to transfer, and the outcome back.
#include "broker/protocol/outgoing_link.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "amqp/base/octet_buffer.hpp"
#include "amqp/codec/codec.hpp"
#include "amqp/message/view.hpp"
#include "amqp/spec/conditions.hpp"
#include "broker/protocol/connection_handler.hpp"
#include "broker/protocol/filter/filter_set.hpp"
#include "broker/protocol/terminus.hpp"

namespace whimbrel::broker::protocol {

namespace conditions = amqp::spec::conditions;
namespace engine = amqp::engine;
using core::outcome;

namespace {
constexpr std::uint32_t ahead_max = 2048;

/// A consumer's priority, by the names that clients of other brokers use; 0 if it states none.
std::int32_t priority_of(const amqp::spec::attach& asked) {
  if (!asked.properties) return 0;
  auto stated = asked.properties->find("rabbitmq:priority");
  if (!stated) stated = asked.properties->find("priority");
  const auto number = stated ? stated->to_signed() : std::nullopt;
  if (!number || *number < INT32_MIN || *number > INT32_MAX) return 0;
  return static_cast<std::int32_t>(*number);
}
}  // namespace

outgoing_link::outgoing_link(connection_handler& owner, context& with, engine::sender& wire)
    : link_base(owner, with, wire), wire_out_(wire) {}

void outgoing_link::start(const amqp::spec::attach& asked) {
  std::optional<amqp::spec::source> before = std::move(asked_.source);
  asked_ = asked;
  if (!asked.source) asked_.source = std::move(before);
  message_size_max_ = asked.max_message_size.value_or(0);
  if (message_size_max_ == 0) message_size_max_ = ~std::uint64_t{0};
  // One without a source asks about the link of its name, which stays whose it is.
  if (!asked_.source) return look_up();
  const amqp::spec::source& source = *asked_.source;
  if (!source.dynamic && !source.address) {
    return refuse(conditions::not_found, "the source has no address");
  }
  browsing_ = source.distribution_mode && *source.distribution_mode == "copy";
  presettled_ = asked.snd_settle_mode == amqp::spec::sender_settle_mode::settled;
  if (!source.default_outcome.empty()) {
    const auto octets = source.default_outcome.octets();
    default_outcome_ = read_outcome(amqp::spec::fast::classify_state(octets), octets);
  }
  if (source.filter) {
    auto filters = filter::read_filter_set(*source.filter, owner_.id());
    if (filters.has_error()) {
      return refuse(conditions::invalid_field, filters.error().text);
    }
    wants_ = std::move(filters->selects);
    filter_ = std::move(filters->in_force);
  }
  core::node_request request;
  request.address = source.address.value_or("");
  request.dynamic = source.dynamic;
  request.to_consume = true;
  request.hint = hint_of(source.capabilities);
  request.wish = wish_of(asked_, owner_.container());
  take_name([this, request = std::move(request)] { resolve(request); });
}

void outgoing_link::on_resolved(const core::node_reply& reply) {
  if (!reply.is_ok()) return refuse(reply.condition, reply.description);
  queue_ = reply.queue;
  source_in_force in_force;
  in_force.dynamic = asked_.source->dynamic;
  in_force.browsing = browsing_;
  in_force.address = in_force.dynamic ? reply.name : *asked_.source->address;
  in_force.filter = std::move(filter_);
  if (in_force.dynamic || (reply.subscribed && reply.subscription.empty())) {
    temporary_ = reply.name;
  }
  // To a topic all links are as `copy` says: each subscription has its own.
  if (reply.subscribed) in_force.browsing = browsing_ = false;
  in_force.subscribed = reply.subscribed;
  in_force.lasting = reply.subscribed && request_lasts(asked_);
  // A subscription's consumers come and go by detaching, and others wait for what they held; nodes
  // of a link go with it; and who only looks, or has been told all, holds nothing.
  staying_ = !browsing_ && !presettled_ && !reply.subscribed && !in_force.dynamic &&
             outlives_detach(asked_.source->expiry_policy);
  in_force.staying = staying_;
  subscription_ = reply.subscription;
  ticket_ = reply.ticket;
  attached_ = true;
  wire_out_.attach(reply_to_receiver(asked_, in_force));
  core::letter l;
  l.kind = core::letter_kind::subscribe;
  l.flags = browsing_ ? core::letter_flag::copy : std::uint8_t{0};
  l.count = static_cast<std::uint32_t>(priority_of(asked_));
  l.link = self_;
  l.queue = queue_;
  if (wants_) {
    l.detail = std::make_unique<core::letter_detail>();
    l.detail->wants = std::move(wants_);
  }
  home().send(std::move(l));
  ask();  // credit may have come before the attach was answered
}

// --- credit ----------------------------------------------------------------------------------

void outgoing_link::on_ready() {
  if (!attached_ || ending_) return;
  if (partial_) go_on();
  send_pending();
  ask();
}

/// How many deliveries the queue may have made in all, for the credit there is.
std::uint32_t outgoing_link::limit() const {
  const std::uint32_t sent = received_ - static_cast<std::uint32_t>(pending_.size());
  return sent + std::min(wire_out_.credit(), ahead_max);
}

bool outgoing_link::has_few_left() const {
  return static_cast<std::int32_t>(asked_for_ - received_) <=
         static_cast<std::int32_t>(ahead_max / 2);
}

/// Tells the queue how far it may go.
void outgoing_link::ask() {
  if (!attached_ || ending_ || !queue_) return;
  const std::uint32_t limit = this->limit();
  const bool drain = wire_out_.is_draining();
  const auto more = static_cast<std::int32_t>(limit - asked_for_);
  if (!(drain && !drain_asked_) && (more == 0 || (more > 0 && !has_few_left()))) return;
  asked_for_ = limit;
  drain_asked_ = drain;
  core::letter l;
  l.kind = core::letter_kind::grant;
  l.flags = drain ? core::letter_flag::drain : std::uint8_t{0};
  l.link = self_;
  l.queue = queue_;
  l.count = limit;
  home().send(std::move(l));
}

void outgoing_link::finish_drain_if_done() {
  if (!drain_answered_ || !pending_.empty() || partial_) return;
  drain_answered_ = false;
  drain_asked_ = false;
  wire_out_.finish_drain();
  ask();
}

// --- deliveries ------------------------------------------------------------------------------

void outgoing_link::on_letter(core::letter&& l) {
  switch (l.kind) {
    case core::letter_kind::deliver:
      return on_delivery(l.queue,
                         {l.first, l.count, l.has(core::letter_flag::first_acquirer), l.expires_ms},
                         l.message);
    case core::letter_kind::answer: on_answer(l); break;
    case core::letter_kind::drained:
      if (!drain_asked_ || ending_) return;
      if (l.first != asked_for_) return;  // another grant is under way, and will be answered too
      // The queue may have used what it was allowed, which is less than the credit there is. What
      // waits here goes first; on_ready asks for more then.
      if (received_ == asked_for_ && wire_out_.credit() > pending_.size()) {
        drain_asked_ = false;
        if (pending_.empty()) ask();
        break;
      }
      asked_for_ = received_;
      drain_answered_ = true;
      finish_drain_if_done();
      break;
    case core::letter_kind::active:
      if (ending_) return;
      tell_active(l.has(core::letter_flag::open));
      break;
    case core::letter_kind::detached:
      if (ending_) return;
      temporary_.clear();  // it has gone already
      if (l.detail->condition == conditions::stolen) on_gone(departure::detached);
      detach(l.detail->condition, l.detail->description);
      break;
    default: return;
  }
  owner_.want_flush();
}

/// Under the name that clients know.
void outgoing_link::tell_active(bool active) {
  using amqp::codec::value;
  const amqp::codec::map state{{value(amqp::symbol("rabbitmq:active")), value(active)}};
  amqp::octet_buffer encoded;
  amqp::codec::encode(encoded, state);
  wire_out_.tell_properties(encoded.octets());
}

void outgoing_link::on_delivery(core::queue_ref, const core::delivery& d,
                                const core::message_ptr& message) {
  ++received_;
  if (ending_) {
    if (!browsing_) send_settle({d.at, d.at, 0}, {outcome::released}, false);
    return;
  }
  if (pending_.empty() && !partial_ && wire_out_.can_send()) {
    send(message, d);
  } else {
    pending_.push_back({message, d});
  }
  // Not from here: the queue is in the middle of giving out.
  if (!ask_soon_ && has_few_left() && limit() != asked_for_) {
    ask_soon_ = true;
    owner_.report_written(*this);
  }
  owner_.want_flush();
}

void outgoing_link::send_pending() {
  while (!pending_.empty() && !partial_ && wire_out_.can_send()) {
    const kept next = std::move(pending_.front());
    pending_.pop_front();
    send(next.message, next.what);
  }
  finish_drain_if_done();
}

/// The header is written anew for each delivery: what remains of the time to live, who had it
/// before, how often it failed. [3.2.1]
std::span<const std::byte> outgoing_link::write_head(const core::message& m,
                                                     const core::delivery& d) {
  amqp::message::header_view h = m.header();
  h.first_acquirer = d.first_acquirer;
  h.delivery_count = d.failed;
  if (d.expires_ms != 0) {
    const std::int64_t left = d.expires_ms - home().run_on().wall_ms();
    h.ttl = static_cast<std::uint32_t>(std::max<std::int64_t>(left, 0));
  }
  if (h != with_.head_of) {
    with_.head_of = h;
    with_.head.clear();
    amqp::message::write_header(with_.head, h);
  }
  return with_.head.octets();
}

void outgoing_link::send(const core::message_ptr& message, const core::delivery& d) {
  const auto head = write_head(*message, d);
  if (head.size() + message->relayed().size() > message_size_max_) [[unlikely]] {
    return set_aside(d.at);
  }
  const std::uint32_t tag = next_tag_++;
  engine::outgoing o;
  o.tag = std::as_bytes(std::span(&tag, 1));
  o.message_format = message->format();
  o.settled = presettled_;
  o.token = d.at;
  const auto done = wire_out_.send(o, head, message->relayed());
  ++with_.counted.messages_out;
  if (done.complete) return on_sent(d.at);
  partial_head_.assign(head.begin(), head.end());
  partial_ = kept{message, d};
}

/// Larger than the consumer admits, so it is not for this link [2.7.3]. Detaching would be legal,
/// and would stop the consumer at this message for ever; so it stays for others, as if this one had
/// said modified(undeliverable-here): it goes to the dead letters of queues that have them. In a
/// queue that goes with this link there are no others: it is rejected.
void outgoing_link::set_aside(core::sequence at) {
  oversized_.push_back(at);
  if (oversized_.size() > 1) return;
  // Not from here: the queue is in the middle of giving out.
  home().run_on().post([&with = with_, self = self_] {
    auto* end = static_cast<outgoing_link*>(with.home.find_link(self));
    if (end == nullptr) return;
    end->give_back_oversized();
    end->ask();  // they have used no credit
    end->owner_.want_flush();
  });
}

void outgoing_link::give_back_oversized() {
  if (oversized_.empty()) return;
  with_.log.debug("messages exceed the consumer's max-message-size",
                  {{"link", wire_.name()}, {"count", std::to_string(oversized_.size())}});
  stated_outcome how{outcome::rejected};
  if (temporary_.empty()) how = {.what = outcome::modified, .undeliverable = true};
  const auto these = std::exchange(oversized_, {});
  if (browsing_) return;
  for (const core::sequence at : these) send_settle({at, at, 0}, how, false);
}

void outgoing_link::go_on() {
  if (!wire_out_.resume(partial_head_, partial_->message->relayed()).complete) return;
  const core::sequence at = partial_->what.at;
  partial_.reset();
  on_sent(at);
}

void outgoing_link::on_sent(core::sequence at) {
  if (!presettled_ || browsing_) return;
  if (unwritten_.empty()) owner_.report_written(*this);
  if (!unwritten_.empty() && unwritten_.back().last + 1 == at) {
    unwritten_.back().last = at;
  } else {
    unwritten_.push_back({at, at, 0});
  }
}

void outgoing_link::on_written() {
  const bool has_settled = !unwritten_.empty();
  const std::uint32_t asked_before = asked_for_;
  settle_written();
  if (std::exchange(ask_soon_, false)) ask();
  // Letters to other workers leave with the next turn, so there has to be one.
  if (has_settled || asked_for_ != asked_before) owner_.want_flush();
}

void outgoing_link::settle_written() {
  for (const range& what : unwritten_) send_settle(what, {outcome::accepted}, false);
  unwritten_.clear();
}

// --- outcomes --------------------------------------------------------------------------------

void outgoing_link::on_outcome(const engine::event& e) {
  auto how = read_outcome(e.state_kind, e.state);
  if (!how && !e.is_settled) return;  // no outcome yet: received, or something unknown
  if (!how) how = default_outcome_.value_or(stated_outcome{outcome::released});
  if (browsing_) {
    if (!e.is_settled) {
      wire_out_.settle_range(e.delivery_id, e.delivery_id + (e.count - 1), e.state);
    }
    return;
  }
  settle({e.token, e.token + (e.count - 1), e.delivery_id}, *how, !e.is_settled);
}

void outgoing_link::settle(const range& what, const stated_outcome& how, bool answer) {
  if (how.what == outcome::accepted) {
    if (gathered_ && gathered_answer_ == answer && gathered_->last + 1 == what.first &&
        gathered_->id + static_cast<std::uint32_t>(what.first - gathered_->first) == what.id) {
      gathered_->last = what.last;
      return;
    }
    flush_settlements();
    gathered_ = what;
    gathered_answer_ = answer;
    return owner_.settle_soon(*this);
  }
  flush_settlements();
  send_settle(what, how, answer);
}

void outgoing_link::flush_settlements() {
  if (!gathered_) return;
  const range what = *std::exchange(gathered_, std::nullopt);
  send_settle(what, {outcome::accepted}, gathered_answer_);
}

void outgoing_link::send_settle(const range& what, const stated_outcome& how, bool answer) {
  with_.counted.settled[static_cast<std::size_t>(how.what)] += what.last - what.first + 1;
  core::letter l;
  l.kind = core::letter_kind::settle;
  l.outcome = how.what;
  l.flags = answer ? core::letter_flag::answer : std::uint8_t{0};
  if (how.failed) l.flags |= core::letter_flag::failed;
  if (how.undeliverable) l.flags |= core::letter_flag::undeliverable;
  l.id = what.id;
  l.link = self_;
  l.queue = queue_;
  l.first = what.first;
  l.last = what.last;
  if (how.annotations) {
    l.detail = std::make_unique<core::letter_detail>();
    l.detail->annotations = how.annotations;
  }
  home().send(std::move(l));
}

/// The queue has made it final: the consumer may forget it. [2.6.12]
void outgoing_link::on_answer(const core::letter& l) {
  if (ending_ && !suspended_) return;
  const auto state = plain_octets(l.outcome);
  wire_out_.settle_range(l.id, l.id + static_cast<std::uint32_t>(l.last), state);
}

// --- the end ---------------------------------------------------------------------------------

void outgoing_link::on_gone(departure why) {
  flush_settlements();
  settle_written();
  give_back_oversized();
  ending_ = true;
  if (std::exchange(suspended_, false)) return give_back_all();
  if (!queue_ || std::exchange(left_, true)) return;
  if (ticket_ != 0) with_.nodes.leave(home(), subscription_, ticket_, why == departure::closed);
  leave_queue();
  if (!browsing_) give_back_all();
}

/// Comes first, or what is given back would come straight here again.
void outgoing_link::leave_queue() {
  core::letter l;
  l.kind = core::letter_kind::unsubscribe;
  l.link = self_;
  l.queue = queue_;
  home().send(std::move(l));
}

/// The consumer keeps what it has been sent whole, and may still say what became of it.
bool outgoing_link::suspend() {
  if (!may_suspend() || left_) return false;
  flush_settlements();
  give_back_oversized();
  ending_ = suspended_ = left_ = true;
  leave_queue();
  give_back_all();
  partial_.reset();
  wire_out_.suspend();
  return true;
}

/// Tags go on where they were, for those of before may be unsettled [2.6.12]. Without a source of
/// its own the attach means the one that was. [2.6.3]
void outgoing_link::take_over(const link_base& before) {
  const auto& was = static_cast<const outgoing_link&>(before);
  next_tag_ = was.next_tag_;
  asked_.source = was.asked_.source;
}

/// Deliveries sent whole may have been seen: they come back as failed, or as the source's
/// default-outcome says; the others were never there. [3.5.3, 3.4.5]
void outgoing_link::give_back_all() {
  struct visit_state {
    outgoing_link& self;
    stated_outcome whole;
  } state{*this, default_outcome_.value_or(stated_outcome{outcome::modified, true})};
  wire_out_.each_unsettled(
      [](void* context, std::uint32_t, std::uint64_t token, bool whole) {
        auto& s = *static_cast<visit_state*>(context);
        if (whole && s.self.suspended_) return;
        const stated_outcome& how = whole ? s.whole : stated_outcome{outcome::released};
        s.self.send_settle({token, token, 0}, how, false);
      },
      &state);
  if (partial_ && presettled_) {
    const core::sequence at = partial_->what.at;
    send_settle({at, at, 0}, {outcome::released}, false);
  }
  for (const kept& k : pending_) {
    send_settle({k.what.at, k.what.at, 0}, {outcome::released}, false);
  }
  pending_.clear();
}

}  // namespace whimbrel::broker::protocol
