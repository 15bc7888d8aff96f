// SPDX-License-Identifier: Apache-2.0
// AMQP values as JSON and back, as far as management needs it.
#pragma once

#include <string>

#include <boost/json.hpp>

#include "amqp/codec/value.hpp"

namespace whimbrel::client {

/// Text for what JSON has no type for.
[[nodiscard]] boost::json::value to_json(const amqp::codec::value& v);

/// Numbers become longs, or doubles.
[[nodiscard]] amqp::codec::value from_json(const boost::json::value& v);

/// Indented by two; every key in its order.
[[nodiscard]] std::string pretty(const boost::json::value& v);

}  // namespace whimbrel::client
