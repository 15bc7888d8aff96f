// SPDX-License-Identifier: Apache-2.0
// A client's part in one mechanism. Those that need cryptography live outside of amqp/. [5.3.2]
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "amqp/codec/types.hpp"

namespace whimbrel::amqp::sasl {

/// Asked in the order in which the frames come: `first`, `respond` to each challenge, `finish`.
class exchange {
 public:
  virtual ~exchange() = default;

  [[nodiscard]] virtual std::string_view mechanism() const = 0;
  /// What goes with the init.
  [[nodiscard]] virtual std::vector<std::byte> first() = 0;
  /// Nothing: the server is not to be gone on with, see `reason`.
  [[nodiscard]] virtual std::optional<std::vector<std::byte>> respond(
      std::span<const std::byte> challenge) = 0;
  /// The server says that all is well; whether it is to be believed. `data` came with that.
  [[nodiscard]] virtual bool finish(std::span<const std::byte> data) = 0;
  /// Why it ended, for people.
  [[nodiscard]] virtual std::string reason() const = 0;
};

/// Picks one of the mechanisms that the server offers; null: none will do.
using exchange_choice = std::function<std::unique_ptr<exchange>(std::span<const symbol> offered)>;

/// PLAIN, or ANONYMOUS with the user as trace information [RFC 4505].
std::unique_ptr<exchange> make_simple_exchange(std::string mechanism, std::string user,
                                               std::string password);

}  // namespace whimbrel::amqp::sasl
