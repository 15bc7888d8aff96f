// SPDX-License-Identifier: Apache-2.0
// Request and response messages of the two management protocols.
#pragma once

#include <optional>
#include <string>

#include "amqp/message/message.hpp"
#include "broker/management/reply.hpp"

namespace whimbrel::broker::management {

/// Which of the two a node speaks.
enum class dialect : std::uint8_t {
  http,    // /management
  entity,  // $management
};

[[nodiscard]] std::optional<dialect> dialect_of(const std::optional<std::string>& address);

/// The body as one value: an amqp-value, or the octets of the data sections; else null.
[[nodiscard]] amqp::codec::value body_of(const amqp::message::message& request);

/// The response to `request`: its correlation-id is the request's, or else the request's
/// message-id of the same type.
[[nodiscard]] amqp::message::message respond(dialect in, const amqp::message::message& request,
                                             const reply& what);

}  // namespace whimbrel::broker::management
