// SPDX-License-Identifier: Apache-2.0
// The client's side of SCRAM: the exchanges of the RFCs, and servers that are not to be believed.
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "client/core/login.hpp"
#include "client/core/scram.hpp"

using namespace whimbrel;
using namespace whimbrel::client::core;

namespace {

struct vector {
  std::string_view mechanism, nonce, server_first, client_final, server_final;
};

// RFC 5802, 5; RFC 7677, 3. The last is from Python, with the nonces and the salt of RFC 7677:
//   salted = hashlib.pbkdf2_hmac("sha512", b"pencil", salt, 4096), then hmac.new(..., "sha512")
constexpr std::array vectors = {
    vector{"SCRAM-SHA-1", "fyko+d2lbbFgONRv9qkxdawL",
           "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
           "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
           "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
    vector{"SCRAM-SHA-256", "rOprNGfwEbeRWgbNEkqO",
           "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
           "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
           "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
           "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
    vector{"SCRAM-SHA-512", "rOprNGfwEbeRWgbNEkqO",
           "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
           "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
           "p=gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw"
           "+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==",
           "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0v"
           "SVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw=="},
};

std::unique_ptr<amqp::sasl::exchange> begin(const vector& v) {
  auto out = make_scram_exchange(v.mechanism, "user", "pencil", std::string(v.nonce));
  REQUIRE(out != nullptr);
  return out;
}

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string text(const std::vector<std::byte>& octets) {
  return {reinterpret_cast<const char*>(octets.data()), octets.size()};
}

/// What the exchange makes of a challenge; `-` if it ends it.
std::string respond(amqp::sasl::exchange& on, std::string_view challenge) {
  const auto out = on.respond(bytes(challenge));
  CHECK(out.has_value() == on.reason().empty());
  return out ? text(*out) : "-";
}

/// The mechanism that is chosen of those that are offered; "none".
std::string chosen(const login& who, std::vector<amqp::symbol> offered) {
  const auto out = choice_of(who)(offered);
  return out ? std::string(out->mechanism()) : "none";
}

}  // namespace

TEST_CASE("scram client: speaks the exchanges of the RFCs") {
  for (const vector& v : vectors) {
    CAPTURE(v.mechanism);
    const auto on = begin(v);
    CHECK(on->mechanism() == v.mechanism);
    CHECK(text(on->first()) == "n,,n=user,r=" + std::string(v.nonce));
    CHECK(respond(*on, v.server_first) == v.client_final);
    CHECK(on->finish(bytes(v.server_final)));
  }
}

TEST_CASE("scram client: the signature may come as a challenge, which is answered by nothing") {
  for (const vector& v : vectors) {
    CAPTURE(v.mechanism);
    const auto on = begin(v);
    REQUIRE(respond(*on, v.server_first) == v.client_final);
    CHECK(respond(*on, v.server_final).empty());
    CHECK(on->finish({}));
    CHECK(respond(*on, v.server_final) == "-");
  }
}

TEST_CASE("scram client: a server that has proved nothing is not believed") {
  const vector& v = vectors[1];
  const auto early = begin(v);
  CHECK_FALSE(early->finish(bytes(v.server_final)));
  CHECK(early->reason().find("not proved") != std::string::npos);
  std::string changed(v.server_final);
  changed[4] = changed[4] == 'A' ? 'B' : 'A';
  for (const std::string& last : {std::string(), changed, std::string(vectors[0].server_final),
                                  std::string("v="), std::string("e=invalid-proof"),
                                  std::string("nonsense")}) {
    CAPTURE(last);
    const auto on = begin(v);
    REQUIRE(respond(*on, v.server_first) == v.client_final);
    CHECK_FALSE(on->finish(bytes(last)));
    CHECK_FALSE(on->reason().empty());
    const auto other = begin(v);
    REQUIRE(respond(*other, v.server_first) == v.client_final);
    CHECK(respond(*other, last) == "-");
  }
}

TEST_CASE("scram client: a challenge that is none, or asks for too little or too much, ends it") {
  const vector& v = vectors[1];
  const std::string nonce(v.nonce);
  const std::string rows[] = {
      "", "r=" + nonce + "x,s=AAAA", "r=other,s=AAAA,i=4096",
      "r=" + nonce + ",s=AAAA,i=4096",  // the server has added nothing
      "r=" + nonce + "x,s=AAAA,i=4095", "r=" + nonce + "x,s=AAAA,i=1000001",
      "m=1,r=" + nonce + "x,s=AAAA,i=4096", std::string(v.server_final),
  };
  for (const std::string& challenge : rows) {
    CAPTURE(challenge);
    CHECK(respond(*begin(v), challenge) == "-");
  }
}

TEST_CASE("scram client: other mechanisms are none of it") {
  CHECK(make_scram_exchange("SCRAM-SHA-384", "u", "p", "n") == nullptr);
  CHECK(make_scram_exchange("SCRAM-SHA-256-PLUS", "u", "p", "n") == nullptr);
  CHECK(make_scram_exchange("PLAIN", "u", "p", "n") == nullptr);
}

TEST_CASE("login: the strongest mechanism that is offered, or the first that is wanted") {
  const std::vector<amqp::symbol> all{"ANONYMOUS",   "PLAIN",         "SCRAM-SHA-1",
                                      "SCRAM-SHA-256", "SCRAM-SHA-512", "EXTERNAL"};
  const login ann{"ann", "pencil", {}};
  CHECK(chosen(ann, all) == "SCRAM-SHA-512");
  CHECK(chosen(ann, {"PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256"}) == "SCRAM-SHA-256");
  CHECK(chosen(ann, {"PLAIN", "SCRAM-SHA-1"}) == "SCRAM-SHA-1");
  CHECK(chosen(ann, {"ANONYMOUS", "PLAIN"}) == "PLAIN");
  CHECK(chosen(ann, {"ANONYMOUS"}) == "none");  // who says a name wants to be somebody
  CHECK(chosen({}, all) == "ANONYMOUS");
  CHECK(chosen({}, {"PLAIN", "SCRAM-SHA-512"}) == "none");
  CHECK(chosen({"ann", "pencil", {"SCRAM-SHA-1", "PLAIN"}}, all) == "SCRAM-SHA-1");
  CHECK(chosen({"ann", "pencil", {"SCRAM-SHA-256"}}, {"PLAIN", "SCRAM-SHA-1"}) == "none");
  CHECK(chosen({"ann", "pencil", {"ANONYMOUS"}}, all) == "ANONYMOUS");
}

TEST_CASE("login: each one has a nonce of its own") {
  const std::vector<amqp::symbol> offered{"SCRAM-SHA-256"};
  const auto choose = choice_of({"ann", "pencil", {}});
  const std::string one = text(choose(offered)->first());
  CHECK(one.starts_with("n,,n=ann,r="));
  CHECK(one.size() == std::string_view("n,,n=ann,r=").size() + 24);
  CHECK(one != text(choose(offered)->first()));
}

TEST_CASE("login: wishes that cannot be met are named") {
  CHECK_FALSE(fault_of({}).has_value());
  CHECK_FALSE(fault_of({"ann", "pencil", {"SCRAM-SHA-1", "PLAIN", "ANONYMOUS"}}).has_value());
  CHECK(fault_of({"ann", "pencil", {"EXTERNAL"}}).value_or("").find("EXTERNAL") !=
        std::string::npos);
  CHECK(fault_of({"", "", {"PLAIN"}}).value_or("").find("user") != std::string::npos);
}
