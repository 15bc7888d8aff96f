// SPDX-License-Identifier: Apache-2.0
#include "broker/security/scram_record.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <stdexcept>

#include <openssl/crypto.h>

#include "amqp/sasl/base64.hpp"

namespace whimbrel::broker::security {

using amqp::sasl::to_base64;

namespace {

constexpr std::size_t salt_size_least = 8;
constexpr std::size_t salt_size_most = 256;

std::optional<octets> octets_of(std::string_view base64) {
  if (base64.empty() || base64.size() > 1'024) return std::nullopt;
  return amqp::sasl::from_base64(base64);
}

/// Cuts `text` at the first `mark`; the part before it is returned, both are consumed.
std::optional<std::string_view> take_until(std::string_view& text, char mark) {
  const auto at = text.find(mark);
  if (at == std::string_view::npos) return std::nullopt;
  const auto head = text.substr(0, at);
  text.remove_prefix(at + 1);
  return head;
}

std::optional<std::uint32_t> iterations_of(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (value < iterations_least || value > iterations_most) return std::nullopt;
  return value;
}

}  // namespace

std::string_view mechanism_of(scram_hash hash) {
  switch (hash) {
    case scram_hash::sha_1:
      return "SCRAM-SHA-1";
    case scram_hash::sha_256:
      return "SCRAM-SHA-256";
    case scram_hash::sha_512:
      break;
  }
  return "SCRAM-SHA-512";
}

bool is_acceptable_password(std::string_view password) {
  return !password.empty() && password.size() <= password_size_max &&
         std::all_of(password.begin(), password.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

scram_record derive(scram_hash hash, std::string_view password, std::vector<std::uint8_t> salt,
                    std::uint32_t iterations) {
  octets salted = salted_password(hash, password, salt, iterations);
  if (salted.empty())
    throw std::runtime_error("OpenSSL refuses " + std::string(mechanism_of(hash)));
  octets client_key = hmac(hash, salted, "Client Key");
  scram_record out{.hash = hash,
                   .iterations = iterations,
                   .salt = std::move(salt),
                   .stored_key = digest(hash, client_key),
                   .server_key = hmac(hash, salted, "Server Key")};
  OPENSSL_cleanse(salted.data(), salted.size());
  OPENSSL_cleanse(client_key.data(), client_key.size());
  return out;
}

std::string to_text(const scram_record& record) {
  return std::string(mechanism_of(record.hash)) + '$' + std::to_string(record.iterations) + ':' +
         to_base64(record.salt) + '$' + to_base64(record.stored_key) + ':' +
         to_base64(record.server_key);
}

std::optional<scram_record> scram_record_of(std::string_view text) {
  const auto name = take_until(text, '$');
  const auto iterations_text = take_until(text, ':');
  const auto salt_text = take_until(text, '$');
  const auto stored_text = take_until(text, ':');
  if (!name || !iterations_text || !salt_text || !stored_text) return std::nullopt;

  const auto hash = std::find_if(std::begin(scram_hashes), std::end(scram_hashes),
                                 [&](scram_hash h) { return mechanism_of(h) == *name; });
  const auto iterations = iterations_of(*iterations_text);
  auto salt = octets_of(*salt_text);
  auto stored_key = octets_of(*stored_text);
  auto server_key = octets_of(text);
  if (hash == std::end(scram_hashes) || !iterations || !salt || !stored_key || !server_key) {
    return std::nullopt;
  }
  if (salt->size() < salt_size_least || salt->size() > salt_size_most) return std::nullopt;
  if (stored_key->size() != size_of(*hash) || server_key->size() != size_of(*hash)) {
    return std::nullopt;
  }
  return scram_record{.hash = *hash,
                      .iterations = *iterations,
                      .salt = *std::move(salt),
                      .stored_key = *std::move(stored_key),
                      .server_key = *std::move(server_key)};
}

bool verify_plain(const scram_record& record, std::string_view password) {
  // An unacceptable password is worked through like any other: the answer must not come sooner.
  const auto text = password.substr(0, password_size_max);
  octets salted = salted_password(record.hash, text, record.salt, record.iterations);
  if (salted.empty()) return false;
  octets client_key = hmac(record.hash, salted, "Client Key");
  const octets stored_key = digest(record.hash, client_key);
  const bool same = are_equal(stored_key, record.stored_key);
  OPENSSL_cleanse(salted.data(), salted.size());
  OPENSSL_cleanse(client_key.data(), client_key.size());
  return same && is_acceptable_password(password);
}

}  // namespace whimbrel::broker::security
