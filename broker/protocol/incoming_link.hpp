// SPDX-License-Identifier: Apache-2.0
// A producer's link: transfers become messages, messages go to their queue, verdicts come back.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "amqp/engine/event.hpp"
#include "amqp/engine/link.hpp"
#include "broker/core/message.hpp"
#include "broker/core/router.hpp"
#include "broker/protocol/link_base.hpp"

namespace whimbrel::broker::protocol {

/// To one queue; or through an exchange, to the queues that it finds for each message; or to the
/// node that each message names (by its `to` on the anonymous terminus), which is looked up once
/// and remembered. Messages reach the queues in the order in which they came, also while an address
/// is being looked up.
class incoming_link final : public link_base {
 public:
  incoming_link(connection_handler& owner, context& with, amqp::engine::receiver& wire);

  void start(const amqp::spec::attach& asked) override;
  void on_transfer(const amqp::engine::event& e);

  void on_letter(core::letter&& l) override;
  void on_verdict(std::uint32_t id, std::uint32_t count, core::outcome what) override;
  void on_resolved(const core::node_reply& reply) override;
  void on_gone(departure why) override;
  bool suspend() override;

 private:
  void take_over(const link_base& before) override;

  struct waiting {
    core::message_ptr message;
    std::string to;
    std::uint32_t delivery_id = 0;
    bool presettled = false;
  };

  void admit(const amqp::engine::event& e);
  void put(core::queue_ref to, core::message_ptr message, std::uint32_t id, bool presettled);

  // incoming_route.cpp: links that are not for one queue
  struct way {  // where the messages for an address go
    core::queue_ref queue{};
    core::exchange_way exchange = {};
  };
  void route(core::message_ptr message, std::uint32_t id, bool presettled);
  void go(const way& to, core::message_ptr message, std::uint32_t id, bool presettled);
  void publish(const core::exchange_way& to, core::message_ptr message, std::uint32_t id,
               bool presettled);
  void say(std::uint32_t id, bool presettled, core::outcome what);
  void look_up();
  void on_looked_up(const core::node_reply& reply);
  void flush_waiting();
  enum class gate : std::uint8_t { unknown, closed, open };
  void watch_gates();
  void unwatch_gates();
  void on_gate(std::uint32_t worker, gate now);

  void reject(std::uint32_t delivery_id, bool presettled, std::string_view condition,
              std::string description);
  void answer_attach();
  void on_refusal(const core::letter& l);
  void top_up();
  void leave();

  amqp::engine::receiver& wire_in_;
  amqp::spec::attach asked_ = {};
  bool by_subject_ = false;                // the default exchange
  core::exchange_way exchange_ = {};
  std::vector<gate> gates_;                // of the queue, or by worker: all must be open
  std::vector<core::hit> hits_;            // scratch of publish
  bool gate_open_ = false;
  core::message_builder partial_;
  std::uint32_t partial_format_ = 0;
  std::uint64_t octets_mean_ = 1024;  // of recent messages: bounds what credit may bring
  std::uint32_t credit_target_ = 0;
  std::unordered_map<std::string, way> known_;              // addresses looked up
  std::deque<waiting> waiting_;                             // behind an address being looked up
  bool looking_up_ = false;
};

}  // namespace whimbrel::broker::protocol
