// SPDX-License-Identifier: Apache-2.0
// amqps: whom the library believes, and what it says where it does not.
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "tests/client/local_broker.hpp"
#include "tests/support/certificate.hpp"

using namespace whimbrel::client;
using whimbrel::tests::local_broker;
using whimbrel::tests::next_text;
using whimbrel::tests::scratch_directory;

namespace {

/// A broker with a certificate for localhost and 127.0.0.1, which is its own root; `other` is not.
class fixture {
 public:
  explicit fixture(const std::string& use = "allowed", const std::vector<std::string>& more = {})
      : broker_(arguments(use, more)) {}

  [[nodiscard]] std::string at(const std::string& name) const {
    return (files_.path() / name).string();
  }
  [[nodiscard]] std::string url(const std::string& host) const {
    return "amqps://" + host + ":" + broker_.port();
  }
  [[nodiscard]] connection_options believing(const std::string& root) const {
    connection_options out;
    out.tls.ca_file = at(root);
    return out;
  }
  [[nodiscard]] const local_broker& broker() const { return broker_; }

 private:
  [[nodiscard]] std::vector<std::string> arguments(const std::string& use,
                                                   const std::vector<std::string>& more) const {
    whimbrel::tests::write_certificate(files_.path(), "server");
    whimbrel::tests::write_certificate(files_.path(), "other");
    std::vector<std::string> out = {"--tls", use, "--tls-certificate", at("server.pem"),
                                    "--tls-key", at("server.key")};
    for (const std::string& each : more) {
      out.push_back(each.ends_with(".pem") ? at(each) : each);
    }
    return out;
  }

  scratch_directory files_ = {};
  local_broker broker_;
};

/// Why a connection was not opened.
failure refusal_of(const std::string& url, const connection_options& how) {
  try {
    static_cast<void>(connection::open(url, how));
  } catch (const error& e) {
    return e.why();
  }
  return {error_scope::usage, {}, "it was opened"};
}

bool contains(const failure& why, std::string_view part) {
  return why.text().find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("tls: messages go both ways, small and large, by name and by address") {
  const fixture f;
  for (const char* host : {"localhost", "127.0.0.1"}) {
    CAPTURE(host);
    connection on = connection::open(f.url(host), f.believing("server.pem"));
    sender to = on.open_sender("tls");
    const std::string large(5 << 20, 'w');
    to.send(text_message("small"));
    to.send(text_message(large));
    receiver from = on.open_receiver("tls");
    CHECK(next_text(from) == "small");
    CHECK(next_text(from) == large);
    on.close();
  }
  connection plain = f.broker().connect();
  plain.close();
}

TEST_CASE("tls: who cannot be believed is refused, and why is told") {
  const fixture f;
  const failure other = refusal_of(f.url("localhost"), f.believing("other.pem"));
  CHECK(other.scope == error_scope::network);
  CHECK(contains(other, "TLS with localhost:"));
  CHECK(contains(other, "certificate verify failed: self-signed certificate"));
  CHECK(contains(refusal_of(f.url("localhost"), {}), "certificate verify failed"));
  // Both lead to 127.0.0.1 on Linux, and the certificate has neither.
  const failure address = refusal_of(f.url("0.0.0.0"), f.believing("server.pem"));
  CAPTURE(address.text());
  CHECK(contains(address, "IP address mismatch"));
  const failure name = refusal_of(f.url("127.1"), f.believing("server.pem"));
  CAPTURE(name.text());
  CHECK(contains(name, "hostname mismatch"));

  connection_options credulous;
  credulous.tls.verify = false;
  connection on = connection::open(f.url("0.0.0.0"), credulous);
  on.close();
}

TEST_CASE("tls: a peer that speaks none is found out") {
  const local_broker plain;
  connection_options how;
  how.tls.verify = false;
  const failure why = refusal_of("amqps://127.0.0.1:" + plain.port(), how);
  CAPTURE(why.text());
  CHECK(why.scope == error_scope::network);
  CHECK(contains(why, "no TLS on the other side?"));
}

TEST_CASE("tls: a client shows its certificate where one is required") {
  const fixture f("required",
                  {"--tls-verify-client", "required", "--tls-client-ca", "other.pem"});
  connection_options how = f.believing("server.pem");
  const failure without = refusal_of(f.url("localhost"), how);
  CAPTURE(without.text());
  CHECK(without.scope == error_scope::network);
  CHECK(contains(without, "certificate required"));
  how.tls.certificate_file = f.at("other.pem");
  how.tls.key_file = f.at("other.key");
  connection on = connection::open(f.url("localhost"), how);
  on.close();
}

TEST_CASE("tls: files that cannot be used are told of before anybody is asked") {
  scratch_directory files;
  whimbrel::tests::write_certificate(files.path(), "a");
  whimbrel::tests::write_certificate(files.path(), "b");
  const auto at = [&](const char* name) { return (files.path() / name).string(); };
  struct row {
    tls_options how = {};
    std::string says = {};
  };
  const std::array rows = {
      row{{.ca_file = at("gone")}, at("gone") + ": cannot be read"},
      row{{.ca_file = at("a.key")}, at("a.key") + ": holds no certificate in PEM"},
      row{{.certificate_file = at("a.pem")}, "a certificate needs its key"},
      row{{.certificate_file = at("a.key"), .key_file = at("a.key")},
          at("a.key") + ": holds no certificate in PEM"},
      row{{.certificate_file = at("a.pem"), .key_file = at("b.key")},
          at("b.key") + ": holds no private key in PEM that belongs to the certificate in " +
              at("a.pem")},
  };
  for (const row& each : rows) {
    CAPTURE(each.says);
    connection_options how;
    how.tls = each.how;
    const failure why = refusal_of("amqps://127.0.0.1:1", how);
    CAPTURE(why.text());
    CHECK(why.scope == error_scope::usage);
    CHECK(contains(why, each.says));
  }
}
