// SPDX-License-Identifier: Apache-2.0
// Messages are born in one allocation: [message object][octets].
#include "broker/core/message.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "amqp/base/assert.hpp"
#include "broker/core/slab.hpp"

namespace whimbrel::broker::core {

namespace {

constexpr std::size_t object_octets = sizeof(message);

// The address sanitizer would not see who touches a message that has gone.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool uses_slab = false;
#elif defined(__has_feature)
constexpr bool uses_slab = !__has_feature(address_sanitizer);
#else
constexpr bool uses_slab = true;
#endif

/// Where room for this many octets of a message comes from, and so where it goes back to.
constexpr bool is_in_slab(std::size_t octets) {
  return uses_slab && octets <= slab::block_octets_max - object_octets;
}

std::byte* take_room(std::size_t octets) {
  void* const taken = is_in_slab(octets) ? slab::take(object_octets + octets)
                                         : std::malloc(object_octets + octets);
  if (taken == nullptr) throw std::bad_alloc();
  return static_cast<std::byte*>(taken);
}

void give_room(void* at, std::size_t octets) noexcept {
  if (is_in_slab(octets)) slab::give(at);
  else std::free(at);
}

/// `used` octets of the message are kept.
std::byte* change_room(std::byte* at, std::size_t from, std::size_t to, std::size_t used) {
  if (!is_in_slab(from) && !is_in_slab(to)) {  // large blocks are moved by the kernel, not copied
    void* const moved = std::realloc(at, object_octets + to);
    if (moved == nullptr) throw std::bad_alloc();
    return static_cast<std::byte*>(moved);
  }
  std::byte* const other = take_room(to);
  if (used > 0) std::memcpy(other + object_octets, at + object_octets, used);
  give_room(at, from);
  return other;
}

/// What is wrong with the message, or nothing.
std::optional<amqp::decode_error> scan_slowly(std::span<const std::byte> octets,
                                              amqp::message::layout& where,
                                              amqp::message::header_view& header) {
  const auto sections = amqp::message::scan(octets);
  if (sections.has_error()) return sections.error();
  where = *sections;
  const auto read = amqp::message::read_header(octets.first(where.header_end));
  if (read.has_error()) return read.error();
  header = *read;
  return {};
}

}  // namespace

void message::destroy(const blob* b) noexcept {
  auto* const m = const_cast<message*>(static_cast<const message*>(b));
  const std::size_t octets = m->size();
  m->~message();
  give_room(m, octets);
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
  if (at_ == nullptr) {
    capacity_ = more ? wanted * 2 : wanted;
    at_ = take_room(capacity_);
  } else if (wanted > capacity_) {
    // Doubling keeps the sum of copies linear.
    const std::size_t larger = more ? std::max(wanted * 2, capacity_ * 2) : wanted;
    at_ = change_room(at_, capacity_, larger, size_);
    capacity_ = larger;
  }
  if (!piece.empty()) std::memcpy(at_ + object_octets + size_, piece.data(), piece.size());
  size_ = wanted;
}

void message_builder::clear() {
  if (at_ != nullptr) give_room(std::exchange(at_, nullptr), capacity_);
  size_ = capacity_ = 0;
}

amqp::decoded<message_ptr> message_builder::finish(std::uint32_t format, std::uint64_t origin) {
  if (at_ == nullptr) append({}, false);
  const std::span<const std::byte> octets(at_ + object_octets, size_);
  amqp::message::layout sections;
  amqp::message::header_view header;
  if (!amqp::message::scan_usual(octets, sections, header)) [[unlikely]] {
    const auto fault = scan_slowly(octets, sections, header);
    if (fault) {
      clear();
      return *fault;
    }
  }
  // A block goes back by the size of its message, so it must be of that kind.
  if (capacity_ > size_ + size_ / 8 || is_in_slab(capacity_) != is_in_slab(size_)) [[unlikely]] {
    at_ = change_room(at_, capacity_, size_, size_);
  }
  auto* made = new (at_) message();
  made->data_ = at_ + object_octets;
  made->size_ = size_;
  made->sections_ = sections;
  made->header_ = header;
  made->format_ = format;
  made->origin_ = origin;
  at_ = nullptr;
  size_ = capacity_ = 0;
  return message_ptr(made, false);
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
