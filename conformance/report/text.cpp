// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <set>

#include "conformance/report/report.hpp"

namespace whimbrel::conformance {

namespace {

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.resize(width, ' ');
  return text;
}

std::string number(std::size_t n) {
  char text[24] = {};
  std::snprintf(text, sizeof text, "%6zu", n);
  return n == 0 ? "     ." : text;
}

void add_row(std::string& out, const section_counts& row) {
  out += padded(row.title.substr(0, 44), 45);
  for (const verdict v : {verdict::pass, verdict::fail, verdict::warn, verdict::noted,
                          verdict::skip, verdict::inconclusive}) {
    out += number(row.of[static_cast<std::size_t>(v)]);
  }
  out += '\n';
}

void add_findings(std::string& out, const report& r, verdict v, bool with_frames) {
  for (const finding& f : r.findings) {
    if (f.is != v) continue;
    const clause* c = find_clause(f.clause);
    out += std::string(to_text(v)) + "  " + f.clause + " (" + std::string(to_text(c->how)) + ") " +
           std::string(c->requirement) + "\n      " + f.check + ": " + f.text + '\n';
    if (!with_frames) continue;
    constexpr std::size_t shown = 14;
    const std::size_t from = f.frames.size() > shown ? f.frames.size() - shown : 0;
    for (std::size_t i = from; i < f.frames.size(); ++i) {
      out += "        " + f.frames[i].substr(0, 160) + '\n';
    }
  }
}

}  // namespace

std::vector<section_counts> counts_by_section(const report& r) {
  std::vector<section_counts> out;
  for (const finding& f : r.findings) {
    const clause* c = find_clause(f.clause);
    if (c == nullptr) continue;
    if (out.empty() || out.back().title != c->section) {
      const auto known = std::find_if(out.begin(), out.end(), [&](const section_counts& s) {
        return s.title == c->section;
      });
      if (known != out.end()) {
        ++known->of[static_cast<std::size_t>(f.is)];
        continue;
      }
      out.push_back({.title = std::string(c->section)});
    }
    ++out.back().of[static_cast<std::size_t>(f.is)];
  }
  return out;
}

std::string to_text(const report& r, bool with_notes) {
  std::string out = padded("section", 45) + "  pass  fail  warn noted  skip incon.\n";
  section_counts all{.title = "all"};
  for (const section_counts& row : counts_by_section(r)) {
    add_row(out, row);
    for (std::size_t i = 0; i < 6; ++i) all.of[i] += row.of[i];
  }
  add_row(out, all);
  out += '\n';
  add_findings(out, r, verdict::fail, true);
  add_findings(out, r, verdict::inconclusive, true);
  add_findings(out, r, verdict::warn, false);
  if (with_notes) {
    add_findings(out, r, verdict::noted, false);
    add_findings(out, r, verdict::skip, false);
  }
  out += r.subject + (r.product.empty() ? "" : " (" + r.product + ")") + ": " +
         std::to_string(r.judged()) + " of " + std::to_string(r.findings.size()) +
         " clauses judged, " + std::to_string(r.count(verdict::fail)) + " failed, " +
         std::to_string(r.count(verdict::warn)) + " warned, " +
         std::to_string(r.count(verdict::noted)) + " noted, " +
         std::to_string(r.count(verdict::skip)) + " skipped, " +
         std::to_string(r.count(verdict::inconclusive)) + " inconclusive, in " +
         std::to_string(static_cast<int>(r.seconds + 0.5)) + " s\n";
  return out;
}

std::string list_clauses(const selection& chosen) {
  std::set<std::string, std::less<>> judged(observed_clauses().begin(), observed_clauses().end());
  for (const check& c : all_checks()) {
    for (std::string& id : words_of(c.clauses)) judged.insert(std::move(id));
  }
  std::string out;
  std::string_view section;
  std::size_t all = 0;
  std::size_t automated = 0;
  for (const clause& c : clauses()) {
    if (!chosen.admits(c)) continue;
    if (c.section != section) out += "\n" + std::string(c.section) + '\n';
    section = c.section;
    const bool has = judged.count(c.id) > 0;
    ++all;
    automated += has ? 1 : 0;
    out += "  " + padded(std::string(c.id), 13) + padded(std::string(to_text(c.how)), 12) +
           padded(std::string(c.binds), 6) + std::string(c.requirement) + '\n';
    if (!has) out += "      not automated: " + why_not_automated(c) + '\n';
  }
  return out + "\n" + std::to_string(all) + " clauses, " + std::to_string(automated) +
         " of them automated\n";
}

}  // namespace whimbrel::conformance
