// SPDX-License-Identifier: Apache-2.0
// From transfer to queue, and the verdict back.
#include "broker/protocol/incoming_link.hpp"

#include <algorithm>
#include <utility>

#include "amqp/codec/codec.hpp"
#include "amqp/message/view.hpp"
#include "amqp/spec/conditions.hpp"
#include "broker/core/delivery_time.hpp"
#include "broker/protocol/connection_handler.hpp"
#include "broker/protocol/states.hpp"
#include "broker/protocol/terminus.hpp"

namespace whimbrel::broker::protocol {

namespace conditions = amqp::spec::conditions;
namespace fast = amqp::spec::fast;

namespace {
constexpr std::uint64_t credit_octets = 64ull << 20;       // what a link's credit may bring at once
constexpr std::uint32_t credit_min = 16;

bool is_gone(const core::letter& l) {
  return l.detail && l.detail->condition == conditions::resource_deleted;
}
}  // namespace

incoming_link::incoming_link(connection_handler& owner, context& with,
                             amqp::engine::receiver& wire)
    : link_base(owner, with, wire), wire_in_(wire), credit_target_(with.settings.link_credit) {}

void incoming_link::start(const amqp::spec::attach& asked) {
  amqp::codec::raw before = std::move(asked_.target);
  asked_ = asked;
  if (asked.target.empty()) asked_.target = std::move(before);
  if (asked_.target.empty()) {
    return refuse(conditions::invalid_field, "the attach names no target");
  }
  const auto target = amqp::codec::from_raw<amqp::spec::target>(asked_.target);
  if (target.has_error()) {
    return refuse(conditions::not_implemented,
                  "the target is not an amqp:target:list: this version has no transactions");
  }
  if (!target->dynamic && !target->address) {
    return take_name([this] { watch_gates(); });
  }
  core::node_request request;
  request.address = target->address.value_or("");
  request.dynamic = target->dynamic;
  request.hint = hint_of(target->capabilities);
  take_name([this, request = std::move(request)] { resolve(request); });
}

void incoming_link::on_resolved(const core::node_reply& reply) {
  if (attached_) return on_looked_up(reply);
  if (!reply.is_ok()) return refuse(reply.condition, reply.description);
  queue_ = reply.queue;
  const auto target = amqp::codec::from_raw<amqp::spec::target>(asked_.target);
  if (target->dynamic) {
    temporary_ = reply.name;
    asked_.target = amqp::codec::to_raw(dynamic_target(*target, reply.name));
  }
  exchange_ = reply.exchange;
  by_subject_ = reply.by_subject;
  if (!queue_) return watch_gates();
  gates_.assign(1, gate::unknown);
  core::letter l;
  l.kind = core::letter_kind::add_producer;
  l.link = self_;
  l.queue = queue_;
  home().send(std::move(l));
}

/// Once it is known whether there is credit, which then goes out right behind: fe2o3-amqp 0.18.4,
/// when it has attached a link again, goes on with the credit from before, which is none [2.6.7].
void incoming_link::answer_attach() {
  attached_ = true;
  // Where each message has its own way some may wait to be sent on it, and not behind a new link.
  staying_ = (queue_ || exchange_.at) && temporary_.empty() &&
             target_outlives_detach(asked_.target);
  wire_in_.attach(reply_to_sender(asked_, with_.settings.max_message_size, staying_));
}

// --- messages --------------------------------------------------------------------------------

void incoming_link::on_transfer(const amqp::engine::event& e) {
  if (e.aborted) return partial_.clear();
  if (e.first) {
    partial_.clear();
    partial_format_ = e.message_format;
  }
  partial_.append(e.payload, !e.last);
  if (e.last) admit(e);
}

void incoming_link::admit(const amqp::engine::event& e) {
  ++with_.counted.messages_in;
  octets_mean_ += (partial_.size() >> 4) - (octets_mean_ >> 4);
  const bool is_void = partial_.size() == 0;
  auto made = partial_.finish(partial_format_, owner_.id());
  if (made.has_value() && core::has_annotations(**made)) {
    core::fix_delivery_time(*made, home().run_on().wall_ms());
  }
  if (made.has_error()) {
    reject(e.delivery_id, e.is_settled, conditions::decode_error,
           "the message's sections cannot be read, at octet " +
               std::to_string(made.error().offset));
  } else if (is_void) {
    reject(e.delivery_id, e.is_settled, conditions::decode_error, "the message has no section");
  } else if (e.state_kind == fast::state_kind::transactional) {
    reject(e.delivery_id, e.is_settled, conditions::unknown_id,
           "this version has no transactions");
  } else if (!queue_) {
    route(*std::move(made), e.delivery_id, e.is_settled);
  } else {
    put(queue_, *std::move(made), e.delivery_id, e.is_settled);
  }
  if (wire_in_.credit() <= credit_target_ / 2) top_up();
}

void incoming_link::put(core::queue_ref to, core::message_ptr message, std::uint32_t id,
                        bool presettled) {
  home().send_put(to, self_, id, presettled, std::move(message));
}

void incoming_link::reject(std::uint32_t delivery_id, bool presettled, std::string_view condition,
                           std::string description) {
  ++with_.counted.refused;
  if (presettled) return;
  wire_in_.settle(delivery_id, rejected_octets(condition, std::move(description)).octets());
}

// --- letters ---------------------------------------------------------------------------------

void incoming_link::on_letter(core::letter&& l) {
  if (ending_) return;
  switch (l.kind) {
    case core::letter_kind::verdict:
      if (l.outcome != core::outcome::accepted) {
        on_refusal(l);
        break;
      }
      return on_verdict(l.id, static_cast<std::uint32_t>(l.last) + 1, l.outcome);
    case core::letter_kind::gate:
      if (suspended_) return;
      on_gate(l.id, l.has(core::letter_flag::open) ? gate::open : gate::closed);
      if (!attached_ && std::find(gates_.begin(), gates_.end(), gate::unknown) == gates_.end()) {
        answer_attach();
      }
      // What was granted stays granted; the gate only stops more. [2.6.7]
      if (gate_open_) top_up();
      break;
    case core::letter_kind::detached:
      if (suspended_) return;  // what it has put will be answered
      if (attached_) detach(l.detail->condition, l.detail->description);
      else refuse(l.detail->condition, l.detail->description);
      break;
    default: return;
  }
  owner_.want_flush();
}

void incoming_link::on_verdict(std::uint32_t id, std::uint32_t count, core::outcome what) {
  if (ending_) return;
  if (what != core::outcome::accepted) with_.counted.refused += count;
  wire_in_.settle_range(id, id + (count - 1), plain_octets(what));
  if (wire_in_.credit() <= credit_target_ / 2) top_up();
  owner_.want_flush();
}

void incoming_link::on_refusal(const core::letter& l) {
  with_.counted.refused += l.last + 1;
  if (is_gone(l)) known_.clear();
  // A queue that goes while a message is on its way there is one that the exchange did not find.
  const bool unroutable = exchange_.at && is_gone(l);
  const auto plain = unroutable ? core::outcome::released : l.outcome;
  const auto state = l.detail && !unroutable ? rejected_octets(*l.detail)
                                             : amqp::codec::raw(plain_octets(plain));
  wire_in_.settle_range(l.id, l.id + static_cast<std::uint32_t>(l.last), state.octets());
  if (wire_in_.credit() <= credit_target_ / 2) top_up();
}

/// Credit in messages, bounded by what messages of the recent size would add up to in octets.
void incoming_link::top_up() {
  if (!gate_open_ || !attached_) return;
  const std::uint64_t by_octets = credit_octets / std::max<std::uint64_t>(octets_mean_, 1);
  credit_target_ = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(
      by_octets, std::min(credit_min, with_.settings.link_credit), with_.settings.link_credit));
  wire_in_.grant(credit_target_);
}

void incoming_link::on_gone(departure) {
  ending_ = true;
  partial_.clear();
  if (!std::exchange(suspended_, false)) leave();
}

/// The producer will hear of its messages.
bool incoming_link::suspend() {
  if (!may_suspend()) return false;
  suspended_ = true;
  leave();
  gate_open_ = false;
  partial_.clear();
  wire_in_.suspend();
  return true;
}

/// Without a target of its own the attach means the one that was. [2.6.3]
void incoming_link::take_over(const link_base& before) {
  asked_.target = static_cast<const incoming_link&>(before).asked_.target;
}

void incoming_link::leave() {
  if (!queue_) return unwatch_gates();
  core::letter l;
  l.kind = core::letter_kind::remove_producer;
  l.link = self_;
  l.queue = queue_;
  home().send(std::move(l));
}

}  // namespace whimbrel::broker::protocol
