// SPDX-License-Identifier: Apache-2.0
// The value matching rules of property filters. [filtex 4.1]
#include <algorithm>

#include "broker/protocol/filter/evaluation.hpp"

namespace whimbrel::broker::protocol::filter {

namespace codec = amqp::codec;
using codec::code;

namespace {

/// `&s:suffix`, `&p:prefix` and `&&` for an ampersand; only in strings. [filtex 4.1.1]
bool is_text_match(const encoded& reference, std::string_view wanted, std::string_view text) {
  if (codec::is_string(reference.constructor) && wanted.starts_with('&')) {
    if (wanted.starts_with("&s:")) return text.ends_with(wanted.substr(3));
    if (wanted.starts_with("&p:")) return text.starts_with(wanted.substr(3));
    if (wanted.starts_with("&&")) return text == wanted.substr(1);
  }
  return text == wanted;
}

bool is_scalar_match(const encoded& reference, const operand& wanted, const operand& found) {
  if (wanted.what == kind::text) {
    return found.what == kind::text && is_text_match(reference, wanted.text, found.text);
  }
  if (wanted.is_time != found.is_time || wanted.what == kind::null) return false;
  return compare(wanted, found) == order::equal;
}

bool are_equal_in_order(const encoded& reference, const encoded& value) {
  items wanted(reference);
  items found(value);
  // Elements without octets are as many as somebody says: comparing one will do.
  const std::uint32_t compared =
      wanted.count() > reference.data.size() ? 1 : wanted.count();
  for (std::uint32_t i = 0; i < compared; ++i) {
    const encoded item = found.next();
    if (!item.is_present || !is_match(wanted.next(), item)) return false;
  }
  return true;
}

bool is_map_match(const encoded& reference, const encoded& value) {
  items wanted(reference);
  for (std::uint32_t i = 0; i + 1 < wanted.count(); i += 2) {
    const operand key = read_operand(wanted.next());
    const encoded expected = wanted.next();
    if (expected.is_null()) continue;
    if (key.what != kind::text) return false;
    const encoded found = find_in_map(value, key.text);
    if (!found.is_present || !is_match(expected, found)) return false;
  }
  return true;
}

/// A described value matches by what is described. [filtex 4.1.5]
encoded undescribed(const encoded& value) {
  encoded out = value;
  for (int i = 0; i < 2 && out.constructor == code::described && !out.data.empty(); ++i) {
    const auto descriptor = codec::first_of_checked(out.data);
    out = encoded_of(out.data.subspan(std::min(descriptor.size(), out.data.size())));
  }
  return out;
}

}  // namespace

bool is_match(const encoded& described_reference, const encoded& described_value) {
  const encoded reference = undescribed(described_reference);
  const encoded value = undescribed(described_value);
  if (reference.is_null()) return true;
  if (codec::is_map(reference.constructor)) {
    return codec::is_map(value.constructor) && is_map_match(reference, value);
  }
  if (codec::is_list(reference.constructor)) {
    return codec::is_list(value.constructor) && are_equal_in_order(reference, value);
  }
  if (codec::is_array(reference.constructor)) {
    return codec::is_array(value.constructor) &&
           items(reference).count() == items(value).count() &&
           are_equal_in_order(reference, value);
  }
  return is_scalar_match(reference, read_operand(reference), read_operand(value));
}

}  // namespace whimbrel::broker::protocol::filter
