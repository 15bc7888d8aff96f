// SPDX-License-Identifier: Apache-2.0
#include "storage/crc32c.hpp"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace whimbrel::storage {
namespace {

using table = std::array<std::array<std::uint32_t, 256>, 8>;

/// tables[k][b]: what octet b, followed by k zero octets, does to the checksum.
constexpr table tables = [] {
  table t{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t value = b;
    for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ ((value & 1) != 0 ? 0x82f6'3b78u : 0u);
    t[0][b] = value;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t b = 0; b < 256; ++b) t[k][b] = t[k - 1][b] >> 8 ^ t[0][t[k - 1][b] & 0xff];
  }
  return t;
}();

std::uint32_t eight_octets_by_table(std::uint64_t word, std::uint32_t crc) {
  word ^= crc;
  std::uint32_t next = 0;
  for (std::size_t k = 0; k < 8; ++k) next ^= tables[7 - k][word >> (8 * k) & 0xff];
  return next;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t by_instruction(std::span<const std::byte> octets,
                                                               std::uint32_t so_far) {
  std::uint64_t crc = ~so_far;
  const std::byte* at = octets.data();
  std::size_t left = octets.size();
  for (; left >= 8; at += 8, left -= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    crc = _mm_crc32_u64(crc, word);
  }
  auto narrow = static_cast<std::uint32_t>(crc);
  for (; left > 0; ++at, --left) narrow = _mm_crc32_u8(narrow, std::to_integer<std::uint8_t>(*at));
  return ~narrow;
}

bool processor_has_it() {
  static const bool has = __builtin_cpu_supports("sse4.2") != 0;
  return has;
}
#endif

}  // namespace

std::uint32_t crc32c_by_table(std::span<const std::byte> octets, std::uint32_t so_far) {
  std::uint32_t crc = ~so_far;
  const std::byte* at = octets.data();
  std::size_t left = octets.size();
  for (; left >= 8; at += 8, left -= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    crc = eight_octets_by_table(word, crc);
  }
  for (; left > 0; ++at, --left) {
    crc = crc >> 8 ^ tables[0][(crc ^ std::to_integer<std::uint32_t>(*at)) & 0xff];
  }
  return ~crc;
}

std::uint32_t crc32c(std::span<const std::byte> octets, std::uint32_t so_far) {
#if defined(__x86_64__)
  if (processor_has_it()) return by_instruction(octets, so_far);
#endif
  return crc32c_by_table(octets, so_far);
}

}  // namespace whimbrel::storage
