// SPDX-License-Identifier: Apache-2.0
// Reads the tables of clauses.md. A row is `| id | level | binds | requirement | test | error |`.
#include "conformance/clause.hpp"

#include <array>
#include <unordered_map>
#include <vector>

namespace whimbrel::conformance {

namespace {

constexpr std::string_view id_letters = "YTMXSO";

bool is_row(std::string_view line) {
  return line.size() > 4 && line.starts_with("| ") &&
         id_letters.find(line[2]) != std::string_view::npos && line[3] == '-';
}

/// The six cells of a row; false if there are not six.
bool split(std::string_view line, std::array<std::string_view, 6>& cells) {
  line.remove_prefix(2);
  if (line.ends_with(" |")) line.remove_suffix(2);
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::size_t at = line.find(" | ");
    if ((at == std::string_view::npos) != (i + 1 == cells.size())) return false;
    cells[i] = line.substr(0, at);
    if (at != std::string_view::npos) line.remove_prefix(at + 3);
  }
  return true;
}

unsigned part_of(std::string_view heading) {
  const std::size_t at = heading.find("Part ");
  if (at == std::string_view::npos) return 0;
  return static_cast<unsigned>(heading[at + 5] - '0');
}

std::vector<clause> parse(std::string_view text) {
  std::vector<clause> out;
  std::string_view part;
  std::string_view section;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.starts_with("## ")) part = section = line.substr(3);
    if (line.starts_with("### ")) section = line.substr(4);
    std::array<std::string_view, 6> c{};
    if (!is_row(line) || !split(line, c)) continue;
    out.push_back({.id = c[0],
                   .how = static_cast<level>(c[1].front()),
                   .binds = c[2],
                   .requirement = c[3],
                   .stimulus = c[4],
                   .error = c[5],
                   .part = part,
                   .section = section,
                   .part_number = part_of(part)});
  }
  return out;
}

}  // namespace

std::span<const clause> clauses() {
  static const std::vector<clause> all = parse(clauses_text());
  return all;
}

const clause* find_clause(std::string_view id) {
  static const auto index = [] {
    std::unordered_map<std::string_view, const clause*> out;
    for (const clause& each : clauses()) out.emplace(each.id, &each);
    return out;
  }();
  const auto found = index.find(id);
  return found == index.end() ? nullptr : found->second;
}

std::string_view to_text(level how) {
  switch (how) {
    case level::must:
      return "MUST";
    case level::must_not:
      return "MUST NOT";
    case level::should:
      return "SHOULD";
    case level::should_not:
      return "SHOULD NOT";
    case level::permission:
      return "MAY";
    case level::definition:
      return "defines";
  }
  return "?";
}

}  // namespace whimbrel::conformance
