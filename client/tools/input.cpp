// SPDX-License-Identifier: Apache-2.0
// Opening a file, with the reason when it cannot be.
#include "client/tools/input.hpp"

#include <cerrno>
#include <filesystem>
#include <iterator>
#include <system_error>

#include "client/tools/pairs.hpp"

namespace whimbrel::client {

std::ifstream open_input(const std::string& file) {
  if (file == "-") return std::ifstream("/dev/stdin", std::ios::binary);
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored)) {
    throw usage_error(file + " cannot be read: it is a directory");
  }
  errno = 0;
  std::ifstream in(file, std::ios::binary);
  if (in) return in;
  throw usage_error(file + " cannot be read: " + std::generic_category().message(errno));
}

std::string read_input(const std::string& file) {
  std::ifstream in = open_input(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace whimbrel::client
