// SPDX-License-Identifier: Apache-2.0
// Protocol headers as octets and as text.
#include "amqp/frame/header.hpp"

#include <algorithm>

namespace whimbrel::amqp::frame {

namespace {

constexpr std::array letters{std::byte{'A'}, std::byte{'M'}, std::byte{'Q'}, std::byte{'P'}};

}  // namespace

std::array<std::byte, protocol_header_octets> encode(const protocol_header& header) {
  return {letters[0],
          letters[1],
          letters[2],
          letters[3],
          std::byte{header.id},
          std::byte{header.major},
          std::byte{header.minor},
          std::byte{header.revision}};
}

std::optional<protocol_header> parse_protocol_header(std::span<const std::byte> octets) {
  if (octets.size() != protocol_header_octets) return std::nullopt;
  if (!std::equal(letters.begin(), letters.end(), octets.begin())) return std::nullopt;
  const auto at = [&](std::size_t i) { return std::to_integer<std::uint8_t>(octets[i]); };
  return protocol_header(at(4), at(5), at(6), at(7));
}

std::string to_text(const protocol_header& header) {
  return "AMQP " + std::to_string(header.id) + " " + std::to_string(header.major) + "." +
         std::to_string(header.minor) + "." + std::to_string(header.revision);
}

}  // namespace whimbrel::amqp::frame
