// SPDX-License-Identifier: Apache-2.0
#include "client/core/receiver.hpp"

#include <algorithm>
#include <utility>

#include "amqp/codec/codec.hpp"
#include "amqp/message/message.hpp"
#include "amqp/spec/conditions.hpp"
#include "client/core/connection.hpp"
#include "client/core/names.hpp"

namespace whimbrel::client::core {

namespace engine = amqp::engine;
namespace spec = amqp::spec;

namespace {

/// By this name brokers know a JMS selector; the code is that of its registration.
constexpr const char* selector_name = "apache.org:selector-filter:string";
constexpr std::uint64_t selector_code = 0x0000468c00000004;

}  // namespace

receiver::receiver(std::optional<std::string> address, receiver_options options, listener to)
    : link(options.name.empty() ? random_name("receiver") : options.name),
      address_(std::move(address)),
      options_(std::move(options)),
      to_(std::move(to)),
      is_automatic_(options_.prefetch > 0) {}

spec::source receiver::make_source() const {
  spec::source out;
  if (options_.dynamic) out.dynamic = true;
  else out.address = address_;
  if (options_.durable) {
    out.durable = spec::terminus_durability::unsettled_state;
    out.expiry_policy = spec::expiry_policy::never;
  }
  if (options_.browse) out.distribution_mode = symbol(spec::distribution_mode::copy);
  map filters = options_.filters;
  if (!options_.selector.empty()) {
    filters.set(value(symbol(selector_name)),
                value(amqp::codec::described(value(selector_code), value(options_.selector))));
  }
  if (!filters.empty()) out.filter = std::move(filters);
  out.outcomes = {"amqp:accepted:list", "amqp:rejected:list", "amqp:released:list",
                  "amqp:modified:list"};
  out.capabilities = amqp::codec::multiple<symbol>(options_.capabilities);
  return out;
}

bool receiver::start(engine::session& on) {
  spec::attach ours;
  ours.name = name_;
  ours.snd_settle_mode = options_.settle == settle_mode::settled
                             ? spec::sender_settle_mode::settled
                             : spec::sender_settle_mode::unsettled;
  ours.source = make_source();
  spec::target target;
  target.address = name_;
  ours.target = amqp::codec::to_raw(target);
  ours.properties = options_.properties;
  end_ = on.attach_receiver(std::move(ours));
  if (end_ == nullptr) return false;
  end_->context = static_cast<link*>(this);
  replenish();
  return true;
}

void receiver::on_attached(const spec::attach& theirs) {
  address_in_force_ = theirs.source->address.value_or("");
  filters_in_force_ = theirs.source->filter.value_or(map{});
}

void receiver::on_transfer(const engine::event& e) {
  if (e.first) {
    ++begun_;
    partial_.clear();
    tag_.assign(e.tag.begin(), e.tag.end());
  }
  if (e.aborted) {
    partial_.clear();
    return replenish();
  }
  if (e.first && e.last) return hand_over(e, e.payload);
  partial_.insert(partial_.end(), e.payload.begin(), e.payload.end());
  if (e.last) hand_over(e, std::exchange(partial_, {}));
}

void receiver::hand_over(const engine::event& last, std::span<const std::byte> octets) {
  auto read = amqp::message::decode(octets);
  if (read.has_error()) {
    ++malformed_;
    spec::rejected refusal;
    refusal.error = spec::error{.condition = symbol(spec::conditions::decode_error),
                                .description = amqp::to_text(read.error())};
    const std::uint32_t id = last.delivery_id;
    if (!last.is_settled) settle(id, amqp::codec::to_raw(refusal).octets());
    return replenish();
  }
  ++held_;
  to_.on_delivery({.message = *std::move(read),
                   .id = last.delivery_id,
                   .is_settled = last.is_settled,
                   .tag = std::exchange(tag_, {})});
}

void receiver::consumed(std::uint32_t count) {
  held_ -= std::min(held_, count);
  replenish();
}

/// In steps of half the prefetch: a flow a message would cost as much as the message.
void receiver::replenish() {
  if (!is_automatic_ || end_ == nullptr || phase_ == phase::detaching) return;
  std::uint64_t wanted = options_.prefetch - std::min(options_.prefetch, held_);
  if (options_.limit > 0) {
    wanted = std::min(wanted, options_.limit - std::min(options_.limit, begun_));
  }
  if (wanted <= end_->credit() || end_->credit() > options_.prefetch / 2) return;
  end_->grant(static_cast<std::uint32_t>(wanted));
  owe_flush();
}

void receiver::settle(std::uint32_t id, std::span<const std::byte> state) {
  if (end_ == nullptr || phase_ != phase::attached) return;
  end_->settle(id, state);
  owe_flush();
}

void receiver::grant(std::uint32_t credit) {
  is_automatic_ = options_.prefetch > 0;
  if (end_ == nullptr || phase_ == phase::detaching) return;
  if (!is_automatic_) end_->grant(credit);
  else replenish();
  owe_flush();
}

void receiver::drain() {
  is_automatic_ = false;
  if (end_ == nullptr || phase_ != phase::attached) return;
  const std::uint32_t room = options_.prefetch - std::min(options_.prefetch, held_);
  end_->drain(std::max(end_->credit(), room));
  owe_flush();
}

void receiver::on_drained() { to_.on_drained(); }

void receiver::owe_flush() {
  if (on_ != nullptr) on_->owe_flush();
}

void receiver::on_gone(const failure& why) {
  end_ = nullptr;
  partial_.clear();
  to_.on_gone(why);
}

}  // namespace whimbrel::client::core
