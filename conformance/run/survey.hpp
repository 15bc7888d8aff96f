// SPDX-License-Identifier: Apache-2.0
// A first look at the peer: how to get in, and what it offers.
#pragma once

#include <string>

#include "conformance/run/test.hpp"

namespace whimbrel::conformance {

/// Fills in the second half of `subject`. Returns what makes a run pointless, or nothing.
std::string look_around(subject& peer, rule_book& rules);

}  // namespace whimbrel::conformance
