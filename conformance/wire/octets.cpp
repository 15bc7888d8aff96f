// SPDX-License-Identifier: Apache-2.0
#include "conformance/wire/octets.hpp"

#include <algorithm>

#include "amqp/base/assert.hpp"

namespace whimbrel::conformance {

namespace {

unsigned digit(char c) {
  const std::string_view digits = "0123456789abcdef";
  const std::size_t at = digits.find(static_cast<char>(c | 0x20));
  AMQP_ASSERT(at != std::string_view::npos);
  return static_cast<unsigned>(at);
}

void put(bytes& out, std::uint64_t value, unsigned octets) {
  for (unsigned i = octets; i-- > 0;) out.push_back(static_cast<std::byte>(value >> (8 * i)));
}

bytes compound(unsigned narrow, unsigned wide, std::initializer_list<bytes> items) {
  bytes inside;
  for (const bytes& item : items) inside.insert(inside.end(), item.begin(), item.end());
  bytes out;
  const bool fits = inside.size() + 1 <= 255 && items.size() <= 255;
  out.push_back(static_cast<std::byte>(fits ? narrow : wide));
  put(out, inside.size() + (fits ? 1 : 4), fits ? 1 : 4);
  put(out, items.size(), fits ? 1 : 4);
  out.insert(out.end(), inside.begin(), inside.end());
  return out;
}

}  // namespace

bytes hex(std::string_view digits) {
  bytes out;
  unsigned high = 0;
  bool half = false;
  for (const char c : digits) {
    if (c == ' ') continue;
    if (half) out.push_back(static_cast<std::byte>(high << 4 | digit(c)));
    high = digit(c);
    half = !half;
  }
  AMQP_ASSERT(!half);
  return out;
}

std::string to_hex(std::span<const std::byte> octets, std::size_t shown_max) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const std::byte b : octets.first(std::min(shown_max, octets.size()))) {
    if (!out.empty()) out += ' ';
    out += digits[std::to_integer<unsigned>(b) >> 4];
    out += digits[std::to_integer<unsigned>(b) & 15];
  }
  if (octets.size() > shown_max) out += " ... (" + std::to_string(octets.size()) + " octets)";
  return out;
}

bytes join(std::initializer_list<std::span<const std::byte>> parts) {
  bytes out;
  for (const auto part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

bytes operator+(bytes a, std::span<const std::byte> b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

bytes list_of(std::initializer_list<bytes> items) {
  if (items.size() == 0) return hex("45");
  return compound(0xc0, 0xd0, items);
}

bytes map_of(std::initializer_list<bytes> items) { return compound(0xc1, 0xd1, items); }

bytes described(std::uint8_t code, const bytes& body) {
  bytes out = hex("00 53");
  out.push_back(std::byte{code});
  return out + body;
}

bytes described_by(std::string_view name, const bytes& body) {
  return join({hex("00"), sym(name), body});
}

bytes frame_of(std::uint16_t channel, std::span<const std::byte> body, frame_shape shape) {
  bytes out;
  const std::size_t extended = shape.doff > 2 ? (shape.doff - 2u) * 4u : 0u;
  put(out, shape.size.value_or(static_cast<std::uint32_t>(8 + extended + body.size())), 4);
  put(out, shape.doff, 1);
  put(out, shape.type, 1);
  put(out, channel, 2);
  out.resize(out.size() + extended, std::byte{0xee});
  return out + body;
}

bytes header_of(std::uint8_t id, std::uint8_t major, std::uint8_t minor, std::uint8_t revision) {
  bytes out = hex("41 4d 51 50");
  for (const std::uint8_t octet : {id, major, minor, revision}) out.push_back(std::byte{octet});
  return out;
}

bytes data_message(std::string_view text) { return described(0x75, enc(binary(text))); }

codec::map map_with(std::initializer_list<codec::entry> entries) {
  codec::map out;
  for (const codec::entry& each : entries) out.append(each.first, each.second);
  return out;
}

}  // namespace whimbrel::conformance
