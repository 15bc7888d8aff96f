// SPDX-License-Identifier: Apache-2.0
// The suite's own parts: catalogue, expectations, arguments, reports, the decoder without mercy.
#include <algorithm>
#include <array>
#include <set>
#include <string>

#include <doctest/doctest.h>

#include "conformance/arguments.hpp"
#include "conformance/report/report.hpp"
#include "conformance/wire/strict.hpp"

using namespace whimbrel::conformance;

TEST_CASE("catalogue: all 653 clauses of the list are there, once") {
  std::set<std::string_view> ids;
  for (const clause& c : clauses()) {
    CAPTURE(c.id);
    CHECK(ids.insert(c.id).second);
    CHECK(std::string_view("MNSsPD").find(static_cast<char>(c.how)) != std::string_view::npos);
    CHECK(!c.requirement.empty());
    CHECK(!c.section.empty());
  }
  CHECK(clauses().size() == 653);
  CHECK(find_clause("T-2.3.1-b")->section == "2.3.1 Frame Layout");
  CHECK(find_clause("M-3.4.5-a")->part_number == 3);
  CHECK(find_clause("T-9.9-z") == nullptr);
}

TEST_CASE("catalogue: every clause has a check or a reason why not") {
  std::set<std::string, std::less<>> judged(observed_clauses().begin(), observed_clauses().end());
  for (const check& c : all_checks()) {
    for (std::string& id : words_of(c.clauses)) {
      CAPTURE(id);
      CHECK(find_clause(id) != nullptr);
      judged.insert(std::move(id));
    }
  }
  for (const clause& c : clauses()) {
    CAPTURE(c.id);
    CHECK((judged.count(c.id) > 0 || !why_not_automated(c).empty()));
  }
  CHECK(judged.size() >= 450);
}

TEST_CASE("expectation: scope decides first, then the condition") {
  const reaction close{.is = scope::close, .condition = "amqp:decode-error"};
  const reaction other{.is = scope::close, .condition = "amqp:internal-error"};
  const reaction end{.is = scope::end, .condition = "amqp:decode-error"};
  const reaction ignored{.is = scope::ignored};
  struct row {
    const char* expected = "";
    reaction what = {};
    bool strict = false;
    verdict is = verdict::pass;
  };
  const std::array rows = {
      row{"close amqp:decode-error", close, false, verdict::pass},
      row{"close amqp:decode-error", other, false, verdict::fail},
      row{"close amqp:decode-error", end, false, verdict::fail},
      row{"close ~amqp:decode-error", other, false, verdict::pass},
      row{"close ~amqp:decode-error", other, true, verdict::fail},
      row{"close ~amqp:decode-error", end, false, verdict::fail},
      row{"~close ~amqp:decode-error", close, false, verdict::noted},
      row{"~close ~amqp:decode-error", close, true, verdict::pass},
      row{"~close ~amqp:decode-error", end, false, verdict::noted},
      row{"~close ~amqp:decode-error", end, true, verdict::fail},
      row{"~close|ignored ~amqp:decode-error", ignored, true, verdict::pass},
      row{"ignored", ignored, false, verdict::pass},
      row{"ignored", close, false, verdict::fail},
      row{"close", reaction{.is = scope::silent}, false, verdict::fail},
      row{"close|tcp", reaction{.is = scope::tcp}, false, verdict::pass},
  };
  for (const row& r : rows) {
    CAPTURE(r.expected);
    CAPTURE(r.strict);
    CHECK(to_text(expectation(r.expected).judge(r.what, r.strict).is) == to_text(r.is));
  }
}

TEST_CASE("arguments: a URL names host, port, login and node") {
  subject s;
  CHECK(parse_url("amqp://user:p%40ss@host:5673/queue/c-{}", s) == "");
  CHECK(s.host == "host");
  CHECK(s.port == 5673);
  CHECK(s.user == "user");
  CHECK(s.password == "p@ss");
  CHECK(s.address == "queue/c-{}");
  subject v6;
  CHECK(parse_url("amqp://[::1]", v6) == "");
  CHECK(v6.host == "::1");
  CHECK(v6.port == 5672);
}

TEST_CASE("arguments: what is wrong is said in a sentence") {
  struct row {
    std::vector<const char*> words = {};
    const char* says = "";
  };
  const std::array rows = {
      row{{}, "Give its URL"},
      row{{"localhost:5672"}, "amqp://"},
      row{{"amqps://host"}, "TLS"},
      row{{"http://host"}, "unknown scheme"},
      row{{"amqp://host:0"}, "not a port"},
      row{{"amqp://host:99999"}, "not a port"},
      row{{"amqp://user@host"}, "without password"},
      row{{"amqp://"}, "no host"},
      row{{"amqp://host", "--clause", "T-1"}, "no such clause"},
      row{{"amqp://host", "--level", "Q"}, "no such level"},
      row{{"amqp://host", "--section", "9.9"}, "no clause is selected"},
      row{{"amqp://host", "--nonsense"}, "--nonsense"},
  };
  for (const row& r : rows) {
    std::vector<const char*> argv = {"conformance"};
    argv.insert(argv.end(), r.words.begin(), r.words.end());
    const parsed p = parse_arguments(static_cast<int>(argv.size()), argv.data());
    CAPTURE(r.says);
    CHECK(!p.run);
    CHECK(p.exit_code == 2);
    CHECK(p.text.find(r.says) != std::string::npos);
  }
}

