// SPDX-License-Identifier: Apache-2.0
// A frame as it came, and what it says.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include "amqp/spec/security.hpp"
#include "amqp/spec/transactions.hpp"
#include "amqp/spec/transport.hpp"
#include "conformance/wire/octets.hpp"

namespace whimbrel::conformance {

/// `monostate`: an empty frame, or one that could not be decoded.
using performative =
    std::variant<std::monostate, spec::open, spec::begin, spec::attach, spec::flow, spec::transfer,
                 spec::disposition, spec::detach, spec::end, spec::close, spec::sasl_mechanisms,
                 spec::sasl_init, spec::sasl_challenge, spec::sasl_response, spec::sasl_outcome>;

struct frame {
  bytes octets = {};  // all of it, header included
  std::uint8_t doff = 2;
  std::uint8_t type = 0;
  std::uint16_t channel = 0;
  std::uint64_t code = 0;  // the descriptor; 0 for an empty frame or one without
  performative what = {};
  bytes payload = {};
  std::optional<amqp::decode_error> fault = {};  // why `what` is missing

  [[nodiscard]] std::span<const std::byte> body() const {
    const std::size_t at = std::min<std::size_t>(octets.size(), doff * std::size_t{4});
    return std::span(octets).subspan(at);
  }
  [[nodiscard]] bool is_empty() const { return body().empty(); }

  template <class P>
  [[nodiscard]] const P* as() const {
    return std::get_if<P>(&what);
  }
};

/// Never fails: what cannot be decoded is a frame with a fault.
frame parse_frame(bytes octets);

/// One line for people.
std::string to_text(const frame& f);

/// The condition of an error, or nothing.
std::string condition_of(const std::optional<spec::error>& error);

/// A state or outcome by its descriptor's code; 0 for none.
std::uint64_t code_of(const codec::raw& state);
/// `accepted`, `rejected(amqp:not-found)`, `none`.
std::string state_text(const codec::raw& state);

/// Whatever has this descriptor, decoded; nothing if it is something else.
template <class T>
std::optional<T> state_as(const codec::raw& state) {
  if (code_of(state) != T::type.code) return std::nullopt;
  auto out = codec::from_raw<T>(state);
  if (out.has_error()) return std::nullopt;
  return *std::move(out);
}

}  // namespace whimbrel::conformance
