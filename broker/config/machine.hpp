// SPDX-License-Identifier: Apache-2.0
// What this process may use of the machine: its processors and memory, within the limits of its
// cgroup (version 2 or 1).
#pragma once

#include <cstdint>
#include <filesystem>

namespace whimbrel::broker::config {

struct machine {
  std::uint32_t processors = 1;
  std::uint64_t memory = 0;  // octets
};

/// `root` stands in for `/` in tests. What cannot be read counts as no limit.
machine detect_machine(const std::filesystem::path& root = "/");

}  // namespace whimbrel::broker::config
