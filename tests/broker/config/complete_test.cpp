// SPDX-License-Identifier: Apache-2.0
// Who may come in where, and what is taken from the machine.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "broker/config/complete.hpp"
#include "broker/config/value.hpp"

using namespace whimbrel::broker::config;
using whimbrel::broker::security::user;

namespace {

constexpr machine here{.processors = 3, .memory = 1'024 * mib};

const user bob{.name = "bob", .passwords = {whimbrel::broker::security::scram_record{}}};
const user nobody{.name = "anonymous"};

}  // namespace

TEST_CASE("settings: what is left open comes from the machine") {
  settings s;
  complete(s, here);
  CHECK(s.workers == 3);
  CHECK(s.memory == 512 * mib);

  settings given{.workers = 1, .memory = 64 * mib};
  complete(given, here);
  CHECK(given.workers == 1);
  CHECK(given.memory == 64 * mib);
}

TEST_CASE("settings: a small machine still holds some messages, and no larger one than fits") {
  settings s;
  const auto notices = complete(s, {.processors = 1, .memory = 20 * mib});
  CHECK(s.memory == 16 * mib);
  CHECK(s.max_message_size == 16 * mib);
  REQUIRE_FALSE(notices.empty());
  CHECK(notices.back().find("max-message-size: lowered") == 0);

  settings tiny{.memory = 1 * mib};
  CHECK_THROWS_AS(complete(tiny, here), invalid);
}

TEST_CASE("settings: who may come in anonymously") {
  enum class end { anonymous, login, refused };
  const std::optional<bool> unset, yes = true, no = false;
  const struct {
    std::string_view what;
    std::string_view address;
    std::optional<bool> of_listener, of_all;
    std::vector<user> users;
    end want;
  } rows[] = {
      {"nothing said, loopback", "127.0.0.1", unset, unset, {}, end::anonymous},
      {"nothing said, loopback v6", "::1", unset, unset, {}, end::anonymous},
      {"nothing said, all addresses", "0.0.0.0", unset, unset, {}, end::refused},
      {"nothing said, all addresses v6", "::", unset, unset, {}, end::refused},
      {"nothing said, one address", "10.0.0.1", unset, unset, {}, end::refused},
      {"told so, all addresses", "0.0.0.0", unset, yes, {}, end::anonymous},
      {"told so at the listener", "0.0.0.0", yes, unset, {}, end::anonymous},
      {"the listener wins over all", "0.0.0.0", yes, no, {}, end::anonymous},
      {"the listener wins over all, the other way", "127.0.0.1", no, yes, {bob}, end::login},
      {"users, loopback", "127.0.0.1", unset, unset, {bob}, end::login},
      {"users, all addresses", "0.0.0.0", unset, unset, {bob}, end::login},
      {"users and told so", "0.0.0.0", unset, yes, {bob}, end::anonymous},
      {"only permissions for anonymous", "0.0.0.0", unset, unset, {nobody}, end::refused},
      {"only permissions for anonymous, loopback",
       "127.0.0.1",
       unset,
       unset,
       {nobody},
       end::anonymous},
      {"nobody could log in", "127.0.0.1", no, unset, {}, end::refused},
      {"nobody could log in anywhere", "127.0.0.1", unset, no, {nobody}, end::refused},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    settings s{.anonymous = row.of_all, .users = row.users};
    s.listeners = {listener{.address = std::string(row.address), .anonymous = row.of_listener}};
    if (row.want == end::refused) {
      CHECK_THROWS_AS(complete(s, here), invalid);
      continue;
    }
    CHECK_NOTHROW(complete(s, here));
    REQUIRE(s.listeners[0].anonymous.has_value());
    CHECK(*s.listeners[0].anonymous == (row.want == end::anonymous));
  }
}

TEST_CASE("settings: the log is told who may come in, and what crosses the network in clear") {
  settings open;
  auto notices = complete(open, here);
  REQUIRE(notices.size() == 2);
  CHECK(notices[0] == "listener 127.0.0.1:5672: anonymous, whoever is on this machine may connect");

  settings wide{.anonymous = true};
  wide.listeners = {listener{.address = "0.0.0.0"}};
  notices = complete(wide, here);
  REQUIRE(notices.size() == 1);
  CHECK(notices[0].find("whoever reaches it over the network") != std::string::npos);

  settings login{.users = {bob}};
  login.listeners = {listener{.address = "0.0.0.0"}, listener{.address = "127.0.0.1"}};
  notices = complete(login, here);
  REQUIRE(notices.size() == 1);
  CHECK(notices[0] == "listener 0.0.0.0:5672: passwords cross the network unencrypted");
}

TEST_CASE("settings: more queues declared than allowed is refused") {
  settings s{.queues_max = 1};
  s.queues = {queue{.name = "a"}, queue{.name = "b"}};
  CHECK_THROWS_AS(complete(s, here), invalid);
  s.queues.pop_back();
  CHECK_NOTHROW(complete(s, here));
}

TEST_CASE("settings: the pages' address is checked, and named where others can reach it") {
  settings local{.http = "127.0.0.1:9672"};
  settings open{.http = "0.0.0.0:9672"};
  CHECK(complete(open, here).size() == complete(local, here).size() + 1);
  settings wrong{.http = "localhost"};
  CHECK_THROWS_WITH_AS(complete(wrong, here), doctest::Contains("http: \"localhost\""), invalid);
}
