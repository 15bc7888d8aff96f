// SPDX-License-Identifier: Apache-2.0
// A composite is declared once: a plain aggregate plus a constexpr list of its fields in wire
// order. Encoding, decoding, printing and the checks against the standard's XML are all derived
// from that list; nothing else in the tree spells a field's position. [1.3, 1.4]
//
// The functions behind this header are instantiated in the one .cpp beside the declaration (include
// composite_impl.hpp there and write `template struct codec::composite_codec<open>;`), so that
// including a declaration stays cheap.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

#include "amqp/codec/descriptor.hpp"
#include "amqp/codec/primitives.hpp"

namespace whimbrel::amqp::codec {

enum class presence : std::uint8_t { optional, mandatory };

/// Whether the text for people may show a field: credentials may not.
enum class privacy : std::uint8_t { shown, secret };

template <class Owner, class T>
struct field {
  std::string_view name = {};  // as the standard spells it
  T Owner::*member = nullptr;
  presence need = presence::optional;
  privacy text = privacy::shown;
};
template <class Owner, class T>  // clang 14 cannot deduce aggregates unaided
field(std::string_view, T Owner::*, presence = presence::optional, privacy = privacy::shown)
    ->field<Owner, T>;

/// An aggregate with a descriptor `type` and a tuple `fields`. The member initialiser is the
/// default of the standard; `std::optional`, `multiple` and `raw` members are absent when empty.
template <class T>
concept composite = requires {
  { T::type } -> std::convertible_to<descriptor>;
  T::fields;
};

template <composite T>
inline constexpr std::size_t field_count =
    std::tuple_size_v<std::remove_cvref_t<decltype(T::fields)>>;

/// Calls visit(field, index) in wire order; stops when it returns false.
template <composite T, class Visitor>
constexpr bool each_field([[maybe_unused]] Visitor&& visit) {
  return std::apply(
      [&](const auto&... f) {
        [[maybe_unused]] std::size_t i = 0;
        return (visit(f, i++) && ...);
      },
      T::fields);
}

/// Everything derived from the field list of T.
template <composite T>
struct composite_codec {
  /// Elides defaults and trailing nulls, and picks the narrowest of the three list encodings.
  static void encode(writer& w, const T& value);
  /// Descriptor (number or symbol) and list.
  static decoded<T> decode(reader& r);
  /// The list that follows a descriptor.
  static decoded<T> decode_fields(reader& r);
  /// `open(container-id="a",max-frame-size=512)`; fields at their default are left out.
  static void print(std::string& out, const T& value);
};

template <composite T>
void encode(writer& w, const T& value) {
  composite_codec<T>::encode(w, value);
}

template <composite T>
[[nodiscard]] decoded<T> decode_fields(reader& r) {
  return composite_codec<T>::decode_fields(r);
}

template <composite T>
void print(std::string& out, const T& value) {
  composite_codec<T>::print(out, value);
}

template <composite T>
std::string to_text(const T& value) {
  std::string out;
  composite_codec<T>::print(out, value);
  return out;
}

template <restricted E>
decoded<E> decode_restricted(reader& r) {
  const decode_error misplaced = r.fault(decode_fault::bad_value);
  AMQP_TRY(underlying, decode_as<std::underlying_type_t<E>>(r));
  for (const auto& c : choices_of(E{}))
    if (static_cast<std::underlying_type_t<E>>(c.value) == underlying) return c.value;
  return misplaced;
}

template <class T>
decoded<T> decode_as(reader& r) {
  if constexpr (restricted<T>) {
    return decode_restricted<T>(r);
  } else {
    static_assert(composite<T>, "no AMQP type is declared for this C++ type");
    return composite_codec<T>::decode(r);
  }
}

}  // namespace whimbrel::amqp::codec
