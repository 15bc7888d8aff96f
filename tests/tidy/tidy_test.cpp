// SPDX-License-Identifier: Apache-2.0
// The rules of the house, checked on the tree as it is; and each check on a sample that breaks it,
// so that a check that has gone blind is noticed.
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "tests/tidy/checks.hpp"
#include "tests/tidy/source_file.hpp"

using namespace whimbrel::tidy;

namespace {

const std::filesystem::path root = WHIMBREL_SOURCE_DIR;

const std::vector<source_file>& tree() {
  static const std::vector<source_file> files = read_tree(root);
  return files;
}

void expect_clean(findings (*check)(const source_file&)) {
  for (const source_file& file : tree()) {
    for (const std::string& finding : check(file)) {
      FAIL_CHECK(finding);
    }
  }
  CHECK(tree().size() > 50);  // an empty tree is clean, too
}

findings of(findings (*check)(const source_file&), std::string path, std::string_view text) {
  return check(make_source(std::move(path), text));
}

std::string lines(std::size_t count, std::string_view line = "x;") {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += std::string(line) + '\n';
  return out;
}

// Samples are put together here, so that none is taken for what it is a sample of.

const std::string opening =
    "TEST"
    "_CASE(\"";

/// The head of a test case of this name.
std::string test_case(std::string_view name) { return opening + std::string(name) + "\") "; }

}  // namespace

TEST_CASE("tree: every file includes only what its layer may") { expect_clean(check_includes); }
TEST_CASE("tree: no file is too long") { expect_clean(check_file_length); }
TEST_CASE("tree: no function is too long") { expect_clean(check_function_length); }
TEST_CASE("tree: no line is too long") { expect_clean(check_line_length); }
TEST_CASE("tree: every file names its licence first") { expect_clean(check_licence); }
TEST_CASE("tree: every header guards itself") { expect_clean(check_header_guard); }
TEST_CASE("tree: nothing is unfinished without a condition") { expect_clean(check_unfinished); }
TEST_CASE("tree: no unit test sleeps") { expect_clean(check_sleep); }
TEST_CASE("tree: there are no macros but two") { expect_clean(check_macros); }
TEST_CASE("tree: namespaces are not emptied into others") { expect_clean(check_using_namespace); }
TEST_CASE("tree: every test case asserts something") { expect_clean(check_assertions); }
TEST_CASE("tree: every test case has a name that ctest can carry") {
  expect_clean(check_test_names);
}

TEST_CASE("tree: every top folder has a README") {
  for (const std::string folder :
       {".", "amqp", "broker", "client", "conformance", "docker", "storage", "tests"}) {
    CAPTURE(folder);
    const auto readme = root / folder / "README.md";
    REQUIRE(std::filesystem::exists(readme));
    CHECK(std::filesystem::file_size(readme) > 100);
  }
}

TEST_CASE("tree: no two test cases of one program share a name") {
  std::map<std::string, std::string> first;  // by area and name, as ctest lists them
  for (const source_file& file : tree()) {
    if (!file.is_below("tests/") || !file.is_cpp()) continue;
    const std::string area = file.path.substr(0, file.path.find('/', 6));
    for (const std::string& line : file.lines) {
      if (!line.starts_with(opening)) continue;
      const std::size_t from = opening.size();
      const std::string name = area + ' ' + line.substr(from, line.rfind('"') - from);
      const auto [at, is_new] = first.emplace(name, file.path);
      if (!is_new) FAIL_CHECK(name, " in ", file.path, " and ", at->second);
    }
  }
  CHECK(first.size() > 10);
}

