// SPDX-License-Identifier: Apache-2.0
// The message of the SASL mechanism PLAIN: authzid NUL authcid NUL passwd. [RFC 4616]
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace whimbrel::amqp::sasl {

/// Views into the octets parsed.
struct plain_message {
  std::string_view authzid = {};  // whom to act as; empty: as authcid
  std::string_view authcid = {};  // whose password
  std::string_view passwd = {};
};

/// Nothing unless the octets are UTF-8 with exactly two NULs and neither authcid nor passwd empty.
std::optional<plain_message> parse_plain(std::span<const std::byte> octets);

std::vector<std::byte> encode_plain(const plain_message& message);

}  // namespace whimbrel::amqp::sasl
