// SPDX-License-Identifier: Apache-2.0
#include "client/tools/name_pattern.hpp"

namespace whimbrel::client {

namespace {

constexpr std::string_view special = "\\.^$|?*+()[]{}";

bool is_special(char c) { return special.find(c) != std::string_view::npos; }

/// One `.`, with what follows it: any octet, any run of them, or at least one.
std::string_view take_dot(std::string_view& rest) {
  rest.remove_prefix(1);
  if (rest.starts_with('*')) {
    rest.remove_prefix(1);
    return "*";
  }
  if (rest.starts_with('+')) {
    rest.remove_prefix(1);
    return "?*";
  }
  return "?";
}

/// An octet that stands for itself, escaped or not; nothing if globs cannot say it.
std::optional<char> take_plain(std::string_view& rest) {
  const bool escaped = rest.front() == '\\' && rest.size() > 1 && is_special(rest[1]);
  const char c = escaped ? rest[1] : rest.front();
  rest.remove_prefix(escaped ? 2 : 1);
  if ((!escaped && is_special(c)) || c == '*' || c == '?') return std::nullopt;
  const bool repeated = !rest.empty() && std::string_view("*+?{").find(rest.front()) !=
                                             std::string_view::npos;
  return repeated ? std::nullopt : std::optional(c);
}

}  // namespace

std::string regex_of(std::string_view glob) {
  std::string out = "^";
  for (const char c : glob) {
    if (c == '*') out += ".*";
    else if (c == '?') out += '.';
    else if (is_special(c)) out += std::string("\\") + c;
    else out += c;
  }
  return out + '$';
}

std::optional<std::string> glob_of(std::string_view regex) {
  const bool from_start = regex.starts_with('^');
  if (from_start) regex.remove_prefix(1);
  std::string out = from_start ? "" : "*";
  while (!regex.empty()) {
    if (regex == "$") return out;
    if (regex.front() == '.') {
      out += take_dot(regex);
      continue;
    }
    const auto c = take_plain(regex);
    if (!c) return std::nullopt;
    out += *c;
  }
  return out.ends_with('*') ? out : out + '*';
}

}  // namespace whimbrel::client
