// SPDX-License-Identifier: Apache-2.0
// One page: style and data inside, no script, no link to anything.
#include <map>

#include "conformance/report/report.hpp"

namespace whimbrel::conformance {

namespace {

constexpr std::string_view style = R"css(
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
table { border-collapse: collapse; width: 100% }
td, th { border-bottom: 1px solid #8884; padding: .3rem .6rem; text-align: left;
  vertical-align: top }
th { font-weight: 600 } td.n { text-align: right; font-variant-numeric: tabular-nums }
.id { white-space: nowrap; font-family: ui-monospace, monospace; font-size: .9em }
.pass { color: #1a7f37 } .fail { color: #cf222e; font-weight: 600 } .warn { color: #9a6700 }
.noted { color: #0969da } .skip { color: #888 } .inconclusive { color: #8250df }
pre { overflow-x: auto; font-size: .8rem; background: #8881; padding: .6rem }
summary { cursor: pointer } .what { color: #777; font-size: .9em }
)css";

std::string tag(std::string_view name, std::string_view inside, std::string_view cls = {}) {
  std::string out = "<" + std::string(name);
  if (!cls.empty()) out += " class=\"" + std::string(cls) + '"';
  return out + ">" + std::string(inside) + "</" + std::string(name) + ">";
}

void add_summary(std::string& out, std::span<const report> runs) {
  out += "<table><tr><th>peer</th><th>when</th><th>judged</th>";
  for (const char* v : {"pass", "fail", "warn", "noted", "skip", "inconclusive"})
    out += tag("th", v);
  out += "</tr>";
  for (const report& r : runs) {
    out += "<tr>" +
           tag("td", escaped(r.subject) + "<br>" + tag("span", escaped(r.product), "what")) +
           tag("td", escaped(r.when) + (r.is_strict ? "<br>strict" : "")) +
           tag("td", std::to_string(r.judged()) + " of " + std::to_string(r.findings.size()), "n");
    for (const verdict v : {verdict::pass, verdict::fail, verdict::warn, verdict::noted,
                            verdict::skip, verdict::inconclusive}) {
      out += tag("td", tag("span", std::to_string(r.count(v)), to_text(v)), "n");
    }
    out += "</tr>";
  }
  out += "</table>";
}

void add_sections(std::string& out, std::span<const report> runs) {
  std::map<std::string, std::vector<std::string>> cells;
  std::vector<std::string> order;
  for (const clause& c : clauses()) {
    const std::string title(c.section);
    if (cells.emplace(title, std::vector<std::string>(runs.size())).second) order.push_back(title);
  }
  for (std::size_t i = 0; i < runs.size(); ++i) {
    for (const section_counts& row : counts_by_section(runs[i])) {
      std::string text;
      for (const verdict v : {verdict::fail, verdict::inconclusive, verdict::warn, verdict::pass,
                              verdict::noted, verdict::skip}) {
        const std::size_t n = row.of[static_cast<std::size_t>(v)];
        if (n > 0)
          text += tag("span", std::to_string(n) + " " + std::string(to_text(v)), to_text(v)) + " ";
      }
      cells[row.title][i] = text;
    }
  }
  out += "<h2>By section</h2><table><tr><th>section</th>";
  for (const report& r : runs) out += tag("th", escaped(r.subject));
  out += "</tr>";
  for (const std::string& title : order) {
    out += "<tr>" + tag("td", escaped(title));
    for (const std::string& cell : cells[title]) out += tag("td", cell);
    out += "</tr>";
  }
  out += "</table>";
}

std::string cell_of(const finding* f) {
  if (f == nullptr) return tag("td", "not run", "skip");
  std::string out =
      tag("span", to_text(f->is), to_text(f->is)) + "<br>" + tag("span", escaped(f->text), "what");
  if (!f->frames.empty()) {
    std::string frames;
    for (const std::string& line : f->frames) frames += escaped(line) + '\n';
    out += "<details><summary>frames</summary>" + tag("pre", frames) + "</details>";
  }
  return tag("td", out);
}

void add_clauses(std::string& out, std::span<const report> runs) {
  std::vector<std::map<std::string_view, const finding*>> index(runs.size());
  for (std::size_t i = 0; i < runs.size(); ++i) {
    for (const finding& f : runs[i].findings) index[i][f.clause] = &f;
  }
  std::string_view section;
  for (const clause& c : clauses()) {
    if (c.section != section) {
      if (!section.empty()) out += "</table>";
      section = c.section;
      out += tag("h2", escaped(section)) + "<table><tr><th>clause</th><th>requirement</th>";
      for (const report& r : runs) out += tag("th", escaped(r.subject));
      out += "</tr>";
    }
    out += "<tr>" +
           tag("td", std::string(c.id) + "<br>" + tag("span", to_text(c.how), "what"), "id") +
           tag("td", escaped(c.requirement));
    for (std::size_t i = 0; i < runs.size(); ++i) {
      const auto found = index[i].find(c.id);
      out += cell_of(found == index[i].end() ? nullptr : found->second);
    }
    out += "</tr>";
  }
  out += "</table>";
}

}  // namespace

std::string to_html(std::span<const report> runs) {
  std::string out =
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<title>AMQP 1.0 conformance</title><style>" +
      std::string(style) + "</style></head><body>" + tag("h1", "AMQP 1.0 conformance");
  add_summary(out, runs);
  add_sections(out, runs);
  add_clauses(out, runs);
  return out + "</body></html>\n";
}

}  // namespace whimbrel::conformance
