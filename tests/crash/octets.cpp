// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/octets.hpp"

#include <proton/message.h>

#include <memory>
#include <string_view>

namespace whimbrel::crash {
namespace {

constexpr std::string_view durable_header("\x00\x53\x70\xc0\x02\x01\x41", 7);
constexpr std::string_view data_section("\x00\x53\x75\xb0", 4);
constexpr std::size_t id_size = 8;

void put_number(std::string& to, std::uint64_t value, unsigned octets) {
  for (unsigned i = octets; i-- > 0;) to += static_cast<char>(value >> (8 * i) & 0xff);
}

/// The octet at this place of the body of this message.
char filler(message_id id, std::size_t at) {
  return static_cast<char>((id * 0x9e3779b97f4a7c15ULL >> 32) + at * 131);
}

struct message_deleter {
  void operator()(pn_message_t* m) const { pn_message_free(m); }
};

}  // namespace

std::string encode_message(message_id id, std::size_t padding) {
  std::string out(durable_header);
  out += data_section;
  put_number(out, id_size + padding, 4);
  put_number(out, id, id_size);
  for (std::size_t i = 0; i < padding; ++i) out += filler(id, i);
  return out;
}

std::optional<seen_message> decode_message(const std::string& octets) {
  static const std::unique_ptr<pn_message_t, message_deleter> message(pn_message());
  if (pn_message_decode(message.get(), octets.data(), octets.size()) != 0) return {};
  pn_data_t* body = pn_message_body(message.get());
  pn_data_rewind(body);
  if (!pn_data_next(body) || pn_data_type(body) != PN_BINARY) return {};
  const pn_bytes_t data = pn_data_get_binary(body);
  if (data.size < id_size || !pn_message_is_durable(message.get())) return {};
  seen_message out;
  for (std::size_t i = 0; i < id_size; ++i) {
    out.id = out.id << 8 | static_cast<unsigned char>(data.start[i]);
  }
  for (std::size_t i = id_size; i < data.size; ++i) {
    if (data.start[i] != filler(out.id, i - id_size)) return {};
  }
  out.delivery_count = pn_message_get_delivery_count(message.get());
  return out;
}

}  // namespace whimbrel::crash
