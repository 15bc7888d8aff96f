// SPDX-License-Identifier: Apache-2.0
#include "client/core/scram.hpp"

#include <optional>
#include <utility>
#include <vector>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "amqp/sasl/scram.hpp"

namespace whimbrel::client::core {

namespace sasl = amqp::sasl;

namespace {

using octets = std::vector<std::uint8_t>;

constexpr std::string_view not_scram = "the server's SCRAM message makes no sense";
constexpr std::string_view no_hash = "OpenSSL refuses the hash of this SCRAM mechanism";

const EVP_MD* hash_of(std::string_view mechanism) {
  if (mechanism == "SCRAM-SHA-512") return EVP_sha512();
  if (mechanism == "SCRAM-SHA-256") return EVP_sha256();
  if (mechanism == "SCRAM-SHA-1") return EVP_sha1();
  return nullptr;
}

/// Empty if OpenSSL refuses, as are the two below.
octets hmac(const EVP_MD* hash, const octets& key, std::string_view text) {
  octets out(static_cast<std::size_t>(EVP_MD_get_size(hash)));
  unsigned int size = 0;
  const auto* data = reinterpret_cast<const unsigned char*>(text.data());
  if (HMAC(hash, key.data(), static_cast<int>(key.size()), data, text.size(), out.data(), &size) ==
      nullptr) {
    return {};
  }
  return out;
}

octets digest(const EVP_MD* hash, const octets& in) {
  octets out(static_cast<std::size_t>(EVP_MD_get_size(hash)));
  unsigned int size = 0;
  if (EVP_Digest(in.data(), in.size(), out.data(), &size, hash, nullptr) != 1) return {};
  return out;
}

octets salted_password(const EVP_MD* hash, std::string_view password,
                       const sasl::scram_server_first& by) {
  octets out(static_cast<std::size_t>(EVP_MD_get_size(hash)));
  const int done = PKCS5_PBKDF2_HMAC(
      password.data(), static_cast<int>(password.size()), by.salt.data(),
      static_cast<int>(by.salt.size()), static_cast<int>(by.iterations), hash,
      static_cast<int>(out.size()), out.data());
  if (done != 1) return {};
  return out;
}

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

class scram_exchange final : public sasl::exchange {
 public:
  scram_exchange(const EVP_MD* hash, std::string mechanism, std::string user,
                 std::string password, std::string nonce)
      : hash_(hash),
        mechanism_(std::move(mechanism)),
        first_bare_(sasl::encode_client_first_bare(user, nonce)),
        password_(std::move(password)),
        nonce_(std::move(nonce)) {}
  ~scram_exchange() override { OPENSSL_cleanse(password_.data(), password_.size()); }
  scram_exchange(const scram_exchange&) = delete;
  scram_exchange& operator=(const scram_exchange&) = delete;

  std::string_view mechanism() const override { return mechanism_; }
  std::vector<std::byte> first() override {
    return bytes_of(std::string(sasl::scram_gs2_header) + first_bare_);
  }
  std::optional<std::vector<std::byte>> respond(std::span<const std::byte> challenge) override;
  bool finish(std::span<const std::byte> data) override;
  std::string reason() const override { return reason_; }

 private:
  std::optional<std::string> prove(std::string_view server_first);
  bool verify(std::string_view server_final);
  bool fail(std::string_view why) {
    reason_ = why;
    return false;
  }

  const EVP_MD* hash_ = nullptr;
  std::string mechanism_;
  std::string first_bare_;
  std::string password_;
  std::string nonce_;
  octets signature_ = {};  // what the server's must be; empty until we have sent our proof
  bool is_verified_ = false;
  std::string reason_ = {};
};

/// Some servers send their last message as a challenge, and want an empty response to it.
std::optional<std::vector<std::byte>> scram_exchange::respond(
    std::span<const std::byte> challenge) {
  const std::string_view text(reinterpret_cast<const char*>(challenge.data()), challenge.size());
  if (is_verified_) {
    fail(not_scram);
    return std::nullopt;
  }
  if (!signature_.empty()) {
    return verify(text) ? std::optional(std::vector<std::byte>{}) : std::nullopt;
  }
  const auto proof = prove(text);
  if (!proof) return std::nullopt;
  return bytes_of(*proof);
}

bool scram_exchange::finish(std::span<const std::byte> data) {
  if (is_verified_) return true;
  const std::string_view text(reinterpret_cast<const char*>(data.data()), data.size());
  if (signature_.empty() || text.empty()) {
    return fail("the server has not proved that it knows the password");
  }
  return verify(text);
}

std::optional<std::string> scram_exchange::prove(std::string_view server_first) {
  const auto asked = sasl::parse_server_first(server_first);
  if (!asked) {
    fail(not_scram);
    return std::nullopt;
  }
  if (!asked->nonce.starts_with(nonce_) || asked->nonce.size() == nonce_.size()) {
    fail("the server's SCRAM nonce does not go on from ours");
    return std::nullopt;
  }
  if (asked->iterations < scram_iterations_least || asked->iterations > scram_iterations_most) {
    reason_ = "the server asks for " + std::to_string(asked->iterations) +
              " SCRAM iterations; from 4096 to 1000000 are accepted";
    return std::nullopt;
  }
  const std::string without_proof =
      sasl::encode_client_final_without_proof(sasl::scram_gs2_header, asked->nonce);
  const std::string covered = sasl::scram_auth_message(first_bare_, server_first, without_proof);
  octets salted = salted_password(hash_, password_, *asked);
  if (salted.empty()) {
    fail(no_hash);
    return std::nullopt;
  }
  octets proof = hmac(hash_, salted, "Client Key");
  const octets mask = hmac(hash_, digest(hash_, proof), covered);
  signature_ = hmac(hash_, hmac(hash_, salted, "Server Key"), covered);
  OPENSSL_cleanse(salted.data(), salted.size());
  if (proof.empty() || mask.size() != proof.size() || signature_.empty()) {
    fail(no_hash);
    return std::nullopt;
  }
  for (std::size_t i = 0; i < proof.size(); ++i) {
    proof[i] = static_cast<std::uint8_t>(proof[i] ^ mask[i]);
  }
  return sasl::encode_client_final(without_proof, proof);
}

bool scram_exchange::verify(std::string_view server_final) {
  const auto last = sasl::parse_server_final(server_final);
  if (!last) return fail(not_scram);
  if (!last->error.empty()) return fail("authentication failed: " + last->error);
  if (last->signature.size() != signature_.size() ||
      CRYPTO_memcmp(last->signature.data(), signature_.data(), signature_.size()) != 0) {
    return fail("the server's SCRAM signature is wrong: it does not know the password");
  }
  is_verified_ = true;
  return true;
}

}  // namespace

std::unique_ptr<sasl::exchange> make_scram_exchange(std::string_view mechanism, std::string user,
                                                    std::string password, std::string nonce) {
  const EVP_MD* hash = hash_of(mechanism);
  if (hash == nullptr) return nullptr;
  return std::make_unique<scram_exchange>(hash, std::string(mechanism), std::move(user),
                                          std::move(password), std::move(nonce));
}

}  // namespace whimbrel::client::core
