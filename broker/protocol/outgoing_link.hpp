// SPDX-License-Identifier: Apache-2.0
// A consumer's link: deliveries from a queue become transfers, outcomes go back as ranges.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "amqp/engine/event.hpp"
#include "amqp/engine/link.hpp"
#include "broker/core/message.hpp"
#include "broker/core/predicate.hpp"
#include "broker/protocol/link_base.hpp"
#include "broker/protocol/states.hpp"

namespace whimbrel::broker::protocol {

/// The queue is asked for no more than the peer's credit, and never for more than `ahead_max`
/// beyond what has been sent: a consumer that grants four thousand million and reads nothing costs
/// that many references, no more.
///
/// Invariants
///   1. `asked_for_` is the absolute count of deliveries the queue may reach on this link;
///      `received_` has come, `received_ - pending_.size()` has been sent.
///   2. Every delivery that came is answered to the queue exactly once: by the peer's outcome, by
///      its being written (pre-settled), or by on_gone. Browsed ones need no answer.
class outgoing_link final : public link_base {
 public:
  outgoing_link(connection_handler& owner, context& with, amqp::engine::sender& wire);

  void start(const amqp::spec::attach& asked) override;
  void on_ready();
  void on_outcome(const amqp::engine::event& e);
  /// The settlements gathered since the last call go to the queue.
  void flush_settlements();
  /// The kernel has taken all output so far: pre-settled deliveries are done, and the queue may be
  /// asked for more.
  void on_written();

  void on_letter(core::letter&& l) override;
  void on_delivery(core::queue_ref from, const core::delivery& d,
                   const core::message_ptr& message) override;
  void on_resolved(const core::node_reply& reply) override;
  void on_gone(departure why) override;
  bool on_closing() override;
  bool suspend() override;

 private:
  void take_over(const link_base& before) override;

  struct kept {  // a delivery that waits
    core::message_ptr message;
    core::delivery what;
  };
  struct range {  // sequences, and the delivery-ids that go with them
    core::sequence first = 0;
    core::sequence last = 0;
    std::uint32_t id = 0;
  };

  // outgoing_subscribe.cpp: links to subscriptions
  void look_up();
  void on_looked_up(const core::subscription_reply& reply);

  void send_pending();
  void send(const core::message_ptr& message, const core::delivery& d);
  [[nodiscard]] std::span<const std::byte> write_head(const core::message& m,
                                                      const core::delivery& d);
  void on_sent(core::sequence at);
  void go_on();
  [[nodiscard]] std::uint32_t limit() const;
  [[nodiscard]] bool has_few_left() const;
  void ask();
  void settle_written();
  void settle(const range& what, const stated_outcome& how, bool answer);
  void send_settle(const range& what, const stated_outcome& how, bool answer);
  void on_answer(const core::letter& l);
  void tell_active(bool active);
  void finish_drain_if_done();
  void set_aside(core::sequence at);
  void give_back_oversized();
  void leave_queue();
  void give_back_all();

  amqp::engine::sender& wire_out_;
  amqp::spec::attach asked_ = {};
  std::string subscription_ = {};  // that this link has joined, or has looked up
  std::uint64_t ticket_ = 0;       // joined
  bool looked_up_ = false;
  bool left_ = false;              // the queue
  std::unique_ptr<const core::predicate> wants_;  // until the queue has it
  amqp::codec::map filter_;                       // what of the filters asked for is applied
  bool browsing_ = false;
  bool presettled_ = false;
  std::optional<stated_outcome> default_outcome_;
  std::deque<kept> pending_;
  std::optional<kept> partial_;       // begun, and stopped by window or output room
  std::vector<std::byte> partial_head_;
  std::uint32_t received_ = 0;        // wraps, like the counts below
  std::uint32_t asked_for_ = 0;
  std::uint32_t next_tag_ = 0;
  std::uint64_t message_size_max_ = 0;  // the consumer's
  std::vector<core::sequence> oversized_;  // until they are given back
  bool ask_soon_ = false;             // once output is written
  bool drain_asked_ = false;
  bool drain_answered_ = false;
  // accepted ones gathered until flush_settlements
  std::optional<range> gathered_;
  bool gathered_answer_ = false;
  // pre-settled ones that wait for the kernel
  std::vector<range> unwritten_;
};

}  // namespace whimbrel::broker::protocol
