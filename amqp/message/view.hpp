// SPDX-License-Identifier: Apache-2.0
// A message as immutable octets: where its sections are, and single fields out of them on demand.
// Nothing here allocates except where a `value` or `map` is asked for. [3.2]
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "amqp/base/octet_buffer.hpp"
#include "amqp/base/result.hpp"
#include "amqp/codec/value.hpp"
#include "amqp/spec/definitions.hpp"

namespace whimbrel::amqp::message {

enum class body_kind : std::uint8_t { none, data, sequence, value };

/// Where the sections end. Each begins where the one before it ends, so an absent one is empty.
///
///     | header | delivery-   | message-    | properties | application- | body | footer |
///     |        | annotations | annotations |            | properties   |      |        |
///                                            |<------- bare message -------->|
struct layout {
  std::uint32_t header_end = 0;
  std::uint32_t delivery_annotations_end = 0;
  std::uint32_t message_annotations_end = 0;
  std::uint32_t properties_end = 0;
  std::uint32_t application_properties_end = 0;
  std::uint32_t body_end = 0;
  std::uint32_t total = 0;
  std::uint32_t body_sections = 0;
  body_kind body = body_kind::none;

  bool has_body() const { return body != body_kind::none; }
  bool operator==(const layout&) const = default;
};

/// Finds the sections of a whole message. Checked: their order and number, that each is described
/// as what it is and holds the type it should, that all is well-formed to the last octet (see
/// `codec::skip_value`), that the body is of one kind, and at most
/// `limits::message_sections_max` sections. A message without any body section passes; the
/// caller sees it in `body`.
[[nodiscard]] decoded<layout> scan(std::span<const std::byte> octets);

/// The transport header with its defaults filled in. [3.2.1]
struct header_view {
  bool durable = false;
  std::uint8_t priority = 4;
  std::optional<std::uint32_t> ttl = {};  // milliseconds
  bool first_acquirer = false;
  std::uint32_t delivery_count = 0;

  bool operator==(const header_view&) const = default;
};

/// From the octets of a header section; none give the defaults.
[[nodiscard]] decoded<header_view> read_header(std::span<const std::byte> section);

/// `scan` and `read_header` in one walk, for messages as nearly all are: small descriptors, short
/// lists and maps of scalars. False for others and for what is malformed, which then those two
/// judge; true gives what they give. `where` and `header` are as new when it is called.
[[nodiscard]] bool scan_usual(std::span<const std::byte> octets, layout& where,
                              header_view& header);

/// Appends a header section; nothing if every field is at its default.
void write_header(octet_buffer& out, const header_view& header);

/// Octets that `write_header` never exceeds.
inline constexpr std::size_t header_octets_max = 3 + 3 + 1 + 2 + 5 + 1 + 5;

/// Appends a message-annotations section: that of `section` (its octets, or none) with `changes`
/// laid over it, key by key. Nothing is written when the result has no entry.
[[nodiscard]] decoded<void> write_merged_annotations(octet_buffer& out,
                                                     std::span<const std::byte> section,
                                                     const codec::map& changes);

/// Fields of one message. Borrows the octets, which must have passed `scan` with this result.
///
/// Each look-up reads from the start of its section to the field, and nothing else. An empty
/// optional is an absent or null field; an error is a field of a wrong type, which `scan` does not
/// see. Text borrows from the message.
class view {
 public:
  view(std::span<const std::byte> octets, const layout& where) : octets_(octets), where_(where) {}

  std::span<const std::byte> octets() const { return octets_; }
  const layout& where() const { return where_; }

  // Sections, from their descriptors on; empty when absent.
  std::span<const std::byte> header_section() const;
  std::span<const std::byte> delivery_annotations_section() const;
  std::span<const std::byte> message_annotations_section() const;
  std::span<const std::byte> properties_section() const;
  std::span<const std::byte> application_properties_section() const;
  std::span<const std::byte> body_sections() const;
  std::span<const std::byte> footer_section() const;
  /// What intermediaries must not change: properties to body. [3.2]
  std::span<const std::byte> bare_message() const;

  [[nodiscard]] decoded<header_view> header() const { return read_header(header_section()); }

  using text = decoded<std::optional<std::string_view>>;
  using octet_span = std::span<const std::byte>;

  // Properties. [3.2.4]
  [[nodiscard]] decoded<octet_span> message_id() const;      // encoded, or empty
  [[nodiscard]] decoded<octet_span> correlation_id() const;  // encoded, or empty
  [[nodiscard]] decoded<std::optional<octet_span>> user_id() const;
  [[nodiscard]] text to() const;
  [[nodiscard]] text subject() const;
  [[nodiscard]] text reply_to() const;
  [[nodiscard]] text content_type() const;
  [[nodiscard]] text content_encoding() const;
  [[nodiscard]] decoded<std::optional<timestamp>> absolute_expiry_time() const;
  [[nodiscard]] decoded<std::optional<timestamp>> creation_time() const;
  [[nodiscard]] text group_id() const;
  [[nodiscard]] decoded<std::optional<std::uint32_t>> group_sequence() const;
  [[nodiscard]] text reply_to_group_id() const;

  // One entry of a map section: its encoded value, or empty. Keys may be string or symbol.
  [[nodiscard]] decoded<octet_span> delivery_annotation(std::string_view key) const;
  [[nodiscard]] decoded<octet_span> message_annotation(std::string_view key) const;
  [[nodiscard]] decoded<octet_span> application_property(std::string_view key) const;

  // Whole maps, decoded; empty when the section is absent.
  [[nodiscard]] decoded<codec::map> delivery_annotations() const;
  [[nodiscard]] decoded<codec::map> message_annotations() const;
  [[nodiscard]] decoded<codec::map> application_properties() const;

 private:
  octet_span slice(std::uint32_t begin, std::uint32_t end) const {
    return octets_.subspan(begin, end - begin);
  }
  decoded<octet_span> property(std::size_t index) const;
  text text_property(std::size_t index) const;
  text symbol_property(std::size_t index) const;
  decoded<std::optional<timestamp>> time_property(std::size_t index) const;

  std::span<const std::byte> octets_;
  layout where_;
};

}  // namespace whimbrel::amqp::message
