// SPDX-License-Identifier: Apache-2.0
#include "amqp/sasl/negotiation.hpp"

#include <doctest/doctest.h>

#include "amqp/codec/codec.hpp"
#include "amqp/spec/transport.hpp"
#include "tests/support/hex.hpp"

using namespace whimbrel;
using namespace whimbrel::amqp;
using whimbrel::test::hex;

namespace {

template <class Performative>
std::vector<std::byte> body(const Performative& p) {
  octet_buffer out;
  codec::encode(out, p);
  return {out.octets().begin(), out.octets().end()};
}

const std::vector<std::string> offered{"PLAIN", "ANONYMOUS"};

std::vector<std::byte> init_body(const char* mechanism) {
  return body(spec::sasl_init{.mechanism = mechanism});
}

}  // namespace

TEST_CASE("sasl server: offers its mechanisms in order and judges an init of one of them") {
  sasl::server s(offered);
  CHECK(s.offer().sasl_server_mechanisms.values == std::vector<symbol>{"PLAIN", "ANONYMOUS"});
  CHECK_FALSE(s.is_judging());
  REQUIRE(s.on_frame(init_body("PLAIN")) == sasl::server::step::init);
  CHECK(s.is_judging());
  CHECK(s.init().mechanism == "PLAIN");
  s.on_challenged();
  CHECK_FALSE(s.is_judging());
  REQUIRE(s.on_frame(body(spec::sasl_response{.response = binary(std::string_view("r"))})) ==
          sasl::server::step::response);
  CHECK(s.response().size() == 1);
}

TEST_CASE("sasl server: whatever is out of turn or malformed ends it") {
  const auto response = body(spec::sasl_response{.response = binary(std::string_view("r"))});
  auto twice = init_body("PLAIN");
  twice.insert(twice.end(), twice.begin(), twice.end());
  struct {
    const char* what;
    std::vector<std::vector<std::byte>> frames;
  } const rows[] = {
      {"a mechanism that is not offered", {init_body("SCRAM-SHA-256")}},
      {"mechanisms compare by case", {init_body("plain")}},
      {"response before init", {response}},
      {"response without a challenge", {init_body("PLAIN"), response}},
      {"a second init", {init_body("PLAIN"), init_body("PLAIN")}},
      {"init without mechanism", {hex("00 53 41 45")}},
      {"two performatives in one frame", {twice}},
      {"a server's frame", {body(spec::sasl_outcome{.code = spec::sasl_code::ok})}},
      {"an open", {body(spec::open{.container_id = "x"})}},
      {"no octets of sense", {hex("ff")}},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    sasl::server s(offered);
    auto last = sasl::server::step::init;
    for (const auto& f : row.frames) last = s.on_frame(f);
    CHECK(last == sasl::server::step::refused);
    CHECK_FALSE(s.reason().empty());
    CHECK_FALSE(s.is_judging());
  }
}

TEST_CASE("sasl client: answers with its mechanism, and to a challenge with the same again") {
  sasl::client c("PLAIN", "ann", "pw");
  spec::sasl_mechanisms offer;
  offer.sasl_server_mechanisms = {"ANONYMOUS", "PLAIN"};
  REQUIRE(c.on_frame(body(offer)) == sasl::client::step::send_init);
  CHECK(c.init().mechanism == "PLAIN");
  CHECK(c.init().initial_response->octets == hex("00 \"ann\" 00 \"pw\""));
  REQUIRE(c.on_frame(body(spec::sasl_challenge{})) == sasl::client::step::send_response);
  CHECK(c.response().response.octets == hex("00 \"ann\" 00 \"pw\""));
  CHECK(c.on_frame(body(spec::sasl_outcome{.code = spec::sasl_code::ok})) ==
        sasl::client::step::authenticated);
}

TEST_CASE("sasl client: gives up when it cannot go on") {
  spec::sasl_mechanisms offer;
  offer.sasl_server_mechanisms = {"PLAIN"};
  spec::sasl_mechanisms other;
  other.sasl_server_mechanisms = {"EXTERNAL"};
  struct {
    const char* what;
    std::vector<std::vector<std::byte>> frames;
  } const rows[] = {
      {"no mechanism in common", {body(other)}},
      {"an empty offer", {hex("00 53 40 c0 04 01 e0 02 00 a3")}},
      {"an offer of null", {hex("00 53 40 45")}},
      {"outcome at once", {body(spec::sasl_outcome{.code = spec::sasl_code::ok})}},
      {"challenge at once", {body(spec::sasl_challenge{})}},
      {"a second offer", {body(offer), body(offer)}},
      {"wrong password", {body(offer), body(spec::sasl_outcome{.code = spec::sasl_code::auth})}},
      {"their fault", {body(offer), body(spec::sasl_outcome{.code = spec::sasl_code::sys_temp})}},
      {"a code that is none", {body(offer), hex("00 53 44 c0 03 01 50 09")}},
      {"a client's frame", {body(offer), init_body("PLAIN")}},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    sasl::client c("PLAIN", "ann", "pw");
    auto last = sasl::client::step::send_init;
    for (const auto& f : row.frames) last = c.on_frame(f);
    CHECK(last == sasl::client::step::refused);
    CHECK_FALSE(c.reason().empty());
  }
}
