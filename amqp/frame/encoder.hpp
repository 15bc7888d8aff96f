// SPDX-License-Identifier: Apache-2.0
// Puts frames at the end of a buffer. [2.3]
#pragma once

#include <cstddef>
#include <cstdint>

#include "amqp/base/octet_buffer.hpp"
#include "amqp/codec/composite.hpp"
#include "amqp/frame/decoder.hpp"

namespace whimbrel::amqp::frame {

inline void store_header(std::byte* at, std::uint32_t size, frame_type type,
                         std::uint16_t channel) {
  codec::store_big_endian(at, size);
  at[4] = std::byte{2};  // no extended header
  at[5] = static_cast<std::byte>(type);
  codec::store_big_endian(at + 6, channel);
}

/// Appends a frame of `performative` and returns its size; appends nothing and returns 0 if it
/// would be larger than `size_max`.
template <class Performative>
[[nodiscard]] std::size_t append(octet_buffer& out, frame_type type, std::uint16_t channel,
                                 const Performative& performative, std::size_t size_max) {
  const std::size_t start = out.size();
  static_cast<void>(out.reserve(header_octets));
  out.commit(header_octets);
  codec::writer w(out);
  encode(w, performative);
  const std::size_t size = out.size() - start;
  if (size > size_max) {
    out.truncate(start);
    return 0;
  }
  store_header(out.at(start), static_cast<std::uint32_t>(size), type, channel);
  return size;
}

/// A frame without a body: a sign of life. [2.4.5]
inline void append_empty(octet_buffer& out) {
  store_header(out.reserve(header_octets), header_octets, frame_type::amqp, 0);
  out.commit(header_octets);
}

}  // namespace whimbrel::amqp::frame
