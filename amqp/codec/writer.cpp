// SPDX-License-Identifier: Apache-2.0
// The writes that choose between two widths.
#include "amqp/codec/writer.hpp"

#include <limits>

namespace whimbrel::amqp::codec {

namespace {

/// A size that does not fit is our mistake: nothing that came from a peer is that long, and what an
/// application hands in is held against max-message-size before.
std::uint32_t wide_size(std::size_t n) {
  AMQP_ASSERT(n <= std::numeric_limits<std::uint32_t>::max());
  return static_cast<std::uint32_t>(n);
}

}  // namespace

void writer::variable(code narrow, code wide, std::span<const std::byte> data) {
  if (data.size() <= 255) {
    fixed(narrow, static_cast<std::uint8_t>(data.size()));
  } else {
    fixed(wide, wide_size(data.size()));
  }
  octets(data);
}

void writer::compound_header(code narrow, code wide, std::size_t size, std::uint32_t count) {
  if (size + 1 <= 255 && count <= 255) {
    fixed(narrow, static_cast<std::uint8_t>(size + 1));
    integer(static_cast<std::uint8_t>(count));
  } else {
    fixed(wide, wide_size(size + 4));
    integer(count);
  }
}

void writer::descriptor(std::uint64_t code) {
  constructor(codec::code::described);
  if (code <= 255) {
    fixed(codec::code::smallulong, static_cast<std::uint8_t>(code));
  } else {
    fixed(codec::code::ulong, code);
  }
}

void writer::insert_gap(std::size_t at, std::size_t n) {
  AMQP_ASSERT(at <= size());
  const std::size_t behind = size() - at;
  static_cast<void>(out_.reserve(n));
  out_.commit(n);
  std::memmove(out_.at(at + n), out_.at(at), behind);
}

}  // namespace whimbrel::amqp::codec
