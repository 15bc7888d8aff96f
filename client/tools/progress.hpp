// SPDX-License-Identifier: Apache-2.0
// How far it is, on a terminal; nothing where the standard error is not one.
#pragma once

#include <chrono>
#include <cstdint>

namespace whimbrel::client {

/// Draws at most ten times a second, and clears its line when destroyed.
class progress {
 public:
  /// `total` 0: unknown, and no bar.
  progress(std::uint64_t total, bool wanted);
  ~progress();
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;

  void show(std::uint64_t done);

 private:
  using clock = std::chrono::steady_clock;

  void draw(clock::time_point now);

  std::uint64_t total_;
  bool is_shown_;
  std::uint64_t done_ = 0;
  clock::time_point began_ = clock::now();
  clock::time_point drawn_ = began_;
};

}  // namespace whimbrel::client
