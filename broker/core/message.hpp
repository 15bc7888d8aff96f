// SPDX-License-Identifier: Apache-2.0
// A message as the broker holds it: its octets as they came, immutable, in one allocation with
// what admission learnt of them. [part 3]
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "amqp/base/result.hpp"
#include "amqp/codec/value.hpp"
#include "amqp/message/view.hpp"
#include "storage/blob.hpp"

namespace whimbrel::broker::core {

class message;
using message_ptr = boost::intrusive_ptr<const message>;

class message final : public storage::blob {
 public:
  [[nodiscard]] const amqp::message::layout& sections() const { return sections_; }
  [[nodiscard]] const amqp::message::header_view& header() const { return header_; }
  [[nodiscard]] std::uint32_t format() const { return format_; }
  /// The connection that it came over, by its number in this process; 0 when that is not known,
  /// as of what was read back from the store.
  [[nodiscard]] std::uint64_t origin() const { return origin_; }

  /// What is sent on: everything but the header, which each delivery writes anew, and the
  /// delivery-annotations, which were for us alone. [3.2.1, 3.2.2]
  [[nodiscard]] std::span<const std::byte> relayed() const {
    return octets().subspan(sections_.delivery_annotations_end);
  }
  /// Octets this message keeps allocated.
  [[nodiscard]] std::size_t footprint() const { return sizeof(message) + size(); }

 private:
  friend class message_builder;
  message() : blob(&message::destroy, 1) {}
  static void destroy(const blob*) noexcept;

  amqp::message::layout sections_{};
  amqp::message::header_view header_{};
  std::uint32_t format_ = 0;
  std::uint64_t origin_ = 0;
};

/// Collects a delivery's pieces straight into the allocation that becomes the message.
class message_builder {
 public:
  message_builder() = default;
  message_builder(message_builder&& other) noexcept;
  message_builder& operator=(message_builder&& other) noexcept;
  ~message_builder();

  /// `more`: further pieces follow, so room for them is kept.
  void append(std::span<const std::byte> piece, bool more);
  [[nodiscard]] std::size_t size() const { return size_; }
  void clear();

  /// The message, checked: section order, cardinality, well-formed sections. The builder is empty
  /// afterwards, also on error.
  [[nodiscard]] amqp::decoded<message_ptr> finish(std::uint32_t format, std::uint64_t origin = 0);

 private:
  std::byte* at_ = nullptr;  // room for the message object, then the octets
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

/// A checked copy of `octets`.
[[nodiscard]] amqp::decoded<message_ptr> make_message(std::span<const std::byte> octets,
                                                      std::uint32_t format = 0);

/// The same message with `changes` merged into its message-annotations; as it was if those cannot
/// be merged, which is for its sender and the peer that changes it to settle. [3.4.5]
[[nodiscard]] message_ptr annotate(const message&, const amqp::codec::map& changes);

}  // namespace whimbrel::broker::core
