// SPDX-License-Identifier: Apache-2.0
// The sending end: deliveries into transfer frames, credit used, drains answered. [2.6.7, 2.6.12]
#include <algorithm>
#include <cstring>

#include "amqp/engine/connection_core.hpp"
#include "amqp/engine/link.hpp"

namespace whimbrel::amqp::engine {

namespace {

/// A transactional-state with an outcome is well below; frames of 512 octets leave room for it.
constexpr std::size_t state_octets_max = 128;

/// What stands before the octets of a delivery that goes out in one frame, at most.
constexpr std::size_t whole_overhead =
    frame::header_octets + spec::fast::usual_transfer_octets_max;
static_assert(whole_overhead < limits::frame_size_least);

/// Octets [from, from + n) of head followed by body.
void copy_piece(std::byte* to, std::span<const std::byte> head, std::span<const std::byte> body,
                std::size_t from, std::size_t n) {
  if (from < head.size()) {
    const std::size_t of_head = std::min(n, head.size() - from);
    std::memcpy(to, head.data() + from, of_head);
    to += of_head;
    n -= of_head;
    from = head.size();
  }
  if (n > 0) std::memcpy(to, body.data() + (from - head.size()), n);
}

}  // namespace

bool sender::can_send() const {
  return credit_.credit() > 0 && !partial_.active && is_attached() &&
         session_.outgoing_.room() > 0 && session_.phase_ == session::phase::mapped &&
         unsettled_ < core().settings().unsettled_out_max && core().out().has_room() &&
         core().may_send();
}

progress sender::send(const outgoing& what, std::span<const std::byte> head,
                      std::span<const std::byte> body) {
  AMQP_ASSERT(!partial_.active);
  AMQP_ASSERT(is_attached());
  AMQP_ASSERT(what.tag.size() <= limits::delivery_tag_octets_max);
  AMQP_ASSERT(what.state.size() <= state_octets_max);
  core().flush_in_order();
  credit_.on_sent();
  if (available_.value_or(0) > 0) --*available_;
  const std::uint32_t id = session_.next_delivery_id_++;
  const bool settled = what.settled || snd_mode_ == spec::sender_settle_mode::settled;
  const std::size_t total = head.size() + body.size();
  const bool is_usual =
      what.state.empty() && total <= core().out().frame_size_max() - whole_overhead;
  if (!settled) {
    session_.sent_.add(id, {.owner = this, .token = what.token, .whole = is_usual});
    ++unsettled_;
  }
  if (is_usual) [[likely]] {
    write_whole({handle_, id, what.tag, what.message_format, settled}, head, body);
    return {.delivery_id = id, .taken = total, .complete = true};
  }
  partial_ = {.active = true, .settled = settled, .id = id};
  spec::fast::transfer_view first{.handle = handle_,
                                  .delivery_id = id,
                                  .delivery_tag = what.tag,
                                  .has_tag = true,
                                  .message_format = what.message_format,
                                  .state = what.state};
  if (settled) first.settled = true;
  return pump(first, head, body);
}

/// One frame with all of a delivery. The caller has looked that it fits.
void sender::write_whole(const spec::fast::usual_transfer& first, std::span<const std::byte> head,
                         std::span<const std::byte> body) {
  output& out = core().out();
  std::byte* const begin = out.octets().reserve(whole_overhead + head.size() + body.size());
  std::byte* at = begin + frame::header_octets;
  at += spec::fast::encode_transfer(at, first);
  for (const std::span<const std::byte> piece : {head, body}) {
    if (piece.empty()) continue;
    std::memcpy(at, piece.data(), piece.size());
    at += piece.size();
  }
  out.commit(begin, static_cast<std::size_t>(at - begin), session_.channel_);
  session_.outgoing_.on_sent();
}

progress sender::resume(std::span<const std::byte> head, std::span<const std::byte> body) {
  AMQP_ASSERT(partial_.active);
  AMQP_ASSERT(!partial_.aborted);
  spec::fast::transfer_view more{.handle = handle_};
  if (partial_.settled) more.settled = true;
  return pump(more, head, body);
}

/// Writes frames until the delivery is whole, or window or output are full.
progress sender::pump(spec::fast::transfer_view view, std::span<const std::byte> head,
                      std::span<const std::byte> body) {
  const std::uint32_t id = partial_.id;
  const std::size_t total = head.size() + body.size();
  bool whole = false;
  while (!whole && session_.may_send() && session_.outgoing_.room() > 0 &&
         core().out().has_room()) {
    partial_.taken += write_frame(view, head, body, partial_.taken);
    whole = partial_.taken == total;
    if (!whole) view = {.handle = view.handle, .settled = view.settled};
  }
  const progress out{.delivery_id = id, .taken = partial_.taken, .complete = whole};
  if (whole) on_whole();
  return out;
}

/// One frame with as much as fits it; returns how much.
std::size_t sender::write_frame(spec::fast::transfer_view& view, std::span<const std::byte> head,
                                std::span<const std::byte> body, std::size_t from) {
  output& out = core().out();
  const std::size_t remaining = head.size() + body.size() - from;
  const std::size_t most = out.frame_size_max();
  const std::size_t overhead =
      frame::header_octets +
      spec::fast::transfer_octets_max(view.delivery_tag.size(), view.state.size());
  std::byte* const at = out.octets().reserve(overhead + std::min(remaining, most));
  view.more = false;
  std::size_t used =
      frame::header_octets + spec::fast::encode_transfer(at + frame::header_octets, view);
  if (used + remaining > most) {
    view.more = true;
    used = frame::header_octets + spec::fast::encode_transfer(at + frame::header_octets, view);
  }
  const std::size_t piece = std::min(remaining, most - used);
  copy_piece(at + used, head, body, from, piece);
  out.commit(at, used + piece, session_.channel_);
  session_.outgoing_.on_sent();
  return piece;
}

void sender::on_whole() {
  if (!partial_.settled) {
    outgoing_delivery* entry = session_.sent_.find(partial_.id);
    if (entry != nullptr) entry->whole = true;
  }
  partial_.active = false;
  after_partial();
}

/// What had to wait for the end of a delivery: drains, flows.
void sender::after_partial() {
  if (partial_.drained) finish_drain();
  if (owes_flow_) session_.become_dirty();
}

void sender::abort() {
  if (!partial_.active || partial_.aborted) return;
  if (!partial_.settled && session_.sent_.find(partial_.id) != nullptr) {
    session_.sent_.erase(partial_.id);  // implicitly settled [2.7.5]
    on_settled(1);
  }
  partial_.aborted = true;
  if (is_attached() && session_.may_send() && session_.outgoing_.room() > 0) send_abort();
}

void sender::send_abort() {
  if (session_.outgoing_.room() == 0) return;
  core().out().write_fast(
      session_.channel_, spec::fast::transfer_octets_max(0, 0), [&](std::byte* at) {
        return spec::fast::encode_transfer(at, {.handle = handle_, .aborted = true});
      });
  session_.outgoing_.on_sent();
  partial_.active = partial_.aborted = false;
  after_partial();
}

void sender::settle(std::uint32_t delivery_id, std::span<const std::byte> state) {
  const outgoing_delivery* entry = session_.sent_.find(delivery_id);
  if (entry == nullptr || entry->owner != this || !session_.may_send()) return;
  session_.tell(spec::role::sender, delivery_id, delivery_id, true, state);
  session_.sent_.erase(delivery_id);
  on_settled(1);
}

void sender::settle_range(std::uint32_t first, std::uint32_t last,
                          std::span<const std::byte> state) {
  if (!session_.may_send() || static_cast<std::int32_t>(last - first) < 0) return;
  for (std::uint32_t at = first;; ++at) {
    const auto id = session_.sent_.first_in(at, last);
    if (!id) return;
    at = *id;
    const std::uint32_t n = session_.sent_.run(
        at, last, [this](const outgoing_delivery& d, std::uint32_t) { return d.owner == this; });
    if (n > 0) [[likely]] {
      session_.tell(spec::role::sender, at, at + n - 1, true, state);
      session_.sent_.erase_run(at, n);
      on_settled(n);
      at += n - 1;
    } else {
      settle(at, state);
    }
    if (at == last) return;
  }
}

void sender::on_settled(std::uint32_t count) {
  const bool was_full = unsettled_ >= core().settings().unsettled_out_max;
  unsettled_ -= count;
  if (!was_full) [[likely]]
    return;
  if (credit_.credit() > 0 && is_attached())
    core().defer(event_kind::sender_ready, &session_, this);
}

/// The receiver is told that no more of it comes, if the window admits a frame. [2.7.5]
void sender::end_partial() {
  if (!partial_.active) return;
  if (!partial_.settled && session_.sent_.find(partial_.id) != nullptr) {
    session_.sent_.erase(partial_.id);
    --unsettled_;
  }
  partial_.drained = false;
  send_abort();
  partial_ = {};
}

void sender::finish_drain() {
  if (!credit_.owes_drain() || local_ != half::attached || !session_.may_send()) return;
  partial_.drained = partial_.active;
  if (partial_.active) return;
  if (available_) available_ = 0;
  credit_.finish_drain();
  session_.send_flow(this);
}

void sender::each_unsettled(visitor visit, void* with) const {
  session_.sent_.each([&](std::uint32_t id, const outgoing_delivery& delivery) {
    if (delivery.owner == this) visit(with, id, delivery.token, delivery.whole);
  });
}

void sender::on_flow(const spec::fast::flow_view& flow) {
  if (!flow.link_credit && !flow.delivery_count && !flow.drain) return;  // session state only
  credit_.on_flow(flow.delivery_count, flow.link_credit.value_or(0), flow.drain);
}

/// What came while our attach was outstanding is told now.
void sender::on_attached() {
  if (credit_.credit() > 0 || credit_.owes_drain())
    core().defer(event_kind::sender_ready, &session_, this);
}

void sender::fill(spec::fast::flow_view& flow) const {
  flow.delivery_count = credit_.count().value();
  flow.link_credit = credit_.credit();
  flow.available = available_;
  flow.drain = credit_.drain();
  flow.properties = properties_;
}

void sender::tell_properties(std::span<const std::byte> encoded) {
  properties_.assign(encoded.begin(), encoded.end());
  session_.owe_flow(*this);
}

void sender::drop_deliveries() {
  partial_ = {};
  if (unsettled_ == 0) return;
  session_.sent_.erase_if(
      [&](std::uint32_t, const outgoing_delivery& delivery) { return delivery.owner == this; });
  unsettled_ = 0;
}

}  // namespace whimbrel::amqp::engine
