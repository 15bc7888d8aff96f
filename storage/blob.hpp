// SPDX-License-Identifier: Apache-2.0
// Immutable octets shared by reference count: what a store keeps and hands back. The broker's
// message derives from it, so that a body travels from socket to disk without being copied.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include <boost/smart_ptr/intrusive_ptr.hpp>

namespace whimbrel::storage {

/// Octets that never change once a second thread can see them. Born with no owner, unless its
/// maker says otherwise: hold it through `blob_ptr`. Copies of the pointer may be released on any
/// thread.
class blob {
 public:
  blob(const blob&) = delete;
  blob& operator=(const blob&) = delete;

  [[nodiscard]] std::span<const std::byte> octets() const { return {data_, size_}; }
  [[nodiscard]] std::size_t size() const { return size_; }
  /// True when the caller's pointer is the only one; then nobody else can gain another.
  [[nodiscard]] bool is_unique() const { return references_.load(std::memory_order_acquire) == 1; }

  friend void intrusive_ptr_add_ref(const blob* b) noexcept {
    b->references_.fetch_add(1, std::memory_order_relaxed);
  }
  friend void intrusive_ptr_release(const blob* b) noexcept {
    // The last owner needs no locked instruction: nobody else can become one.
    if (b->is_unique() || b->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      b->destroy_(b);
    }
  }

 protected:
  using destroy_function = void (*)(const blob*) noexcept;
  /// `owners`: pointers that exist already, made without counting.
  explicit blob(destroy_function destroy, std::uint32_t owners = 0)
      : destroy_(destroy), references_(owners) {}
  ~blob() = default;

  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;

 private:
  destroy_function destroy_ = nullptr;
  mutable std::atomic<std::uint32_t> references_{0};
};

using blob_ptr = boost::intrusive_ptr<const blob>;

/// A blob in one allocation with a copy of `octets`.
[[nodiscard]] blob_ptr make_blob(std::span<const std::byte> octets);

}  // namespace whimbrel::storage
