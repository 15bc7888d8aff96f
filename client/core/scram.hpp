// SPDX-License-Identifier: Apache-2.0
// The client's side of SCRAM-SHA-1, SCRAM-SHA-256 and SCRAM-SHA-512. [RFC 5802, RFC 7677]
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "amqp/sasl/exchange.hpp"

namespace whimbrel::client::core {

/// A server may ask for no more than this: each is work of ours.
inline constexpr std::uint32_t scram_iterations_most = 1'000'000;
/// Nor for less, which would make the password cheap to guess for who listens. [RFC 7677, 4]
inline constexpr std::uint32_t scram_iterations_least = 4'096;

/// Null unless `mechanism` is one of the three. `nonce` is our part of it: printable, without
/// commas, and never the same twice. Believes the server only if that has proved that it knows the
/// password as well.
///
/// Limitation: SASLprep is taken to be the identity, which it is on printable ASCII.
std::unique_ptr<amqp::sasl::exchange> make_scram_exchange(std::string_view mechanism,
                                                          std::string user, std::string password,
                                                          std::string nonce);

}  // namespace whimbrel::client::core
