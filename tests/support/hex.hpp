// SPDX-License-Identifier: Apache-2.0
// Octets written as hex in tests, and a seeded random source.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace whimbrel::test {

/// `hex("00 53 24 45")`; blanks anywhere between octets, and `"text"` for its characters.
inline std::vector<std::byte> hex(std::string_view text) {
  std::vector<std::byte> out;
  const auto digit = [](char c) {
    return static_cast<unsigned>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ' ') continue;
    if (text[i] == '"') {
      while (++i < text.size() && text[i] != '"') out.push_back(static_cast<std::byte>(text[i]));
      continue;
    }
    out.push_back(static_cast<std::byte>(digit(text[i]) << 4 | digit(text.at(i + 1))));
    ++i;
  }
  return out;
}

/// `00 53 24 45`, for comparisons that are to be read when they fail.
inline std::string to_hex(std::span<const std::byte> octets) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const std::byte b : octets) {
    if (!out.empty()) out += ' ';
    out += digits[std::to_integer<unsigned>(b) >> 4];
    out += digits[std::to_integer<unsigned>(b) & 15];
  }
  return out;
}

/// The same numbers for the same seed on every machine (splitmix64).
class random_source {
 public:
  explicit random_source(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// Below `bound`, which is not 0.
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(next() % bound); }
  bool one_in(std::size_t n) { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

}  // namespace whimbrel::test
