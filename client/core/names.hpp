// SPDX-License-Identifier: Apache-2.0
// Names that nobody else has: containers, links.
#pragma once

#include <string>
#include <string_view>

namespace whimbrel::client::core {

/// `stem`, a hyphen and 96 random bits.
[[nodiscard]] std::string random_name(std::string_view stem);

}  // namespace whimbrel::client::core
