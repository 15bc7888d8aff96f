// SPDX-License-Identifier: Apache-2.0
// The hot path: transfer, disposition and flow without allocation, as spans into the input.
//
// The decoders accept exactly what the declarations in transport.hpp accept, and the encoders write
// exactly what those write; a differential test holds them to it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "amqp/base/result.hpp"

namespace whimbrel::amqp::spec::fast {

/// [2.7.5]. Spans point into the octets decoded and live as long as those.
struct transfer_view {
  std::uint32_t handle = 0;
  std::optional<std::uint32_t> delivery_id = {};
  std::span<const std::byte> delivery_tag = {};
  bool has_tag = false;  // an empty tag is a tag
  std::optional<std::uint32_t> message_format = {};
  std::optional<bool> settled = {};
  bool more = false;
  std::optional<std::uint8_t> rcv_settle_mode = {};  // 0 first, 1 second
  std::span<const std::byte> state = {};             // one encoded value, or empty
  bool resume = false;
  bool aborted = false;
  bool batchable = false;
  std::span<const std::byte> payload = {};  // what follows the performative
};

/// [2.7.6]
struct disposition_view {
  bool role = false;  // true: the receiver of the deliveries speaks
  std::uint32_t first = 0;
  std::uint32_t last = 0;  // `first` when the peer left it out
  bool settled = false;
  std::span<const std::byte> state = {};
  bool batchable = false;
};

/// [2.7.4]
struct flow_view {
  std::optional<std::uint32_t> next_incoming_id = {};
  std::uint32_t incoming_window = 0;
  std::uint32_t next_outgoing_id = 0;
  std::uint32_t outgoing_window = 0;
  std::optional<std::uint32_t> handle = {};
  std::optional<std::uint32_t> delivery_count = {};
  std::optional<std::uint32_t> link_credit = {};
  std::optional<std::uint32_t> available = {};
  bool drain = false;
  bool echo = false;
  std::span<const std::byte> properties = {};  // one encoded map, or empty
};

/// The code of the performative at the start of a frame body, and where its list begins. 0, which
/// is no code, if there is no descriptor of the standard's.
std::uint64_t performative_code(std::span<const std::byte> body, std::size_t& body_offset);

/// Each takes a frame body from its descriptor on.
[[nodiscard]] decoded<transfer_view> decode_transfer(std::span<const std::byte> body);
[[nodiscard]] decoded<disposition_view> decode_disposition(std::span<const std::byte> body);
[[nodiscard]] decoded<flow_view> decode_flow(std::span<const std::byte> body);

/// What the first transfer of a delivery mostly is, all that a sender need say. [2.7.5]
struct usual_transfer {
  std::uint32_t handle = 0;
  std::uint32_t delivery_id = 0;
  std::span<const std::byte> delivery_tag = {};  // at most 32 octets
  std::uint32_t message_format = 0;
  bool settled = false;
};
inline constexpr std::size_t usual_transfer_octets_max = 6 + 5 + 5 + 2 + 32 + 5 + 1;

/// Octets that suffice for the performative: descriptor and list head 12, and the other fields at
/// their widest.
constexpr std::size_t transfer_octets_max(std::size_t tag_octets, std::size_t state_octets) {
  return 12 + 5 + 5 + (5 + tag_octets) + 5 + 1 + 1 + 2 + (1 + state_octets) + 3;
}
constexpr std::size_t disposition_octets_max(std::size_t state_octets) {
  return 12 + 1 + 5 + 5 + 1 + (1 + state_octets) + 1;
}
constexpr std::size_t flow_octets_max(std::size_t properties_octets) {
  return 12 + 8 * 5 + 2 + (1 + properties_octets);
}

/// Each writes the performative (for a transfer without the payload) to `out`, which has at least
/// `..._octets_max` octets, and returns its length.
std::size_t encode_transfer(std::byte* out, const transfer_view& v);
std::size_t encode_transfer(std::byte* out, const usual_transfer& v);
std::size_t encode_disposition(std::byte* out, const disposition_view& v);
std::size_t encode_flow(std::byte* out, const flow_view& v);

/// What kind of delivery state an encoded value is, by its descriptor alone. [3.4, 4.5]
enum class state_kind : std::uint8_t {
  none,  // no octets, or null
  received,
  accepted,
  rejected,
  released,
  modified,
  declared,
  transactional,
  unknown,
};
state_kind classify_state(std::span<const std::byte> state);

/// Encoded outcomes without fields, and `modified(delivery-failed=true)`.
inline constexpr std::array accepted_octets{std::byte{0x00}, std::byte{0x53}, std::byte{0x24},
                                            std::byte{0x45}};
inline constexpr std::array rejected_octets{std::byte{0x00}, std::byte{0x53}, std::byte{0x25},
                                            std::byte{0x45}};
inline constexpr std::array released_octets{std::byte{0x00}, std::byte{0x53}, std::byte{0x26},
                                            std::byte{0x45}};
inline constexpr std::array modified_octets{std::byte{0x00}, std::byte{0x53}, std::byte{0x27},
                                            std::byte{0x45}};
inline constexpr std::array modified_failed_octets{
    std::byte{0x00}, std::byte{0x53}, std::byte{0x27}, std::byte{0xc0},
    std::byte{0x02}, std::byte{0x01}, std::byte{0x41}};

}  // namespace whimbrel::amqp::spec::fast
