// SPDX-License-Identifier: Apache-2.0
#include "client/core/names.hpp"

#include <cstdint>
#include <random>

namespace whimbrel::client::core {

std::string random_name(std::string_view stem) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::random_device source;
  std::string out(stem);
  out += '-';
  for (int word = 0; word < 3; ++word) {
    std::uint32_t bits = source();
    for (int i = 0; i < 8; ++i, bits >>= 4) out += digits[bits & 15u];
  }
  return out;
}

}  // namespace whimbrel::client::core
