// SPDX-License-Identifier: Apache-2.0
// The settings table itself, and single values between text and member.
#include <cctype>
#include <set>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

#include "broker/config/value.hpp"

using namespace whimbrel::broker::config;

namespace {

const setting& row_of(std::string_view name) {
  const setting* row = find_setting(name);
  REQUIRE(row != nullptr);
  return *row;
}

std::string refusal(std::string_view name, std::string_view text) {
  settings to;
  try {
    assign(to, row_of(name), text);
  } catch (const invalid& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("settings: the table names every setting once, in lower case with hyphens, with help") {
  std::set<std::string_view> names;
  for (const setting& row : setting_table) {
    CAPTURE(row.name);
    CHECK(names.insert(row.name).second);
    CHECK_FALSE(row.help.empty());
    CHECK(row.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz-") == std::string_view::npos);
  }
  CHECK(names.size() == setting_table.size());
}

TEST_CASE("settings: every default is within its range and reads back from its text") {
  std::size_t read_back = 0;
  for (const setting& row : setting_table) {
    CAPTURE(row.name);
    settings to;
    const std::string text = print(to, row);
    if (text == "unset") continue;
    CHECK_NOTHROW(assign(to, row, text));
    CHECK(print(to, row) == text);
    ++read_back;
  }
  CHECK(read_back + 1 == setting_table.size());  // `anonymous` alone has no default
}

TEST_CASE("settings: the defaults are those of the design") {
  const settings s;
  CHECK(s.max_frame_size == 64 * 1024);
  CHECK(s.channel_max == 255);
  CHECK(s.handle_max == 1023);
  CHECK(s.links_max == 4096);
  CHECK(s.session_window == 2048);
  CHECK(s.link_credit == 1000);
  CHECK(s.idle_time_out == std::chrono::seconds(30));
  CHECK(s.max_message_size == 128 * 1024 * 1024);
  CHECK(s.unsettled_in_max == 2048);
  CHECK(s.unsettled_out_max == 65536);
  CHECK(s.output_buffer == 1024 * 1024);
  CHECK(s.handshake_timeout == std::chrono::seconds(10));
  CHECK(s.failed_login_delay == std::chrono::seconds(1));
  CHECK(s.store_stall_max == std::chrono::seconds(30));
  REQUIRE(s.auto_creates.size() == 1);
  CHECK(s.auto_creates[0] == auto_create{.pattern = "*", .create = true, .durable = true});
}

TEST_CASE("settings: numbers are read with their units") {
  const struct {
    std::string_view name, text;
    std::string printed;
  } rows[] = {
      {"max-frame-size", "512", "512"},
      {"max-frame-size", "1024", "1KiB"},
      {"max-frame-size", "64KiB", "64KiB"},
      {"max-frame-size", "16MiB", "16MiB"},
      {"memory", "3GiB", "3GiB"},
      {"memory", "1025KiB", "1025KiB"},
      {"idle-time-out", "0", "0ms"},
      {"idle-time-out", "1500", "1500ms"},
      {"idle-time-out", "1500ms", "1500ms"},
      {"idle-time-out", "90s", "90s"},
      {"idle-time-out", "120s", "2min"},
      {"idle-time-out", "24h", "24h"},
      {"channel-max", "65535", "65535"},
      {"workers", "3", "3"},
      {"data", "/var/lib/x y", "/var/lib/x y"},
      {"log-level", "warning", "warning"},
      {"log-format", "json", "json"},
      {"trace-frames", "true", "true"},
      {"anonymous", "false", "false"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.name);
    CAPTURE(row.text);
    settings to;
    REQUIRE_NOTHROW(assign(to, row_of(row.name), row.text));
    CHECK(print(to, row_of(row.name)) == row.printed);
  }
}

TEST_CASE("settings: a value that does not fit is refused in words") {
  const struct {
    std::string_view name, text, says;
  } rows[] = {
      {"max-frame-size", "511", "out of range, which is 512 to 16MiB"},
      {"max-frame-size", "17MiB", "out of range"},
      {"max-frame-size", "99999999999999999999", "out of range"},
      {"max-frame-size", "18014398509481985KiB", "out of range"},  // wraps to 1024 if multiplied
      {"max-frame-size", "", "not a size"},
      {"max-frame-size", "x", "not a size"},
      {"max-frame-size", "-1", "not a size"},
      {"max-frame-size", "1 KiB", "not a size"},
      {"max-frame-size", "1kb", "not a size"},
      {"max-frame-size", "1.5KiB", "not a size"},
      {"idle-time-out", "5 minutes", "not a time"},
      {"idle-time-out", "25h", "out of range, which is 0ms to 24h"},
      {"channel-max", "65536", "out of range"},
      {"workers", "two", "not a whole number"},
      {"workers", "257", "out of range"},
      {"trace-frames", "yes", "neither true nor false"},
      {"anonymous", "1", "neither true nor false"},
      {"log-level", "loud", "none of trace, debug"},
      {"log-format", "xml", "neither text nor json"},
      {"data", "", "must not be empty"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.name);
    CAPTURE(row.text);
    const std::string said = refusal(row.name, row.text);
    CAPTURE(said);
    CHECK(said.find(row.says) != std::string::npos);
  }
}

TEST_CASE("listener: an address and a port are read, and print as they were") {
  for (const std::string text : {"127.0.0.1:5672", "0.0.0.0:0", "[::1]:5672", "[::]:65535"}) {
    CAPTURE(text);
    CHECK(print(parse_listener(text)) == text);
  }
  CHECK(parse_listener("[::1]:1").address == "::1");
}

TEST_CASE("listener: what is not a numeric address and a port is refused") {
  for (const std::string text :
       {"", ":", "5672", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536",
        "127.0.0.1:-1", "localhost:5672", "::1:5672", "[127.0.0.1]:1", "[::1]", "[]:1", "*:5672",
        "127.0.0.1:5672 ", "[::1]x:1"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_listener(text), invalid);
  }
}

TEST_CASE("listener: loopback is told from the rest") {
  for (const std::string text :
       {"127.0.0.1:1", "127.255.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"}) {
    CAPTURE(text);
    CHECK(is_loopback(parse_listener(text)));
  }
  for (const std::string text :
       {"0.0.0.0:1", "10.0.0.1:1", "128.0.0.1:1", "[::]:1", "[fe80::1]:1", "[::ffff:10.0.0.1]:1"}) {
    CAPTURE(text);
    CHECK_FALSE(is_loopback(parse_listener(text)));
  }
}

TEST_CASE("suggestion: the nearest name is offered, and none that is far off") {
  const std::string_view known[] = {"max-frame-size", "memory", "workers"};
  CHECK(suggestion("max-frame-sice", known) == "; did you mean `max-frame-size`?");
  CHECK(suggestion("memry", known) == "; did you mean `memory`?");
  CHECK(suggestion("zzzzzz", known) == "");
}

TEST_CASE("edit distance: insertions, deletions and replacements count one each") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("abc", "") == 3);
  CHECK(edit_distance("abc", "abc") == 0);
  CHECK(edit_distance("abc", "abd") == 1);
  CHECK(edit_distance("abc", "ac") == 1);
  CHECK(edit_distance("kitten", "sitting") == 3);
}
