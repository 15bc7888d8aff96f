// SPDX-License-Identifier: Apache-2.0
#include "client/tools/pairs.hpp"

#include <cstdlib>

namespace whimbrel::client {

using amqp::codec::map;
using amqp::codec::value;

value typed(const std::string& text) {
  if (text == "true" || text == "false") return value(text == "true");
  const bool number = !text.empty() && text.size() < 19 &&
                      text.find_first_not_of("0123456789", text[0] == '-' ? 1 : 0) ==
                          std::string::npos &&
                      text != "-";
  if (number) return value(std::int64_t{std::strtoll(text.c_str(), nullptr, 10)});
  return value(text);
}

map typed_map(const std::vector<std::string>& pairs, const char* flag, bool symbols) {
  map out;
  for (const std::string& pair : pairs) {
    const auto equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw usage_error(std::string(flag) + " takes KEY=VALUE, not '" + pair + "'");
    }
    const std::string key = pair.substr(0, equals);
    out.set(symbols ? value(amqp::symbol(key)) : value(key), typed(pair.substr(equals + 1)));
  }
  return out;
}

}  // namespace whimbrel::client
