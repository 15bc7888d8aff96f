// SPDX-License-Identifier: Apache-2.0
// The slow path of octet_buffer: reclaim or grow.
#include "amqp/base/octet_buffer.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <new>

namespace whimbrel::amqp {

namespace {

/// One cache line pair: the smallest frame buffers do not reallocate, an idle one costs little.
constexpr std::size_t capacity_least = 128;

}  // namespace

void octet_buffer::make_room(std::size_t n) {
  const std::size_t used = size();
  if (n > std::numeric_limits<std::size_t>::max() / 2 - used) throw std::bad_alloc();
  // Moving costs `used`; it pays for itself only when it frees at least as much as it moves.
  if (used + n <= capacity_ && begin_ >= used) {
    if (used > 0) std::memmove(data_, data_ + begin_, used);
  } else {
    const std::size_t wanted = std::max({used + n, capacity_ * 2, capacity_least});
    auto* grown = static_cast<std::byte*>(std::malloc(wanted));
    if (grown == nullptr) throw std::bad_alloc();
    if (used > 0) std::memcpy(grown, data_ + begin_, used);
    std::free(data_);
    data_ = grown;
    capacity_ = wanted;
  }
  begin_ = 0;
  end_ = used;
}

void octet_buffer::release() {
  std::free(data_);
  data_ = nullptr;
  begin_ = end_ = capacity_ = 0;
}

}  // namespace whimbrel::amqp
