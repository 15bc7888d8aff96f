// SPDX-License-Identifier: Apache-2.0
// Consumers' links that name no source: they ask for a subscription by its name, and end it by
// closing. [Qpid JMS: unsubscribe]
#include <utility>

#include "amqp/codec/codec.hpp"
#include "amqp/spec/conditions.hpp"
#include "broker/protocol/connection_handler.hpp"
#include "broker/protocol/outgoing_link.hpp"
#include "broker/protocol/states.hpp"
#include "broker/protocol/terminus.hpp"

namespace whimbrel::broker::protocol {

namespace conditions = amqp::spec::conditions;

void outgoing_link::look_up() {
  context& with = with_;
  with_.nodes.look_up(home(), wish_of(asked_, owner_.container()),
                      [&with, self = self_](const core::subscription_reply& reply) {
                        auto* end = static_cast<outgoing_link*>(with.home.find_link(self));
                        if (end == nullptr || end->ending_) return;
                        end->on_looked_up(reply);
                        end->owner_.want_flush();
                      });
}

void outgoing_link::on_looked_up(const core::subscription_reply& reply) {
  if (!reply.found) {
    return refuse(conditions::not_found, "the attach names no source, and there is no "
                                         "subscription of the link's name");
  }
  looked_up_ = true;
  subscription_ = reply.what.id;
  attached_ = true;
  amqp::spec::attach answer;
  answer.snd_settle_mode = asked_.snd_settle_mode;
  answer.rcv_settle_mode = asked_.rcv_settle_mode;
  answer.source = source_of(reply.what);
  answer.target = asked_.target.empty() ? amqp::codec::to_raw(amqp::spec::target{}) : asked_.target;
  wire_out_.attach(std::move(answer));
}

bool outgoing_link::on_closing() {
  if (!looked_up_ || ending_) return false;
  context& with = with_;
  with_.nodes.unsubscribe(home(), subscription_, [&with, self = self_](const core::refusal& r) {
    auto* end = static_cast<outgoing_link*>(with.home.find_link(self));
    if (end == nullptr) return;
    std::optional<amqp::spec::error> error;
    if (!r.is_ok()) error = make_error(r.condition, r.description);
    end->owner_.end_closing(*end, std::move(error));
  });
  return true;
}

}  // namespace whimbrel::broker::protocol
