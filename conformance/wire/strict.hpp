// SPDX-License-Identifier: Apache-2.0
// A decoder that knows no mercy, apart from the codec that brokers and clients use: it names the
// clause that an encoding breaks. [1.2, 1.6]
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "conformance/wire/octets.hpp"

namespace whimbrel::conformance {

/// Called for each rule that a value could have broken, once for each place.
using rule_sink = std::function<void(std::string_view clause, bool held, std::string_view what)>;

/// Walks one value at the start of `octets`. Returns its length, or 0 if it has no end that can be
/// found, in which case a rule was broken.
std::size_t walk_value(std::span<const std::byte> octets, const rule_sink& sink);

}  // namespace whimbrel::conformance