TEST_CASE("check: each layer's forbidden includes are found, its allowed ones are not") {
  const struct {
    std::string_view path, include;
    bool allowed;
  } rows[] = {
      {"amqp/codec/a.cpp", "\"amqp/base/b.hpp\"", true},
      {"amqp/codec/a.cpp", "<vector>", true},
      {"amqp/codec/a.cpp", "<boost/system/result.hpp>", true},
      {"amqp/codec/a.cpp", "<boost/pfr.hpp>", true},
      {"amqp/codec/a.cpp", "\"amqp/io/b.hpp\"", false},
      {"amqp/codec/a.cpp", "\"broker/b.hpp\"", false},
      {"amqp/codec/a.cpp", "\"storage/b.hpp\"", false},
      {"amqp/codec/a.cpp", "<boost/asio.hpp>", false},
      {"amqp/codec/a.cpp", "<boost/json.hpp>", false},
      {"amqp/codec/a.cpp", "<openssl/evp.h>", false},
      {"amqp/codec/a.cpp", "<sys/socket.h>", false},
      {"amqp/codec/a.cpp", "<unistd.h>", false},
      {"amqp/codec/a.cpp", "<thread>", false},
      {"amqp/codec/a.cpp", "<random>", false},
      {"amqp/codec/a.cpp", "\"codec/b.hpp\"", false},  // includes are from the root
      {"amqp/io/a.cpp", "<boost/asio.hpp>", true},
      {"amqp/io/a.cpp", "<openssl/ssl.h>", true},
      {"amqp/io/a.cpp", "\"amqp/io/b.hpp\"", true},
      {"amqp/io/a.cpp", "\"broker/b.hpp\"", false},
      {"storage/a.cpp", "\"storage/b.hpp\"", true},
      {"storage/a.cpp", "<thread>", true},
      {"storage/a.cpp", "\"amqp/base/assert.hpp\"", false},
      {"storage/a.cpp", "<sqlite3.h>", false},
      {"storage/sqlite/a.cpp", "<sqlite3.h>", true},
      {"storage/sqlite/a.cpp", "<boost/asio.hpp>", false},
      {"broker/protocol/a.cpp", "\"amqp/engine/b.hpp\"", true},
      {"broker/protocol/a.cpp", "\"storage/store.hpp\"", true},
      {"broker/protocol/a.cpp", "\"amqp/io/b.hpp\"", false},
      {"broker/protocol/a.cpp", "\"client/b.hpp\"", false},
      {"broker/protocol/a.cpp", "\"conformance/b.hpp\"", false},
      {"broker/protocol/a.cpp", "<sqlite3.h>", false},
      {"broker/net/a.cpp", "\"amqp/io/b.hpp\"", true},
      {"broker/net/a.cpp", "<boost/asio.hpp>", true},
      {"broker/core/a.cpp", "\"amqp/message/view.hpp\"", true},
      {"broker/core/a.cpp", "\"storage/store.hpp\"", true},
      {"broker/core/a.cpp", "\"storage/sqlite/b.hpp\"", false},
      {"broker/core/a.cpp", "\"broker/net/b.hpp\"", false},
      {"broker/core/a.cpp", "<boost/asio/post.hpp>", false},
      {"broker/core/a.cpp", "<openssl/evp.h>", false},
      {"client/a.cpp", "\"amqp/io/b.hpp\"", true},
      {"client/a.cpp", "\"broker/b.hpp\"", false},
      {"client/a.cpp", "\"storage/sqlite/database.hpp\"", false},
      {"client/state/a.cpp", "\"storage/sqlite/database.hpp\"", true},
      {"client/state/a.cpp", "\"storage/store.hpp\"", false},
      {"client/tools/main.cpp", "\"broker/command.hpp\"", true},
      {"client/tools/main.cpp", "\"broker/config/settings.hpp\"", false},
      {"client/tools/send.cpp", "\"broker/command.hpp\"", false},
      {"conformance/a.cpp", "\"amqp/io/b.hpp\"", true},
      {"conformance/a.cpp", "\"broker/command.hpp\"", false},
      {"tests/amqp/a.cpp", "\"broker/b.hpp\"", true},
  };
  for (const auto& row : rows) {
    CAPTURE(row.path);
    CAPTURE(row.include);
    const auto found = of(check_includes, std::string(row.path),
                          "// first\n#include " + std::string(row.include) + "\n");
    CHECK(found.empty() == row.allowed);
    if (!row.allowed) CHECK(found[0].starts_with(std::string(row.path) + ":2: "));
  }
}

