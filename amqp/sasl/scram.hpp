// SPDX-License-Identifier: Apache-2.0
// The four messages of SCRAM as text, without the cryptography: reading and writing for either
// side. [RFC 5802, 5 to 7]
//
//     client-first   n,,n=USER,r=NONCE               gs2 header, then what signatures cover
//     server-first   r=NONCE+MORE,s=SALT,i=COUNT
//     client-final   c=GS2-HEADER,r=NONCE+MORE,p=PROOF
//     server-final   v=SIGNATURE, or e=ERROR
//
// A message is refused that is no UTF-8 text or too long, whose attributes are out of order, or
// that has a mandatory extension (m=); other extensions are passed over. Channel binding (p= in the
// gs2 header) is refused, for it is not offered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace whimbrel::amqp::sasl {

inline constexpr std::size_t scram_message_max = 1'024;
inline constexpr std::size_t scram_nonce_max = 256;  // of either side alone, or of both in one

/// AuthMessage: what proof and signature cover, in this order, with commas between.
std::string scram_auth_message(std::string_view client_first_bare, std::string_view server_first,
                               std::string_view client_final_without_proof);

struct scram_client_first {
  std::string gs2_header = {};  // with both of its commas
  std::string bare = {};        // all behind it
  std::string authzid = {};     // whom to act as; empty: as user
  std::string user = {};
  std::string nonce = {};
};
std::optional<scram_client_first> parse_client_first(std::string_view text);
/// The bare message. The gs2 header that belongs before it is `scram_gs2_header`.
std::string encode_client_first_bare(std::string_view user, std::string_view nonce);
inline constexpr std::string_view scram_gs2_header = "n,,";

struct scram_server_first {
  std::string nonce = {};
  std::vector<std::uint8_t> salt = {};
  std::uint32_t iterations = 0;
};
std::optional<scram_server_first> parse_server_first(std::string_view text);
std::string encode(const scram_server_first& message);

struct scram_client_final {
  std::string channel_binding = {};  // decoded: the gs2 header again
  std::string nonce = {};
  std::string without_proof = {};  // what the signatures cover
  std::vector<std::uint8_t> proof = {};
};
std::optional<scram_client_final> parse_client_final(std::string_view text);
std::string encode_client_final_without_proof(std::string_view gs2_header, std::string_view nonce);
std::string encode_client_final(std::string_view without_proof,
                                const std::vector<std::uint8_t>& proof);

struct scram_server_final {
  std::vector<std::uint8_t> signature = {};
  std::string error = {};  // instead of a signature
};
std::optional<scram_server_final> parse_server_final(std::string_view text);
std::string encode_server_final(const std::vector<std::uint8_t>& signature);

}  // namespace whimbrel::amqp::sasl
