// SPDX-License-Identifier: Apache-2.0
// Octets put together by hand: what the codec would not let pass has to be written here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "amqp/codec/codec.hpp"
#include "amqp/spec/definitions.hpp"

namespace whimbrel::conformance {

namespace spec = amqp::spec;
namespace codec = amqp::codec;
using amqp::binary;
using amqp::symbol;

using bytes = std::vector<std::byte>;

/// `"00 53 10 c0"`: pairs of digits; blanks are passed over. Our own literals alone.
bytes hex(std::string_view digits);
std::string to_hex(std::span<const std::byte> octets, std::size_t shown_max = 64);
bytes join(std::initializer_list<std::span<const std::byte>> parts);
bytes operator+(bytes a, std::span<const std::byte> b);

/// Any value, in the codec's shortest encoding.
template <class T>
bytes enc(const T& value) {
  amqp::octet_buffer out;
  codec::writer w(out);
  using codec::encode;
  encode(w, value);
  return {out.octets().begin(), out.octets().end()};
}
inline bytes enc(const char* text) { return enc(std::string(text)); }
inline bytes sym(std::string_view name) { return enc(symbol(name)); }
inline bytes nil() { return hex("40"); }

/// list8 or list32 of items that are encoded already, whatever they are.
bytes list_of(std::initializer_list<bytes> items);
bytes map_of(std::initializer_list<bytes> items);
/// 0x00, the descriptor as smallulong, and `body`.
bytes described(std::uint8_t code, const bytes& body);
/// The same with the descriptor as a symbol.
bytes described_by(std::string_view name, const bytes& body);
/// A composite by its code.
inline bytes composite(std::uint8_t code, std::initializer_list<bytes> fields) {
  return described(code, list_of(fields));
}

/// One frame around `body`.
struct frame_shape {
  std::uint8_t type = 0;
  std::uint8_t doff = 2;
  std::optional<std::uint32_t> size = {};  // instead of the true one
};
bytes frame_of(std::uint16_t channel, std::span<const std::byte> body, frame_shape shape = {});

template <class Performative>
bytes frame_with(std::uint16_t channel, const Performative& performative,
                 std::span<const std::byte> payload = {}) {
  return frame_of(channel, enc(performative) + payload);
}

/// `AMQP` and four octets.
bytes header_of(std::uint8_t id, std::uint8_t major = 1, std::uint8_t minor = 0,
                std::uint8_t revision = 0);

/// A message of one data section.
bytes data_message(std::string_view text);
/// A message whose one section is an amqp-value of `value`.
inline bytes value_message(const bytes& value) { return described(0x77, value); }

/// An outcome or state, ready for a field of any type.
template <class Outcome>
codec::raw state_of(const Outcome& outcome) {
  return codec::raw(enc(outcome));
}

codec::map map_with(std::initializer_list<codec::entry> entries);

}  // namespace whimbrel::conformance
