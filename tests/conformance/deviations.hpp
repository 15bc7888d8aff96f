// SPDX-License-Identifier: Apache-2.0
// The single faults that the suite has to find.
#pragma once

#include <vector>

#include "tests/conformance/faulty_peer.hpp"

namespace whimbrel::conformance::testing {

std::vector<deviation> encoding_faults();
std::vector<deviation> frame_faults();
std::vector<deviation> conduct_faults();

}  // namespace whimbrel::conformance::testing
