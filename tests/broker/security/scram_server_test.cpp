// SPDX-License-Identifier: Apache-2.0
// SCRAM as the broker speaks it: the exchanges of the RFCs octet by octet, and what is no login.
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "amqp/sasl/base64.hpp"
#include "broker/security/scram_server.hpp"

using namespace whimbrel::broker::security;
using whimbrel::amqp::sasl::from_base64;
using whimbrel::amqp::sasl::to_base64;

namespace {

struct vector {
  scram_hash hash;
  std::string_view salt, client_nonce, server_nonce, proof, signature;
};

// RFC 5802, 5; RFC 7677, 3. The last is from Python, with the nonces and the salt of RFC 7677:
//   salted = hashlib.pbkdf2_hmac("sha512", b"pencil", salt, 4096), then hmac.new(..., "sha512")
constexpr std::array vectors = {
    vector{scram_hash::sha_1, "QSXCR+Q6sek8bf92", "fyko+d2lbbFgONRv9qkxdawL", "3rfcNHYJY1ZVvWVs7j",
           "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "rmF9pqV8S7suAoZWja4dJRkFsKQ="},
    vector{scram_hash::sha_256, "W22ZaJ0SNY7soEsUEjb6gQ==", "rOprNGfwEbeRWgbNEkqO",
           "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
           "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
    vector{scram_hash::sha_512, "W22ZaJ0SNY7soEsUEjb6gQ==", "rOprNGfwEbeRWgbNEkqO",
           "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
           "gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw"
           "+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==",
           "ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0v"
           "SVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw=="},
};

/// `user` with the password `pencil`, as the vector has it.
user_table users_of(const vector& v) {
  user who{.name = "user",
           .passwords = {derive(v.hash, "pencil", *from_base64(v.salt), 4'096)}};
  return user_table({std::move(who)}, octets(32, 1));
}

std::string text(std::string_view a, std::string_view b = "", std::string_view c = "",
                 std::string_view d = "") {
  return std::string(a).append(b).append(c).append(d);
}

std::string first_of(const vector& v) { return text("n,,n=user,r=", v.client_nonce); }
std::string challenge_of(const vector& v) {
  return text("r=", v.client_nonce, v.server_nonce) + text(",s=", v.salt, ",i=4096");
}
std::string final_of(const vector& v, std::string_view proof) {
  return text("c=biws,r=", v.client_nonce, v.server_nonce) + text(",p=", proof);
}

}  // namespace

TEST_CASE("scram server: speaks the exchanges of the RFCs") {
  for (const vector& v : vectors) {
    CAPTURE(mechanism_of(v.hash));
    const user_table users = users_of(v);
    scram_server s(users, v.hash, std::string(v.server_nonce));
    CHECK(s.respond(first_of(v)) == challenge_of(v));
    CHECK_FALSE(s.is_complete());
    CHECK(s.respond(final_of(v, v.proof)) == text("v=", v.signature));
    CHECK(s.is_complete());
    CHECK(s.user() == "user");
    CHECK_FALSE(s.respond(final_of(v, v.proof)).has_value());  // once is enough
    CHECK_FALSE(s.is_complete());
  }
}

TEST_CASE("scram server: a proof with any octet changed, or of another size, fails for good") {
  for (const vector& v : vectors) {
    CAPTURE(mechanism_of(v.hash));
    const user_table users = users_of(v);
    const octets good = *from_base64(v.proof);
    std::vector<octets> bad{octets(good.begin(), good.end() - 1), octets(good.size(), 0)};
    for (std::size_t i = 0; i < good.size(); ++i) {
      bad.push_back(good);
      bad.back()[i] = static_cast<std::uint8_t>(bad.back()[i] ^ 1u);
    }
    bad.push_back(good);
    bad.back().push_back(0);
    for (const octets& proof : bad) {
      scram_server s(users, v.hash, std::string(v.server_nonce));
      REQUIRE(s.respond(first_of(v)).has_value());
      CHECK_FALSE(s.respond(final_of(v, to_base64(proof))).has_value());
      CHECK_FALSE(s.is_complete());
      CHECK_FALSE(s.respond(final_of(v, v.proof)).has_value());
      CHECK_FALSE(s.is_complete());
    }
  }
}

TEST_CASE("scram server: a final message of another exchange fails") {
  const vector& v = vectors[1];
  const user_table users = users_of(v);
  const std::string nonces = text(v.client_nonce, v.server_nonce);
  const std::string rows[] = {
      text("c=biws,r=", nonces, "x,p=", v.proof),
      text("c=biws,r=", v.client_nonce, ",p=", v.proof),
      text("c=biws,r=", v.client_nonce, "another-server,p=", v.proof),
      text("c=eSws,r=", nonces, ",p=", v.proof),          // y,, where n,, was said
      text("c=biwsbg==,r=", nonces, ",p=", v.proof),      // more than was said
      text("c=biws,r=", nonces, ",x=1,p=", v.proof),      // covered by the proof, so it is wrong
      text("c=biws,r=", nonces, ",n=root,p=", v.proof),   // another user
      text("c=biws,r=", nonces),
      first_of(v), "", text("n,,n=root,r=", v.client_nonce),
  };
  for (const std::string& row : rows) {
    CAPTURE(row);
    scram_server s(users, v.hash, std::string(v.server_nonce));
    REQUIRE(s.respond(first_of(v)).has_value());
    CHECK_FALSE(s.respond(row).has_value());
    CHECK_FALSE(s.is_complete());
  }
}

TEST_CASE("scram server: a first message that cannot be gone on with fails") {
  const vector& v = vectors[1];
  const user_table users = users_of(v);
  const std::string rows[] = {
      "", "n,,n=user", "p=tls-unique,,n=user,r=x", "n,a=root,n=user,r=x", "n,,m=1,n=user,r=x",
      final_of(v, v.proof), "n,,n=user,r=" + std::string(250, 'x'),
  };
  for (const std::string& row : rows) {
    CAPTURE(row);
    scram_server s(users, v.hash, std::string(v.server_nonce));
    CHECK_FALSE(s.respond(row).has_value());
    CHECK_FALSE(s.respond(first_of(v)).has_value());
  }
  for (const char* row : {"n,a=user,n=user,r=x", "y,,n=user,r=x"}) {  // acts as nobody else
    CAPTURE(row);
    scram_server s(users, v.hash, std::string(v.server_nonce));
    CHECK(s.respond(row).has_value());
  }
}

TEST_CASE("scram server: a challenge that does not fit into a SASL frame is not made") {
  user who{.name = "user",
           .passwords = {derive(scram_hash::sha_256, "pencil", octets(256, 3), 4'096)}};
  const user_table users({who}, octets(32, 1));
  scram_server fits(users, scram_hash::sha_256, "server");
  const auto challenge = fits.respond("n,,n=user,r=x");
  REQUIRE(challenge.has_value());
  CHECK(challenge->size() < 480);
  scram_server too_long(users, scram_hash::sha_256, "server");
  CHECK_FALSE(too_long.respond("n,,n=user,r=" + std::string(200, 'x')).has_value());
}

TEST_CASE("scram server: an unknown name is led on like a known one, and fails at the end") {
  const vector& v = vectors[1];
  const user_table users = users_of(v);
  const auto challenge = [&](const user_table& of, std::string_view name, scram_hash hash) {
    scram_server s(of, hash, "server");
    return s.respond(text("n,,n=", name, ",r=client")).value_or("refused");
  };
  const std::string nobody = challenge(users, "nobody", v.hash);
  CHECK(nobody == challenge(users, "nobody", v.hash));    // always the same
  CHECK(nobody != challenge(users, "somebody", v.hash));  // and its own
  CHECK(nobody != challenge(users, "nobody", scram_hash::sha_1));
  const user_table elsewhere({*users.find("user")}, octets(32, 2));
  CHECK(nobody != challenge(elsewhere, "nobody", v.hash));
  CHECK(nobody.size() == challenge(users, "user", v.hash).size());
  CHECK(nobody.ends_with(",i=4096"));

  // The keys of a made-up record are zeros; even the proof for those is none.
  scram_server s(users, v.hash, "server");
  const auto server_first = s.respond("n,,n=nobody,r=client");
  REQUIRE(server_first.has_value());
  const std::string covered =
      "n=nobody,r=client," + *server_first + ",c=biws,r=clientserver";
  const octets mask = hmac(v.hash, octets(32, 0), covered);
  CHECK_FALSE(s.respond("c=biws,r=clientserver,p=" + to_base64(mask)).has_value());
  CHECK_FALSE(s.is_complete());
}

TEST_CASE("users: the mechanisms are those that somebody has a record for, strongest first") {
  const auto with = [](std::vector<scram_hash> hashes) {
    user out{.name = "u" + std::to_string(hashes.size())};
    for (const scram_hash h : hashes) {
      out.passwords.push_back(derive(h, "pencil", octets(16, 7), 4'096));
    }
    return out;
  };
  using names = std::vector<std::string>;
  CHECK(user_table({}).mechanisms().empty());
  CHECK(user_table({user{.name = "anonymous"}}).mechanisms() == names{"PLAIN"});
  CHECK(user_table({with({scram_hash::sha_256})}).mechanisms() == names{"SCRAM-SHA-256", "PLAIN"});
  CHECK(user_table({with({scram_hash::sha_1}), with({scram_hash::sha_1, scram_hash::sha_512})})
            .mechanisms() == names{"SCRAM-SHA-512", "SCRAM-SHA-1", "PLAIN"});
}

TEST_CASE("users: one without a record for a hash is as unknown to it") {
  user who{.name = "user",
           .passwords = {derive(scram_hash::sha_1, "pencil", octets(16, 7), 4'096)}};
  user other{.name = "other",
             .passwords = {derive(scram_hash::sha_256, "pencil", octets(16, 7), 4'096)}};
  const user_table users({who, other}, octets(32, 1));
  CHECK(users.scram_for("user", scram_hash::sha_1).is_real);
  CHECK(users.scram_for("user", scram_hash::sha_1).record == who.passwords[0]);
  CHECK_FALSE(users.scram_for("user", scram_hash::sha_256).is_real);
  CHECK(users.scram_for("other", scram_hash::sha_256).is_real);
  CHECK_FALSE(users.scram_for("", scram_hash::sha_256).is_real);
}

TEST_CASE("scram server: nonces differ, and have the characters that they may have") {
  const std::string one = random_nonce();
  CHECK(one.size() == 24);
  CHECK(one != random_nonce());
  CHECK(one.find_first_of(",= ") == std::string::npos);
}