TEST_CASE("selection: parts, sections, ids and levels narrow it down") {
  const auto count = [](const selection& s) {
    return std::count_if(clauses().begin(), clauses().end(),
                         [&](const clause& c) { return s.admits(c); });
  };
  CHECK(count({}) == 653);
  CHECK(count({.parts = {"types"}}) == 69);
  CHECK(count({.parts = {"1", "4"}}) == 139);
  CHECK(count({.sections = {"2.6.7"}}) == 18);
  CHECK(count({.sections = {"2.6"}}) > count({.sections = {"2.6.7"}}));
  CHECK(count({.ids = {"T-2.6.7-b"}}) == 1);
  CHECK(count({.parts = {"2"}, .levels = "N"}) < count({.parts = {"2"}}));
}

TEST_CASE("report: JSON comes back as it was") {
  report r{.subject = "amqp://host:1", .product = "a \"b\"", .when = "now", .is_strict = true};
  r.findings = {{.clause = "T-2.3.1-b",
                 .is = verdict::fail,
                 .text = "<&>",
                 .check = "SIZE 0",
                 .frames = {"1 -> open()", "1 <- close()"}},
                {.clause = "T-2.3.1-c", .is = verdict::noted, .text = "", .check = "x"}};
  const report back = from_json(to_json(r));
  CHECK(back.subject == r.subject);
  CHECK(back.product == r.product);
  CHECK(back.is_strict);
  REQUIRE(back.findings.size() == 2);
  CHECK(back.findings[0].is == verdict::fail);
  CHECK(back.findings[0].frames == r.findings[0].frames);
  CHECK(back.exit_code() == 1);
  for (const char* text : {"", "[]", "{", R"({"subject":"s"})",
                           R"({"subject":"s","product":"p","when":"w","findings":[1]})"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(from_json(text), std::runtime_error);
  }
}

TEST_CASE("report: JUnit and HTML carry failures and escape what peers say") {
  report r{.subject = "amqp://host:1", .product = "<script>"};
  r.findings = {{.clause = "T-2.3.1-b",
                 .is = verdict::fail,
                 .text = "a <b> & \x01",
                 .check = "c",
                 .frames = {"<frame>"}},
                {.clause = "T-2.3.1-c", .is = verdict::skip, .text = "why"}};
  const std::string junit = to_junit(r);
  CHECK(junit.find("failures=\"1\"") != std::string::npos);
  CHECK(junit.find("a &lt;b&gt; &amp; \xef\xbf\xbd") != std::string::npos);
  CHECK(junit.find("<skipped message=\"why\"/>") != std::string::npos);
  const std::array runs = {r, r};
  const std::string html = to_html(runs);
  CHECK(html.find("<script>") == std::string::npos);
  CHECK(html.find("&lt;frame&gt;") != std::string::npos);
  CHECK(html.find("http") == std::string::npos);
}

TEST_CASE("decoder without mercy: names the clause that octets break") {
  struct row {
    const char* octets = "";
    const char* clause = "";  // empty: none
  };
  const std::array rows = {
      row{"40", ""},
      row{"c1 05 02 a3 01 6b 41", ""},
      row{"e0 04 02 56 01 00", ""},
      row{"f0 00 00 00 05 ff ff ff ff 40", ""},
      row{"00 53 70 45", ""},
      row{"4f", "Y-1.6-a"},
      row{"62 00 01", "Y-1.6-a"},
      row{"56 02", "Y-1.6.2-b"},
      row{"a1 02 c0 80", "Y-1.6.20-b"},
      row{"a3 01 80", "Y-1.6.21-a"},
      row{"c1 02 01 41", "Y-1.6.23-a"},
      row{"c1 05 04 41 41 41 42", "Y-1.6.23-b"},
      row{"c0 03 01 41 41", "Y-1.2.3-b"},
      row{"c0 02 02 41", "Y-1.2.3-c"},
      row{"a1 05 61", "Y-1.2.2-b"},
      row{"e0 01 00", "Y-1.2.4-f"},
      row{"00 a1 01 78 41", "Y-1.5-c"},
  };
  for (const row& r : rows) {
    CAPTURE(r.octets);
    std::set<std::string> broken;
    walk_value(hex(r.octets), [&](std::string_view id, bool held, std::string_view) {
      if (!held) broken.emplace(id);
    });
    CHECK(broken ==
          (*r.clause == '\0' ? std::set<std::string>{} : std::set<std::string>{r.clause}));
  }
}
