// SPDX-License-Identifier: Apache-2.0
#include "client/tools/progress.hpp"

#include <algorithm>
#include <cstdio>
#include <string>

#include <unistd.h>

namespace whimbrel::client {

progress::progress(std::uint64_t total, bool wanted)
    : total_(total), is_shown_(wanted && ::isatty(STDERR_FILENO) == 1) {}

progress::~progress() {
  if (is_shown_) std::fputs("\r\033[K", stderr);
}

void progress::show(std::uint64_t done) {
  done_ = done;
  if (!is_shown_ || done % 64 != 0) return;  // the clock costs something too
  const auto now = clock::now();
  if (now - drawn_ < std::chrono::milliseconds(100)) return;
  draw(now);
}

void progress::draw(clock::time_point now) {
  drawn_ = now;
  const double seconds = std::chrono::duration<double>(now - began_).count();
  const double rate = seconds > 0 ? static_cast<double>(done_) / seconds : 0;
  if (total_ == 0) {
    std::fprintf(stderr, "\r\033[K%llu messages, %.0f/s", static_cast<unsigned long long>(done_),
                 rate);
    return;
  }
  constexpr std::size_t width = 30;
  const auto full = std::min<std::size_t>(width, static_cast<std::size_t>(done_ * width / total_));
  const std::string bar = std::string(full, '#') + std::string(width - full, '.');
  std::fprintf(stderr, "\r\033[K[%s] %3llu%%  %llu/%llu, %.0f/s", bar.c_str(),
               static_cast<unsigned long long>(done_ * 100 / total_),
               static_cast<unsigned long long>(done_), static_cast<unsigned long long>(total_),
               rate);
}

}  // namespace whimbrel::client
