// SPDX-License-Identifier: Apache-2.0
// Producers' links that are not for one queue: through an exchange, or where each message says.
#include <algorithm>
#include <utility>

#include "amqp/message/view.hpp"
#include "amqp/spec/conditions.hpp"
#include "broker/core/address.hpp"
#include "broker/core/fan_out.hpp"
#include "broker/protocol/connection_handler.hpp"
#include "broker/protocol/incoming_link.hpp"
#include "broker/protocol/states.hpp"

namespace whimbrel::broker::protocol {

namespace conditions = amqp::spec::conditions;

namespace {

constexpr std::size_t known_max = 1024;  // addresses that a link remembers

std::string_view subject_of(const core::message& m) {
  const amqp::message::view view(m.octets(), m.sections());
  const auto subject = view.subject();
  return subject.has_value() && *subject ? **subject : std::string_view{};
}

}  // namespace

void incoming_link::route(core::message_ptr message, std::uint32_t id, bool presettled) {
  if (exchange_.at) return publish(exchange_, std::move(message), id, presettled);
  std::string address;
  if (by_subject_) {
    const auto subject = subject_of(*message);
    if (subject.empty()) return say(id, presettled, core::outcome::released);
    address = core::queue_path(subject);
  } else {
    const amqp::message::view view(message->octets(), message->sections());
    const auto to = view.to();
    if (to.has_error() || !*to) {
      return reject(id, presettled, conditions::not_found,
                    "the message has no `to`, and the link no target address");
    }
    address = **to;
  }
  if (waiting_.empty()) {
    const auto found = known_.find(address);
    if (found != known_.end()) return go(found->second, std::move(message), id, presettled);
  }
  waiting_.push_back({std::move(message), std::move(address), id, presettled});
  if (!looking_up_) look_up();
}

void incoming_link::go(const way& to, core::message_ptr message, std::uint32_t id,
                       bool presettled) {
  if (to.queue) return put(to.queue, std::move(message), id, presettled);
  publish(to.exchange, std::move(message), id, presettled);
}

void incoming_link::publish(const core::exchange_way& to, core::message_ptr message,
                            std::uint32_t id, bool presettled) {
  const std::string_view key = to.key ? std::string_view(*to.key) : subject_of(*message);
  hits_.clear();
  if (!home().routes().route(to.at, key, *message, hits_)) {
    const bool drops = to.drops;
    known_.clear();  // `to` was perhaps in there
    if (drops) return say(id, presettled, core::outcome::accepted);
    return reject(id, presettled, conditions::resource_deleted, "the exchange has been deleted");
  }
  if (hits_.empty()) {
    return say(id, presettled, to.drops ? core::outcome::accepted : core::outcome::released);
  }
  if (hits_.size() == 1) return put(hits_.front().queue, std::move(message), id, presettled);
  core::fan_out(home(), hits_, message, presettled ? core::link_ref{} : self_, id);
}

/// The outcome of a message that went to no queue.
void incoming_link::say(std::uint32_t id, bool presettled, core::outcome what) {
  if (what != core::outcome::accepted) ++with_.counted.refused;
  if (!presettled) wire_in_.settle(id, plain_octets(what));
}

// --- looking up ------------------------------------------------------------------------------

void incoming_link::look_up() {
  looking_up_ = true;
  core::node_request request;
  request.address = waiting_.front().to;
  resolve(std::move(request));
}

void incoming_link::on_looked_up(const core::node_reply& reply) {
  looking_up_ = false;
  waiting& first = waiting_.front();
  if (reply.is_ok() && reply.by_subject) {
    // The default exchange: ask again, for the queue.
    first.to = core::queue_path(subject_of(*first.message));
    return look_up();
  }
  if (reply.is_ok()) {
    if (known_.size() >= known_max) known_.clear();
    known_[first.to] = {reply.queue, reply.exchange};
    return flush_waiting();
  }
  const waiting gone = std::move(first);
  waiting_.pop_front();
  if (by_subject_ && reply.condition == conditions::not_found) {
    say(gone.delivery_id, gone.presettled, core::outcome::released);
  } else {
    reject(gone.delivery_id, gone.presettled, reply.condition, reply.description);
  }
  flush_waiting();
}

/// Sends on what no longer waits, in order.
void incoming_link::flush_waiting() {
  while (!waiting_.empty()) {
    const auto found = known_.find(waiting_.front().to);
    if (found == known_.end()) return look_up();
    waiting w = std::move(waiting_.front());
    waiting_.pop_front();
    const way to = found->second;  // what happens below may forget it
    go(to, std::move(w.message), w.delivery_id, w.presettled);
  }
}

// --- credit: whichever worker a message goes to, it must have room ---------------------------

void incoming_link::watch_gates() {
  gates_.assign(home().workers(), gate::unknown);
  for (std::uint16_t w = 0; w < home().workers(); ++w) {
    home().send_task(core::worker_id{w}, [self = self_](core::shard& there) {
      there.watch_gate(self);
    });
  }
}

void incoming_link::unwatch_gates() {
  if (gates_.empty()) return;
  for (std::uint16_t w = 0; w < home().workers(); ++w) {
    home().send_task(core::worker_id{w}, [self = self_](core::shard& there) {
      there.unwatch_gate(self);
    });
  }
}

void incoming_link::on_gate(std::uint32_t worker, gate now) {
  gates_[queue_ ? 0 : worker] = now;
  gate_open_ = std::all_of(gates_.begin(), gates_.end(), [](gate g) { return g == gate::open; });
}

}  // namespace whimbrel::broker::protocol
