// SPDX-License-Identifier: Apache-2.0
// Shortening errors and outcomes.
#include "amqp/engine/shorten.hpp"

#include "amqp/codec/codec.hpp"
#include "amqp/spec/conditions.hpp"
#include "amqp/spec/fast.hpp"
#include "amqp/spec/messaging.hpp"

namespace whimbrel::amqp::engine {

namespace {

/// With the largest frame header and performative around it this fits 512 octets.
constexpr std::size_t state_octets_fitting = 400;

}  // namespace

void shorten(spec::error& error) {
  if (error.info) {
    error.info.reset();
    return;
  }
  if (!error.description) {
    error.condition = symbol(spec::conditions::internal_error);  // nobody's condition is this long
    return;
  }
  std::string& text = *error.description;
  std::size_t half = text.size() / 2;
  // Not in the middle of a character: its later octets begin with the bits 10.
  while (half > 0 && (static_cast<unsigned char>(text[half]) & 0xc0u) == 0x80u) --half;
  if (half == 0) {
    error.description.reset();
  } else {
    text.resize(half);
  }
}

codec::raw shorten_state(std::span<const std::byte> state) {
  using spec::fast::state_kind;
  const state_kind kind = spec::fast::classify_state(state);
  if (kind == state_kind::rejected) {
    if (auto rejected = codec::decode<spec::rejected>(state); rejected.has_value()) {
      codec::raw out = codec::to_raw(*rejected);
      while (rejected->error && out.octets().size() > state_octets_fitting) {
        shorten(*rejected->error);
        out = codec::to_raw(*rejected);
      }
      return out;
    }
  }
  if (kind == state_kind::modified) {
    if (auto modified = codec::decode<spec::modified>(state); modified.has_value()) {
      modified->message_annotations.reset();
      return codec::to_raw(*modified);
    }
  }
  // Not one that this engine's users make: the delivery is at least given back.
  return codec::raw(std::span<const std::byte>(spec::fast::released_octets));
}

}  // namespace whimbrel::amqp::engine
