// SPDX-License-Identifier: Apache-2.0
// The messages of SCRAM: those that RFC 5802 prints, and what nobody should send.
#include "amqp/sasl/scram.hpp"

#include <doctest/doctest.h>

#include "amqp/sasl/base64.hpp"

using namespace whimbrel::amqp::sasl;

namespace {

// RFC 5802, 5
constexpr std::string_view client_first = "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL";
constexpr std::string_view both_nonces = "fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j";
constexpr std::string_view server_first =
    "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
constexpr std::string_view client_final =
    "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=";
constexpr std::string_view server_final = "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=";

}  // namespace

TEST_CASE("scram messages: the exchange of RFC 5802 is read, and written as it stands there") {
  const auto one = parse_client_first(client_first);
  REQUIRE(one.has_value());
  CHECK(one->gs2_header == scram_gs2_header);
  CHECK(one->user == "user");
  CHECK(one->authzid.empty());
  CHECK(one->nonce == "fyko+d2lbbFgONRv9qkxdawL");
  CHECK(one->gs2_header + encode_client_first_bare(one->user, one->nonce) == client_first);

  const auto two = parse_server_first(server_first);
  REQUIRE(two.has_value());
  CHECK(two->nonce == both_nonces);
  CHECK(two->iterations == 4096);
  CHECK(to_base64(two->salt) == "QSXCR+Q6sek8bf92");
  CHECK(encode(*two) == server_first);

  const auto three = parse_client_final(client_final);
  REQUIRE(three.has_value());
  CHECK(three->channel_binding == "n,,");
  CHECK(three->nonce == both_nonces);
  CHECK(three->proof.size() == 20);
  CHECK(three->without_proof == encode_client_final_without_proof("n,,", both_nonces));
  CHECK(encode_client_final(three->without_proof, three->proof) == client_final);

  const auto four = parse_server_final(server_final);
  REQUIRE(four.has_value());
  CHECK(four->error.empty());
  CHECK(encode_server_final(four->signature) == server_final);
  CHECK(scram_auth_message("a", "b", "c") == "a,b,c");
}

TEST_CASE("scram messages: names, identities, flags and extensions of a client-first") {
  const auto escaped = parse_client_first("y,a=b=3Db,n=a=2Cb=3D=3D,r=x");
  REQUIRE(escaped.has_value());
  CHECK(escaped->gs2_header == "y,a=b=3Db,");
  CHECK(escaped->authzid == "b=b");
  CHECK(escaped->user == "a,b==");
  CHECK(escaped->bare == "n=a=2Cb=3D=3D,r=x");
  CHECK(encode_client_first_bare(escaped->user, "x") == escaped->bare);
  const auto extended = parse_client_first("n,,n=\xc3\xa4,r=x,x=1,Y=a=b");
  REQUIRE(extended.has_value());
  CHECK(extended->user == "\xc3\xa4");
  CHECK(extended->nonce == "x");
}

TEST_CASE("scram messages: a client-first that is none is refused") {
  using namespace std::string_view_literals;
  const std::string long_nonce(scram_nonce_max + 1, 'x');
  const std::string long_name(scram_message_max, 'x');
  const std::string rows[] = {
      "", "n", "n,", "n,,", ",,n=a,r=x", "N,,n=a,r=x", "x,,n=a,r=x",
      "p=tls-unique,,n=a,r=x",          // channel binding is not offered
      "n,a,n=a,r=x", "n,a=,n=a,r=x", "n,b=c,n=a,r=x", "n,a==,n=a,r=x",
      "n,n=a,r=x",                      // one comma too few
      "n,,r=x,n=a",                     // order
      "n,,n=a", "n,,r=x", "n,,n=,r=x", "n,,n=a,r=", "n,,n=a,r=x,", "n,,,n=a,r=x",
      "n,,n=a=,r=x", "n,,n=a=2,r=x", "n,,n=a=2c,r=x", "n,,n=a=41,r=x", "n,,n==,r=x",
      "n,,m=1,n=a,r=x", "n,,n=a,r=x,m=1",  // mandatory extensions
      "n,,n=a,r=x,r=y", "n,,n=a,r=x,p=y", "n,,n=a,r=x,1=y", "n,,n=a,r=x,xy", "n,,n=a,r=x,x=",
      "n,,n=a,r=x y", "n,,n=a,r=\x7f", "n,,n=a,r=\xc3\xa4", "n,,n=\xff,r=x",
      std::string("n,,n=a\0,r=x"sv), std::string("\0"sv),
      "n,,n=a,r=" + long_nonce, "n,,n=" + long_name + ",r=x",
  };
  for (const std::string& row : rows) {
    CAPTURE(row);
    CHECK_FALSE(parse_client_first(row).has_value());
  }
}

