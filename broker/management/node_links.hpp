// SPDX-License-Identifier: Apache-2.0
// Links to the management nodes: requests come in on one, responses go out on another of the same
// connection, or into the queue that the request names.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "amqp/engine/event.hpp"
#include "amqp/engine/link.hpp"
#include "amqp/message/message.hpp"
#include "broker/core/message.hpp"
#include "broker/management/messages.hpp"
#include "broker/management/operations.hpp"
#include "broker/protocol/link_base.hpp"

namespace whimbrel::broker::management {

/// The link for an attach that names a management node; null for any other.
[[nodiscard]] std::unique_ptr<protocol::link_base> make_link(protocol::connection_handler& owner,
                                                             protocol::context& with,
                                                             amqp::engine::link& wire,
                                                             const amqp::spec::attach& asked);

/// A request has one place in the window from its arrival until its response has been handed to
/// the engine or to a queue. So the credit bounds what waits, also where the peer reads no
/// responses.
class request_link final : public protocol::link_base {
 public:
  request_link(protocol::connection_handler& owner, protocol::context& with,
               amqp::engine::receiver& wire, dialect speaks);

  void start(const amqp::spec::attach& asked) override;
  void on_event(const amqp::engine::event& e) override;
  void on_letter(core::letter&&) override {}
  void on_resolved(const core::node_reply&) override {}
  void on_gone(protocol::departure why) override;

  /// A response has left: the peer may send another request.
  void on_answered();

 private:
  void on_request(const amqp::engine::event& e);
  void perform(std::shared_ptr<const amqp::message::message> request);
  void respond_to(const amqp::message::message& request, const reply& what);
  void send_to_queue(const std::string& address, core::message_ptr response);
  void reject(const amqp::engine::event& e, std::string_view condition, std::string description);
  [[nodiscard]] asker who_asks() const;

  amqp::engine::receiver& wire_in_;
  dialect speaks_;
  core::message_builder partial_;
  std::uint32_t busy_ = 0;  // requests that have not been answered
};

class response_link final : public protocol::link_base {
 public:
  response_link(protocol::connection_handler& owner, protocol::context& with,
                amqp::engine::sender& wire, dialect speaks);

  void start(const amqp::spec::attach& asked) override;
  void on_event(const amqp::engine::event& e) override;
  void on_letter(core::letter&&) override {}
  void on_resolved(const core::node_reply&) override {}
  void on_gone(protocol::departure why) override;

  /// Does a request of `from` that asks for its response at `reply_to` mean this link? Either the
  /// two are a pair, of one name on one session, or the link's target has that address.
  [[nodiscard]] bool is_meant(const request_link& from, const std::string& reply_to) const;
  void respond(core::message_ptr response, core::link_ref to);

 private:
  struct waiting {
    core::message_ptr response;
    core::link_ref asker{};
  };

  void send_waiting();
  void tell(core::link_ref asker) const;

  amqp::engine::sender& wire_out_;
  dialect speaks_;
  std::string address_ = {};  // of the peer's terminus
  std::deque<waiting> waiting_ = {};
  bool half_sent_ = false;    // the first of those that wait
  bool settled_ = false;
  std::uint32_t next_tag_ = 0;
};

}  // namespace whimbrel::broker::management
