// SPDX-License-Identifier: Apache-2.0
// A run as JSON, and back: several saved runs make one page.
#include <boost/json.hpp>

#include <array>
#include <stdexcept>

#include "conformance/report/report.hpp"

namespace whimbrel::conformance {

namespace json = boost::json;

namespace {

constexpr std::array verdicts = {verdict::skip,         verdict::noted, verdict::pass,
                                 verdict::inconclusive, verdict::warn,  verdict::fail};

verdict verdict_of(std::string_view name) {
  for (const verdict v : verdicts) {
    if (to_text(v) == name) return v;
  }
  throw std::runtime_error("no such verdict: " + std::string(name));
}

std::string text_of(const json::object& o, const char* key) {
  const json::value* found = o.if_contains(key);
  if (found == nullptr || !found->is_string()) {
    throw std::runtime_error(std::string("not a report: no text under ") + key);
  }
  return std::string(found->as_string());
}

finding finding_of(const json::object& o) {
  finding f{.clause = text_of(o, "clause"),
            .is = verdict_of(text_of(o, "verdict")),
            .text = text_of(o, "text"),
            .check = text_of(o, "check")};
  if (find_clause(f.clause) == nullptr) throw std::runtime_error("no such clause: " + f.clause);
  if (const json::value* frames = o.if_contains("frames"); frames && frames->is_array()) {
    for (const json::value& line : frames->as_array()) {
      if (line.is_string()) f.frames.emplace_back(line.as_string());
    }
  }
  return f;
}

}  // namespace

std::string to_json(const report& r) {
  json::array findings;
  for (const finding& f : r.findings) {
    json::object o{{"clause", f.clause}, {"verdict", to_text(f.is)}, {"text", f.text},
                   {"check", f.check}};
    if (!f.frames.empty()) o["frames"] = json::array(f.frames.begin(), f.frames.end());
    findings.push_back(std::move(o));
  }
  json::object counts;
  for (const verdict v : verdicts) counts[to_text(v)] = r.count(v);
  const json::object out{{"subject", r.subject}, {"product", r.product},
                         {"when", r.when},       {"strict", r.is_strict},
                         {"seconds", r.seconds}, {"judged", r.judged()},
                         {"counts", counts},     {"findings", findings}};
  return json::serialize(out) + '\n';
}

report from_json(std::string_view text) {
  boost::system::error_code failed;
  const json::value root = json::parse(json::string_view(text.data(), text.size()), failed);
  if (failed || !root.is_object()) throw std::runtime_error("not JSON: " + failed.message());
  const json::object& o = root.as_object();
  report r{.subject = text_of(o, "subject"),
           .product = text_of(o, "product"),
           .when = text_of(o, "when")};
  if (const json::value* strict = o.if_contains("strict"); strict && strict->is_bool()) {
    r.is_strict = strict->as_bool();
  }
  if (const json::value* seconds = o.if_contains("seconds"); seconds && seconds->is_number()) {
    r.seconds = seconds->to_number<double>();
  }
  const json::value* findings = o.if_contains("findings");
  if (findings == nullptr || !findings->is_array()) {
    throw std::runtime_error("not a report: no findings");
  }
  for (const json::value& each : findings->as_array()) {
    if (!each.is_object()) throw std::runtime_error("not a report: a finding that is no object");
    r.findings.push_back(finding_of(each.as_object()));
  }
  return r;
}

}  // namespace whimbrel::conformance
