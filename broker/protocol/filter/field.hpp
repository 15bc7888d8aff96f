// SPDX-License-Identifier: Apache-2.0
// The sections of a message, their fields by name, and values found in them without decoding what
// stands around them. [3.2]
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "amqp/codec/code.hpp"
#include "amqp/message/view.hpp"
#include "broker/protocol/filter/operand.hpp"

namespace whimbrel::broker::protocol::filter {

enum class section : std::uint8_t {
  header,
  delivery_annotations,
  message_annotations,
  properties,
  application_properties,
  footer,
};

/// What a field of header or properties may hold.
enum class field_type : std::uint8_t { boolean, number, text, id, binary, time };

struct known_field {
  std::string_view name = {};
  std::uint8_t index = 0;
  field_type type = field_type::text;
};

/// Header and properties have fields that the standard names; the others are maps.
constexpr bool is_list(section s) { return s == section::header || s == section::properties; }

std::span<const known_field> known_fields(section s);

/// By the standard's name, or with `_` for `-`, or as in `contentType`.
const known_field* find_known_field(section s, std::string_view name);

std::string_view name_of(section s);

/// An encoded value in place; an element of an array has its constructor elsewhere.
struct encoded {
  amqp::codec::code constructor = amqp::codec::code::null;
  std::span<const std::byte> data = {};  // behind the constructor
  bool is_present = false;               // also true of a null that is there

  [[nodiscard]] bool is_null() const { return constructor == amqp::codec::code::null; }
};

/// One whole value, or nothing.
encoded encoded_of(std::span<const std::byte> octets);

operand read_operand(const encoded& value);

std::span<const std::byte> section_octets(const amqp::message::view& of, section s);

/// Field `index` of header or properties: the value in the list.
encoded find_field(std::span<const std::byte> section_octets, std::size_t index);
/// The value of `key`, a string or symbol, in a section that is a map.
encoded find_entry(std::span<const std::byte> section_octets, std::string_view key);

/// What an absent field of the header stands for. [3.2.1]
operand default_of_header(std::size_t index);

/// The items of a list, map (keys and values by turns) or array, one after another.
class items {
 public:
  explicit items(const encoded& compound);

  [[nodiscard]] std::uint32_t count() const { return count_; }
  /// Not present when there is none left.
  encoded next();

 private:
  std::span<const std::byte> rest_;
  std::uint32_t count_ = 0;
  std::uint32_t seen_ = 0;
  std::optional<amqp::codec::code> element_ = {};  // of an array
};

/// The entry `key` of a map that is itself a value; not present if `map` is none.
encoded find_in_map(const encoded& map, std::string_view key);
/// Element `index`, from 0, of a list or array.
encoded find_in_list(const encoded& list, std::uint64_t index);

}  // namespace whimbrel::broker::protocol::filter
