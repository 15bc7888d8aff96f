// SPDX-License-Identifier: Apache-2.0
// The server's side of one SCRAM login, from the client's first message to our last. [RFC 5802]
//
//     awaiting_first --client-first--> awaiting_final --client-final--> complete
//            └────────────── anything else ──┴───────────────────────────> failed
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "amqp/sasl/scram.hpp"
#include "broker/security/users.hpp"

namespace whimbrel::broker::security {

/// One a connection. Costs some HMACs a message, for the passwords have been worked through when
/// they were hashed: it may run on a worker.
///
/// A name that is unknown, or has no record for this hash, is led on with a made-up salt and fails
/// at the end, like a wrong password.
class scram_server {
 public:
  /// `users` must outlive this. `nonce` is our part of it: printable, without commas, and never the
  /// same twice.
  scram_server(const user_table& users, scram_hash hash, std::string nonce);

  /// What to answer: a challenge, or once `is_complete` what goes with the good outcome. Nothing:
  /// the login has failed.
  [[nodiscard]] std::optional<std::string> respond(std::string_view message);

  [[nodiscard]] bool is_complete() const { return state_ == state::complete; }
  /// As claimed, until complete.
  [[nodiscard]] const std::string& user() const { return first_.user; }

 private:
  enum class state : std::uint8_t { awaiting_first, awaiting_final, complete, failed };

  std::optional<std::string> on_first(std::string_view message);
  std::optional<std::string> on_final(std::string_view message);
  [[nodiscard]] bool is_proof(std::string_view covered, const octets& proof) const;

  const user_table& users_;
  scram_hash hash_ = scram_hash::sha_256;
  std::string nonce_;  // ours at first, then both
  state state_ = state::awaiting_first;
  amqp::sasl::scram_client_first first_ = {};
  std::string server_first_ = {};
  scram_target target_ = {};
};

/// Our part of a nonce, 144 bits of it; empty if there are no random numbers.
std::string random_nonce();

}  // namespace whimbrel::broker::security
