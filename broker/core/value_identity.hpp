// SPDX-License-Identifier: Apache-2.0
// When two encoded values are the same for a queue that compares them: texts by their characters,
// whole numbers by their value, everything else by type and octets.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

namespace whimbrel::broker::core {

/// Longer ones are not kept: how much a queue remembers of a message must not be its sender's
/// choice.
inline constexpr std::size_t identity_octets_max = 1024;

/// Equal for what is the same, different for what is not. Nothing for what is absent, null, not
/// well-formed or too long.
[[nodiscard]] std::optional<std::string> identity_of(std::span<const std::byte> encoded);

}  // namespace whimbrel::broker::core
