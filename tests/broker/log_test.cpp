// SPDX-License-Identifier: Apache-2.0
// The log's promise: whole lines, whatever octets a peer put into them.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "broker/log.hpp"

using namespace std::string_literals;
using whimbrel::broker::log_field;
using whimbrel::broker::log_format;
using whimbrel::broker::log_level;
using whimbrel::broker::logger;

namespace {

/// A FILE in memory, read back as lines.
class memory_file {
 public:
  memory_file() : file_(open_memstream(&text_, &size_)) {}
  ~memory_file() {
    std::fclose(file_);
    std::free(text_);
  }
  memory_file(const memory_file&) = delete;
  memory_file& operator=(const memory_file&) = delete;

  std::FILE* file() { return file_; }
  std::string text() {
    std::fflush(file_);
    return {text_, size_};
  }
  std::vector<std::string> lines() {
    std::vector<std::string> out;
    std::string all = text();
    for (std::size_t at = 0, end = 0; (end = all.find('\n', at)) != std::string::npos;
         at = end + 1) {
      out.push_back(all.substr(at, end - at));
    }
    return out;
  }

 private:
  char* text_ = nullptr;
  std::size_t size_ = 0;
  std::FILE* file_ = nullptr;
};

std::string after_time(const std::string& line) { return line.substr(line.find(' ') + 1); }

}  // namespace

TEST_CASE("log: a text line holds time, level, message and fields") {
  memory_file out;
  logger log(log_level::info, log_format::text, out.file());
  log.info("listening on 127.0.0.1:5672", {{"workers", "2"}, {"name", "a b"}});
  REQUIRE(out.lines().size() == 1);
  const std::string line = out.lines()[0];
  CHECK(after_time(line) == R"(info listening on 127.0.0.1:5672 workers="2" name="a b")");
  CHECK(line.find('T') == 10);
  CHECK(line.find('Z') == 23);
}

TEST_CASE("log: a JSON line is one object of strings") {
  memory_file out;
  logger log(log_level::info, log_format::json, out.file());
  log.warning("say \"hi\"\\", {{"peer", "x\ty"}});
  REQUIRE(out.lines().size() == 1);
  const std::string line = out.lines()[0];
  CHECK(line.rfind("{\"time\":\"20", 0) == 0);
  CHECK(line.substr(line.find(",\"level\"")) ==
        R"(,"level":"warning","message":"say \"hi\"\\","peer":"x\u0009y"})");
}

TEST_CASE("log: octets of a peer cannot forge a line") {
  const struct {
    std::string_view what;
    std::string sent, text, json;
  } rows[] = {
      {"new line", "a\nb", "a\\x0ab", "a\\u000ab"},
      {"carriage return", "a\rb", "a\\x0db", "a\\u000db"},
      {"terminal escape", "\x1b[31m", "\\x1b[31m", "\\u001b[31m"},
      {"zero octet", "a\0b"s, "a\\x00b", "a\\u0000b"},
      {"delete", "\x7f", "\\x7f", "\\u007f"},
      {"quote", "a\"b", "a\\\"b", "a\\\"b"},
      {"good UTF-8", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa6", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa6",
       "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa6"},
      {"lone continuation", "\x80", "\\x80", "\\ufffd"},
      {"overlong slash", "\xc0\xaf", "\\xc0\\xaf", "\\ufffd\\ufffd"},
      {"surrogate", "\xed\xa0\x80", "\\xed\\xa0\\x80", "\\ufffd\\ufffd\\ufffd"},
      {"cut sequence", "\xe2\x82", "\\xe2\\x82", "\\ufffd\\ufffd"},
      {"above U+10FFFF", "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80",
       "\\ufffd\\ufffd\\ufffd\\ufffd"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    memory_file text, json;
    logger(log_level::info, log_format::text, text.file()).info("m", {{"f", row.sent}});
    logger(log_level::info, log_format::json, json.file()).info("m", {{"f", row.sent}});
    REQUIRE(text.lines().size() == 1);
    REQUIRE(json.lines().size() == 1);
    CHECK(after_time(text.lines()[0]) == "info m f=\"" + row.text + "\"");
    CHECK(json.lines()[0].find("\"f\":\"" + row.json + "\"}") != std::string::npos);
  }
}

TEST_CASE("log: a long value is cut") {
  memory_file out;
  logger(log_level::info, log_format::text, out.file()).info("m", {{"f", std::string(9'000, 'x')}});
  CHECK(out.text().size() < 4'200);
  CHECK(out.text().find("xxx...\"") != std::string::npos);
}

TEST_CASE("log: lines below the level are not written") {
  memory_file out;
  logger log(log_level::warning, log_format::text, out.file());
  log.debug("no");
  log.info("no");
  CHECK_FALSE(log.is_enabled(log_level::info));
  CHECK(out.text().empty());
  log.warning("yes");
  log.error("yes");
  CHECK(out.lines().size() == 2);
}

TEST_CASE("log: lines from several threads stay whole") {
  memory_file out;
  logger log(log_level::info, log_format::text, out.file());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 250; ++i) log.info("0123456789012345678901234567890123456789");
    });
  }
  for (auto& thread : threads) thread.join();
  const auto lines = out.lines();
  REQUIRE(lines.size() == 1'000);
  for (const auto& line : lines) {
    CHECK(after_time(line) == "info 0123456789012345678901234567890123456789");
  }
}

TEST_CASE("log: levels and formats read back from their names") {
  for (const auto level : {log_level::trace, log_level::debug, log_level::info, log_level::warning,
                           log_level::error, log_level::off}) {
    CHECK(whimbrel::broker::log_level_of(to_text(level)) == level);
  }
  for (const auto format : {log_format::text, log_format::json}) {
    CHECK(whimbrel::broker::log_format_of(to_text(format)) == format);
  }
  CHECK_FALSE(whimbrel::broker::log_level_of("loud").has_value());
  CHECK_FALSE(whimbrel::broker::log_format_of("xml").has_value());
}
