// SPDX-License-Identifier: Apache-2.0
// Messages as JSON, one a line, and back.
#pragma once

#include <string>
#include <string_view>

#include "amqp/message/message.hpp"

namespace whimbrel::client {

/// One line. Sections have the standard's names. Bodies: a string value is a string; others are
/// {"value": ...}, {"data": "text"}, {"data-hex": "00ff"} or {"sequence": [...]}. Types that JSON
/// does not have become text, several sections of a kind one.
[[nodiscard]] std::string to_json_line(const amqp::message::message& m);

/// What `to_json_line` writes, and any part of it; a line that is a string is a message with that
/// body. Numbers become longs, or doubles. Throws usage_error.
[[nodiscard]] amqp::message::message from_json_line(std::string_view line);

}  // namespace whimbrel::client
