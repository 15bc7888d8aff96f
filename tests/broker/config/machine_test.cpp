// SPDX-License-Identifier: Apache-2.0
// Limits of cgroups, read from a tree of files that stands in for the machine.
#include <filesystem>
#include <fstream>
#include <string>

#include <doctest/doctest.h>

#include "broker/config/machine.hpp"
#include "tests/support/scratch_directory.hpp"

using whimbrel::broker::config::detect_machine;
using whimbrel::tests::scratch_directory;

namespace {

class fake_root {
 public:
  void write(const std::string& path, const std::string& text) const {
    const auto file = directory_.path() / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  [[nodiscard]] std::uint64_t memory() const { return detect_machine(directory_.path()).memory; }
  [[nodiscard]] std::uint32_t processors() const {
    return detect_machine(directory_.path()).processors;
  }

 private:
  scratch_directory directory_ = {};
};

constexpr std::uint64_t limit = 64U << 20;  // less than any machine that builds this

}  // namespace

TEST_CASE("machine: without cgroups it is what the kernel says") {
  const fake_root root;
  CHECK(root.memory() > limit);
  CHECK(root.processors() >= 1);
}

TEST_CASE("machine: a limit of cgroup version 2 is obeyed") {
  const fake_root root;
  root.write("proc/self/cgroup", "0::/a/b\n");
  root.write("sys/fs/cgroup/a/b/memory.max", "67108864\n");
  root.write("sys/fs/cgroup/a/b/cpu.max", "50000 100000\n");
  CHECK(root.memory() == limit);
  CHECK(root.processors() == 1);  // half a processor rounds up
}

TEST_CASE("machine: the tightest ancestor decides") {
  const fake_root root;
  root.write("proc/self/cgroup", "0::/a/b\n");
  root.write("sys/fs/cgroup/a/b/memory.max", "max\n");
  root.write("sys/fs/cgroup/a/memory.max", "67108864\n");
  root.write("sys/fs/cgroup/memory.max", "134217728\n");
  CHECK(root.memory() == limit);
}

TEST_CASE("machine: a container sees its own group at the root") {
  const fake_root root;
  root.write("proc/self/cgroup", "0::/\n");
  root.write("sys/fs/cgroup/memory.max", "67108864\n");
  CHECK(root.memory() == limit);
}

TEST_CASE("machine: a limit of cgroup version 1 is obeyed") {
  const fake_root root;
  root.write("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/x\n1:name=systemd:/x\n");
  root.write("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "67108864\n");
  root.write("sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "100000\n");
  root.write("sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n");
  CHECK(root.memory() == limit);
  CHECK(root.processors() == 1);
}

TEST_CASE("machine: no limit, and nonsense, count as none") {
  const std::uint64_t all = fake_root().memory();
  const std::uint32_t processors = fake_root().processors();
  for (const std::string text : {"max\n", "", "-1\n", "9223372036854771712\n", "lots\n"}) {
    CAPTURE(text);
    const fake_root root;
    root.write("proc/self/cgroup", "0::/\nrubbish\n4:memory,cpu:/\n");
    root.write("sys/fs/cgroup/memory.max", text);
    root.write("sys/fs/cgroup/cpu.max", "max 100000\n");
    root.write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    root.write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    CHECK(root.memory() == all);
    CHECK(root.processors() == processors);
  }
}
