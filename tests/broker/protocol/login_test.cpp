// SPDX-License-Identifier: Apache-2.0
// A login by SCRAM, frame by frame: what the handler makes of init and responses.
#include <doctest/doctest.h>

#include "amqp/sasl/base64.hpp"
#include "amqp/sasl/scram.hpp"
#include "broker/security/scram_server.hpp"
#include "tests/amqp/engine/raw_peer.hpp"
#include "tests/broker/protocol/guest.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
namespace security = broker::security;

namespace {

constexpr const char* mechanism = "SCRAM-SHA-256";

security::user ann() {
  return {.name = "ann",
          .passwords = {security::derive(security::scram_hash::sha_256, "pencil",
                                         security::octets(16, 7), 4'096)}};
}

engine::options with_sasl() {
  engine::options out = server_options();
  out.sasl = engine::sasl_policy::required;
  out.mechanisms = {mechanism, "PLAIN"};
  return out;
}

/// Someone who has not logged in yet.
struct visitor : raw_peer {
  explicit visitor(house& in)
      : raw_peer(with_sasl()),
        at(in),
        users({ann()}, security::octets(32, 1)),
        with{*in.w.shards[0], in.t.nodes, in.settings, users, in.logins, in.log,
             [](const std::function<void()>&) {}, [] { return std::string("server"); }},
        handler(with, side.wire, {.id = 1, .address = "test"}, [] {}) {
    side.polled_by = [this] { handler.on_events(); };
    say_header(frame::protocol_header(frame::protocol::sasl));
  }

  void init(std::optional<std::string_view> text) {
    spec::sasl_init out{.mechanism = amqp::symbol(mechanism)};
    if (text) out.initial_response = amqp::binary(*text);
    say_sasl(out);
  }
  void respond(std::string_view text) {
    say_sasl(spec::sasl_response{.response = amqp::binary(text)});
  }
  [[nodiscard]] std::string challenge() const {
    const auto out = last<spec::sasl_challenge>();
    return out ? std::string(out->challenge.text()) : "none";
  }
  /// The code of the outcome, or -1 if there is none yet.
  [[nodiscard]] int code() const {
    const auto out = last<spec::sasl_outcome>();
    return out ? static_cast<int>(out->code) : -1;
  }
  void pass(std::int64_t ms) {
    at.w.pass(ms);
    listen();
  }

  house& at;
  security::user_table users;
  protocol::context with;
  protocol::connection_handler handler;
};

/// The last message of a client that knows the password.
std::string final_message(const std::string& server_first) {
  const security::scram_record record = ann().passwords[0];
  const auto asked = amqp::sasl::parse_server_first(server_first);
  REQUIRE(asked.has_value());
  const std::string bare =
      amqp::sasl::encode_client_final_without_proof("n,,", asked->nonce);
  const auto salted =
      security::salted_password(record.hash, "pencil", asked->salt, asked->iterations);
  auto proof = security::hmac(record.hash, salted, "Client Key");
  const auto mask = security::hmac(
      record.hash, record.stored_key,
      amqp::sasl::scram_auth_message("n=ann,r=client", server_first, bare));
  for (std::size_t i = 0; i < proof.size(); ++i) {
    proof[i] = static_cast<std::uint8_t>(proof[i] ^ mask[i]);
  }
  return amqp::sasl::encode_client_final(bare, proof);
}

}  // namespace

TEST_CASE("login: SCRAM in two steps, and the server's proof goes with the outcome") {
  house in(1);
  visitor v(in);
  v.init("n,,n=ann,r=client");
  CHECK(v.challenge() == "r=clientserver,s=" +
                             amqp::sasl::to_base64(security::octets(16, 7)) + ",i=4096");
  CHECK(v.code() == -1);
  v.respond(final_message(v.challenge()));
  CHECK(v.code() == 0);
  CHECK(v.last<spec::sasl_outcome>()->additional_data.value_or(amqp::binary()).text().starts_with(
      "v="));
  CHECK(v.handler.user() == "ann");
}

TEST_CASE("login: SCRAM without an initial response is asked for it") {
  house in(1);
  visitor v(in);
  v.init(std::nullopt);
  CHECK(v.challenge().empty());
  v.respond("n,,n=ann,r=client");
  v.respond(final_message(v.challenge()));
  CHECK(v.code() == 0);
}

TEST_CASE("login: a failed SCRAM is answered late, with nothing but the code") {
  house in(1);
  const auto delay = in.settings.failed_login_delay.count();
  REQUIRE(delay > 1);
  const auto check = [&](visitor& v) {
    v.pass(delay - 1);
    CHECK(v.code() == -1);
    v.pass(1);
    CHECK(v.code() == 1);
    CHECK_FALSE(v.last<spec::sasl_outcome>()->additional_data.has_value());
    CHECK(v.side.wire.is_finished());
    CHECK(v.handler.user().empty());
  };
  SUBCASE("a first message that is none") {
    visitor v(in);
    v.init("p=tls-unique,,n=ann,r=client");
    check(v);
  }
  SUBCASE("a wrong proof") {
    visitor v(in);
    v.init("n,,n=ann,r=client");
    v.respond("c=biws,r=clientserver,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    check(v);
  }
  SUBCASE("an unknown user") {
    visitor v(in);
    v.init("n,,n=eve,r=client");
    CHECK(v.challenge().starts_with("r=clientserver,s="));
    v.respond(final_message(v.challenge()));
    check(v);
  }
  SUBCASE("an empty response") {
    visitor v(in);
    v.init("n,,n=ann,r=client");
    v.respond("");
    check(v);
  }
}

TEST_CASE("login: without random numbers SCRAM is a temporary failure") {
  house in(1);
  visitor v(in);
  v.with.scram_nonce = [] { return std::string(); };
  v.init("n,,n=ann,r=client");
  CHECK(v.code() == 4);
}
