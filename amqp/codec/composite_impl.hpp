// SPDX-License-Identifier: Apache-2.0
// The bodies behind composite.hpp. Included by the .cpp that declares `composite_codec` of a type,
// and by nothing else.
#pragma once

#include <optional>

#include <boost/pfr/tuple_size.hpp>

#include "amqp/codec/composite.hpp"

namespace whimbrel::amqp::codec {

/// Compile-time audit: every member is in the list, and no name is listed twice.
template <composite T>
consteval bool audit() {
  if (boost::pfr::tuple_size_v<T> != field_count<T>) return false;
  return each_field<T>([](const auto& a, std::size_t i) {
    return each_field<T>([&](const auto& b, std::size_t j) { return i == j || a.name != b.name; });
  });
}

template <class M>
inline constexpr bool is_emptiable = is_multiple<M> || std::is_same_v<M, raw>;

/// A field may be left out when it holds what the receiver would assume anyway: nothing, or the
/// default written as the member's initialiser.
template <composite T, class M>
bool is_elidable(const T& value, const field<T, M>& f) {
  if (f.need == presence::mandatory) return false;
  if constexpr (is_optional<M>) {
    return !(value.*f.member).has_value();
  } else if constexpr (is_emptiable<M>) {
    return (value.*f.member).empty();
  } else {
    static const T defaults{};
    return value.*f.member == defaults.*f.member;
  }
}

template <composite T>
void composite_codec<T>::encode(writer& w, const T& value) {
  static_assert(audit<T>(), "the field list and the members differ");
  w.descriptor(T::type.code);
  const std::size_t head = w.size();
  constexpr std::size_t narrow_head = 3;  // constructor, size, count; patched below
  w.constructor(code::list8);
  w.integer(std::uint16_t{0});
  std::size_t end = w.size();
  std::uint32_t count = 0;
  each_field<T>([&](const auto& f, std::size_t index) {
    using member = std::remove_cvref_t<decltype(value.*f.member)>;
    if (is_elidable(value, f)) {
      w.constructor(code::null);
      return true;
    }
    if constexpr (is_optional<member>) {
      codec::encode(w, *(value.*f.member));
    } else {
      codec::encode(w, value.*f.member);
    }
    end = w.size();
    count = static_cast<std::uint32_t>(index + 1);
    return true;
  });
  w.truncate(end);  // trailing nulls are not sent [1.4]
  const std::size_t size = end - head - narrow_head;
  if (count == 0) {
    w.truncate(head);
    w.constructor(code::list0);
  } else if (size + 1 <= 255) {
    *w.buffer().at(head + 1) = static_cast<std::byte>(size + 1);
    *w.buffer().at(head + 2) = static_cast<std::byte>(count);
  } else {
    w.insert_gap(head + narrow_head, 6);
    *w.buffer().at(head) = static_cast<std::byte>(code::list32);
    store_big_endian(w.buffer().at(head + 1), static_cast<std::uint32_t>(size + 4));
    store_big_endian(w.buffer().at(head + 5), count);
  }
}

template <composite T>
decoded<T> composite_codec<T>::decode(reader& r) {
  const decode_error other = r.fault(decode_fault::bad_descriptor);
  AMQP_TRY(code, read_descriptor(r));
  if (code != T::type.code) return other;
  return decode_fields(r);
}

template <composite T>
decoded<T> composite_codec<T>::decode_fields(reader& r) {
  AMQP_TRY(head, read_list_header(r));
  if (head.count > field_count<T>) return r.fault(decode_fault::bad_length);
  AMQP_TRY(items, r.sub(head.size));
  T value{};
  std::optional<decode_error> failed;
  each_field<T>([&](const auto& f, std::size_t index) {
    using member = std::remove_cvref_t<decltype(value.*f.member)>;
    if (index >= head.count || items.skip_null()) {
      if (f.need == presence::mandatory) {
        failed = items.fault(decode_fault::missing_mandatory, f.name);
      }
      return !failed;
    }
    const auto assign = [&](auto got) {
      if (got.has_value()) {
        value.*f.member = *std::move(got);
      } else {
        failed = got.error();
        if (failed->field.empty()) failed->field = f.name;
      }
    };
    if constexpr (is_optional<member>) {
      assign(decode_as<typename member::value_type>(items));
    } else {
      assign(decode_as<member>(items));
    }
    return !failed;
  });
  if (failed) return *failed;
  if (items.remaining() != 0) return items.fault(decode_fault::bad_length);
  return value;
}

template <composite T>
void composite_codec<T>::print(std::string& out, const T& value) {
  const std::string_view name = T::type.name;
  const std::size_t begin = name.find(':') + 1;
  out += name.substr(begin, name.rfind(':') - begin);
  out += '(';
  [[maybe_unused]] bool is_first = true;
  each_field<T>([&](const auto& f, std::size_t) {
    using member = std::remove_cvref_t<decltype(value.*f.member)>;
    if (is_elidable(value, f)) return true;
    if (!std::exchange(is_first, false)) out += ',';
    out += f.name;
    out += '=';
    if (f.text == privacy::secret) {
      out += "(secret)";
    } else if constexpr (is_optional<member>) {
      codec::print(out, *(value.*f.member));
    } else {
      codec::print(out, value.*f.member);
    }
    return true;
  });
  out += ')';
}

}  // namespace whimbrel::amqp::codec
