// SPDX-License-Identifier: Apache-2.0
#include "broker/security/permissions.hpp"

#include <algorithm>
#include <cstddef>

namespace whimbrel::broker::security {

std::string_view to_text(action what) {
  switch (what) {
    case action::configure:
      return "configure";
    case action::send:
      return "send";
    case action::receive:
      return "receive";
    case action::manage:
      return "manage";
  }
  return "?";
}

permissions permissions::all() {
  return {.configure = {"*"}, .send = {"*"}, .receive = {"*"}, .manage = {"*"}};
}

namespace {

const std::vector<std::string>& patterns_of(const permissions& who, action what) {
  switch (what) {
    case action::configure:
      return who.configure;
    case action::send:
      return who.send;
    case action::receive:
      return who.receive;
    case action::manage:
      break;
  }
  return who.manage;
}

}  // namespace

bool is_permitted(const permissions& who, action what, std::string_view name) {
  const auto& patterns = patterns_of(who, what);
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return glob_matches(pattern, name); });
}

bool glob_matches(std::string_view pattern, std::string_view name) {
  std::size_t p = 0, n = 0;
  std::size_t star = std::string_view::npos;  // the last `*` seen, and
  std::size_t resume = 0;                     // the first octet that it has not swallowed
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      // Only the last star need ever be widened: an earlier one has already found its match.
      p = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace whimbrel::broker::security
