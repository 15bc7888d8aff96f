// SPDX-License-Identifier: Apache-2.0
// Appends encoded octets to a buffer.
#pragma once

#include <span>
#include <string_view>

#include "amqp/base/octet_buffer.hpp"
#include "amqp/codec/code.hpp"
#include "amqp/codec/reader.hpp"

namespace whimbrel::amqp::codec {

/// Appends to a buffer that it borrows. Cannot fail: sizes are checked by whoever turns the buffer
/// into a frame. Positions count from the front of the buffer, whatever was in it before.
class writer {
 public:
  explicit writer(octet_buffer& out) : out_(out) {}

  template <class U>
  void integer(U value) {
    store_big_endian<U>(out_.reserve(sizeof(U)), value);
    out_.commit(sizeof(U));
  }
  void constructor(code c) { integer(static_cast<std::uint8_t>(c)); }

  /// Constructor and data at once, for the fixed-width types.
  template <class U>
  void fixed(code c, U value) {
    std::byte* at = out_.reserve(1 + sizeof(U));
    *at = static_cast<std::byte>(c);
    store_big_endian<U>(at + 1, value);
    out_.commit(1 + sizeof(U));
  }

  void octets(std::span<const std::byte> data) { out_.append(data); }

  /// Constructor, size and data of a string, symbol or binary, in the narrower width that fits.
  void variable(code narrow, code wide, std::span<const std::byte> data);
  void variable(code narrow, code wide, std::string_view text) {
    variable(narrow, wide, std::as_bytes(std::span(text)));
  }

  /// Constructor, size and count of a list or map whose items are `size` octets together.
  void compound_header(code narrow, code wide, std::size_t size, std::uint32_t count);

  /// Numeric descriptor of a described value whose body follows.
  void descriptor(std::uint64_t code);

  [[nodiscard]] std::size_t size() const { return out_.size(); }
  void truncate(std::size_t n) { out_.truncate(n); }
  [[nodiscard]] octet_buffer& buffer() { return out_; }

  /// Opens a gap of `n` octets at `at` and moves what follows it back.
  void insert_gap(std::size_t at, std::size_t n);

 private:
  octet_buffer& out_;
};

}  // namespace whimbrel::amqp::codec
