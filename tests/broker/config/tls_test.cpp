// SPDX-License-Identifier: Apache-2.0
// TLS in the settings: who says what about a listener, and files that cannot be used.
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "broker/config/command_line.hpp"
#include "broker/config/complete.hpp"
#include "broker/config/value.hpp"
#include "broker/security/tls_context.hpp"
#include "tests/support/certificate.hpp"
#include "tests/support/scratch_directory.hpp"

using namespace whimbrel::broker::config;
using whimbrel::broker::exit_code;
using whimbrel::broker::security::client_check;
using whimbrel::broker::security::tls_use;
using whimbrel::tests::scratch_directory;
using whimbrel::tests::write_certificate;

namespace {

/// Files to name: a.pem with a.key, b.pem with b.key, text.pem that holds neither.
class fixture {
 public:
  fixture() {
    write_certificate(directory_.path(), "a");
    write_certificate(directory_.path(), "b");
    std::ofstream(directory_.path() / "text.pem") << "-----BEGIN NOTHING-----\n";
  }
  [[nodiscard]] std::string at(const std::string& name) const {
    return (directory_.path() / name).string();
  }
  [[nodiscard]] command parse(const std::vector<std::string>& arguments) const {
    return parse_command_line(arguments, [](const std::string&) { return std::nullopt; });
  }
  [[nodiscard]] command parse_file(const std::string& text,
                                   std::vector<std::string> arguments = {}) const {
    std::ofstream(at("w.toml")) << text;
    arguments.insert(arguments.end(), {"--config", at("w.toml")});
    return parse(arguments);
  }
  [[nodiscard]] std::string pair(const std::string& name) const {
    return "tls-certificate = \"" + at(name + ".pem") + "\"\ntls-key = \"" + at(name + ".key") +
           "\"\n";
  }

 private:
  scratch_directory directory_ = {};
};

}  // namespace

TEST_CASE("tls: without a word about it there is none") {
  const fixture f;
  const command got = f.parse({});
  REQUIRE(got.run);
  for (const listener& each : got.run->listeners) CHECK_FALSE(each.speaks_tls());
}

TEST_CASE("tls: flags hold for the listeners, and a listener's own words win") {
  const fixture f;
  const command flags = f.parse({"--listen", "127.0.0.1:5671", "--tls", "required",
                                 "--tls-certificate", f.at("a.pem"), "--tls-key", f.at("a.key")});
  CAPTURE(flags.text);
  REQUIRE(flags.run);
  CHECK(flags.run->listeners[0].tls == tls_use::required);
  CHECK(tls_files_of(flags.run->listeners[0]).key == f.at("a.key"));

  const command variables = parse_command_line(
      {"--tls-certificate", f.at("a.pem"), "--tls-key", f.at("a.key")},
      [](const std::string& name) {
        return name == "WHIMBREL_TLS" ? std::optional<std::string>("allowed") : std::nullopt;
      });
  REQUIRE(variables.run);
  CHECK(variables.run->listeners[0].tls == tls_use::allowed);

  const command file = f.parse_file(
      "tls = \"allowed\"\ntls-client-ca = \"" + f.at("b.pem") +
      "\"\ntls-verify-client = \"optional\"\n" + f.pair("a") +
      "[[listener]]\naddress = \"127.0.0.1:1\"\n"
      "[[listener]]\naddress = \"127.0.0.1:2\"\ntls = \"none\"\n"
      "[[listener]]\naddress = \"127.0.0.1:3\"\ntls = \"required\"\n"
      "tls-verify-client = \"required\"\n" +
      f.pair("b"));
  CAPTURE(file.text);
  REQUIRE(file.run);
  const auto& listeners = file.run->listeners;
  CHECK(listeners[0].tls == tls_use::allowed);
  CHECK(tls_files_of(listeners[0]).certificate == f.at("a.pem"));
  CHECK(tls_files_of(listeners[0]).check == client_check::optional);
  CHECK_FALSE(listeners[1].speaks_tls());
  CHECK(listeners[2].tls == tls_use::required);
  CHECK(tls_files_of(listeners[2]).certificate == f.at("b.pem"));
  CHECK(tls_files_of(listeners[2]).client_ca == f.at("b.pem"));
  CHECK(tls_files_of(listeners[2]).check == client_check::required);
}

