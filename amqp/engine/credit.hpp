// SPDX-License-Identifier: Apache-2.0
// How many messages may be sent on a link, seen from either end. [2.6.7]
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "amqp/base/assert.hpp"
#include "amqp/base/serial.hpp"

namespace whimbrel::amqp::engine {

/// What a sending link may still send.
///
/// Invariants
///   1. `count()` only moves forward: by one a delivery, or by all that is left when a drain ends.
///   2. `credit()` never exceeds what the receiver last granted.
///   3. `count() + credit()` is the receiver's delivery-limit, or `count()` if that lies behind.
class sender_credit {
 public:
  /// Ours is always 0: a widespread client ignores any other and grants too much.
  static constexpr delivery_count initial{0};

  [[nodiscard]] std::uint32_t credit() const { return credit_; }
  [[nodiscard]] delivery_count count() const { return count_; }
  /// As the receiver last said.
  [[nodiscard]] bool drain() const { return drain_; }
  /// It asked to drain and has not been answered.
  [[nodiscard]] bool owes_drain() const { return owes_drain_; }

  /// A receiver that has not seen our attach cannot know our count, and means the initial one: not
  /// the current one, which may have moved since an earlier such flow.
  void on_flow(std::optional<std::uint32_t> seen_by_receiver, std::uint32_t granted, bool drain) {
    const delivery_count seen = seen_by_receiver ? delivery_count(*seen_by_receiver) : initial;
    const auto under_way = static_cast<std::uint32_t>(std::max(count_ - seen, 0));
    credit_ = granted - std::min(granted, under_way);
    drain_ = owes_drain_ = drain;
  }

  void on_sent() {
    AMQP_ASSERT(credit_ > 0);
    ++count_;
    --credit_;
  }

  /// Nothing left to send: uses up the rest, so that the receiver sees no credit.
  void finish_drain() {
    count_ += credit_;
    credit_ = 0;
    owes_drain_ = false;
  }

 private:
  delivery_count count_ = initial;
  std::uint32_t credit_ = 0;
  bool drain_ = false;
  bool owes_drain_ = false;
};

/// What we, the receiver, let the peer send.
///
/// Invariants
///   1. A delivery is refused only if it lies beyond everything ever granted: the peer may have
///      sent it before it learnt of less.
///   2. The limit exceeds the count by at most the application's wish, and by at most what the
///      bound on unsettled deliveries leaves.
class receiver_credit {
 public:
  /// Serial numbers order only what is less than 2^31 apart.
  static constexpr std::uint32_t credit_max = 1u << 30;

  [[nodiscard]] delivery_count count() const { return count_; }
  [[nodiscard]] bool knows_count() const { return knows_count_; }
  [[nodiscard]] bool is_draining() const { return draining_; }

  /// Still to come.
  [[nodiscard]] std::uint32_t credit() const {
    return static_cast<std::uint32_t>(std::max(limit_ - count_, 0));
  }

  /// The sender's attach came. What was granted before meant its initial count.
  void on_attach(delivery_count initial) {
    const std::uint32_t move = initial.value() - count_.value();
    count_ = initial;
    wanted_ += move;
    limit_ += move;
    farthest_ += move;
    knows_count_ = true;
  }

  /// The application's wish. True if the peer must be told something new. `allowance`: deliveries
  /// that the bound on unsettled ones leaves.
  [[nodiscard]] bool want(std::uint32_t credit, bool drain, std::uint32_t allowance) {
    wanted_ = count_ + std::min(credit, credit_max);
    const bool is_new = drain || draining_;
    draining_ = drain;
    return move_limit(limit(allowance)) || is_new;
  }

  /// Deliveries were settled: what the bound had cut off may be granted after all, in steps worth a
  /// flow. True if the peer must be told.
  [[nodiscard]] bool restore(std::uint32_t allowance, std::uint32_t step) {
    const delivery_count possible = limit(allowance);
    const std::int32_t gain = possible - limit_;
    if (gain <= 0 || (credit() > 0 && gain < static_cast<std::int32_t>(step))) return false;
    return move_limit(possible);
  }

  /// A delivery begins. False if the peer had no credit for it.
  [[nodiscard]] bool on_delivery() {
    if (!count_.precedes(farthest_)) return false;
    ++count_;
    return true;
  }

  /// The sender states its count: it may have used up credit without sending. It never goes back;
  /// one that counts at a delivery's end may state less in the middle of one. The limits are taken
  /// along, or a count driven round the circle would come out below them.
  void on_sender_count(delivery_count stated) {
    if (!count_.precedes(stated)) return;
    count_ = stated;
    if (farthest_.precedes(count_)) farthest_ = count_;
    if (limit_.precedes(count_)) limit_ = count_;
    if (wanted_.precedes(count_)) wanted_ = count_;
  }

  /// A flow goes out; returns its link-credit.
  std::uint32_t announce() {
    if (farthest_.precedes(limit_)) farthest_ = limit_;
    return credit();
  }

  /// True, once, when a drain has come to its end.
  [[nodiscard]] bool finish_drain() {
    if (!draining_ || credit() != 0) return false;
    draining_ = false;
    return true;
  }

 private:
  [[nodiscard]] delivery_count limit(std::uint32_t allowance) const {
    const std::int32_t wish = std::max(wanted_ - count_, 0);
    return count_ + std::min(static_cast<std::uint32_t>(wish), allowance);
  }

  bool move_limit(delivery_count to) {
    const bool moved = to != limit_;
    limit_ = to;
    return moved;
  }

  delivery_count count_{};     // the sender's, as far as we know
  delivery_count wanted_{};    // limit that the application wants
  delivery_count limit_{};     // limit that the next flow says
  delivery_count farthest_{};  // the farthest that a flow has said
  bool knows_count_ = false;
  bool draining_ = false;
};

}  // namespace whimbrel::amqp::engine
