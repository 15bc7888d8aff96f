// SPDX-License-Identifier: Apache-2.0
// Whole values in one call, for primitives, dynamic values and composites alike.
#pragma once

#include "amqp/codec/composite.hpp"

namespace whimbrel::amqp::codec {

/// The one value that `octets` hold; more octets behind it are a fault.
template <class T>
[[nodiscard]] decoded<T> decode(std::span<const std::byte> octets) {
  reader r(octets);
  decoded<T> out = decode_as<T>(r);
  if (out.has_value() && r.remaining() != 0) return r.fault(decode_fault::bad_length);
  return out;
}

template <class T>
void encode(octet_buffer& out, const T& value) {
  writer w(out);
  encode(w, value);
}

template <class T>
[[nodiscard]] raw to_raw(const T& value) {
  octet_buffer out;
  encode(out, value);
  return raw(out.octets());
}

template <class T>
[[nodiscard]] decoded<T> from_raw(const raw& octets) {
  return decode<T>(octets.octets());
}

}  // namespace whimbrel::amqp::codec
