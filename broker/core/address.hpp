// SPDX-License-Identifier: Apache-2.0
// The forms in which clients write the name of a node.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace whimbrel::broker::core {

enum class address_kind : std::uint8_t { bare, queue, topic, exchange, stream, invalid };

/// What an address asks for once the existing nodes have been looked through by its full text:
///
///     amqp://host/REST, amqps://host/REST   as REST
///     /queues/:q  /exchanges/:e[/:key]  /topics/:t  /streams/:s    percent-encoded, RFC 3986
///     queue://NAME  queue:NAME  topic://NAME  topic:NAME
///     ADDRESS::QUEUE                        the queue
///     anything else                         a bare name
struct address {
  address_kind kind = address_kind::invalid;
  std::string name = {};
  bool canonical = false;    // a path: never creates what it names
  std::string problem = {};  // kind invalid: what is wrong
  std::optional<std::string> key = {};  // kind exchange: the routing key, if the path has one
};

[[nodiscard]] address parse_address(std::string_view text);

/// The canonical path of a queue of this name.
[[nodiscard]] std::string queue_path(std::string_view name);

/// Octets of %XX replaced; nothing if a % is not followed by two hexadecimal digits.
[[nodiscard]] std::optional<std::string> percent_decoded(std::string_view text);

}  // namespace whimbrel::broker::core
