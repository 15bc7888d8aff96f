// SPDX-License-Identifier: Apache-2.0
// Descriptors: the number and the symbol that say what a described value is. [1.1.2, 1.5]
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "amqp/codec/reader.hpp"
#include "amqp/codec/types.hpp"

namespace whimbrel::amqp::codec {

struct descriptor {
  std::uint64_t code = 0;
  std::string_view name = {};
};

/// The descriptors of the standard in order of their codes.
std::span<const descriptor> standard_descriptors();

/// The code that goes with a symbolic descriptor of the standard.
std::optional<std::uint64_t> code_of(std::string_view symbolic);

/// Reads the 0x00 and the descriptor of a described value: a ulong in any width, or a symbol of
/// the standard. What follows is the constructor of the body.
[[nodiscard]] decoded<std::uint64_t> read_descriptor(reader& r);

/// The code of a described value.
[[nodiscard]] decoded<std::uint64_t> descriptor_of(std::span<const std::byte> octets);
[[nodiscard]] decoded<std::uint64_t> descriptor_of(const raw& octets);

}  // namespace whimbrel::amqp::codec
