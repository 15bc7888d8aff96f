// SPDX-License-Identifier: Apache-2.0
// Arrays made from values: one constructor that fits them all, then the elements without it.
#include "amqp/codec/array.hpp"

#include <algorithm>

#include "amqp/codec/primitives.hpp"

namespace whimbrel::amqp::codec {

namespace {

/// The narrow constructor of each type that has two, and the wide one that goes with it.
struct widths {
  code narrow = code::null;
  code wide = code::null;
};
constexpr std::array two_widths{
    widths{code::smalluint, code::uint}, widths{code::smallulong, code::ulong},
    widths{code::smallint, code::int_},  widths{code::smalllong, code::long_},
    widths{code::vbin8, code::vbin32},   widths{code::str8, code::str32},
    widths{code::sym8, code::sym32},     widths{code::list8, code::list32},
    widths{code::map8, code::map32},     widths{code::array8, code::array32},
};

code wide_of(code c) {
  for (const widths& w : two_widths)
    if (w.narrow == c) return w.wide;
  return c;
}

/// The constructor that can carry `v` in an array; those without data would fit that value alone.
code carrier(code c) {
  switch (c) {
    case code::true_:
    case code::false_:
      return code::boolean;
    case code::uint0:
      return code::smalluint;
    case code::ulong0:
      return code::smallulong;
    case code::list0:
      return code::list8;
    default:
      return c;
  }
}

void encode_one(octet_buffer& out, const value& v) {
  writer w(out);
  encode(w, v);
}

}  // namespace

code common_code(std::span<const value> values) {
  code common = code::null;
  for (const value& v : values) {
    octet_buffer one;
    encode_one(one, v);
    const code own = carrier(static_cast<code>(one.octets().front()));
    AMQP_ASSERT(own != code::described);  // a described element needs its descriptor with the array
    if (common == code::null || wide_of(common) == own) common = own;
  }
  return common;
}

void append_element(std::vector<std::byte>& data, const value& element, code constructor) {
  octet_buffer one;
  encode_one(one, element);
  const auto octets = one.octets();
  const code own = static_cast<code>(octets.front());
  const auto put = [&](std::span<const std::byte> more) {
    data.insert(data.end(), more.begin(), more.end());
  };
  const auto put_number = [&](std::uint64_t n, std::size_t width) {
    for (std::size_t i = width; i-- > 0;) data.push_back(static_cast<std::byte>(n >> (8 * i)));
  };
  if (own == constructor) return put(octets.subspan(1));

  const layout_of_code to = layout(constructor);
  if (constructor == code::boolean) return put_number(own == code::true_ ? 1 : 0, 1);
  if (to.kind == category::fixed) {  // an integer whose shortest encoding is narrower
    const auto number = element.to_signed();
    const auto positive = element.to_unsigned();
    AMQP_ASSERT(number || positive);
    return put_number(number ? static_cast<std::uint64_t>(*number) : *positive, to.width);
  }
  if (own == code::list0) {  // size and count
    put_number(to.width, to.width);
    return put_number(0, to.width);
  }
  // From one octet of size (and count) to four.
  const layout_of_code from = layout(own);
  AMQP_ASSERT(from.kind == to.kind && from.width == 1 && to.width == 4);
  const bool has_count = to.kind != category::variable;
  const std::size_t head = has_count ? 3 : 2;
  put_number(octets.size() - head + (has_count ? 4 : 0), 4);
  if (has_count) put_number(std::to_integer<std::uint64_t>(octets[2]), 4);
  put(octets.subspan(head));
}

}  // namespace whimbrel::amqp::codec
