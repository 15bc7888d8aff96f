// SPDX-License-Identifier: Apache-2.0
// The assertion for our own mistakes, on in every build.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace whimbrel::amqp::detail {

[[noreturn]] inline void assertion_failed(const char* what, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, what);
  std::abort();
}

}  // namespace whimbrel::amqp::detail

/// Always on, in every build. For our own mistakes only: whatever a peer, a disk or a user can
/// cause is a `result`, never an assertion.
#define AMQP_ASSERT(condition) \
  ((condition) ? void(0)       \
               : ::whimbrel::amqp::detail::assertion_failed(#condition, __FILE__, __LINE__))
