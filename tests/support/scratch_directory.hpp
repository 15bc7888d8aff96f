// SPDX-License-Identifier: Apache-2.0
// A directory of one test, removed with everything in it when the test ends.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

namespace whimbrel::tests {

class scratch_directory {
 public:
  scratch_directory() {
    std::string text = (std::filesystem::temp_directory_path() / "whimbrel-test-XXXXXX").string();
    if (mkdtemp(text.data()) == nullptr) throw std::runtime_error("cannot create " + text);
    path_ = text;
  }
  ~scratch_directory() {
    std::error_code ignored;  // a leftover in /tmp is no reason to fail a test
    std::filesystem::remove_all(path_, ignored);
  }
  scratch_directory(const scratch_directory&) = delete;
  scratch_directory& operator=(const scratch_directory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_ = {};
};

}  // namespace whimbrel::tests
