// SPDX-License-Identifier: Apache-2.0
// SASL negotiation. A SASL frame holds exactly one performative; anything out of turn ends it, for
// there is nothing to go back to. [5.3.1, 5.3.2]
#include "amqp/sasl/negotiation.hpp"

#include <algorithm>

#include "amqp/codec/codec.hpp"

namespace whimbrel::amqp::sasl {

namespace {

constexpr std::string_view undecodable = "not one well-formed SASL performative";

std::uint64_t code_in(std::span<const std::byte> body) {
  const decoded<std::uint64_t> code = codec::descriptor_of(body);
  return code.has_value() ? *code : 0;
}

/// What the server offers, for people.
std::string text_of(const spec::sasl_mechanisms& offer) {
  std::string out;
  for (const symbol& each : offer.sasl_server_mechanisms) out += ' ' + each.text;
  return out.empty() ? " nothing" : out;
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

client::client(std::string mechanism, std::string user, std::string password)
    : client([mechanism = std::move(mechanism), user = std::move(user),
              password = std::move(password)](std::span<const symbol> offered) {
        const bool is_there = std::find(offered.begin(), offered.end(), mechanism) != offered.end();
        return is_there ? make_simple_exchange(mechanism, user, password) : nullptr;
      }) {}

client::step client::on_frame(std::span<const std::byte> body) {
  switch (code_in(body)) {
    case spec::sasl_mechanisms::type.code:
      return on_mechanisms(body);
    case spec::sasl_challenge::type.code:
      return on_challenge(body);
    case spec::sasl_outcome::type.code:
      return on_outcome(body);
    default:
      return refuse("not a SASL frame that a server may send");
  }
}

client::step client::refuse(std::string reason) {
  state_ = state::done;
  reason_ = std::move(reason);
  return step::refused;
}

client::step client::on_mechanisms(std::span<const std::byte> body) {
  if (state_ != state::awaiting_mechanisms) return refuse("sasl-mechanisms out of turn");
  const decoded<spec::sasl_mechanisms> offer = codec::decode<spec::sasl_mechanisms>(body);
  if (offer.has_error()) return refuse(std::string(undecodable));
  exchange_ = choose_(offer->sasl_server_mechanisms.values);
  if (!exchange_) {
    return refuse("the server offers no SASL mechanism that is wanted here, but" + text_of(*offer));
  }
  answer_ = exchange_->first();
  state_ = state::awaiting_outcome;
  return step::send_init;
}

client::step client::on_challenge(std::span<const std::byte> body) {
  if (state_ != state::awaiting_outcome) return refuse("sasl-challenge out of turn");
  const decoded<spec::sasl_challenge> challenge = codec::decode<spec::sasl_challenge>(body);
  if (challenge.has_error()) return refuse(std::string(undecodable));
  auto answer = exchange_->respond(challenge->challenge.octets);
  if (!answer) return refuse(exchange_->reason());
  answer_ = *std::move(answer);
  return step::send_response;
}

client::step client::on_outcome(std::span<const std::byte> body) {
  if (state_ != state::awaiting_outcome) return refuse("sasl-outcome out of turn");
  const decoded<spec::sasl_outcome> outcome = codec::decode<spec::sasl_outcome>(body);
  if (outcome.has_error()) return refuse(std::string(undecodable));
  switch (outcome->code) {
    case spec::sasl_code::ok:
      if (!exchange_->finish(outcome->additional_data.value_or(binary()).octets)) {
        return refuse(exchange_->reason());
      }
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
  return refuse(std::string(undecodable));
}

spec::sasl_init client::init() const {
  return {.mechanism = symbol(exchange_->mechanism()), .initial_response = binary(answer_)};
}

spec::sasl_response client::response() const { return {.response = binary(answer_)}; }

}  // namespace whimbrel::amqp::sasl
