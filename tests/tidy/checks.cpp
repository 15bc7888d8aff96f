// SPDX-License-Identifier: Apache-2.0
#include "tests/tidy/checks.hpp"

#include <algorithm>
#include <array>
#include <regex>
#include <string_view>

namespace whimbrel::tidy {
namespace {

constexpr std::size_t file_lines_max = 600;
constexpr std::size_t function_lines_max = 70;
constexpr std::size_t line_characters_max = 100;

std::string place(const source_file& file, std::size_t line) {
  return file.path + ':' + std::to_string(line + 1) + ": ";
}

/// A finding for each line of `lines` in which `pattern` is found.
findings find_lines(const source_file& file, const std::vector<std::string>& lines,
                    const std::regex& pattern, const std::string& what) {
  findings out;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (std::regex_search(lines[i], pattern)) out.push_back(place(file, i) + what);
  }
  return out;
}

/// Characters, not octets: a continuation octet of UTF-8 does not count.
std::size_t characters(std::string_view line) {
  return static_cast<std::size_t>(
      std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

/// Follows the braces of one file. A function is what opens below nothing but namespaces and types,
/// behind a head with a parameter list; lambdas and blocks count to the function around them. The
/// rows of a table (`... = {`, `return {`) are data and do not count.
class brace_walker {
 public:
  explicit brace_walker(const source_file& file) : file_(file) {}

  findings run() {
    for (std::size_t i = 0; i < file_.code.size(); ++i) {
      const std::string_view line = file_.code[i];
      if (line.starts_with('#')) continue;
      for (const char c : line) step(c, i);
      head_ += ' ';
    }
    return out_;
  }

 private:
  enum class scope { outer, function, table, other };
  struct opened {
    scope is = scope::other;
    std::size_t line = 0;
    std::size_t table_lines = 0;  // of the tables inside
  };

  void step(char c, std::size_t line) {
    if (c == '{') {
      open_.push_back({.is = kind(), .line = line});
      head_.clear();
    } else if (c == '}') {
      close(line);
      head_.clear();
    } else if (c == ';') {
      head_.clear();
    } else {
      head_ += c;
    }
  }

  [[nodiscard]] scope kind() const {
    static const std::regex table(R"((=|\breturn)\s*$)");
    static const std::regex outer(
        R"(\b(namespace|class|struct|union|enum)\b|\bextern\s*"\s*"\s*$)");
    if (std::regex_search(head_, table)) return scope::table;
    const bool at_outer = open_.empty() || open_.back().is == scope::outer;
    if (!at_outer) return scope::other;
    if (head_.find('(') != std::string::npos) return scope::function;
    return std::regex_search(head_, outer) ? scope::outer : scope::other;
  }

  void close(std::size_t line) {
    if (open_.empty()) return;
    const opened was = open_.back();
    open_.pop_back();
    const std::size_t lines = line - was.line + 1;
    if (was.is == scope::function && lines - was.table_lines > function_lines_max) {
      out_.push_back(place(file_, was.line) + "a function of " +
                     std::to_string(lines - was.table_lines) + " lines; at most " +
                     std::to_string(function_lines_max));
    }
    // A table of one line takes none away from the function around it.
    if (!open_.empty()) {
      open_.back().table_lines += was.is == scope::table ? lines - 1 : was.table_lines;
    }
  }

  const source_file& file_;
  std::vector<opened> open_ = {};
  std::string head_ = {};
  findings out_ = {};
};

bool is_unit_test(const source_file& file) {
  const bool drives_processes = file.is_below("tests/interop/") || file.is_below("tests/bench/") ||
                                file.is_below("tests/crash/") ||
                                file.is_below("tests/support/broker_process");
  return file.is_below("tests/") && file.is_cpp() && !drives_processes;
}

const std::regex test_case_start(R"(^\s*TEST_CASE(_FIXTURE|_TEMPLATE)?\()");

}  // namespace

findings check_file_length(const source_file& file) {
  if (!file.is_cpp() || file.is_below("amqp/spec/") || file.lines.size() <= file_lines_max) {
    return {};
  }
  return {file.path + ": " + std::to_string(file.lines.size()) + " lines; at most " +
          std::to_string(file_lines_max)};
}

findings check_function_length(const source_file& file) {
  if (!file.is_cpp() || file.is_below("amqp/spec/")) return {};
  return brace_walker(file).run();
}

findings check_line_length(const source_file& file) {
  findings out;
  for (std::size_t i = 0; i < file.lines.size(); ++i) {
    const std::size_t size = characters(file.lines[i]);
    if (size <= line_characters_max) continue;
    out.push_back(place(file, i) + std::to_string(size) + " characters; at most " +
                  std::to_string(line_characters_max));
  }
  return out;
}

findings check_licence(const source_file& file) {
  const std::size_t at = !file.lines.empty() && file.lines[0].starts_with("#!") ? 1 : 0;
  constexpr std::array<std::string_view, 8> slashes = {".cpp", ".hpp", ".in",   ".js",
                                                       ".mjs", ".go",  ".java", ".rs"};
  const bool is_slashed =
      std::any_of(slashes.begin(), slashes.end(),
                  [&](std::string_view ending) { return file.path.ends_with(ending); });
  const std::string_view mark = is_slashed ? "//" : "#";
  const std::string want = std::string(mark) + " SPDX-License-Identifier: Apache-2.0";
  if (file.lines.size() > at && file.lines[at] == want) return {};
  return {place(file, at) + "must read `" + want + '`'};
}

findings check_header_guard(const source_file& file) {
  if (!file.path.ends_with(".hpp")) return {};
  const auto found = std::find(file.code.begin(), file.code.end(), "#pragma once");
  if (found != file.code.end()) return {};
  return {file.path + ": has no #pragma once"};
}

findings check_unfinished(const source_file& file) {
  // Spelled in two halves, lest this file find itself.
  static const std::regex unfinished(
      "\\b(TO"
      "DO(?!\\(when )|FIX"
      "ME|XX"
      "X|HA"
      "CK)\\b");
  return find_lines(file, file.lines, unfinished,
                    "unfinished without a condition; write TO"
                    "DO(when ...), or do it");
}

findings check_sleep(const source_file& file) {
  if (!is_unit_test(file)) return {};
  static const std::regex nap(R"(\b(?:(?:u|nano)?sleep|sleep_(?:for|until))\s*\()");
  return find_lines(file, file.code, nap, "a unit test does not sleep");
}

findings check_macros(const source_file& file) {
  if (!file.is_cpp() || file.is_below("tests/")) return {};
  static const std::regex own(R"(^\s*#\s*define\s+(?!AMQP_ASSERT\b|AMQP_TRY\b))");
  return find_lines(file, file.code, own, "no macros but AMQP_ASSERT and AMQP_TRY");
}

findings check_using_namespace(const source_file& file) {
  const bool is_test_source = file.is_below("tests/") && file.path.ends_with(".cpp");
  if (!file.is_cpp() || is_test_source) return {};
  static const std::regex directive(R"(^using\s+namespace\s+(?!std::\w*literals\b))");
  return find_lines(file, file.code, directive, "no `using namespace` but in a function");
}

findings check_assertions(const source_file& file) {
  findings out;
  if (!file.is_below("tests/") || !file.is_cpp()) return out;
  static const std::regex assertion("CHECK|REQUIRE|FAIL|expect|verify|must|assert");
  std::size_t start = 0;
  bool inside = false, asserts = false;
  for (std::size_t i = 0; i <= file.code.size(); ++i) {
    const bool is_end = i == file.code.size();
    if (is_end || std::regex_search(file.code[i], test_case_start)) {
      if (inside && !asserts)
        out.push_back(place(file, start) + "a test case that asserts nothing");
      inside = true;
      asserts = false;
      start = i;
    }
    if (!is_end && std::regex_search(file.code[i], assertion)) asserts = true;
  }
  return out;
}

findings check_test_names(const source_file& file) {
  findings out;
  if (!file.is_below("tests/") || !file.is_cpp()) return out;
  static const std::regex name(R"re("((?:[^"\\]|\\.)*)")re");
  for (std::size_t i = 0; i < file.lines.size(); ++i) {
    std::smatch found;
    const bool is_case = std::regex_search(file.code[i], test_case_start) &&
                         std::regex_search(file.lines[i], found, name);
    if (!is_case || found[1].str().find_first_of(";\\*") == std::string::npos) continue;
    out.push_back(place(file, i) + "`;`, `*` or `\\` in the name of a test case");
  }
  return out;
}

}  // namespace whimbrel::tidy
