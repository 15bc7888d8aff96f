// SPDX-License-Identifier: Apache-2.0
// The eight octets that each side sends before its first frame, and again behind each security
// layer. [2.2, 5.3]
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace whimbrel::amqp::frame {

inline constexpr std::size_t protocol_header_octets = 8;

/// What follows the header.
enum class protocol : std::uint8_t { amqp = 0, tls = 2, sasl = 3 };

struct protocol_header {
  std::uint8_t id = 0;  // a `protocol`, or what the peer made of it
  std::uint8_t major = 1;
  std::uint8_t minor = 0;
  std::uint8_t revision = 0;

  constexpr protocol_header() = default;
  constexpr explicit protocol_header(protocol p) : id(static_cast<std::uint8_t>(p)) {}
  constexpr protocol_header(std::uint8_t id_, std::uint8_t major_, std::uint8_t minor_,
                            std::uint8_t revision_)
      : id(id_), major(major_), minor(minor_), revision(revision_) {}

  bool operator==(const protocol_header&) const = default;
};

std::array<std::byte, protocol_header_octets> encode(const protocol_header& header);

/// Nothing if `octets` are not a header of any version, or not eight.
std::optional<protocol_header> parse_protocol_header(std::span<const std::byte> octets);

/// `AMQP 3 1.0.0`.
std::string to_text(const protocol_header& header);

}  // namespace whimbrel::amqp::frame
