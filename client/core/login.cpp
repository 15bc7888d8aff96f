// SPDX-License-Identifier: Apache-2.0
#include "client/core/login.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include <openssl/rand.h>

#include "amqp/sasl/base64.hpp"
#include "client/core/scram.hpp"

namespace whimbrel::client::core {

namespace sasl = amqp::sasl;

namespace {

constexpr std::array<std::string_view, 4> with_user = {"SCRAM-SHA-512", "SCRAM-SHA-256",
                                                       "SCRAM-SHA-1", "PLAIN"};
constexpr std::string_view without_user = "ANONYMOUS";

bool needs_user(std::string_view mechanism) {
  return std::find(with_user.begin(), with_user.end(), mechanism) != with_user.end();
}

/// 144 bits; empty if there are no random numbers.
std::string random_nonce() {
  std::array<std::uint8_t, 18> octets{};
  if (RAND_bytes(octets.data(), static_cast<int>(octets.size())) != 1) return {};
  return sasl::to_base64(octets);
}

std::unique_ptr<sasl::exchange> begin(const std::string& mechanism, const login& who) {
  if (mechanism == "PLAIN" || mechanism == without_user) {
    return sasl::make_simple_exchange(mechanism, who.user, who.password);
  }
  std::string nonce = random_nonce();
  if (nonce.empty()) return nullptr;
  return make_scram_exchange(mechanism, who.user, who.password, std::move(nonce));
}

}  // namespace

std::optional<std::string> fault_of(const login& who) {
  for (const std::string& each : who.mechanisms) {
    if (each != without_user && !needs_user(each)) {
      return "unknown SASL mechanism " + each +
             ": ANONYMOUS, PLAIN, SCRAM-SHA-1, SCRAM-SHA-256 and SCRAM-SHA-512 are known";
    }
    if (who.user.empty() && needs_user(each)) {
      return "the SASL mechanism " + each + " needs a user and a password";
    }
  }
  return std::nullopt;
}

sasl::exchange_choice choice_of(login who) {
  if (who.mechanisms.empty() && who.user.empty()) who.mechanisms = {std::string(without_user)};
  if (who.mechanisms.empty()) who.mechanisms.assign(with_user.begin(), with_user.end());
  return [who = std::move(who)](std::span<const amqp::symbol> offered) {
    for (const std::string& each : who.mechanisms) {
      if (std::find(offered.begin(), offered.end(), each) == offered.end()) continue;
      if (auto out = begin(each, who)) return out;
    }
    return std::unique_ptr<sasl::exchange>();
  };
}

}  // namespace whimbrel::client::core
