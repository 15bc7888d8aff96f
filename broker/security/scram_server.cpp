// SPDX-License-Identifier: Apache-2.0
#include "broker/security/scram_server.hpp"

#include <utility>

#include <openssl/crypto.h>

#include "amqp/sasl/base64.hpp"

namespace whimbrel::broker::security {

namespace sasl = amqp::sasl;

namespace {

constexpr std::size_t nonce_octets = 18;  // without padding in base64
/// What fits into a challenge, whose frame is 512 octets at most. [5.3.1]
constexpr std::size_t challenge_max = 480;

}  // namespace

scram_server::scram_server(const user_table& users, scram_hash hash, std::string nonce)
    : users_(users), hash_(hash), nonce_(std::move(nonce)) {}

std::optional<std::string> scram_server::respond(std::string_view message) {
  switch (std::exchange(state_, state::failed)) {
    case state::awaiting_first:
      return on_first(message);
    case state::awaiting_final:
      return on_final(message);
    case state::complete:
    case state::failed:
      break;
  }
  return std::nullopt;
}

std::optional<std::string> scram_server::on_first(std::string_view message) {
  auto first = sasl::parse_client_first(message);
  if (!first) return std::nullopt;
  first_ = *std::move(first);
  // Nobody acts for somebody else here.
  if (!first_.authzid.empty() && first_.authzid != first_.user) return std::nullopt;
  nonce_ = first_.nonce + nonce_;
  if (nonce_.size() > sasl::scram_nonce_max) return std::nullopt;
  target_ = users_.scram_for(first_.user, hash_);
  server_first_ = sasl::encode(sasl::scram_server_first{
      .nonce = nonce_, .salt = target_.record.salt, .iterations = target_.record.iterations});
  if (server_first_.size() > challenge_max) return std::nullopt;
  state_ = state::awaiting_final;
  return server_first_;
}

std::optional<std::string> scram_server::on_final(std::string_view message) {
  const auto final = sasl::parse_client_final(message);
  if (!final || final->channel_binding != first_.gs2_header || final->nonce != nonce_) {
    return std::nullopt;
  }
  const std::string covered =
      sasl::scram_auth_message(first_.bare, server_first_, final->without_proof);
  const bool is_good = is_proof(covered, final->proof);
  const octets signature = hmac(hash_, target_.record.server_key, covered);
  if (!is_good || !target_.is_real || signature.empty()) return std::nullopt;
  state_ = state::complete;
  return sasl::encode_server_final(signature);
}

/// ClientProof XOR ClientSignature is a ClientKey, which is right if its hash is the StoredKey.
bool scram_server::is_proof(std::string_view covered, const octets& proof) const {
  octets key = hmac(hash_, target_.record.stored_key, covered);
  if (key.empty() || key.size() != proof.size()) return false;
  for (std::size_t i = 0; i < key.size(); ++i) {
    key[i] = static_cast<std::uint8_t>(key[i] ^ proof[i]);
  }
  const bool same = are_equal(digest(hash_, key), target_.record.stored_key);
  OPENSSL_cleanse(key.data(), key.size());
  return same;
}

std::string random_nonce() { return sasl::to_base64(random_octets(nonce_octets)); }

}  // namespace whimbrel::broker::security
