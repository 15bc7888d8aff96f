// SPDX-License-Identifier: Apache-2.0
// Messages are born in one allocation: [message object][octets].
#include "broker/core/message.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "amqp/base/assert.hpp"

namespace whimbrel::broker::core {

namespace {
constexpr std::size_t object_octets = sizeof(message);
}

void message::destroy(const blob* b) noexcept {
  const auto* m = static_cast<const message*>(b);
  m->~message();
  std::free(const_cast<message*>(m));  // NOLINT: it came from malloc
}

message_builder::message_builder(message_builder&& other) noexcept
    : at_(std::exchange(other.at_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      capacity_(std::exchange(other.capacity_, 0)) {}

message_builder& message_builder::operator=(message_builder&& other) noexcept {
  std::swap(at_, other.at_);
  std::swap(size_, other.size_);
  std::swap(capacity_, other.capacity_);
  return *this;
}

message_builder::~message_builder() { clear(); }

void message_builder::append(std::span<const std::byte> piece, bool more) {
  const std::size_t wanted = size_ + piece.size();
  if (wanted > capacity_ || at_ == nullptr) {
    // Doubling keeps the sum of copies linear; large blocks are moved by the kernel, not copied.
    capacity_ = more ? std::max(wanted * 2, capacity_ * 2) : wanted;
    void* grown = std::realloc(at_, object_octets + capacity_);
    if (grown == nullptr) throw std::bad_alloc();
    at_ = static_cast<std::byte*>(grown);
  }
  if (!piece.empty()) std::memcpy(at_ + object_octets + size_, piece.data(), piece.size());
  size_ = wanted;
}

void message_builder::clear() {
  std::free(std::exchange(at_, nullptr));
  size_ = capacity_ = 0;
}

amqp::decoded<message_ptr> message_builder::finish(std::uint32_t format, std::uint64_t origin) {
  if (at_ == nullptr) append({}, false);
  const std::span<const std::byte> octets(at_ + object_octets, size_);
  const auto sections = amqp::message::scan(octets);
  if (sections.has_error()) {
    clear();
    return sections.error();
  }
  const auto header = amqp::message::read_header(octets.first(sections->header_end));
  if (header.has_error()) {
    clear();
    return header.error();
  }
  if (capacity_ > size_ + size_ / 8) {
    void* const fitted = std::realloc(at_, object_octets + size_);
    if (fitted != nullptr) at_ = static_cast<std::byte*>(fitted);
  }
  auto* made = new (at_) message();
  made->data_ = at_ + object_octets;
  made->size_ = size_;
  made->sections_ = *sections;
  made->header_ = *header;
  made->format_ = format;
  made->origin_ = origin;
  at_ = nullptr;
  size_ = capacity_ = 0;
  return message_ptr(made);
}

amqp::decoded<message_ptr> make_message(std::span<const std::byte> octets, std::uint32_t format) {
  message_builder builder;
  builder.append(octets, false);
  return builder.finish(format);
}

message_ptr annotate(const message& m, const amqp::codec::map& changes) {
  const auto octets = m.octets();
  const auto& at = m.sections();
  const auto old = octets.subspan(at.delivery_annotations_end,
                                  at.message_annotations_end - at.delivery_annotations_end);
  amqp::octet_buffer merged;
  const auto written = amqp::message::write_merged_annotations(merged, old, changes);
  if (written.has_error()) return message_ptr(&m);
  message_builder builder;
  builder.append(octets.first(at.delivery_annotations_end), true);
  builder.append(merged.octets(), true);
  builder.append(octets.subspan(at.message_annotations_end), false);
  auto made = builder.finish(m.format(), m.origin());
  return made.has_value() ? *std::move(made) : message_ptr(&m);
}

}  // namespace whimbrel::broker::core
