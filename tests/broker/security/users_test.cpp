// SPDX-License-Identifier: Apache-2.0
// Users, what they may do, and the thread that checks their passwords.
#include <algorithm>
#include <cstdint>
#include <ctime>
#include <future>
#include <limits>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "broker/security/authenticator.hpp"
#include "broker/security/permissions.hpp"
#include "broker/security/users.hpp"

using namespace whimbrel::broker::security;

namespace {

constexpr std::uint32_t few = iterations_least;

scram_record record_of(scram_hash which, std::string_view password) {
  return derive(which, password, std::vector<std::uint8_t>(16, 7), few);
}

user make_user(const std::string& name, std::string_view password) {
  return {.name = name, .passwords = {record_of(scram_hash::sha_256, password)}};
}

}  // namespace

TEST_CASE("glob: the whole name matches or it does not") {
  const struct {
    std::string_view pattern, name;
    bool want;
  } rows[] = {
      {"", "", true},
      {"", "a", false},
      {"*", "", true},
      {"*", "anything", true},
      {"a", "a", true},
      {"a", "A", false},
      {"a", "ab", false},
      {"b", "ab", false},
      {"a*", "a", true},
      {"a*", "abc", true},
      {"a*", "ba", false},
      {"*a", "cba", true},
      {"*a", "ab", false},
      {"a*c", "abc", true},
      {"a*c", "ac", true},
      {"a*c", "acb", false},
      {"a?c", "abc", true},
      {"a?c", "ac", false},
      {"?", "", false},
      {"??", "ab", true},
      {"**", "x", true},
      {"*?*", "", false},
      {"*?*", "x", true},
      {"a*b*c", "a1b2b3c", true},
      {"a*b*c", "a1c2b", false},
      {"*aab", "aaab", true},
      {"*.in", "a.in.in", true},
      {"a.*", "a.b.c", true},
      {"a.*", "aXb", false},
      {"[a]", "a", false},
      {"[a]", "[a]", true},
      {"a\\*", "a*", false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.pattern);
    CAPTURE(row.name);
    CHECK(glob_matches(row.pattern, row.name) == row.want);
  }
}

