// SPDX-License-Identifier: Apache-2.0
// Who comes: the answer to an open, and to those that want to be the only connection of their
// container. [2.7.1, soleconn CS01]
#include <utility>

#include "amqp/spec/conditions.hpp"
#include "broker/protocol/connection_handler.hpp"
#include "broker/protocol/states.hpp"

namespace whimbrel::broker::protocol {

namespace conditions = amqp::spec::conditions;
using amqp::symbol;
using amqp::codec::value;
using core::sole_policy;

namespace {

constexpr std::string_view capability = "sole-connection-for-container";
constexpr std::string_view enforcement_policy = "sole-connection-enforcement-policy";
constexpr std::string_view detection_policy = "sole-connection-detection-policy";
constexpr std::uint32_t refuse_connection = 0;  // of enforcement-policy
constexpr std::uint32_t close_existing = 1;
constexpr std::uint32_t strong = 0;  // of detection-policy

sole_policy policy_of(const amqp::spec::open& asked) {
  if (!asked.desired_capabilities.contains(capability)) return sole_policy::none;
  const auto named = asked.properties ? asked.properties->get<std::uint32_t>(enforcement_policy)
                                      : std::nullopt;
  return named == close_existing ? sole_policy::close_existing : sole_policy::refuse;
}

/// The policies in force.
amqp::codec::map answer_to(sole_policy asked) {
  if (asked == sole_policy::none) return {};
  const bool closes = asked == sole_policy::close_existing;
  return {{value(symbol(enforcement_policy)), value(closes ? close_existing : refuse_connection)},
          {value(symbol(detection_policy)), value(strong)}};
}

}  // namespace

/// Containers are told apart by their users too: nobody shuts others out by their names.
void connection_handler::on_opened(const amqp::engine::event& e) {
  with_.log.info("connection opened", {{"peer", who_.address},
                                       {"container", e.open->container_id},
                                       {"user", user_.empty() ? "anonymous" : user_}});
  container_ = e.open->container_id;
  if (container_.empty()) return engine_.open();  // that names nobody
  entered_ = true;
  const sole_policy policy = policy_of(*e.open);
  core::containers::member mine{.connection = who_.id, .policy = policy};
  mine.close = [this, alive = alive_] {
    if (!*alive) return;
    amqp::spec::error why = make_error(conditions::resource_locked,
                                       "the container has opened another connection");
    why.info = amqp::codec::map{{value(symbol("sole-connection-enforcement")), value(true)}};
    shut_down(std::move(why));
    drop_links();  // what they held is the newcomer's, however late the close is answered
  };
  mine.then = [this, alive = alive_, policy](bool admitted) {
    if (*alive) on_entered(policy, admitted);
  };
  with_.nodes.present().enter(with_.home, user_ + '\0' + container_, std::move(mine));
}

void connection_handler::on_entered(sole_policy policy, bool admitted) {
  want_flush_();
  if (admitted) return engine_.open(answer_to(policy));
  with_.log.warning("connection refused: its container has another one",
                    {{"peer", who_.address}, {"container", container_}});
  engine_.open({{value(symbol("amqp:connection-establishment-failed")), value(true)}});
  amqp::spec::error why = make_error(conditions::invalid_field,
                                     "container '" + container_ + "' has another connection");
  why.info = amqp::codec::map{{value(symbol("invalid-field")), value(symbol("container-id"))}};
  engine_.close(std::move(why));
}

void connection_handler::leave_container() {
  if (!std::exchange(entered_, false)) return;
  with_.nodes.present().leave(with_.home, user_ + '\0' + container_, who_.id);
}

}  // namespace whimbrel::broker::protocol
