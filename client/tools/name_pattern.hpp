// SPDX-License-Identifier: Apache-2.0
// Patterns of names: globs at the broker, regular expressions in the definitions that RabbitMQ
// writes and reads.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace whimbrel::client {

/// An expression that matches exactly what the glob (`*`, `?`) matches.
[[nodiscard]] std::string regex_of(std::string_view glob);

/// The glob that matches what the expression finds; nothing if it says more than globs can.
[[nodiscard]] std::optional<std::string> glob_of(std::string_view regex);

}  // namespace whimbrel::client
