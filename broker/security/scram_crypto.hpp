// SPDX-License-Identifier: Apache-2.0
// The hashes behind SCRAM, by OpenSSL. All of these but `salted_password` take microseconds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace whimbrel::broker::security {

enum class scram_hash : std::uint8_t { sha_1, sha_256, sha_512 };

inline constexpr scram_hash scram_hashes[] = {scram_hash::sha_1, scram_hash::sha_256,
                                              scram_hash::sha_512};

using octets = std::vector<std::uint8_t>;

/// Of the hash's results, in octets.
std::size_t size_of(scram_hash hash);

/// Both empty if OpenSSL refuses the hash (a FIPS provider may).
octets hmac(scram_hash hash, const octets& key, std::string_view text);
octets digest(scram_hash hash, const octets& in);

/// SaltedPassword := Hi(Normalize(password), salt, i); empty if OpenSSL refuses. 2 x `iterations`
/// hashes: milliseconds, never on a worker.
octets salted_password(scram_hash hash, std::string_view password, const octets& salt,
                       std::uint32_t iterations);

/// In a time that depends on the sizes alone. Empty ones equal nothing.
[[nodiscard]] bool are_equal(const octets& a, const octets& b);

/// Fit for secrets; empty if OpenSSL has none.
octets random_octets(std::size_t count);

}  // namespace whimbrel::broker::security
