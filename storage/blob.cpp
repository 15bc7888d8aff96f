// SPDX-License-Identifier: Apache-2.0
#include "storage/blob.hpp"

#include <cstring>
#include <new>

namespace whimbrel::storage {
namespace {

/// Object and octets in one allocation: the octets begin right behind the object.
class copied_blob final : public blob {
 public:
  static blob_ptr create(std::span<const std::byte> octets) {
    void* const place = ::operator new(sizeof(copied_blob) + octets.size());
    return blob_ptr(new (place) copied_blob(octets));
  }

 private:
  explicit copied_blob(std::span<const std::byte> octets) : blob(&destroy) {
    auto* const copy = reinterpret_cast<std::byte*>(this + 1);
    if (!octets.empty()) std::memcpy(copy, octets.data(), octets.size());
    data_ = copy;
    size_ = octets.size();
  }

  static void destroy(const blob* b) noexcept {
    const auto* const self = static_cast<const copied_blob*>(b);
    self->~copied_blob();
    ::operator delete(const_cast<copied_blob*>(self));
  }
};

}  // namespace

blob_ptr make_blob(std::span<const std::byte> octets) { return copied_blob::create(octets); }

}  // namespace whimbrel::storage
