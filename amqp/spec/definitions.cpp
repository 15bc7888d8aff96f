// SPDX-License-Identifier: Apache-2.0
// `error`, and the message-id, whose type is chosen by its constructor.
#include "amqp/spec/definitions.hpp"

#include <utility>

#include "amqp/codec/composite_impl.hpp"

namespace whimbrel::amqp::codec {

template struct composite_codec<spec::error>;

void encode(writer& w, const spec::message_id& v) {
  std::visit([&](const auto& held) { encode(w, held); }, v);
}

void print(std::string& out, const spec::message_id& v) {
  std::visit([&](const auto& held) { print(out, held); }, v);
}

namespace {

/// A T, made in its place inside the result.
template <class T>
decoded<spec::message_id> decode_alternative(reader& r) {
  AMQP_TRY(id, decode_as<T>(r));
  return {boost::system::in_place_value, std::in_place_type<T>, std::move(id)};
}

}  // namespace

template <>
decoded<spec::message_id> decode_as(reader& r) {
  if (r.remaining() == 0) return r.fault(decode_fault::truncated);
  const code c = r.peek();
  if (is_string(c)) return decode_alternative<std::string>(r);
  if (is_binary(c)) return decode_alternative<binary>(r);
  if (c == code::uuid) return decode_alternative<uuid>(r);
  return decode_alternative<std::uint64_t>(r);
}

}  // namespace whimbrel::amqp::codec
