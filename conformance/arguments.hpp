// SPDX-License-Identifier: Apache-2.0
// The command line of `whimbrel conformance`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "conformance/run/runner.hpp"

namespace whimbrel::conformance {

struct arguments {
  subject peer = {};
  std::string url = {};  // without its password
  selection chosen = {};
  unsigned parallel = 8;
  bool list = false;
  bool verbose = false;
  std::string junit = {};
  std::string json = {};
  std::string html = {};
  std::vector<std::string> compare = {};  // saved runs, for the page
};

struct parsed {
  std::optional<arguments> run = {};
  std::string text = {};  // the help, or what is wrong
  int exit_code = 0;      // if there is nothing to run
};

parsed parse_arguments(int argc, const char* const* argv);

/// Fills in host, port, user, password and address. Returns what is wrong, or nothing.
std::string parse_url(std::string_view url, subject& out);

}  // namespace whimbrel::conformance
