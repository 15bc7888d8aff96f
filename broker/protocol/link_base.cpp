// SPDX-License-Identifier: Apache-2.0
// Coming and going of links.
#include "broker/protocol/link_base.hpp"

#include <utility>

#include "amqp/spec/conditions.hpp"
#include "broker/protocol/connection_handler.hpp"
#include "broker/protocol/states.hpp"

namespace whimbrel::broker::protocol {

link_base::link_base(connection_handler& owner, context& with, amqp::engine::link& wire, kind of)
    : owner_(owner), with_(with), wire_(wire), self_(with.home.add_link(*this)), of_(of) {
  wire_.context = this;
}

link_base::~link_base() {
  if (!temporary_.empty()) with_.nodes.remove(home(), temporary_);
  if (named_) with_.nodes.names().release(home(), self_);
  home().remove_link(self_);
}

void link_base::take_name(std::function<void()> then) {
  // Some clients leave the container-id empty: that makes them no container of one name.
  if (owner_.container().empty()) return then();
  named_ = true;
  std::string name = owner_.user();
  for (const std::string_view part : {std::string_view(owner_.container()),
                                      std::string_view(wire_.is_sender() ? "out" : "in"),
                                      std::string_view(wire_.name())}) {
    name += '\0';
    name += part;
  }
  with_.nodes.names().take(home(), std::move(name), self_, [this, then = std::move(then)] {
    if (ending_) return;
    then();
    owner_.want_flush();
  });
}

/// Somebody attached it elsewhere. What it holds goes back first, so that the new link finds it.
core::queue_ref link_base::on_stolen() {
  const core::queue_ref queue = queue_;
  owner_.end_before(*this);
  if (suspended_) {
    owner_.end_suspended(*this);  // and this is no more
    return queue;
  }
  if (ending_) return queue;
  on_gone(departure::detached);
  detach(amqp::spec::conditions::stolen, "the link was attached again");
  owner_.want_flush();
  return queue;
}

void link_base::follow(link_base& before) {
  before_ = &before;
  before.after_ = this;
  if (std::exchange(before.named_, false)) with_.nodes.names().release(home(), before.self_);
  take_over(before);
}

void link_base::step_out() {
  if (before_ != nullptr) before_->after_ = after_;
  if (after_ != nullptr) after_->before_ = before_;
  before_ = after_ = nullptr;
}

void link_base::resolve(core::node_request request) {
  request.connection = owner_.id();
  const security::permissions& allowed = owner_.allowed();
  const auto use = request.to_consume ? security::action::receive : security::action::send;
  request.may_use = [&allowed, use](std::string_view name) {
    return security::is_permitted(allowed, use, name);
  };
  request.may_configure = [&allowed](std::string_view name) {
    return security::is_permitted(allowed, security::action::configure, name);
  };
  const bool dynamic = request.dynamic;
  context& with = with_;
  const core::link_ref self = self_;
  with_.nodes.resolve(home(), std::move(request),
                      [&with, self, dynamic](const core::node_reply& reply) {
                        auto* end = static_cast<link_base*>(with.home.find_link(self));
                        if (end != nullptr && !end->ending_) {
                          end->on_resolved(reply);
                          return end->owner_.want_flush();
                        }
                        // Whoever asked went before the answer came.
                        if (!reply.subscription.empty()) {
                          with.nodes.leave(with.home, reply.subscription, reply.ticket, false);
                        } else if (reply.is_ok() && (dynamic || reply.subscribed)) {
                          with.nodes.remove(with.home, reply.name);
                        }
                      });
}

void link_base::refuse(std::string_view condition, const std::string& description) {
  with_.log.debug("link refused", {{"link", wire_.name()},
                                   {"condition", std::string(condition)},
                                   {"why", description}});
  ending_ = true;
  wire_.refuse(make_error(condition, description));
}

void link_base::detach(std::string_view condition, const std::string& description) {
  ending_ = true;
  wire_.detach(true, make_error(condition, description));
}

}  // namespace whimbrel::broker::protocol
