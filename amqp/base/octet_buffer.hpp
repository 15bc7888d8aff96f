// SPDX-License-Identifier: Apache-2.0
// Growable contiguous octets, filled at the end and consumed from the front.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <utility>

#include "amqp/base/assert.hpp"

namespace whimbrel::amqp {

/// Contiguous octets between a producer at the end and a consumer at the front.
///
/// Storage is not zeroed and grows by doubling, so that appending is amortised constant; what was
/// consumed is reclaimed by moving the rest to the front when that is cheaper than growing. Every
/// pointer and span is valid until the next call that is not const. Throws `std::bad_alloc`.
class octet_buffer {
 public:
  octet_buffer() = default;
  octet_buffer(const octet_buffer&) = delete;
  octet_buffer& operator=(const octet_buffer&) = delete;
  octet_buffer(octet_buffer&& other) noexcept { swap(other); }
  octet_buffer& operator=(octet_buffer&& other) noexcept {
    octet_buffer(std::move(other)).swap(*this);
    return *this;
  }
  ~octet_buffer() { release(); }

  /// At least `n` writable octets at the end; they count once `commit` says so.
  [[nodiscard]] std::byte* reserve(std::size_t n) {
    if (capacity_ - end_ < n) [[unlikely]]
      make_room(n);
    return data_ + end_;
  }
  void commit(std::size_t n) {
    AMQP_ASSERT(n <= capacity_ - end_);
    end_ += n;
  }

  void append(std::span<const std::byte> octets) {
    if (octets.empty()) return;
    std::memcpy(reserve(octets.size()), octets.data(), octets.size());
    end_ += octets.size();
  }

  [[nodiscard]] std::span<const std::byte> octets() const { return {data_ + begin_, size()}; }
  [[nodiscard]] std::size_t size() const { return end_ - begin_; }
  [[nodiscard]] bool empty() const { return end_ == begin_; }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }

  /// The octet `index` places from the front; `index == size()` is one past the last.
  [[nodiscard]] std::byte* at(std::size_t index) {
    AMQP_ASSERT(index <= size());
    return data_ + begin_ + index;
  }

  /// Forgets `n` octets at the front.
  void consume(std::size_t n) {
    AMQP_ASSERT(n <= size());
    begin_ += n;
    if (begin_ == end_) begin_ = end_ = 0;
  }

  /// Forgets all octets from index `n` on.
  void truncate(std::size_t n) {
    AMQP_ASSERT(n <= size());
    end_ = begin_ + n;
  }

  /// Forgets all octets and keeps the memory.
  void clear() { begin_ = end_ = 0; }

  /// Forgets all octets and gives the memory back.
  void release();

  void swap(octet_buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(begin_, other.begin_);
    std::swap(end_, other.end_);
    std::swap(capacity_, other.capacity_);
  }

 private:
  void make_room(std::size_t n);

  std::byte* data_ = nullptr;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace whimbrel::amqp
