// SPDX-License-Identifier: Apache-2.0
// A bounds-checked cursor over encoded octets.
#pragma once

#include <cstring>
#include <span>
#include <string_view>

#include "amqp/base/result.hpp"
#include "amqp/codec/code.hpp"

namespace whimbrel::amqp::codec {

/// A big-endian unsigned integer at `at`; the caller has checked that its octets are there.
template <class U>
inline U load_big_endian(const std::byte* at) {
  static_assert(std::is_unsigned_v<U>);
  U value = 0;
  std::memcpy(&value, at, sizeof(U));
  if constexpr (sizeof(U) == 2) value = __builtin_bswap16(value);
  if constexpr (sizeof(U) == 4) value = __builtin_bswap32(value);
  if constexpr (sizeof(U) == 8) value = __builtin_bswap64(value);
  return value;
}

template <class U>
inline void store_big_endian(std::byte* at, U value) {
  static_assert(std::is_unsigned_v<U>);
  if constexpr (sizeof(U) == 2) value = __builtin_bswap16(value);
  if constexpr (sizeof(U) == 4) value = __builtin_bswap32(value);
  if constexpr (sizeof(U) == 8) value = __builtin_bswap64(value);
  std::memcpy(at, &value, sizeof(U));
}

/// A cursor over octets owned by someone else. Every read is bounds-checked and advances only on
/// success, so a failed read may be reported at `offset()`. Lengths are compared by subtraction
/// from what remains, so that none can wrap.
class reader {
 public:
  explicit reader(std::span<const std::byte> octets)
      : first_(octets.data()), at_(first_), last_(first_ + octets.size()) {}

  [[nodiscard]] std::size_t remaining() const { return static_cast<std::size_t>(last_ - at_); }
  [[nodiscard]] std::span<const std::byte> rest() const { return {at_, remaining()}; }
  [[nodiscard]] const std::byte* position() const { return at_; }

  /// Octets from the start of what the outermost reader was given.
  [[nodiscard]] std::uint32_t offset() const { return static_cast<std::uint32_t>(at_ - first_); }
  [[nodiscard]] decode_error fault(decode_fault f, std::string_view field = {}) const {
    return {f, offset(), field};
  }

  [[nodiscard]] decoded<std::span<const std::byte>> take(std::size_t n) {
    if (n > remaining()) return fault(decode_fault::truncated);
    const std::span<const std::byte> out(at_, n);
    at_ += n;
    return out;
  }

  /// A reader of the next `n` octets, which this one passes over. It reports offsets as this one.
  [[nodiscard]] decoded<reader> sub(std::size_t n) {
    if (n > remaining()) return fault(decode_fault::truncated);
    reader out(*this);
    out.last_ = at_ + n;
    at_ += n;
    return out;
  }

  /// One big-endian unsigned integer of sizeof(U) octets.
  template <class U>
  [[nodiscard]] decoded<U> integer() {
    if (sizeof(U) > remaining()) return fault(decode_fault::truncated);
    const U value = load_big_endian<U>(at_);
    at_ += sizeof(U);
    return value;
  }

  [[nodiscard]] decoded<code> constructor() {
    if (remaining() == 0) return fault(decode_fault::truncated);
    return static_cast<code>(*at_++);
  }

  /// The next constructor, left in place; `described` stands for the end of the octets too, where
  /// every read fails.
  [[nodiscard]] code peek() const {
    return remaining() == 0 ? code::described : static_cast<code>(*at_);
  }

  /// True, and consumed, if the next value is null.
  [[nodiscard]] bool skip_null() {
    if (remaining() == 0 || *at_ != std::byte{0x40}) return false;
    ++at_;
    return true;
  }

 private:
  const std::byte* first_ = nullptr;
  const std::byte* at_ = nullptr;
  const std::byte* last_ = nullptr;
};

/// What stands in front of the items of a list or map.
struct compound_header {
  std::size_t size = 0;  // octets of the items alone
  std::uint32_t count = 0;
};

/// Reads size and count of a compound whose constructor has been read; `width` as in `layout`.
/// Checked: the items are all there, and they can be `count`, each being at least one octet.
[[nodiscard]] decoded<compound_header> read_compound_header(reader& r, std::size_t width);

/// Constructor, size and count of a list in any of its three encodings.
[[nodiscard]] decoded<compound_header> read_list_header(reader& r);

/// The same for a map; the count is even.
[[nodiscard]] decoded<compound_header> read_map_header(reader& r);

/// The content of a string, symbol or binary in either width, still owned by the octets read.
/// `read_string` checks UTF-8 and `read_symbol` ASCII.
[[nodiscard]] decoded<std::string_view> read_string(reader& r);
[[nodiscard]] decoded<std::string_view> read_symbol(reader& r);
[[nodiscard]] decoded<std::span<const std::byte>> read_binary(reader& r);

}  // namespace whimbrel::amqp::codec
