// SPDX-License-Identifier: Apache-2.0
// `error`, and the message-id, whose type is chosen by its constructor.
#include "amqp/spec/definitions.hpp"

#include "amqp/codec/composite_impl.hpp"

namespace whimbrel::amqp::codec {

template struct composite_codec<spec::error>;

void encode(writer& w, const spec::message_id& v) {
  std::visit([&](const auto& held) { encode(w, held); }, v);
}

void print(std::string& out, const spec::message_id& v) {
  std::visit([&](const auto& held) { print(out, held); }, v);
}

template <>
decoded<spec::message_id> decode_as(reader& r) {
  const code c = r.peek();
  if (r.remaining() == 0) return r.fault(decode_fault::truncated);
  if (is_string(c)) {
    AMQP_TRY(text, decode_as<std::string>(r));
    return spec::message_id(std::move(text));
  }
  if (is_binary(c)) {
    AMQP_TRY(octets, decode_as<binary>(r));
    return spec::message_id(std::move(octets));
  }
  if (c == code::uuid) {
    AMQP_TRY(id, decode_as<uuid>(r));
    return spec::message_id(id);
  }
  AMQP_TRY(number, decode_as<std::uint64_t>(r));
  return spec::message_id(number);
}

}  // namespace whimbrel::amqp::codec
