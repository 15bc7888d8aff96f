// SPDX-License-Identifier: Apache-2.0
// SASL negotiation. A SASL frame holds exactly one performative; anything out of turn ends it, for
// there is nothing to go back to. [5.3.1, 5.3.2]
#include "amqp/sasl/negotiation.hpp"

#include <algorithm>

#include "amqp/codec/codec.hpp"
#include "amqp/sasl/plain.hpp"

namespace whimbrel::amqp::sasl {

namespace {

constexpr std::string_view undecodable = "not one well-formed SASL performative";

std::uint64_t code_in(std::span<const std::byte> body) {
  const decoded<std::uint64_t> code = codec::descriptor_of(body);
  return code.has_value() ? *code : 0;
}

}  // namespace

spec::sasl_mechanisms server::offer() const {
  spec::sasl_mechanisms out;
  for (const std::string& name : mechanisms_) out.sasl_server_mechanisms.push_back(symbol(name));
  return out;
}

server::step server::on_frame(std::span<const std::byte> body) {
  switch (code_in(body)) {
    case spec::sasl_init::type.code:
      return on_init(body);
    case spec::sasl_response::type.code:
      return on_response(body);
    default:
      return refuse("only sasl-init and sasl-response are a client's to send");
  }
}

server::step server::refuse(std::string_view reason) {
  state_ = state::failed;
  reason_ = reason;
  return step::refused;
}

server::step server::on_init(std::span<const std::byte> body) {
  if (state_ != state::offered) return refuse("sasl-init out of turn");
  decoded<spec::sasl_init> init = codec::decode<spec::sasl_init>(body);
  if (init.has_error()) return refuse(undecodable);
  init_ = *std::move(init);
  if (std::find(mechanisms_.begin(), mechanisms_.end(), init_.mechanism.text) == mechanisms_.end())
    return refuse("this mechanism is not offered");
  state_ = state::judging;
  return step::init;
}

server::step server::on_response(std::span<const std::byte> body) {
  if (state_ != state::challenged) return refuse("sasl-response without a challenge");
  decoded<spec::sasl_response> response = codec::decode<spec::sasl_response>(body);
  if (response.has_error()) return refuse(undecodable);
  response_ = *std::move(response);
  state_ = state::judging;
  return step::response;
}

client::step client::on_frame(std::span<const std::byte> body) {
  switch (code_in(body)) {
    case spec::sasl_mechanisms::type.code:
      return on_mechanisms(body);
    case spec::sasl_challenge::type.code:
      if (state_ != state::awaiting_outcome) return refuse("sasl-challenge out of turn");
      if (codec::decode<spec::sasl_challenge>(body).has_error()) return refuse(undecodable);
      return step::send_response;
    case spec::sasl_outcome::type.code:
      return on_outcome(body);
    default:
      return refuse("not a SASL frame that a server may send");
  }
}

client::step client::refuse(std::string_view reason) {
  state_ = state::done;
  reason_ = reason;
  return step::refused;
}

client::step client::on_mechanisms(std::span<const std::byte> body) {
  if (state_ != state::awaiting_mechanisms) return refuse("sasl-mechanisms out of turn");
  const decoded<spec::sasl_mechanisms> offer = codec::decode<spec::sasl_mechanisms>(body);
  if (offer.has_error()) return refuse(undecodable);
  if (!offer->sasl_server_mechanisms.contains(mechanism_))
    return refuse("the server does not offer this mechanism");
  state_ = state::awaiting_outcome;
  return step::send_init;
}

client::step client::on_outcome(std::span<const std::byte> body) {
  if (state_ != state::awaiting_outcome) return refuse("sasl-outcome out of turn");
  const decoded<spec::sasl_outcome> outcome = codec::decode<spec::sasl_outcome>(body);
  if (outcome.has_error()) return refuse(undecodable);
  switch (outcome->code) {
    case spec::sasl_code::ok:
      state_ = state::done;
      return step::authenticated;
    case spec::sasl_code::auth:
      return refuse("authentication failed");
    case spec::sasl_code::sys:
    case spec::sasl_code::sys_perm:
      return refuse("authentication failed: system error");
    case spec::sasl_code::sys_temp:
      return refuse("authentication failed: transient system error");
  }
  return refuse(undecodable);
}

binary client::initial_response() const {
  if (mechanism_ == "PLAIN")
    return binary(encode_plain({.authzid = {}, .authcid = user_, .passwd = password_}));
  return binary(std::string_view(user_));  // ANONYMOUS: trace information, may be empty [RFC 4505]
}

spec::sasl_init client::init() const {
  return {.mechanism = symbol(mechanism_), .initial_response = initial_response()};
}

spec::sasl_response client::response() const { return {.response = initial_response()}; }

}  // namespace whimbrel::amqp::sasl
