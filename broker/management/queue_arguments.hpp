// SPDX-License-Identifier: Apache-2.0
// The optional arguments of a queue's declaration: which of them this broker does, and what it says
// of the others. None is taken and then ignored.
#pragma once

#include <optional>
#include <string>

#include "amqp/codec/value.hpp"
#include "broker/core/admin.hpp"

namespace whimbrel::broker::management {

/// Why a queue cannot be declared so; nothing if it can.
[[nodiscard]] std::optional<std::string> objection_to(const core::queue_definition& as);

/// `classic` or `quorum`. Both are the same here: one copy, on this broker, durable if declared so.
[[nodiscard]] std::string queue_type(const core::queue_definition& as);

/// The same arguments with their defaults left out and keys as strings, so that declarations that
/// mean the same are the same.
[[nodiscard]] amqp::codec::map normal_arguments(const amqp::codec::map& arguments);

}  // namespace whimbrel::broker::management