TEST_CASE("scram messages: a client-final that is none is refused") {
  for (const char* row :
       {"", "c=biws", "c=biws,r=x", "r=x,p=AAAA", "c=biws,p=AAAA", "r=x,c=biws,p=AAAA",
        "p=AAAA,c=biws,r=x", "c=biws,r=x,p=", "c=biws,r=x,p=AAA", "c=biws,r=x,p=AAAB=",
        "c=biws,r=x,p=AAAA,x=1", "c=,r=x,p=AAAA", "c=biw,r=x,p=AAAA", "c=biws,r=,p=AAAA",
        "c=biws,r=x,m=1,p=AAAA", "c=biws,r=x,p=AAAA,p=AAAA", "m=1,c=biws,r=x,p=AAAA",
        "c=biws,r=x,,p=AAAA", "c=biws,r=x y,p=AAAA", "c=biws,r=x,p=\xff"}) {
    CAPTURE(row);
    CHECK_FALSE(parse_client_final(row).has_value());
  }
  const auto extended = parse_client_final("c=biws,r=x,z=1,p=AAAA");
  REQUIRE(extended.has_value());
  CHECK(extended->without_proof == "c=biws,r=x,z=1");
}

TEST_CASE("scram messages: a server's message that is none is refused") {
  for (const char* row :
       {"", "r=x", "r=x,s=AAAA", "s=AAAA,r=x,i=1", "r=x,s=,i=1", "r=x,s=AAA,i=1", "r=x,s=AAAA,i=",
        "r=x,s=AAAA,i=0", "r=x,s=AAAA,i=01", "r=x,s=AAAA,i=-1", "r=x,s=AAAA,i=1x",
        "r=x,s=AAAA,i=4294967296", "r=x,s=AAAA,i=1,m=1", "m=1,r=x,s=AAAA,i=1", "r=,s=AAAA,i=1"}) {
    CAPTURE(row);
    CHECK_FALSE(parse_server_first(row).has_value());
  }
  for (const char* row : {"", "v=", "v=AAA", "x=AAAA", "v=AAAA,m=1", "e=", "e", "v"}) {
    CAPTURE(row);
    CHECK_FALSE(parse_server_final(row).has_value());
  }
  const auto error = parse_server_final("e=invalid-proof");
  REQUIRE(error.has_value());
  CHECK(error->error == "invalid-proof");
  CHECK(error->signature.empty());
}

TEST_CASE("scram messages: every truncation is refused, or is shorter in its last value alone") {
  const auto each_cut = [](std::string_view whole, auto parse, std::size_t complete_from) {
    for (std::size_t n = 0; n < whole.size(); ++n) {
      CAPTURE(whole.substr(0, n));
      CHECK(parse(whole.substr(0, n)).has_value() == (n >= complete_from));
    }
  };
  each_cut(client_first, parse_client_first, client_first.find("r=") + 3);
  each_cut(server_first, parse_server_first, server_first.find("i=") + 3);
  // Base64 is whole only every four characters, and here at the end alone is there padding.
  const auto cut_final = [](std::string_view text) { return parse_client_final(text); };
  for (std::size_t n = 0; n < client_final.size(); ++n) {
    const std::size_t proof = client_final.find("p=") + 2;
    CAPTURE(n);
    CHECK(cut_final(client_final.substr(0, n)).has_value() == (n > proof && (n - proof) % 4 == 0));
  }
}
