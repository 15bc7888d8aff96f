// SPDX-License-Identifier: Apache-2.0
// The receiving end: transfer frames into deliveries, credit granted, outcomes told.
// [2.6.7, 2.6.12-2.6.14, 2.7.5]
#include <algorithm>
#include <utility>

#include "amqp/engine/connection_core.hpp"
#include "amqp/engine/event.hpp"
#include "amqp/engine/link.hpp"
#include "amqp/spec/conditions.hpp"

namespace whimbrel::amqp::engine {

namespace conditions = spec::conditions;

namespace {

constexpr std::uint8_t mode_second =
    static_cast<std::uint8_t>(spec::receiver_settle_mode::second);

}  // namespace

// --- transfers ---

receiver::objection receiver::invalid(const char* why) {
  return {why, conditions::invalid_field, scope::link};
}

checked<const event*> receiver::on_transfer(const spec::fast::transfer_view& transfer) {
  const bool first = !partial_.active;
  const bool last = !transfer.more || transfer.aborted;  // aborted outranks more [2.7.5]
  objection against = first ? on_first(transfer) : on_more(transfer);
  if (against.why == nullptr && !transfer.aborted)
    against = on_payload(transfer.payload.size(), last);
  if (against.why != nullptr) [[unlikely]]
    return violation{against.scope, against.condition, against.why, this};
  const bool ignored = partial_.ignored;
  if (last) on_last(transfer.aborted);
  if (ignored) [[unlikely]] return nullptr;
  event& e = core().next_event(event_kind::transfer, &session_, this);
  e.first = first;
  e.last = last;
  e.aborted = transfer.aborted;
  e.is_settled = partial_.settled;
  e.resumed = transfer.resume;
  e.message_format = partial_.message_format;
  e.delivery_id = partial_.id;
  e.tag = first ? transfer.delivery_tag : std::span<const std::byte>{};
  e.payload = transfer.aborted ? std::span<const std::byte>{} : transfer.payload;
  e.state = transfer.state;
  e.state_kind = transfer.state.empty() ? spec::fast::state_kind::none
                                        : spec::fast::classify_state(transfer.state);
  return &e;
}

receiver::objection receiver::on_first(const spec::fast::transfer_view& t) {
  if (!t.delivery_id) return invalid("the first transfer of a delivery has no delivery-id");
  if (!t.has_tag) return invalid("the first transfer of a delivery has no delivery-tag");
  if (t.delivery_tag.size() > limits::delivery_tag_octets_max)
    return invalid("the delivery-tag is longer than 32 octets");
  const std::uint32_t id = *t.delivery_id;
  auto& newest = session_.last_incoming_id_;
  if (newest && static_cast<std::int32_t>(id - *newest) <= 0)
    return {"the delivery-id is not ahead of those before it", conditions::invalid_field,
            scope::session};
  newest = id;
  if (!credit_.on_delivery())
    return {"a delivery without link-credit", conditions::transfer_limit_exceeded, scope::link};
  if (available_ > 0) --available_;
  const bool settled = t.settled.value_or(false);
  const bool second =
      t.rcv_settle_mode.value_or(static_cast<std::uint8_t>(rcv_mode_)) == mode_second;
  if (second && !settled && rcv_mode_ == spec::receiver_settle_mode::first)
    return invalid("rcv-settle-mode second on a link that settles first");
  partial_.active = true;
  partial_.settled = settled;
  partial_.ignored = t.resume && !admits_resumed_;
  partial_.has_entry = !settled && !t.aborted && !partial_.ignored;
  partial_.id = id;
  partial_.message_format = t.message_format.value_or(0);  // many leave it out
  partial_.octets = 0;
  if (t.more) {
    partial_.tag_size = static_cast<std::uint8_t>(t.delivery_tag.size());
    std::copy(t.delivery_tag.begin(), t.delivery_tag.end(), partial_.tag.begin());
  }
  if (partial_.has_entry) {
    session_.received_.add(id, {.owner = this, .second = second});
    ++unsettled_;
  }
  return check_modes(t);
}

receiver::objection receiver::on_more(const spec::fast::transfer_view& t) {
  if (t.delivery_id && *t.delivery_id != partial_.id)
    return invalid("another delivery-id before the delivery is complete");
  if (t.has_tag && !std::equal(t.delivery_tag.begin(), t.delivery_tag.end(), partial_.tag.begin(),
                               partial_.tag.begin() + partial_.tag_size))
    return invalid("another delivery-tag before the delivery is complete");
  if (t.message_format && *t.message_format != partial_.message_format)
    return invalid("another message-format before the delivery is complete");
  if (t.settled.value_or(false)) partial_.settled = true;  // and stays so [2.7.5]
  return check_modes(t);
}

/// What the sender announced for the link holds for each delivery. [2.7.5]
receiver::objection receiver::check_modes(const spec::fast::transfer_view& t) const {
  if (snd_mode_ == spec::sender_settle_mode::mixed || t.aborted) [[likely]] return {};
  if (snd_mode_ == spec::sender_settle_mode::unsettled && partial_.settled)
    return {"a settled delivery on a link whose snd-settle-mode is unsettled",
            conditions::not_allowed, scope::link};
  if (snd_mode_ == spec::sender_settle_mode::settled && !t.more && !partial_.settled)
    return {"an unsettled delivery on a link whose snd-settle-mode is settled",
            conditions::not_allowed, scope::link};
  return {};
}

receiver::objection receiver::on_payload(std::size_t octets, bool last) {
  if (octets > message_size_max_ - partial_.octets)
    return {"the message is larger than max-message-size", conditions::message_size_exceeded,
            scope::link};
  if (last) [[likely]] return {};
  if (!core().add_partial(octets))
    return {"too much in deliveries that are not complete", conditions::resource_limit_exceeded,
            scope::link};
  partial_.octets += octets;
  return {};
}

/// The delivery is whole, or void.
void receiver::on_last(bool aborted) {
  if (partial_.octets != 0) core().remove_partial(std::exchange(partial_.octets, 0));
  partial_.active = false;
  if (partial_.has_entry && (partial_.settled || aborted)) {
    if (session_.received_.find(partial_.id) != nullptr) {
      session_.received_.erase(partial_.id);
      on_settled(1);
    }
  }
  if (credit_.credit() != 0) [[likely]]
    return;
  if (credit_.restore(allowance(), 1)) session_.owe_flow(*this);
  report_drained();
}

// --- credit ---

std::uint32_t receiver::allowance() const {
  const std::uint32_t most = core().settings().unsettled_in_max;
  return most - std::min(most, unsettled_);
}

void receiver::grant(std::uint32_t credit) {
  if (!session_.may_send() || local_ == half::detached) return;
  if (credit_.want(credit, false, allowance())) session_.owe_flow(*this);
}

void receiver::drain(std::uint32_t credit) {
  if (!session_.may_send() || local_ == half::detached) return;
  if (credit_.want(credit, true, allowance())) session_.owe_flow(*this);
  report_drained();
}

void receiver::report_drained() {
  if (credit_.finish_drain()) core().defer(event_kind::drained, &session_, this);
}

void receiver::on_flow(const spec::fast::flow_view& flow) {
  if (flow.delivery_count) credit_.on_sender_count(delivery_count(*flow.delivery_count));
  if (flow.available) available_ = *flow.available;
  report_drained();
}

void receiver::fill(spec::fast::flow_view& flow) {
  static_cast<void>(credit_.restore(allowance(), 1));  // this flow tells it
  if (credit_.knows_count()) flow.delivery_count = credit_.count().value();
  flow.link_credit = credit_.announce();
  flow.drain = credit_.is_draining();
}

void receiver::on_sender_attach() {
  credit_.on_attach(delivery_count(remote_attach_.initial_delivery_count.value_or(0)));
}

/// Our attach says how large a message may be. Credit that was granted before it can be told now.
void receiver::on_own_attach(const spec::attach& mine) {
  message_size_max_ = core().settings().max_message_size;
  const std::uint64_t announced = mine.max_message_size.value_or(0);
  if (announced != 0) message_size_max_ = std::min(message_size_max_, announced);
  admits_resumed_ = mine.unsettled.has_value();
}

// --- outcomes ---

void receiver::settle(std::uint32_t delivery_id, std::span<const std::byte> state) {
  incoming_delivery* entry = session_.received_.find(delivery_id);
  if (entry == nullptr || entry->owner != this || !session_.may_send()) return;
  settle_entry(delivery_id, *entry, state);
}

void receiver::settle_entry(std::uint32_t id, incoming_delivery& entry,
                            std::span<const std::byte> state) {
  session_.tell(spec::role::receiver, id, id, !entry.second, state);
  if (entry.second) return;  // it is the sender's to settle first [2.7.5]
  session_.received_.erase(id);
  on_settled(1);
}

void receiver::settle_range(std::uint32_t first, std::uint32_t last,
                            std::span<const std::byte> state) {
  if (!session_.may_send() || static_cast<std::int32_t>(last - first) < 0) return;
  for (std::uint32_t at = first;; ++at) {
    const auto id = session_.received_.first_in(at, last);
    if (!id) return;
    at = *id;
    const std::uint32_t n = session_.received_.run(
        at, last, [this](const incoming_delivery& d, std::uint32_t) {
          return d.owner == this && !d.second;
        });
    if (n > 0) [[likely]] {
      session_.tell(spec::role::receiver, at, at + n - 1, true, state);
      session_.received_.erase_run(at, n);
      on_settled(n);
      at += n - 1;
    } else {
      incoming_delivery& entry = *session_.received_.find(at);
      if (entry.owner == this) settle_entry(at, entry, state);
    }
    if (at == last) return;
  }
}

void receiver::update(std::uint32_t delivery_id, std::span<const std::byte> state) {
  const incoming_delivery* entry = session_.received_.find(delivery_id);
  if (entry == nullptr || entry->owner != this || !session_.may_send()) return;
  session_.tell(spec::role::receiver, delivery_id, delivery_id, false, state);
}

void receiver::remember(std::uint32_t delivery_id, std::uint64_t token) {
  incoming_delivery* entry = session_.received_.find(delivery_id);
  if (entry != nullptr && entry->owner == this) entry->token = token;
}

void receiver::on_settled(std::uint32_t count) {
  unsettled_ -= count;
  const std::uint32_t step = std::max(core().settings().unsettled_in_max / 4, 1u);
  if (credit_.restore(allowance(), step)) [[unlikely]]
    session_.owe_flow(*this);
}

/// The rest cannot come any more: the sender is told that nothing becomes of it.
void receiver::end_partial() {
  if (partial_.active && partial_.has_entry) {
    if (!partial_.settled) {
      settle(partial_.id, spec::fast::released_octets);
    } else if (session_.received_.find(partial_.id) != nullptr) {
      session_.received_.erase(partial_.id);
      on_settled(1);
    }
  }
  drop_partial();
}

void receiver::drop_partial() {
  core().remove_partial(partial_.octets);
  partial_ = {};
}

void receiver::drop_deliveries() {
  drop_partial();
  if (unsettled_ == 0) return;
  session_.received_.erase_if(
      [&](std::uint32_t, const incoming_delivery& delivery) { return delivery.owner == this; });
  unsettled_ = 0;
}

}  // namespace whimbrel::amqp::engine
