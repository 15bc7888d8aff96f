// SPDX-License-Identifier: Apache-2.0
// Records against the exchanges printed in RFC 5802 and RFC 7677, and against figures from another
// implementation (Python's hashlib); their text form; PLAIN checked with them.
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "broker/security/hash_password.hpp"
#include "broker/security/scram_record.hpp"

using namespace whimbrel::broker::security;

namespace {

using octets = std::vector<std::uint8_t>;

octets unbase64(std::string_view text) {
  octets out(text.size() / 4 * 3);
  const int size = EVP_DecodeBlock(out.data(), reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  REQUIRE(size >= 0);
  while (text.ends_with('=')) {
    text.remove_suffix(1);
    out.pop_back();
  }
  return out;
}

octets hmac(const EVP_MD* digest, const octets& key, std::string_view text) {
  octets out(EVP_MAX_MD_SIZE);
  unsigned int size = 0;
  HMAC(digest, key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), out.data(), &size);
  out.resize(size);
  return out;
}

octets hash(const EVP_MD* digest, const octets& in) {
  octets out(EVP_MAX_MD_SIZE);
  unsigned int size = 0;
  EVP_Digest(in.data(), in.size(), out.data(), &size, digest, nullptr);
  out.resize(size);
  return out;
}

constexpr std::array texts = {
    std::string_view("SCRAM-SHA-1$4096:W22ZaJ0SNY7soEsUEjb6gQ==$g2pEzX2tMaoibxTD4YfBJkq1y8w=:"
                     "ZGkNjsmKwVX5C5z80vGxHZ02jOI="),
    std::string_view("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
                     "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
                     "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="),
    std::string_view("SCRAM-SHA-512$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
                     "6AAub3065EYRmyFpM2RNwqK+eGnrkYuEWbXn19LsEmBqzu8QaCXNc1FwpnX9NhH2hK/"
                     "60dzj9DoO5DvVkOHbvg==:"
                     "jZHbYjC1aHh0/hKbxyBuGFjDrgjgKTT1esA7awWiKcRZ0o/0b1yWEebBeSVkkCFewf91nLDf"
                     "KF24mvD5nmE6rA=="),
};

}  // namespace

