// SPDX-License-Identifier: Apache-2.0
// What the broker keeps instead of a password: the salt, iteration count, StoredKey and ServerKey
// of RFC 5802, one record per hash. PLAIN is checked against the same record that SCRAM uses. Text
// form, as written by `whimbrel hash-password`:
//   SCRAM-SHA-256$ITERATIONS:SALT$STORED-KEY:SERVER-KEY      (the last three in base64)
// Limitation: SASLprep is the identity on printable ASCII; other passwords are refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/security/scram_crypto.hpp"

namespace whimbrel::broker::security {

inline constexpr std::uint32_t iterations_default = 16'384;
inline constexpr std::uint32_t iterations_least = 4'096;     // the floor of RFC 5802
inline constexpr std::uint32_t iterations_most = 1'000'000;  // above half a second for each login
inline constexpr std::size_t password_size_max = 1'024;

struct scram_record {
  scram_hash hash = scram_hash::sha_256;
  std::uint32_t iterations = iterations_default;
  std::vector<std::uint8_t> salt = {};
  std::vector<std::uint8_t> stored_key = {};
  std::vector<std::uint8_t> server_key = {};

  bool operator==(const scram_record&) const = default;
};

/// "SCRAM-SHA-1", "SCRAM-SHA-256" or "SCRAM-SHA-512".
std::string_view mechanism_of(scram_hash hash);

/// Printable ASCII, not empty, at most `password_size_max`: what the identity is SASLprep for.
[[nodiscard]] bool is_acceptable_password(std::string_view password);

/// Derives a record; costs 2 x `iterations` hashes. Throws std::runtime_error if OpenSSL refuses
/// the hash (a FIPS provider may). The password must be acceptable.
scram_record derive(scram_hash hash, std::string_view password, std::vector<std::uint8_t> salt,
                    std::uint32_t iterations);

std::string to_text(const scram_record& record);

/// Nothing if the text is not a record, or its iterations or sizes are out of bounds.
std::optional<scram_record> scram_record_of(std::string_view text);

/// Whether `password` is the one behind the record. Takes the same time whatever the answer; takes
/// milliseconds, so never on a worker.
[[nodiscard]] bool verify_plain(const scram_record& record, std::string_view password);

}  // namespace whimbrel::broker::security