TEST_CASE("check: a file over 600 lines is found, unless it is a table of the standard") {
  CHECK(of(check_file_length, "amqp/a.cpp", lines(600)).empty());
  CHECK(of(check_file_length, "amqp/a.cpp", lines(601)).size() == 1);
  CHECK(of(check_file_length, "amqp/spec/a.cpp", lines(601)).empty());
  CHECK(of(check_file_length, "tests/a.py", lines(601)).empty());
}

TEST_CASE("check: a function over 70 lines is found in whatever it is wrapped") {
  const std::string fits = "{\n" + lines(68) + "}\n", grown = "{\n" + lines(69) + "}\n";
  const struct {
    std::string_view what;
    std::string before, after;
  } rows[] = {
      {"free function", "int f(int a) ", ""},
      {"in a namespace", "namespace a {\nint f() ", "}\n"},
      {"a member", "class a : public b {\n public:\n  void f() const noexcept ", "};\n"},
      {"a constructor", "a::a(int b)\n    : b_(b), c_(2) ", ""},
      {"extern C", "extern \"C\" int f(int a) ", ""},
      {"a test case", test_case("x"), ""},
      {"behind a brace in a literal", "const char* a = \"{\"; char b = '{';  // {\nint f() ", ""},
      {"behind a digit separator", "int a = 1'000; int b = 2'000;\nint f() ", ""},
      {"behind a raw string", "auto a = R\"x({{\")x\";\nint f() ", ""},
      {"a template", "template <class T>\nauto f(T a) -> int ", ""},
      {"behind an aggregate", "constexpr b a = {1, {2, 3}};\nint f() ", ""},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    CHECK(of(check_function_length, "amqp/a.cpp", row.before + fits + row.after).empty());
    CHECK(of(check_function_length, "amqp/a.cpp", row.before + grown + row.after).size() == 1);
  }
  // A table is data wherever it stands; what is around it still counts.
  const std::string table = "const a rows[] = {\n" + lines(90, "{1, 2},") + "};\n";
  CHECK(of(check_function_length, "a.cpp", "int f() {\n" + table + lines(60) + "}\n").empty());
  CHECK(of(check_function_length, "a.cpp", "int f() {\n" + table + lines(80) + "}\n").size() == 1);
  CHECK(of(check_function_length, "a.cpp", "int f() {\nreturn {\n" + table + "};\n}\n").empty());

  // What is long and no function: a namespace, a class, a table.
  for (const std::string head :
       {"namespace a ", "struct a ", "enum class a : int ", "const b a[] = "}) {
    CAPTURE(head);
    CHECK(of(check_function_length, "amqp/a.cpp", head + grown + ";\n").empty());
  }
}

TEST_CASE("check: a line over 100 characters is found, counted in characters") {
  CHECK(of(check_line_length, "a.sh", std::string(100, 'x')).empty());
  CHECK(of(check_line_length, "a.sh", std::string(101, 'x')).size() == 1);
  CHECK(of(check_line_length, "a.cpp", lines(1, std::string(100, '/') + "\xc3\xa4")).size() == 1);
  CHECK(of(check_line_length, "a.cpp", lines(1, std::string(99, '/') + "\xc3\xa4")).empty());
}

TEST_CASE("check: a missing licence is found") {
  const std::string text = " SPDX-License-Identifier: Apache-2.0\n";
  CHECK(of(check_licence, "a.cpp", "//" + text).empty());
  CHECK(of(check_licence, "a.sh", "#!/bin/sh\n#" + text).empty());
  CHECK(of(check_licence, "CMakeLists.txt", "#" + text).empty());
  CHECK(of(check_licence, "a.js", "//" + text).empty());
  CHECK(of(check_licence, "a.go", "//" + text).empty());
  CHECK(of(check_licence, "a.java", "//" + text).empty());
  CHECK(of(check_licence, "a.rs", "//" + text).empty());
  CHECK(of(check_licence, "a.java", "#" + text).size() == 1);
  CHECK(of(check_licence, "a.cpp", "#" + text).size() == 1);
  CHECK(of(check_licence, "a.cpp", "\n//" + text).size() == 1);
  CHECK(of(check_licence, "a.sh", "#!/bin/sh\n").size() == 1);
  CHECK(of(check_licence, "a.py", "").size() == 1);
}

