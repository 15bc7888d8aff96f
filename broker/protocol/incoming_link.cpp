// SPDX-License-Identifier: Apache-2.0
// From transfer to queue, and the verdict back.
#include "broker/protocol/incoming_link.hpp"

#include <algorithm>
#include <utility>

#include "amqp/codec/codec.hpp"
#include "amqp/message/view.hpp"
#include "amqp/spec/conditions.hpp"
#include "broker/protocol/connection_handler.hpp"
#include "broker/protocol/states.hpp"
#include "broker/protocol/terminus.hpp"

namespace whimbrel::broker::protocol {

namespace conditions = amqp::spec::conditions;
namespace fast = amqp::spec::fast;

namespace {
constexpr std::size_t known_max = 1024;                    // addresses an anonymous link remembers
constexpr std::uint64_t credit_octets = 64ull << 20;       // what a link's credit may bring at once
constexpr std::uint32_t credit_min = 16;
}  // namespace

incoming_link::incoming_link(connection_handler& owner, context& with,
                             amqp::engine::receiver& wire)
    : link_base(owner, with, wire), wire_in_(wire), credit_target_(with.settings.link_credit) {}

void incoming_link::start(const amqp::spec::attach& asked) {
  asked_ = asked;
  if (asked.target.empty()) {
    return refuse(conditions::invalid_field, "the attach names no target");
  }
  const auto target = amqp::codec::from_raw<amqp::spec::target>(asked.target);
  if (target.has_error()) {
    return refuse(conditions::not_implemented,
                  "the target is not an amqp:target:list: this version has no transactions");
  }
  if (!target->dynamic && !target->address) {
    anonymous_ = true;
    answer_attach();
    return home().watch_gate(self_);
  }
  core::node_request request;
  request.address = target->address.value_or("");
  request.dynamic = target->dynamic;
  request.hint = hint_of(target->capabilities);
  resolve(std::move(request));
}

void incoming_link::on_resolved(const core::node_reply& reply) {
  if (anonymous_) {
    looking_up_ = false;
    if (reply.is_ok()) {
      if (known_.size() >= known_max) known_.clear();
      known_[waiting_.front().to] = reply.queue;
    } else {
      const waiting first = std::move(waiting_.front());
      waiting_.pop_front();
      reject(first.delivery_id, first.presettled, reply.condition, reply.description);
    }
    return flush_waiting();
  }
  if (!reply.is_ok()) return refuse(reply.condition, reply.description);
  queue_ = reply.queue;
  const auto target = amqp::codec::from_raw<amqp::spec::target>(asked_.target);
  if (target->dynamic) {
    temporary_ = reply.name;
    asked_.target = amqp::codec::to_raw(dynamic_target(*target, reply.name));
  }
  answer_attach();
  core::letter l;
  l.kind = core::letter_kind::add_producer;
  l.link = self_;
  l.queue = queue_;
  home().send(std::move(l));
}

void incoming_link::answer_attach() {
  attached_ = true;
  wire_in_.attach(reply_to_sender(asked_, with_.settings.max_message_size));
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
  auto made = partial_.finish(partial_format_, owner_.id());
  if (made.has_error()) {
    reject(e.delivery_id, e.is_settled, conditions::decode_error,
           "the message's sections cannot be read, at octet " +
               std::to_string(made.error().offset));
  } else if (e.state_kind == fast::state_kind::transactional) {
    reject(e.delivery_id, e.is_settled, conditions::unknown_id,
           "this version has no transactions");
  } else if (anonymous_) {
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

/// The anonymous terminus: the message says where it goes.
void incoming_link::route(core::message_ptr message, std::uint32_t id, bool presettled) {
  const amqp::message::view view(message->octets(), message->sections());
  const auto to = view.to();
  if (to.has_error() || !*to) {
    return reject(id, presettled, conditions::not_found,
                  "the message has no `to`, and the link no target address");
  }
  if (waiting_.empty()) {
    const auto found = known_.find(std::string(**to));
    if (found != known_.end()) return put(found->second, std::move(message), id, presettled);
  }
  std::string address(**to);
  waiting_.push_back({std::move(message), std::move(address), id, presettled});
  if (!looking_up_) look_up();
}

void incoming_link::look_up() {
  looking_up_ = true;
  core::node_request request;
  request.address = waiting_.front().to;
  resolve(std::move(request));
}

/// Sends on what no longer waits, in order.
void incoming_link::flush_waiting() {
  while (!waiting_.empty()) {
    const auto found = known_.find(waiting_.front().to);
    if (found == known_.end()) return look_up();
    waiting w = std::move(waiting_.front());
    waiting_.pop_front();
    put(found->second, std::move(w.message), w.delivery_id, w.presettled);
  }
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
      gate_open_ = l.has(core::letter_flag::open);
      // What was granted stays granted; the gate only stops more. [2.6.7]
      if (gate_open_) top_up();
      break;
    case core::letter_kind::detached: detach(l.detail->condition, l.detail->description); break;
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
  if (l.detail && l.detail->condition == conditions::resource_deleted) known_.clear();
  const auto state = l.detail ? rejected_octets(l.detail->condition, l.detail->description)
                              : amqp::codec::raw(plain_octets(l.outcome));
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
  if (anonymous_) return home().unwatch_gate(self_);
  if (!queue_) return;
  core::letter l;
  l.kind = core::letter_kind::remove_producer;
  l.link = self_;
  l.queue = queue_;
  home().send(std::move(l));
}

}  // namespace whimbrel::broker::protocol
