// SPDX-License-Identifier: Apache-2.0
// Serial numbers: 32-bit counters that wrap by definition. [2.8.10, RFC 1982]
#pragma once

#include <cstdint>

namespace whimbrel::amqp {

/// RFC 1982 serial number, the arithmetic that AMQP prescribes for transfer-ids, delivery-ids and
/// delivery-counts. Never compare two of them as plain integers. Two numbers that are exactly 2^31
/// apart have no order in the RFC; here each is behind the other.
template <class Tag>
class serial {
 public:
  constexpr serial() = default;
  constexpr explicit serial(std::uint32_t value) : value_(value) {}

  constexpr std::uint32_t value() const { return value_; }
  constexpr serial operator+(std::uint32_t n) const { return serial(value_ + n); }
  constexpr serial operator-(std::uint32_t n) const { return serial(value_ - n); }
  constexpr serial& operator+=(std::uint32_t n) {
    value_ += n;
    return *this;
  }
  constexpr serial& operator++() {
    ++value_;
    return *this;
  }

  /// Steps from `other` to this one; negative when this one is behind.
  constexpr std::int32_t operator-(serial other) const {
    return static_cast<std::int32_t>(value_ - other.value_);
  }
  constexpr bool operator==(const serial&) const = default;
  constexpr bool precedes(serial other) const { return *this - other < 0; }

 private:
  std::uint32_t value_ = 0;
};

using delivery_count = serial<struct delivery_count_tag>;
using delivery_id = serial<struct delivery_id_tag>;
using transfer_id = serial<struct transfer_id_tag>;

static_assert((delivery_count(0xffff'fffe) + 4).value() == 2);
static_assert(delivery_count(0xffff'fffe).precedes(delivery_count(1)));

}  // namespace whimbrel::amqp
