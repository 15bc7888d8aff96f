// SPDX-License-Identifier: Apache-2.0
// Base64 as SASL messages and password records have it: padded, and one text for each value.
// [RFC 4648, 4]
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace whimbrel::amqp::sasl {

std::string to_base64(std::span<const std::uint8_t> octets);

/// Nothing unless `text` is what `to_base64` makes of some octets: no blanks, no missing padding,
/// no bits that are not used.
std::optional<std::vector<std::uint8_t>> from_base64(std::string_view text);

}  // namespace whimbrel::amqp::sasl
