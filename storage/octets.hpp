// SPDX-License-Identifier: Apache-2.0
// Little-endian integers in octets: how every number inside a stored blob is written.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace whimbrel::storage {

static_assert(std::endian::native == std::endian::little,
              "stored numbers are little-endian; a big-endian host needs the swap here");

/// The caller has checked that `at + sizeof(U)` lies within `octets`.
template <class U>
[[nodiscard]] U load(std::span<const std::byte> octets, std::size_t at) {
  U value{};
  std::memcpy(&value, octets.data() + at, sizeof value);
  return value;
}

template <class U>
void store_at(std::span<std::byte> octets, std::size_t at, U value) {
  std::memcpy(octets.data() + at, &value, sizeof value);
}

template <class U>
void append(std::vector<std::byte>& octets, U value) {
  const auto* const from = reinterpret_cast<const std::byte*>(&value);
  octets.insert(octets.end(), from, from + sizeof value);
}

}  // namespace whimbrel::storage
