// SPDX-License-Identifier: Apache-2.0
// The verb `whimbrel conformance`: arguments as main has them, with the verb at 0.
#pragma once

namespace whimbrel::conformance {

/// 0: no clause failed; 1: one did; 2: the arguments or the peer make no run possible.
int run_conformance(int argc, char** argv);

}  // namespace whimbrel::conformance
