// SPDX-License-Identifier: Apache-2.0
// Arrays from and to vectors. Included by value.hpp, at its end.
#pragma once

#include "amqp/codec/value.hpp"

namespace whimbrel::amqp::codec {

/// Encodes one element of an array without a constructor, under `array_code<T>`.
void append_element(std::vector<std::byte>& data, const value& element, code constructor);

/// The one constructor under which every one of `values` can be encoded.
code common_code(std::span<const value> values);

template <class T>
array array::of(const std::vector<T>& values) {
  const std::vector<value> items(values.begin(), values.end());
  const code constructor =
      items.empty() ? common_code(std::vector<value>{value(T{})}) : common_code(items);
  std::vector<std::byte> data;
  for (const value& item : items) append_element(data, item, constructor);
  return {{static_cast<std::byte>(constructor)}, static_cast<std::uint32_t>(items.size()), data};
}

template <class T>
std::optional<std::vector<T>> array::to_vector() const {
  // Zero-width elements cost their receiver memory and their sender nothing.
  constexpr std::uint32_t zero_width_max = 4096;
  if (data_.empty() && count_ > zero_width_max) return std::nullopt;
  std::vector<T> out;
  for (const value element : *this) {
    std::optional<T> typed = element.to<T>();
    if (!typed) return std::nullopt;
    out.push_back(*std::move(typed));
  }
  return out;
}

}  // namespace whimbrel::amqp::codec