TEST_CASE("scram: a record verifies the exchanges that the RFCs print") {
  const struct {
    scram_hash which;
    const EVP_MD* digest;
    std::string_view salt, auth_message, proof, signature;
  } rows[] = {
      {scram_hash::sha_1, EVP_sha1(), "QSXCR+Q6sek8bf92",
       "n=user,r=fyko+d2lbbFgONRv9qkxdawL,"
       "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096,"
       "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
       "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "rmF9pqV8S7suAoZWja4dJRkFsKQ="},
      {scram_hash::sha_256, EVP_sha256(), "W22ZaJ0SNY7soEsUEjb6gQ==",
       "n=user,r=rOprNGfwEbeRWgbNEkqO,"
       "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
       "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
       "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
       "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
  };
  for (const auto& row : rows) {
    CAPTURE(mechanism_of(row.which));
    const scram_record record = derive(row.which, "pencil", unbase64(row.salt), 4'096);
    CHECK(hmac(row.digest, record.server_key, row.auth_message) == unbase64(row.signature));

    octets client_key = unbase64(row.proof);  // ClientProof = ClientKey XOR ClientSignature
    const octets client_signature = hmac(row.digest, record.stored_key, row.auth_message);
    REQUIRE(client_key.size() == client_signature.size());
    for (std::size_t i = 0; i < client_key.size(); ++i) {
      client_key[i] = static_cast<std::uint8_t>(client_key[i] ^ client_signature[i]);
    }
    CHECK(hash(row.digest, client_key) == record.stored_key);
  }
}

TEST_CASE("scram: a record reads and prints as another implementation has it") {
  for (std::size_t i = 0; i < texts.size(); ++i) {
    CAPTURE(texts[i]);
    const auto read = scram_record_of(texts[i]);
    REQUIRE(read.has_value());
    CHECK(read->hash == scram_hashes[i]);
    CHECK(read->iterations == 4'096);
    CHECK(to_text(*read) == texts[i]);
    CHECK(*read == derive(read->hash, "pencil", read->salt, 4'096));
  }
}

TEST_CASE("scram: a text that is not a whole record is refused") {
  const std::string good(texts[1]);
  REQUIRE(scram_record_of(good).has_value());
  for (std::size_t n = 0; n < good.size(); ++n) {
    CAPTURE(n);
    CHECK_FALSE(scram_record_of(good.substr(0, n)).has_value());
  }
  const auto changed = [&](std::string_view from, std::string_view to) {
    std::string out = good;
    out.replace(out.find(from), from.size(), to);
    return out;
  };
  const struct {
    std::string_view what;
    std::string text;
  } rows[] = {
      {"unknown mechanism", changed("SHA-256", "SHA-384")},
      {"sizes of another hash", changed("SHA-256", "SHA-512")},
      {"too few iterations", changed("4096", "4095")},
      {"too many iterations", changed("4096", "1000001")},
      {"negative iterations", changed("4096", "-4096")},
      {"no number", changed("4096", "4096x")},
      {"short salt", changed("W22ZaJ0SNY7soEsUEjb6gQ==", "W22ZaA==")},
      {"not base64", changed("W22Z", "W2*Z")},
      {"blank at the end", good + " "},
      {"trailing padding", good + "===="},
      {"unused bits set", changed("gQ==", "gR==")},
      {"a password", "pencil"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    CHECK_FALSE(scram_record_of(row.text).has_value());
  }
}

TEST_CASE("scram: PLAIN is right for the password alone, with every hash") {
  for (const std::string_view text : texts) {
    const auto record = scram_record_of(text);
    REQUIRE(record.has_value());
    CAPTURE(mechanism_of(record->hash));
    CHECK(verify_plain(*record, "pencil"));
    for (const std::string wrong : {"", "Pencil", "pencil ", "penci", "pencil2"}) {
      CAPTURE(wrong);
      CHECK_FALSE(verify_plain(*record, wrong));
    }
  }
}

TEST_CASE("scram: passwords are printable ASCII of bounded size") {
  CHECK(is_acceptable_password(" ~!x"));
  CHECK(is_acceptable_password(std::string(password_size_max, 'x')));
  for (const std::string& bad :
       {std::string(), std::string("a\tb"), std::string("a\0b", 3), std::string("p\xc3\xa4ss"),
        std::string("a\x7f"), std::string(password_size_max + 1, 'x')}) {
    CAPTURE(bad);
    CHECK_FALSE(is_acceptable_password(bad));
  }
}

TEST_CASE("scram: a password beyond the size limit does not pass by its first part") {
  const std::string long_one(password_size_max, 'x');
  const scram_record record = derive(scram_hash::sha_256, long_one, octets(16), 4'096);
  CHECK(verify_plain(record, long_one));
  CHECK_FALSE(verify_plain(record, long_one + "x"));
}

TEST_CASE("hash-password: prints one record for each mechanism, salted afresh each time") {
  const std::string lines = password_lines("pencil", 4'096);
  CHECK(lines.rfind("passwords = [\n", 0) == 0);
  std::size_t at = 0;
  for (const scram_hash which : scram_hashes) {
    CAPTURE(mechanism_of(which));
    const std::size_t begin = lines.find('"', at) + 1;
    const std::size_t end = lines.find('"', begin);
    REQUIRE(end != std::string::npos);
    const auto record = scram_record_of(lines.substr(begin, end - begin));
    REQUIRE(record.has_value());
    CHECK(record->hash == which);
    CHECK(verify_plain(*record, "pencil"));
    at = end + 1;
  }
  CHECK(lines.substr(at) == ",\n]\n");
  CHECK(password_lines("pencil", 4'096) != lines);
}
