// SPDX-License-Identifier: Apache-2.0
#include "client/core/sender.hpp"

#include <array>
#include <span>
#include <utility>

#include "amqp/codec/codec.hpp"
#include "amqp/spec/conditions.hpp"
#include "client/core/connection.hpp"
#include "client/core/names.hpp"

namespace whimbrel::client::core {

namespace engine = amqp::engine;
namespace spec = amqp::spec;
using spec::fast::state_kind;

namespace {

/// An encoded delivery-state, for the application. Nothing if it is not terminal [3.4].
std::optional<outcome> outcome_of(const engine::event& e) {
  switch (e.state_kind) {
    case state_kind::accepted: return outcome{.kind = outcome_kind::accepted};
    case state_kind::released: return outcome{.kind = outcome_kind::released};
    case state_kind::rejected: {
      outcome out{.kind = outcome_kind::rejected};
      const auto read = amqp::codec::decode<spec::rejected>(e.state);
      if (read.has_value() && read->error) {
        out.condition = read->error->condition.text;
        out.description = read->error->description.value_or("");
      }
      return out;
    }
    case state_kind::modified: {
      outcome out{.kind = outcome_kind::modified};
      const auto read = amqp::codec::decode<spec::modified>(e.state);
      if (read.has_value()) {
        out.delivery_failed = read->delivery_failed.value_or(false);
        out.undeliverable_here = read->undeliverable_here.value_or(false);
      }
      return out;
    }
    default: break;
  }
  if (e.is_settled) return outcome{};
  return std::nullopt;
}

}  // namespace

sender::sender(std::optional<std::string> address, sender_options options)
    : link(options.name.empty() ? random_name("sender") : options.name),
      address_(std::move(address)),
      options_(std::move(options)) {}

bool sender::start(engine::session& on) {
  spec::attach ours;
  ours.name = name_;
  ours.snd_settle_mode = options_.settle == settle_mode::settled
                             ? spec::sender_settle_mode::settled
                             : spec::sender_settle_mode::unsettled;
  ours.source = spec::source{};
  ours.source->address = name_;
  spec::target target;
  if (options_.dynamic) target.dynamic = true;
  else target.address = address_;
  target.capabilities = amqp::codec::multiple<symbol>(options_.capabilities);
  ours.target = amqp::codec::to_raw(target);
  ours.properties = options_.properties;
  end_ = on.attach_sender(std::move(ours));
  if (end_ != nullptr) end_->context = static_cast<link*>(this);
  return end_ != nullptr;
}

void sender::on_attached(const spec::attach& theirs) {
  max_message_size_ = theirs.max_message_size.value_or(0);
  const auto target = amqp::codec::from_raw<spec::target>(theirs.target);
  if (target.has_value()) address_in_force_ = target->address.value_or("");
}

void sender::send(amqp::octet_buffer octets, told then) {
  if (phase_ == phase::gone || phase_ == phase::detaching) {
    const failure why = why_gone_.value_or(failure{error_scope::usage, {}, "the link is closed"});
    return then(nullptr, &why);
  }
  if (max_message_size_ != 0 && octets.size() > max_message_size_) {
    const failure why{error_scope::usage, std::string(spec::conditions::message_size_exceeded),
                      "the peer takes no message above " + std::to_string(max_message_size_) +
                          " octets"};
    return then(nullptr, &why);
  }
  queue_.push_back({std::move(octets), std::move(then)});
  pump();
}

void sender::pump() {
  if (pumping_ || end_ == nullptr) return;
  pumping_ = true;
  bool sent = false;
  while (!queue_.empty() && phase_ == phase::attached && send_front()) sent = true;
  if (queue_.empty() && phase_ == phase::attached && end_->is_draining()) {
    end_->finish_drain();
    sent = true;
  }
  pumping_ = false;
  if ((sent || half_sent_) && on_ != nullptr) on_->owe_flush();
}

bool sender::send_front() {
  const auto octets = queue_.front().octets.octets();
  if (half_sent_) {
    half_sent_ = !end_->resume({}, octets).complete;
  } else {
    if (!end_->can_send()) return false;
    begin_front();
  }
  if (half_sent_) return false;
  waiting whole = std::move(queue_.front());
  queue_.pop_front();
  if (whole.then) {  // sent settled
    const outcome none;
    whole.then(&none, nullptr);
  }
  return true;
}

/// The tag is the token: unique on the link, and short. [2.6.12]
void sender::begin_front() {
  waiting& front = queue_.front();
  const std::uint64_t token = first_ + unsettled_.size();
  std::array<std::byte, 8> tag = {};
  for (std::size_t i = 0; i < tag.size(); ++i) {
    tag[i] = static_cast<std::byte>(token >> (56 - 8 * i));
  }
  const std::uint32_t before = end_->unsettled();
  const engine::outgoing how{.tag = tag,
                             .settled = options_.settle == settle_mode::settled,
                             .token = token};
  half_sent_ = !end_->send(how, {}, front.octets.octets()).complete;
  if (end_->unsettled() == before) return;
  unsettled_.push_back(std::exchange(front.then, nullptr));
}

void sender::on_outcome(const engine::event& e) {
  const auto is = outcome_of(e);
  if (!is) return;  // `received` and the like: the outcome is still to come
  if (!e.is_settled) {
    end_->settle_range(e.delivery_id, e.delivery_id + e.count - 1, e.state);
    on_->owe_flush();
  }
  // Looked up one by one: what is told may post the next, and so move things.
  for (std::uint64_t token = e.token; token != e.token + e.count; ++token) {
    if (token < first_ || token - first_ >= unsettled_.size()) continue;
    const told then = std::exchange(unsettled_[token - first_], nullptr);
    if (then) then(&*is, nullptr);
  }
  while (!unsettled_.empty() && !unsettled_.front()) {
    unsettled_.pop_front();
    ++first_;
  }
}

void sender::on_gone(const failure& why) {
  end_ = nullptr;
  half_sent_ = false;
  first_ += unsettled_.size();
  for (const told& then : std::exchange(unsettled_, {})) {
    if (then) then(nullptr, &why);
  }
  for (const waiting& each : std::exchange(queue_, {})) {
    if (each.then) each.then(nullptr, &why);
  }
}

}  // namespace whimbrel::client::core
