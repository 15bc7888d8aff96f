// SPDX-License-Identifier: Apache-2.0
#include "client/tools/table.hpp"

#include <algorithm>
#include <cstdio>

namespace whimbrel::client {

namespace json = boost::json;

namespace {

/// Characters, not octets.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string padded(const std::string& text, std::size_t to) {
  return text + std::string(to - std::min(to, width(text)), ' ');
}

void print_line(std::string line) {
  while (line.ends_with(' ')) line.pop_back();
  std::printf("%s\n", line.c_str());
}

}  // namespace

std::string cell_text(const json::value& v) {
  if (v.is_null()) return "";
  std::string out = v.is_string() ? std::string(v.get_string()) : json::serialize(v);
  if (out == "{}" || out == "[]") return "";
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return out;
}

void print_table(const std::vector<std::string>& columns, const json::array& rows) {
  std::vector<std::vector<std::string>> cells{columns};
  for (const json::value& row : rows) {
    cells.emplace_back();
    for (const std::string& column : columns) {
      const json::value* v = row.as_object().if_contains(column);
      cells.back().push_back(v == nullptr ? "" : cell_text(*v));
    }
  }
  std::vector<std::size_t> widths(columns.size());
  for (const auto& row : cells) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  for (const auto& row : cells) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += padded(row[i], widths[i] + 2);
    print_line(std::move(line));
  }
}

void print_fields(const json::object& fields) {
  std::size_t widest = 0;
  for (const auto& [key, v] : fields) widest = std::max(widest, key.size());
  for (const auto& [key, v] : fields) {
    print_line(padded(std::string(key), widest + 2) + cell_text(v));
  }
}

}  // namespace whimbrel::client
