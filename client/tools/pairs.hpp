// SPDX-License-Identifier: Apache-2.0
// KEY=VALUE on a command line, and what is wrong with arguments beyond what the parser sees.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "amqp/codec/value.hpp"

namespace whimbrel::client {

class usage_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// true, 5 and text: as a boolean, a long and a string.
[[nodiscard]] amqp::codec::value typed(const std::string& text);

/// Throws usage_error, naming the flag. Keys are strings, or symbols.
[[nodiscard]] amqp::codec::map typed_map(const std::vector<std::string>& pairs, const char* flag,
                                         bool symbols = false);

}  // namespace whimbrel::client
