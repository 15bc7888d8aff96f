// SPDX-License-Identifier: Apache-2.0
// CRC-32C (Castagnoli, reflected polynomial 0x82f63b78): the checksum in every stored record.
// Uses the processor's instruction where there is one; both ways give the same value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace whimbrel::storage {

/// The checksum of the octets that gave `so_far`, followed by `octets`. Begin with 0.
[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> octets, std::uint32_t so_far = 0);

/// The same by table, whatever the processor can do: the reference in tests.
[[nodiscard]] std::uint32_t crc32c_by_table(std::span<const std::byte> octets,
                                            std::uint32_t so_far = 0);

}  // namespace whimbrel::storage