TEST_CASE("glob: a malicious pattern costs no more than its size times the name's") {
  std::string pattern;
  for (int i = 0; i < 100; ++i) pattern += "a*";
  const std::string name(20'000, 'a');
  CHECK_FALSE(glob_matches(pattern + 'b', name));  // exponential matchers do not come back
  CHECK(glob_matches(pattern, name));
}

TEST_CASE("permissions: a named user has none by default, and each list counts for itself") {
  const permissions none;
  const permissions some{
      .configure = {"c"}, .send = {"s", "t.*"}, .receive = {"r"}, .manage = {"m"}};
  const struct {
    action what;
    std::string_view own;
  } rows[] = {
      {action::configure, "c"}, {action::send, "s"}, {action::receive, "r"}, {action::manage, "m"}};
  for (const auto& row : rows) {
    CAPTURE(to_text(row.what));
    CHECK_FALSE(is_permitted(none, row.what, row.own));
    for (const auto& other : rows) {
      CHECK(is_permitted(some, row.what, other.own) == (row.what == other.what));
    }
    CHECK(is_permitted(permissions::all(), row.what, "anything"));
    CHECK(is_permitted(permissions::all(), row.what, ""));
  }
  CHECK(is_permitted(some, action::send, "t.1"));
  CHECK_FALSE(is_permitted(some, action::send, "xt.1"));
}

TEST_CASE("users: a user is found by the exact name") {
  const user_table table({make_user("bob", "pencil"), make_user("eve", "other")});
  REQUIRE(table.find("bob") != nullptr);
  CHECK(table.find("bob")->name == "bob");
  for (const std::string name : {"", "bo", "bobb", "Bob", "alice"}) {
    CAPTURE(name);
    CHECK(table.find(name) == nullptr);
  }
  CHECK_FALSE(table.is_empty());
  CHECK(user_table({}).is_empty());
}

TEST_CASE("users: a login needs the name and its password") {
  const user_table table({make_user("bob", "pencil"),
                          make_user("eve", "other"),
                          {.name = "anonymous", .allowed = {.send = {"a"}}}});
  CHECK(table.verify_plain("bob", "pencil"));
  CHECK(table.verify_plain("eve", "other"));
  CHECK_FALSE(table.verify_plain("bob", "other"));
  CHECK_FALSE(table.verify_plain("alice", "pencil"));
  CHECK_FALSE(table.verify_plain("", ""));
  CHECK_FALSE(table.verify_plain("anonymous", ""));  // declared, but without a password
  CHECK_FALSE(table.verify_plain("anonymous", "pencil"));
  CHECK_FALSE(user_table({}).verify_plain("bob", "pencil"));
}

TEST_CASE("users: a record of any hash is good for PLAIN") {
  for (const scram_hash which : scram_hashes) {
    CAPTURE(mechanism_of(which));
    const user_table table({{.name = "bob", .passwords = {record_of(which, "pencil")}}});
    CHECK(table.verify_plain("bob", "pencil"));
    CHECK_FALSE(table.verify_plain("bob", "pen"));
    CHECK_FALSE(table.verify_plain("eve", "pencil"));
  }
}

TEST_CASE("users: an unknown name costs as much as a known one") {
  user slow{.name = "bob"};
  slow.passwords = {derive(scram_hash::sha_256, "pencil", std::vector<std::uint8_t>(16), 20'000)};
  const user_table table({slow});
  const auto cost = [&](std::string_view name) {
    std::clock_t best = std::numeric_limits<std::clock_t>::max();  // the least disturbed of a few
    for (int i = 0; i < 5; ++i) {
      const std::clock_t begin = std::clock();  // processor time: others may be busy here
      CHECK_FALSE(table.verify_plain(name, "wrong"));
      best = std::min(best, std::clock() - begin);
    }
    return best;
  };
  const auto known = cost("bob"), unknown = cost("alice");
  CHECK(unknown > known / 2);
  CHECK(known > unknown / 2);
}

TEST_CASE("users: the anonymous peer may do everything, unless a user of that name says less") {
  CHECK(user_table({make_user("bob", "pencil")}).anonymous() == permissions::all());
  const permissions less{.send = {"a"}};
  CHECK(user_table({{.name = "anonymous", .allowed = less}}).anonymous() == less);
}

TEST_CASE("authenticator: answers each login, on a thread of its own") {
  const user_table table({make_user("bob", "pencil")});
  authenticator checks(table);
  std::promise<std::thread::id> where;
  std::promise<bool> good, bad, unknown;
  REQUIRE(checks.submit("bob", "pencil", [&](bool ok) {
    where.set_value(std::this_thread::get_id());
    good.set_value(ok);
  }));
  REQUIRE(checks.submit("bob", "pen", [&](bool ok) { bad.set_value(ok); }));
  REQUIRE(checks.submit("eve", "pencil", [&](bool ok) { unknown.set_value(ok); }));
  CHECK(good.get_future().get());
  CHECK_FALSE(bad.get_future().get());
  CHECK_FALSE(unknown.get_future().get());
  CHECK(where.get_future().get() != std::this_thread::get_id());
}

TEST_CASE("authenticator: refuses at once when its queue is full, and recovers") {
  const user_table table({make_user("bob", "pencil")});
  std::promise<void> entered, release;
  std::promise<bool> last;
  auto gate = release.get_future().share();
  authenticator checks(table, 2);
  REQUIRE(checks.submit("bob", "pencil", [&](bool) {
    entered.set_value();
    gate.wait();
  }));
  entered.get_future().wait();  // the thread is busy, its queue is empty
  CHECK(checks.submit("bob", "pencil", [](bool) {}));
  CHECK(checks.submit("bob", "pencil", [&](bool ok) { last.set_value(ok); }));
  CHECK_FALSE(checks.submit("bob", "pencil", [](bool) {}));
  release.set_value();
  CHECK(last.get_future().get());
  CHECK(checks.submit("bob", "pencil", [](bool) {}));
}

TEST_CASE("authenticator: at its end the login in progress is answered, those behind it are not") {
  const user_table table({make_user("bob", "pencil")});
  int answered = 0;  // written by the authenticator's thread, read after it is joined
  std::promise<void> entered, release;
  std::thread opener;
  {
    authenticator checks(table, 1'000'000);
    REQUIRE(checks.submit("bob", "pencil", [&](bool) {
      entered.set_value();
      release.get_future().wait();
      ++answered;
    }));
    entered.get_future().wait();
    // The destructor has begun when a login is refused; only then may the first one be answered.
    opener = std::thread([&] {
      while (checks.submit("bob", "pencil", [&](bool) { ++answered; })) std::this_thread::yield();
      release.set_value();
    });
  }
  opener.join();
  CHECK(answered == 1);
}
