// SPDX-License-Identifier: Apache-2.0
// The mechanisms of one message.
#include "amqp/sasl/exchange.hpp"

#include <utility>

#include "amqp/sasl/plain.hpp"

namespace whimbrel::amqp::sasl {

namespace {

class simple_exchange final : public exchange {
 public:
  simple_exchange(std::string mechanism, std::string user, std::string password)
      : mechanism_(std::move(mechanism)), user_(std::move(user)), password_(std::move(password)) {}

  std::string_view mechanism() const override { return mechanism_; }
  std::vector<std::byte> first() override {
    if (mechanism_ == "PLAIN")
      return encode_plain({.authzid = {}, .authcid = user_, .passwd = password_});
    const auto octets = std::as_bytes(std::span(user_));
    return {octets.begin(), octets.end()};
  }
  /// Some servers ask again for what came with the init.
  std::optional<std::vector<std::byte>> respond(std::span<const std::byte>) override {
    return first();
  }
  bool finish(std::span<const std::byte>) override { return true; }
  std::string reason() const override { return {}; }

 private:
  std::string mechanism_;
  std::string user_;
  std::string password_;
};

}  // namespace

std::unique_ptr<exchange> make_simple_exchange(std::string mechanism, std::string user,
                                               std::string password) {
  return std::make_unique<simple_exchange>(std::move(mechanism), std::move(user),
                                           std::move(password));
}

}  // namespace whimbrel::amqp::sasl
