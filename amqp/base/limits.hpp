// SPDX-License-Identifier: Apache-2.0
// Bounds that hold whatever the configuration says, each with its reason. What an operator may
// want to move is a setting of the broker instead.
#pragma once

#include <cstddef>
#include <cstdint>

namespace whimbrel::amqp::limits {

/// Levels of list, map, array or described value inside one another. The attack: one to three
/// octets a level, so that a frame of 15 KB overruns the stack of a recursive decoder. Deepest in
/// honest traffic seen: 7 (a filter inside a source inside an attach).
inline constexpr std::size_t nesting_depth_max = 32;

/// Sections of one message. The attack: a message of millions of empty data sections, five octets
/// each, costs far more to hold than to send.
inline constexpr std::size_t message_sections_max = 10'000;

/// Largest frame before the SASL outcome and before the first open. 512 octets would do for the
/// standard mechanisms [5.3.1]; tokens (XOAUTH2) do not fit there, and one unknown peer must not
/// make us hold more than this.
inline constexpr std::uint32_t handshake_frame_size_max = 8192;

/// Octets and frames that a peer may send before it has authenticated, and how long it may take.
inline constexpr std::size_t handshake_octets_max = 64 * 1024;
inline constexpr std::uint32_t handshake_frames_max = 16;
inline constexpr std::uint32_t handshake_ms_max = 10'000;

/// Every peer takes frames of this size, and may not be told to stay below it. [2.7.1]
inline constexpr std::uint32_t frame_size_least = 512;

/// Length of a delivery tag and of a transaction-id. [2.8.7, 4.5.4]
inline constexpr std::size_t delivery_tag_octets_max = 32;
inline constexpr std::size_t transaction_id_octets_max = 32;

/// Values of one `multiple` field (capabilities, outcomes, mechanisms). The attack: an array of
/// empty symbols, one octet each on the wire and 32 in memory. Most in honest traffic seen: 9.
inline constexpr std::size_t multiple_values_max = 256;

/// Entries up to which a map is searched for equal keys, which the standard calls invalid [1.6.23].
/// The search sorts; beyond this it would cost more than the decoding, and such maps pass
/// unsearched.
inline constexpr std::size_t map_keys_searched_max = 1024;

/// Octets of a string or binary, and items of a list, that a text for people shows before it is
/// cut.
inline constexpr std::size_t text_octets_max = 256;
inline constexpr std::size_t text_items_max = 64;

/// Octets of one line of text for people, whatever is in the value.
inline constexpr std::size_t text_line_max = 4096;

}  // namespace whimbrel::amqp::limits
