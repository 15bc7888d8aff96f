// SPDX-License-Identifier: Apache-2.0
// A message that owns its parts, for applications. Brokers relay octets and look at them through
// view.hpp. [3.2]
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "amqp/base/octet_buffer.hpp"
#include "amqp/base/result.hpp"
#include "amqp/codec/value.hpp"
#include "amqp/spec/messaging.hpp"

namespace whimbrel::amqp::message {

/// One or more data sections, one or more sequence sections, or one value; nothing for the messages
/// without a body that some clients send though the standard asks for one.
using body =
    std::variant<std::monostate, std::vector<binary>, std::vector<codec::list>, codec::value>;

struct message {
  std::optional<spec::header> header = {};
  std::optional<codec::map> delivery_annotations = {};
  std::optional<codec::map> message_annotations = {};
  std::optional<spec::properties> properties = {};
  std::optional<codec::map> application_properties = {};
  amqp::message::body body = {};
  std::optional<codec::map> footer = {};

  bool operator==(const message&) const = default;

  /// The properties, made if there are none.
  spec::properties& props();

  /// The body as characters: a string value, or data sections joined; nothing for other bodies.
  std::optional<std::string> body_text() const;
};

/// A message whose body is a string value, or one data section.
message text_message(std::string_view text);
message data_message(std::span<const std::byte> octets);

void encode(octet_buffer& out, const message& m);

/// A whole message. Accepts what `scan` accepts and every field of which has its type.
[[nodiscard]] decoded<message> decode(std::span<const std::byte> octets);

/// For people: one line.
std::string to_text(const message& m);

}  // namespace whimbrel::amqp::message
