// SPDX-License-Identifier: Apache-2.0
#include "conformance/arguments.hpp"

#include <charconv>
#include <sstream>

#include <CLI/CLI.hpp>

namespace whimbrel::conformance {

namespace {

constexpr int usage_error = 2;

constexpr const char* about =
    "Checks an AMQP 1.0 broker against the standard, clause by clause, over the\n"
    "network and with nothing but the protocol. It makes nodes of its own and\n"
    "leaves others alone.\n";

constexpr const char* after =
    "\nURL is amqp://[USER:PASSWORD@]HOST[:PORT][/ADDRESS]. ADDRESS is the node to send\n"
    "to and receive from; {} in it becomes a name of each check's own, which lets\n"
    "checks run side by side, e.g. /queue/conformance-{} for RabbitMQ. Without {}\n"
    "the one node is used by one check at a time, and must be empty. The default is\n"
    "conformance-{}.\n\n"
    "A clause gets one of these verdicts:\n"
    "  pass, fail     the peer keeps it, or breaks it\n"
    "  warn           it falls short of a recommendation (SHOULD)\n"
    "  noted          the text prescribes no reaction: what the peer did\n"
    "  skip           not offered, or not to be seen from here; with the reason\n"
    "  inconclusive   the exchange did not get to the point\n\n"
    "Exit code: 0 if no clause failed, 1 if one did, 2 if there was no run.\n";

std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    const char* const at = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() + 0 &&
        std::from_chars(at, at + 2, value, 16).ptr == at + 2) {
      out += static_cast<char>(value);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

void split_words(const std::vector<std::string>& given, std::vector<std::string>& out) {
  for (const std::string& each : given) {
    std::stringstream words(each);
    for (std::string word; std::getline(words, word, ',');) {
      if (!word.empty()) out.push_back(word);
    }
  }
}

std::string find_fault(const arguments& a) {
  for (const std::string& id : a.chosen.ids) {
    if (find_clause(id) == nullptr) return "no such clause: " + id + " (see --list)";
  }
  for (const char c : a.chosen.levels) {
    if (std::string_view("MNSsPD").find(c) == std::string_view::npos) {
      return std::string("no such level: ") + c + " (M, N, S, s, P or D)";
    }
  }
  bool any = false;
  for (const clause& c : clauses()) any = any || a.chosen.admits(c);
  return any ? "" : "no clause is selected by --part, --section, --clause and --level";
}

}  // namespace

std::string parse_url(std::string_view url, subject& out) {
  const std::size_t scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos) return "not a URL: it must begin with amqp://";
  const std::string_view scheme = url.substr(0, scheme_end);
  if (scheme == "amqps") return "amqps:// needs TLS, which this build of the suite does not speak";
  if (scheme != "amqp") return "unknown scheme " + std::string(scheme) + "://, use amqp://";
  std::string_view rest = url.substr(scheme_end + 3);
  std::string_view place = rest.substr(0, rest.find('/'));
  if (place.size() + 1 < rest.size()) out.address = unescaped(rest.substr(place.size() + 1));
  if (const std::size_t at = place.rfind('@'); at != std::string_view::npos) {
    const std::string_view login = place.substr(0, at);
    const std::size_t colon = login.find(':');
    if (colon == std::string_view::npos) return "a user without password: write USER:PASSWORD@HOST";
    out.user = unescaped(login.substr(0, colon));
    out.password = unescaped(login.substr(colon + 1));
    place = place.substr(at + 1);
  }
  out.port = 5672;
  std::size_t colon = place.rfind(':');
  if (place.starts_with('[') && place.ends_with(']')) colon = std::string_view::npos;
  if (colon != std::string_view::npos) {
    const std::string_view digits = place.substr(colon + 1);
    const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
    if (end.ec != std::errc{} || end.ptr != digits.data() + digits.size() || out.port == 0) {
      return "not a port: " + std::string(digits);
    }
    place = place.substr(0, colon);
  }
  if (place.starts_with('[') && place.ends_with(']')) place = place.substr(1, place.size() - 2);
  out.host = place;
  return out.host.empty() ? "the URL names no host" : "";
}

parsed parse_arguments(int argc, const char* const* argv) {
  arguments a;
  std::string url;
  std::vector<std::string> parts;
  std::vector<std::string> sections;
  std::vector<std::string> ids;
  std::string address;
  unsigned timeout_ms = 3000;
  CLI::App app(about, "whimbrel conformance");
  app.footer(after);
  app.add_option("URL", url, "the broker");
  app.add_option("--address", address, "node to use, instead of the URL's path");
  app.add_option("--part", parts, "only these parts: 1 or types, 2 or transport, ...");
  app.add_option("--section", sections, "only these sections, e.g. 2.6 or 2.6.7");
  app.add_option("--clause", ids, "only these clauses, e.g. T-2.6.7-b");
  app.add_option("--level", a.chosen.levels, "only these levels, of M, N, S, s, P and D");
  app.add_option("--parallel", a.parallel, "checks at a time")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--timeout", timeout_ms, "milliseconds to wait for an answer")
      ->check(CLI::Range(100, 60000))
      ->capture_default_str();
  app.add_flag("--strict", a.peer.is_strict, "demand the reactions that the list only infers");
  app.add_flag("--list", a.list, "list the clauses and connect to nothing");
  app.add_flag("--verbose", a.verbose, "print what was noted and skipped as well");
  app.add_option("--junit", a.junit, "write JUnit XML to this file");
  app.add_option("--json", a.json, "write JSON to this file");
  app.add_option("--html", a.html, "write one HTML page to this file");
  app.add_option("--compare", a.compare, "JSON files of other runs, as columns of the page");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return {.text = app.help()};
  } catch (const CLI::ParseError& e) {
    return {.text = std::string(e.what()) + "\nTry --help.", .exit_code = usage_error};
  }
  split_words(parts, a.chosen.parts);
  split_words(sections, a.chosen.sections);
  split_words(ids, a.chosen.ids);
  a.peer.timeout = milliseconds(timeout_ms);
  const bool page_alone = url.empty() && !a.compare.empty() && !a.html.empty();
  std::string fault;
  if (!a.list && !page_alone) {
    fault = url.empty() ? "which broker? Give its URL" : parse_url(url, a.peer);
  }
  if (fault.empty()) fault = find_fault(a);
  if (!fault.empty()) return {.text = fault + "\nTry --help.", .exit_code = usage_error};
  if (!address.empty()) a.peer.address = address;
  if (!url.empty() && !a.list) {
    a.url = "amqp://" + a.peer.host + ":" + std::to_string(a.peer.port);
  }
  return {.run = std::move(a)};
}

}  // namespace whimbrel::conformance
