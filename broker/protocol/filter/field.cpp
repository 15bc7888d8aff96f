// SPDX-License-Identifier: Apache-2.0
// Finding fields.
#include "broker/protocol/filter/field.hpp"

#include <array>

#include "amqp/codec/descriptor.hpp"
#include "amqp/codec/reader.hpp"
#include "amqp/codec/skip.hpp"

namespace whimbrel::broker::protocol::filter {

namespace codec = amqp::codec;
using codec::code;
using codec::reader;

namespace {

constexpr std::array<known_field, 5> header_fields{{
    {"durable", 0, field_type::boolean},
    {"priority", 1, field_type::number},
    {"ttl", 2, field_type::number},
    {"first-acquirer", 3, field_type::boolean},
    {"delivery-count", 4, field_type::number},
}};
constexpr std::array<known_field, 13> property_fields{{
    {"message-id", 0, field_type::id},
    {"user-id", 1, field_type::binary},
    {"to", 2, field_type::text},
    {"subject", 3, field_type::text},
    {"reply-to", 4, field_type::text},
    {"correlation-id", 5, field_type::id},
    {"content-type", 6, field_type::text},
    {"content-encoding", 7, field_type::text},
    {"absolute-expiry-time", 8, field_type::time},
    {"creation-time", 9, field_type::time},
    {"group-id", 10, field_type::text},
    {"group-sequence", 11, field_type::number},
    {"reply-to-group-id", 12, field_type::text},
}};

/// Whether `name` spells the standard's `wanted` in one of the three ways.
bool is_spelling_of(std::string_view name, std::string_view wanted) {
  std::size_t n = 0;
  for (std::size_t w = 0; w < wanted.size(); ++w, ++n) {
    if (n >= name.size()) return false;
    if (name[n] == wanted[w]) continue;
    if (wanted[w] != '-') return false;
    if (name[n] == '_') continue;
    // contentType: the capital stands for both the hyphen and the letter.
    if (++w >= wanted.size() || name[n] != wanted[w] - 'a' + 'A') return false;
  }
  return n == name.size();
}

/// A reader of a section's value: behind the descriptor.
std::optional<reader> open(std::span<const std::byte> octets) {
  if (octets.empty()) return std::nullopt;
  reader r(octets);
  if (codec::read_descriptor(r).has_error()) return std::nullopt;
  return r;
}

/// The next value.
encoded take(reader& r) {
  const auto octets = codec::take_value(r);
  return octets.has_error() ? encoded{} : encoded_of(*octets);
}

bool is_key(const encoded& value, std::string_view key) {
  if (!codec::is_string(value.constructor) && !codec::is_symbol(value.constructor)) return false;
  return read_operand(value).text == key;
}

encoded find_key(reader& r, std::uint32_t item_count, std::string_view key) {
  for (std::uint32_t i = 0; i + 1 < item_count; i += 2) {
    const bool is_wanted = is_key(take(r), key);
    const encoded value = take(r);
    if (is_wanted) return value;
  }
  return {};
}

}  // namespace

std::span<const known_field> known_fields(section s) {
  if (s == section::header) return header_fields;
  if (s == section::properties) return property_fields;
  return {};
}

const known_field* find_known_field(section s, std::string_view name) {
  for (const known_field& f : known_fields(s)) {
    if (is_spelling_of(name, f.name)) return &f;
  }
  return nullptr;
}

std::string_view name_of(section s) {
  constexpr std::array<std::string_view, 6> names{
      "header",     "delivery-annotations",   "message-annotations",
      "properties", "application-properties", "footer"};
  return names[static_cast<std::size_t>(s)];
}

encoded encoded_of(std::span<const std::byte> octets) {
  if (octets.empty()) return {};
  return {static_cast<code>(octets[0]), octets.subspan(1), true};
}

operand read_operand(const encoded& value) { return read_operand(value.constructor, value.data); }

std::span<const std::byte> section_octets(const amqp::message::view& of, section s) {
  switch (s) {
    case section::header: return of.header_section();
    case section::delivery_annotations: return of.delivery_annotations_section();
    case section::message_annotations: return of.message_annotations_section();
    case section::properties: return of.properties_section();
    case section::application_properties: return of.application_properties_section();
    case section::footer: return of.footer_section();
  }
  return {};
}

encoded find_field(std::span<const std::byte> octets, std::size_t index) {
  auto r = open(octets);
  if (!r) return {};
  const auto head = codec::read_list_header(*r);
  if (head.has_error() || index >= head->count) return {};
  for (std::size_t i = 0; i < index; ++i) {
    if (codec::skip_value(*r).has_error()) return {};
  }
  const encoded found = take(*r);
  return found.is_null() ? encoded{} : found;  // a null field is an absent one [1.4]
}

encoded find_entry(std::span<const std::byte> octets, std::string_view key) {
  auto r = open(octets);
  if (!r) return {};
  const auto head = codec::read_map_header(*r);
  return head.has_error() ? encoded{} : find_key(*r, head->count, key);
}

operand default_of_header(std::size_t index) {
  switch (index) {
    case 0:
    case 3: return of_boolean(false);
    case 1: return of_integer(4);
    case 4: return of_integer(0);
    default: return null_operand();
  }
}

items::items(const encoded& compound) : rest_(compound.data) {
  const auto at = codec::layout(compound.constructor);
  const bool is_array = at.kind == codec::category::array;
  if (!is_array && at.kind != codec::category::compound) {
    rest_ = {};
    return;
  }
  // size, count; what they say has been checked with the section.
  const std::size_t width = at.width;
  if (rest_.size() < 2 * width + (is_array ? 1 : 0)) {
    rest_ = {};
    return;
  }
  for (std::size_t i = width; i < 2 * width; ++i) {
    count_ = count_ << 8 | std::to_integer<std::uint32_t>(rest_[i]);
  }
  rest_ = rest_.subspan(2 * width);
  if (!is_array) return;
  element_ = static_cast<code>(rest_[0]);
  rest_ = rest_.subspan(1);
}

encoded items::next() {
  if (seen_ == count_) return {};
  ++seen_;
  if (!element_) {
    reader r(rest_);
    const encoded out = take(r);
    rest_ = r.rest();
    return out;
  }
  // Described elements would need their descriptor: they are there, and compound, no more.
  if (*element_ == code::described) return {code::described, {}, true};
  const auto at = codec::layout(*element_);
  std::size_t octets = at.width;
  if (at.kind != codec::category::fixed) {
    if (rest_.size() < at.width) return {};
    std::size_t content = 0;
    for (std::size_t i = 0; i < at.width; ++i) {
      content = content << 8 | std::to_integer<std::size_t>(rest_[i]);
    }
    octets += content;
  }
  if (octets > rest_.size()) return {};
  const encoded out{*element_, rest_.first(octets), true};
  rest_ = rest_.subspan(octets);
  return out;
}

encoded find_in_map(const encoded& map, std::string_view key) {
  if (!codec::is_map(map.constructor)) return {};
  items each(map);
  for (std::uint32_t i = 0; i + 1 < each.count(); i += 2) {
    const bool is_wanted = is_key(each.next(), key);
    const encoded value = each.next();
    if (is_wanted) return value;
  }
  return {};
}

encoded find_in_list(const encoded& list, std::uint64_t index) {
  if (!codec::is_list(list.constructor) && !codec::is_array(list.constructor)) return {};
  items each(list);
  if (index >= each.count()) return {};
  // Elements without octets are as many as the peer says: they are all the same.
  if (each.count() > list.data.size()) return each.next();
  for (std::uint64_t i = 0; i < index; ++i) each.next();
  return each.next();
}

}  // namespace whimbrel::broker::protocol::filter