TEST_CASE("tls: what cannot work is refused, with file and key") {
  const fixture f;
  const std::string on = "tls = \"required\"\n";
  const auto only = [&](const std::string& certificate, const std::string& key) {
    return on + "tls-certificate = \"" + certificate + "\"\ntls-key = \"" + key + "\"\n";
  };
  const struct {
    std::string_view what;
    std::string text;
    std::string says;
  } rows[] = {
      {"no files", on, "listener 127.0.0.1:5672: tls is required, which needs `tls-certificate`"},
      {"no key", on + "tls-certificate = \"" + f.at("a.pem") + "\"\n", "and `tls-key`"},
      {"no such certificate", only(f.at("gone.pem"), f.at("a.key")),
       f.at("gone.pem") + ": cannot be read: No such file"},
      {"no such key", only(f.at("a.pem"), f.at("gone.key")),
       f.at("gone.key") + ": cannot be read: No such file"},
      {"a directory", only(f.at(""), f.at("a.key")), ": cannot be read: Is a directory"},
      {"not a certificate", only(f.at("text.pem"), f.at("a.key")),
       f.at("text.pem") + ": holds no certificate in PEM"},
      {"a key where a certificate should be", only(f.at("a.key"), f.at("a.key")),
       f.at("a.key") + ": holds no certificate in PEM"},
      {"not a key", only(f.at("a.pem"), f.at("text.pem")),
       f.at("text.pem") + ": holds no private key in PEM"},
      {"another's key", only(f.at("a.pem"), f.at("b.key")),
       f.at("b.key") + ": does not belong to the certificate in " + f.at("a.pem")},
      {"clients checked against nothing", on + f.pair("a") + "tls-verify-client = \"required\"\n",
       "`tls-verify-client` needs `tls-client-ca`"},
      {"certificates required of those with TLS alone",
       "tls = \"allowed\"\n" + f.pair("a") + "tls-verify-client = \"required\"\n" +
           "tls-client-ca = \"" + f.at("b.pem") + "\"\n",
       "`tls-verify-client` required needs `tls` required"},
      {"roots that nobody is checked against",
       on + f.pair("a") + "tls-client-ca = \"" + f.at("b.pem") + "\"\n",
       "`tls-client-ca` needs `tls-verify-client`"},
      {"roots that are none",
       on + f.pair("a") + "tls-verify-client = \"optional\"\ntls-client-ca = \"" +
           f.at("text.pem") + "\"\n",
       f.at("text.pem") + ": holds no certificate in PEM"},
      {"another word", "tls = \"yes\"\n",
       ":1: tls: \"yes\" is none of none, allowed, required"},
      {"another word of a listener",
       "[[listener]]\naddress = \"127.0.0.1:1\"\ntls = \"yes\"\n",
       ":3: listener.tls: \"yes\" is none of none, allowed, required"},
      {"another word about clients",
       "[[listener]]\naddress = \"127.0.0.1:1\"\ntls-verify-client = \"yes\"\n",
       ":3: listener.tls-verify-client: \"yes\" is none of none, optional, required"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    const command got = f.parse_file(row.text, {"--check-config"});
    CAPTURE(got.text);
    CHECK(got.code == exit_code::usage);
    CHECK(got.text.find(row.says) != std::string::npos);
  }
}

TEST_CASE("tls: a listener may ask nobody for a certificate where the others do") {
  const fixture f;
  const command got = f.parse_file(
      "tls = \"required\"\n" + f.pair("a") + "tls-verify-client = \"required\"\n" +
          "tls-client-ca = \"" + f.at("b.pem") + "\"\n" +
          "[[listener]]\naddress = \"127.0.0.1:1\"\n" +
          "[[listener]]\naddress = \"127.0.0.1:2\"\ntls-verify-client = \"none\"\n",
      {});
  CAPTURE(got.text);
  REQUIRE(got.run);
  CHECK(tls_files_of(got.run->listeners[0]).check == client_check::required);
  CHECK(tls_files_of(got.run->listeners[1]).check == client_check::none);
}

TEST_CASE("tls: passwords on the network are warned of where they may be in the clear") {
  const fixture f;
  const auto notices = [&](tls_use use) {
    settings s;
    s.anonymous = false;
    s.users = {{.name = "bob", .passwords = {whimbrel::broker::security::scram_record{}}}};
    s.listeners = {listener{.address = "0.0.0.0", .tls = use}};
    s.tls_certificate = f.at("a.pem");
    s.tls_key = f.at("a.key");
    return complete(s, {.processors = 1, .memory = 1'024 * mib});
  };
  using texts = std::vector<std::string>;
  CHECK(notices(tls_use::required).empty());
  CHECK(notices(tls_use::allowed) ==
        texts{"listener 0.0.0.0:5672: passwords of who comes without TLS cross the network "
              "unencrypted"});
  CHECK(notices(tls_use::none) ==
        texts{"tls-certificate: no listener uses it, for none says `tls`",
              "listener 0.0.0.0:5672: passwords cross the network unencrypted"});
}

TEST_CASE("check-config: tells which listeners speak TLS") {
  const fixture f;
  const command got = f.parse_file("[[listener]]\naddress = \"127.0.0.1:5671\"\n"
                                   "tls = \"required\"\n" + f.pair("a") +
                                   "[[listener]]\naddress = \"127.0.0.1:5672\"\n",
                                   {"--check-config"});
  CHECK(got.code == exit_code::success);
  CHECK(got.text.find("\nlistener 127.0.0.1:5671 anonymous tls required\n") != std::string::npos);
  CHECK(got.text.find("\nlistener 127.0.0.1:5672 anonymous\n") != std::string::npos);
}
