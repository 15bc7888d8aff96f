// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target over stored inputs where libFuzzer is not at hand: every file below each
// argument, in order of name, and then each file cut to half, so that truncations are met too.
// No input at all is a failure: a test that replays nothing proves nothing.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* octets, std::size_t size);

namespace {

std::vector<std::filesystem::path> inputs_below(const std::filesystem::path& root) {
  std::vector<std::filesystem::path> found;
  if (std::filesystem::is_regular_file(root)) return {root};
  if (!std::filesystem::is_directory(root)) return {};
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (entry.is_regular_file()) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

void run(const std::vector<std::uint8_t>& octets, std::size_t size) {
  // An exact copy, so that a read past the end is seen by the address sanitizer.
  const std::vector<std::uint8_t> exact(octets.begin(),
                                        octets.begin() + static_cast<std::ptrdiff_t>(size));
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t count = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& path : inputs_below(argv[i])) {
      std::ifstream file(path, std::ios::binary);
      const std::vector<std::uint8_t> octets{std::istreambuf_iterator<char>(file), {}};
      std::printf("%s\n", path.c_str());
      std::fflush(stdout);  // the last line names the input that crashed
      run(octets, octets.size());
      run(octets, octets.size() / 2);
      ++count;
    }
  }
  std::printf("%zu inputs replayed\n", count);
  return count == 0 ? 1 : 0;
}
