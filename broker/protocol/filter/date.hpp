// SPDX-License-Identifier: Apache-2.0
// Dates and durations as ISO 8601 writes them in its extended format. [filtex 6.3.2, 6.4.4.3.4]
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace whimbrel::broker::protocol::filter {

/// Milliseconds since the epoch: `2024-02-29`, `2024-02-29T12:30`, `...:05.250Z`, `...+01:00`.
/// Without a zone it is UTC.
std::optional<std::int64_t> parse_date(std::string_view text);

/// Milliseconds: `P1DT2H3M4.5S`, `P2W`. Years and months have no fixed length and are refused.
std::optional<std::int64_t> parse_duration(std::string_view text);

std::optional<std::int64_t> parse_date_or_duration(std::string_view text);

}  // namespace whimbrel::broker::protocol::filter
