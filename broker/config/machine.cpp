// SPDX-License-Identifier: Apache-2.0
#include "broker/config/machine.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <thread>

#include <unistd.h>

namespace whimbrel::broker::config {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t no_limit = std::numeric_limits<std::uint64_t>::max();

struct limits {
  std::uint64_t memory = no_limit;
  std::uint64_t processors = no_limit;
};

/// The first word of a file as a number; nothing for "max", text, or no such file.
std::optional<std::uint64_t> number_in(const fs::path& file) {
  std::ifstream in(file);
  std::uint64_t value = 0;
  if (!(in >> value)) return std::nullopt;
  return value;
}

std::uint64_t processors_of(std::uint64_t quota, std::uint64_t period) {
  if (period == 0) return no_limit;
  return std::max<std::uint64_t>((quota + period - 1) / period, 1);  // half a processor is one
}

limits limits_in(const fs::path& directory) {
  limits out;
  for (const char* name : {"memory.max", "memory.limit_in_bytes"}) {
    out.memory = std::min(out.memory, number_in(directory / name).value_or(no_limit));
  }
  std::uint64_t quota = 0, period = 0;
  std::ifstream v2(directory / "cpu.max");
  if (v2 >> quota >> period) out.processors = processors_of(quota, period);
  const auto quota_v1 = number_in(directory / "cpu.cfs_quota_us");  // -1, hence no number: no limit
  const auto period_v1 = number_in(directory / "cpu.cfs_period_us");
  if (quota_v1 && period_v1 && *quota_v1 <= std::numeric_limits<std::int64_t>::max()) {
    out.processors = std::min(out.processors, processors_of(*quota_v1, *period_v1));
  }
  return out;
}

/// The tightest limit from our group up to the root: any ancestor may hold it.
void tighten(limits& to, const fs::path& mount, fs::path group) {
  for (group = group.relative_path();; group = group.parent_path()) {
    const limits here = limits_in(group.empty() ? mount : mount / group);
    to.memory = std::min(to.memory, here.memory);
    to.processors = std::min(to.processors, here.processors);
    if (group.empty()) return;
  }
}

/// Lines of /proc/self/cgroup are NUMBER:CONTROLLERS:PATH; version 2 has no controllers there.
limits cgroup_limits(const fs::path& root) {
  limits out;
  const fs::path mount = root / "sys/fs/cgroup";
  std::ifstream file(root / "proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const fs::path group = line.substr(second + 1);
    std::istringstream controllers(line.substr(first + 1, second - first - 1));
    std::string controller;
    if (second == first + 1) tighten(out, mount, group);
    while (std::getline(controllers, controller, ',')) {
      if (controller == "memory" || controller == "cpu") tighten(out, mount / controller, group);
    }
  }
  return out;
}

}  // namespace

machine detect_machine(const fs::path& root) {
  const limits cgroup = cgroup_limits(root);
  const auto pages = static_cast<std::uint64_t>(std::max(sysconf(_SC_PHYS_PAGES), 1L));
  const auto page_size = static_cast<std::uint64_t>(std::max(sysconf(_SC_PAGESIZE), 1L));
  const std::uint64_t processors = std::max(std::thread::hardware_concurrency(), 1U);
  return {.processors = static_cast<std::uint32_t>(std::min(processors, cgroup.processors)),
          .memory = std::min(pages * page_size, cgroup.memory)};
}

}  // namespace whimbrel::broker::config
