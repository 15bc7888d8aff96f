// SPDX-License-Identifier: Apache-2.0
// What an administrator's request comes to, before it is dressed as a response of either protocol.
#pragma once

#include <functional>
#include <string>

#include "amqp/codec/value.hpp"

namespace whimbrel::broker::management {

/// The codes of HTTP, which both protocols use.
namespace status {
inline constexpr int ok = 200;
inline constexpr int created = 201;
inline constexpr int no_content = 204;
inline constexpr int bad_request = 400;
inline constexpr int forbidden = 403;
inline constexpr int not_found = 404;
inline constexpr int method_not_allowed = 405;
inline constexpr int conflict = 409;
inline constexpr int not_implemented = 501;
}  // namespace status

struct reply {
  int code = status::ok;
  amqp::codec::value body = {};  // of an error: the text that explains it

  [[nodiscard]] bool is_ok() const { return code < status::bad_request; }
  [[nodiscard]] std::string text() const { return body.text().value_or(std::string{}); }
};

/// Called once, on the worker of whoever asked.
using answer = std::function<void(const reply&)>;

inline reply failure(int code, const std::string& text) {
  return {code, amqp::codec::value(text)};
}

}  // namespace whimbrel::broker::management
