// SPDX-License-Identifier: Apache-2.0
// What a peer did wrong and how much that ends. [2.8.16-2.8.18]
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <boost/system/result.hpp>

namespace whimbrel::amqp::engine {

class link;

enum class scope : std::uint8_t { link, session, connection };

/// A peer broke the protocol. Carries exactly what goes into the error field of the detach, end or
/// close that answers it; `connection_core::answer` is the one place that sends those.
struct violation {
  engine::scope scope = engine::scope::connection;
  std::string_view condition = {};  // always one of spec::conditions
  std::string description = {};     // for the human who reads the peer's log
  engine::link* culprit = nullptr;  // for scope::link
};

template <class T = void>
using checked = boost::system::result<T, violation>;

inline violation link_violation(link& culprit, std::string_view condition,
                                std::string description) {
  return {scope::link, condition, std::move(description), &culprit};
}
inline violation session_violation(std::string_view condition, std::string description) {
  return {scope::session, condition, std::move(description), nullptr};
}
inline violation connection_violation(std::string_view condition, std::string description) {
  return {scope::connection, condition, std::move(description), nullptr};
}

}  // namespace whimbrel::amqp::engine
