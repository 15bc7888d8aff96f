// SPDX-License-Identifier: Apache-2.0
// Files and the standard input, as the verbs read them.
#pragma once

#include <fstream>
#include <string>

namespace whimbrel::client {

/// `file`, or the standard input for "-". Throws usage_error that says why it cannot be read.
[[nodiscard]] std::ifstream open_input(const std::string& file);

/// All of it.
[[nodiscard]] std::string read_input(const std::string& file);

}  // namespace whimbrel::client
