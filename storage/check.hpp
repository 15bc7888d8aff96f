// SPDX-License-Identifier: Apache-2.0
// The storage library's assertion: for mistakes of ours or of our caller's, on in every build.
// What a disk can do is never checked with it. A function, since macros are few by rule.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace whimbrel::storage {

inline void check(bool holds, const char* what, const char* file = __builtin_FILE(),
                  int line = __builtin_LINE()) {
  if (holds) [[likely]]
    return;
  std::fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, what);
  std::abort();
}

}  // namespace whimbrel::storage
