// SPDX-License-Identifier: Apache-2.0
#include "conformance/command.hpp"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "conformance/arguments.hpp"
#include "conformance/report/report.hpp"
#include "conformance/run/survey.hpp"
#include "conformance/wire/peer.hpp"

namespace whimbrel::conformance {

namespace {

constexpr int no_run = 2;

void save(const std::string& file, const std::string& text) {
  if (file.empty()) return;
  std::ofstream out(file, std::ios::binary);
  out << text;
  out.close();
  if (!out) throw std::runtime_error("cannot write " + file);
}

report load(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + file);
  std::stringstream text;
  text << in.rdbuf();
  try {
    return from_json(text.str());
  } catch (const std::runtime_error& e) {
    throw std::runtime_error(file + ": " + e.what());
  }
}

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32] = {};
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts);
  return text;
}

/// What the peer's open says it is.
std::string product_of(const subject& s, rule_book& rules) {
  test t(s, rules, "product", "O-0.2-j");
  peer p(t);
  const spec::open o = p.open();
  std::string out;
  for (const char* key : {"product", "version"}) {
    const auto found = o.properties ? o.properties->find(key) : std::nullopt;
    if (found && found->text()) out += (out.empty() ? "" : " ") + *found->text();
  }
  return out.empty() ? o.container_id : out;
}

/// One line that is written over, on a terminal alone.
progress progress_line() {
  if (isatty(STDERR_FILENO) == 0) return {};
  return [](std::size_t done, std::size_t all, const std::string& title) {
    std::fprintf(stderr, "\r\x1b[K%zu/%zu %.60s", done, all, title.c_str());
    if (done == all) std::fprintf(stderr, "\r\x1b[K");
  };
}

int run(arguments& a) {
  std::vector<report> page;
  for (const std::string& file : a.compare) page.push_back(load(file));
  int exit_code = 0;
  if (!a.url.empty()) {
    const auto begun = std::chrono::steady_clock::now();
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    a.peer.run = std::to_string(std::chrono::duration_cast<milliseconds>(now).count());
    rule_book rules;
    const std::string fault = look_around(a.peer, rules);
    if (!fault.empty()) {
      std::fprintf(stderr, "whimbrel conformance: %s: %s\n", a.url.c_str(), fault.c_str());
      return no_run;
    }
    if (!a.peer.has_node) {
      std::fprintf(stderr,
                   "whimbrel conformance: no messages can be sent to and received from %s: %s\n"
                   "Checks that need a node will be skipped or inconclusive; name one by the URL's "
                   "path.\n",
                   a.peer.address.c_str(), a.peer.no_node.c_str());
    }
    report r{.subject = a.url,
             .product = product_of(a.peer, rules),
             .when = now_text(),
             .is_strict = a.peer.is_strict};
    r.findings = run_checks(a.peer, a.chosen, a.parallel, rules, progress_line());
    r.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    std::fputs(to_text(r, a.verbose).c_str(), stdout);
    save(a.junit, to_junit(r));
    save(a.json, to_json(r));
    exit_code = r.exit_code();
    page.insert(page.begin(), std::move(r));
  }
  if (!a.html.empty()) save(a.html, to_html(page));
  return exit_code;
}

}  // namespace

int run_conformance(int argc, char** argv) {
  parsed p = parse_arguments(argc, argv);
  if (!p.run) {
    std::fprintf(p.exit_code == 0 ? stdout : stderr, "%s\n", p.text.c_str());
    return p.exit_code;
  }
  if (p.run->list) {
    std::fputs(list_clauses(p.run->chosen).c_str(), stdout);
    return 0;
  }
  try {
    return run(*p.run);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "whimbrel conformance: %s\n", e.what());
    return no_run;
  }
}

}  // namespace whimbrel::conformance
