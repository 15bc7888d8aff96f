// SPDX-License-Identifier: Apache-2.0
// What both kinds of link have in common: who they are, and how they come and go.
#pragma once

#include <functional>
#include <string>

#include "amqp/engine/event.hpp"
#include "amqp/engine/link.hpp"
#include "broker/core/directory.hpp"
#include "broker/core/letter.hpp"
#include "broker/protocol/context.hpp"

namespace whimbrel::broker::protocol {

class connection_handler;

/// Why a link is no more.
enum class departure : std::uint8_t { closed, detached, session_ended, connection_lost };

///     asked ──resolved──> attached ──on_gone──> (destroyed)
///        │                   ├──detached by the peer──> suspended ──on_gone──> (destroyed)
///        └──refused──────────┴──detached by us──> ending ──on_gone──> (destroyed)
///
/// Suspended is a link whose peer has detached without closing it, while deliveries are unsettled
/// that its terminus is to keep. They go on until they are settled, their session ends, the link
/// is closed, or it is attached in another place. [2.6.4, 2.7.6]
class link_base : public core::link_end {
 public:
  /// Links of queues are told of their events by name, the few others through `on_event`.
  enum class kind : std::uint8_t { queue, management };

  link_base(connection_handler& owner, context& with, amqp::engine::link& wire,
            kind of = kind::queue);
  ~link_base() override;
  link_base(const link_base&) = delete;
  link_base& operator=(const link_base&) = delete;

  [[nodiscard]] amqp::engine::link& wire() const { return wire_; }
  [[nodiscard]] core::link_ref ref() const { return self_; }
  [[nodiscard]] kind of() const { return of_; }

  /// The attach has come: answer or refuse it.
  virtual void start(const amqp::spec::attach& asked) = 0;
  /// transfer, outcome, sender_ready: not for links of queues.
  virtual void on_event(const amqp::engine::event&) {}

  /// The directory's answer to the address that was asked for.
  virtual void on_resolved(const core::node_reply& reply) = 0;
  /// The link's wire end is going: gives back what it holds. The last call.
  virtual void on_gone(departure why) = 0;
  core::queue_ref on_stolen() override;
  /// The peer closes the link. True: connection_handler::end_closing is called later.
  virtual bool on_closing() { return false; }
  /// The peer has detached without closing. True: the link is suspended, its detach answered.
  virtual bool suspend() { return false; }
  /// Called before `start`: this is the suspended link `before`, attached again on its session,
  /// which has the name now.
  void follow(link_base& before);
  /// The suspended link that this one has followed; the one that has followed this.
  [[nodiscard]] link_base* before() const { return before_; }
  [[nodiscard]] link_base* after() const { return after_; }
  /// Of those two, no more.
  void step_out();

 protected:
  virtual void take_over(const link_base& /*before*/) {}
  [[nodiscard]] bool may_suspend() const {
    return staying_ && !ending_ && (wire_.unsettled() > 0 || before_ != nullptr);
  }
  /// Goes on when this link alone has its name; whoever had it has given back what it held. [2.6.1]
  void take_name(std::function<void()> then);
  /// Asks for the node; the answer comes to on_resolved, unless the link has gone by then.
  void resolve(core::node_request request);
  void refuse(std::string_view condition, const std::string& description);
  /// Closes the link with an error; what still comes for it is given back.
  void detach(std::string_view condition, const std::string& description);
  [[nodiscard]] core::shard& home() const { return with_.home; }

  connection_handler& owner_;
  context& with_;
  amqp::engine::link& wire_;
  core::link_ref self_{};
  kind of_ = kind::queue;
  core::queue_ref queue_{};
  std::string temporary_ = {};  // the name of the node that was made for this link and goes with it
  link_base* before_ = nullptr;
  link_base* after_ = nullptr;
  bool named_ = false;  // has asked for its name
  bool attached_ = false;
  bool staying_ = false;  // its terminus outlives the link's detaching
  bool suspended_ = false;
  bool ending_ = false;
};

}  // namespace whimbrel::broker::protocol