TEST_CASE("check: a header without a guard is found") {
  CHECK(of(check_header_guard, "a.hpp", "// x\n#pragma once\n").empty());
  CHECK(of(check_header_guard, "a.hpp", "// #pragma once\n").size() == 1);
  CHECK(of(check_header_guard, "a.cpp", "// x\n").empty());
}

TEST_CASE("check: unfinished work is found unless it says when it ends") {
  const std::string todo =
                        "TO"
                        "DO",
                    fixme =
                        "FIX"
                        "ME";
  CHECK(of(check_unfinished, "a.cpp", "// " + todo + "(when C++23): use std::expected\n").empty());
  CHECK(of(check_unfinished, "a.cpp", "// " + todo + ": tidy\n").size() == 1);
  CHECK(of(check_unfinished, "a.cpp", "// " + todo + "(me): tidy\n").size() == 1);
  CHECK(of(check_unfinished, "a.sh", "# " + fixme + "\n").size() == 1);
  CHECK(of(check_unfinished, "a.cpp", "int mastodon;\n").empty());
}

TEST_CASE("check: a sleeping unit test is found") {
  const std::string verb = "sleep";
  const std::string nap = "std::this_thread::" + verb + "_for(1ms);\n";
  CHECK(of(check_sleep, "tests/amqp/a.cpp", nap).size() == 1);
  for (const std::string prefix : {"", "u", "nano"}) {
    CHECK(of(check_sleep, "tests/amqp/a.cpp", prefix + verb + "(1);\n").size() == 1);
  }
  CHECK(of(check_sleep, "tests/amqp/a.cpp", "// " + nap).empty());
  CHECK(of(check_sleep, "tests/interop/a.cpp", nap).empty());
  CHECK(of(check_sleep, "broker/net/a.cpp", nap).empty());
}

TEST_CASE("check: a macro of our own is found") {
  CHECK(of(check_macros, "amqp/a.hpp", "#define AMQP_TRY(a, b) a\n").empty());
  CHECK(of(check_macros, "amqp/a.hpp", "#define AMQP_TRYING 1\n").size() == 1);
  CHECK(of(check_macros, "amqp/a.hpp", "#define MAX 1\n").size() == 1);
}

TEST_CASE("check: a using-directive is found") {
  CHECK(of(check_using_namespace, "amqp/a.cpp", "using namespace std;\n").size() == 1);
  CHECK(of(check_using_namespace, "tests/a.hpp", "using namespace std;\n").size() == 1);
  CHECK(of(check_using_namespace, "tests/a.cpp", "using namespace std;\n").empty());
  CHECK(of(check_using_namespace, "amqp/a.cpp", "using enum a;\nnamespace b = c;\n").empty());
  CHECK(of(check_using_namespace, "amqp/a.cpp", "  using namespace std;\n").empty());
  CHECK(of(check_using_namespace, "amqp/a.cpp", "using namespace std::string_literals;\n").empty());
}

TEST_CASE("check: a test case that asserts nothing is found") {
  const std::string good = test_case("a") + "{\n  CHECK(1);\n}\n";
  const std::string bad = test_case("b") + "{\n  run();  // CHECK\n}\n";
  CHECK(of(check_assertions, "tests/a.cpp", good + good).empty());
  CHECK(of(check_assertions, "tests/a.cpp", good + bad).size() == 1);
  CHECK(of(check_assertions, "tests/a.cpp", bad + good).size() == 1);
  CHECK(of(check_assertions, "tests/a.cpp", test_case("c") + "{ expect_clean(x); }\n").empty());
}

TEST_CASE("check: a name that ctest cannot carry is found") {
  CHECK(of(check_test_names, "tests/a.cpp", test_case("a: b, c [2.6.7]")).empty());
  CHECK(of(check_test_names, "tests/a.cpp", test_case("a; b")).size() == 1);
  CHECK(of(check_test_names, "tests/a.cpp", test_case("a \\\"b\\\"")).size() == 1);
  CHECK(of(check_test_names, "tests/a.cpp", test_case("a *")).size() == 1);
}
