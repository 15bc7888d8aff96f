// SPDX-License-Identifier: Apache-2.0
// Which SASL mechanism a connection logs in by.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "amqp/sasl/exchange.hpp"

namespace whimbrel::client::core {

struct login {
  std::string user = {};  // empty: nobody
  std::string password = {};
  /// First choice first. Empty: with a user the strongest of SCRAM-SHA-512, SCRAM-SHA-256,
  /// SCRAM-SHA-1 and PLAIN, without one ANONYMOUS.
  std::vector<std::string> mechanisms = {};
};

/// What is wrong with the caller's wishes: a mechanism that is not known, or that needs a user.
std::optional<std::string> fault_of(const login& who);

/// The first of the mechanisms that the server offers, for an engine's options.
amqp::sasl::exchange_choice choice_of(login who);

}  // namespace whimbrel::client::core
