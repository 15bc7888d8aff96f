// SPDX-License-Identifier: Apache-2.0
// From arguments, environment and configuration file to settings, in that order of precedence:
// a flag wins over a WHIMBREL_* variable, that over the file, that over the default.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "broker/config/settings.hpp"
#include "broker/exit_code.hpp"

namespace whimbrel::broker::config {

/// The value of an environment variable, if set. Passed in, so that tests have their own.
using environment = std::function<std::optional<std::string>(const std::string& name)>;
environment process_environment();

/// Either settings to run with, or a text to print (to stdout on success, else to stderr) and an
/// exit code.
struct command {
  std::optional<settings> run = {};
  std::string text = {};
  exit_code code = exit_code::success;
  std::vector<std::string> notices = {};  // lines for the log, before anything else in it
};

/// `arguments` without the program and the verb. Never throws for what a user can get wrong: that
/// is a text that says where (file and line, variable or flag), which key, and why.
[[nodiscard]] command parse_command_line(const std::vector<std::string>& arguments,
                                         const environment& variables);

/// The text of `whimbrel broker --help`.
std::string help_text();

}  // namespace whimbrel::broker::config
