// SPDX-License-Identifier: Apache-2.0
#include "broker/core/value_identity.hpp"

#include <string_view>
#include <utility>

#include "amqp/codec/codec.hpp"
#include "amqp/codec/value.hpp"

namespace whimbrel::broker::core {

std::optional<std::string> identity_of(std::span<const std::byte> encoded) {
  if (encoded.empty() || encoded.size() > identity_octets_max) return std::nullopt;
  const auto read = amqp::codec::decode<amqp::codec::value>(encoded);
  if (read.has_error() || read->is_null()) return std::nullopt;
  if (auto text = read->text()) return "t" + *text;
  if (const auto number = read->to_unsigned()) return "n" + std::to_string(*number);
  if (const auto number = read->to_signed()) return "n" + std::to_string(*number);
  amqp::octet_buffer out;
  amqp::codec::encode(out, *read);
  const auto octets = out.octets();
  return "o" + std::string(reinterpret_cast<const char*>(octets.data()), octets.size());
}

}  // namespace whimbrel::broker::core
