// SPDX-License-Identifier: Apache-2.0
#include "conformance/run/expectation.hpp"

#include <algorithm>
#include <array>

#include "amqp/base/assert.hpp"

namespace whimbrel::conformance {

namespace {

constexpr std::array<std::string_view, 7> scope_names = {"ignored", "rejected", "detach", "end",
                                                         "close",   "tcp",      "silent"};

std::vector<std::string> split(std::string_view text, char by) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t at = text.find(by);
    if (at != 0) out.emplace_back(text.substr(0, at));
    text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  }
  return out;
}

bool drop_tilde(std::string& word) {
  const bool has = word.starts_with('~');
  if (has) word.erase(0, 1);
  return has;
}

}  // namespace

std::string_view to_text(verdict v) {
  switch (v) {
    case verdict::skip:
      return "skip";
    case verdict::noted:
      return "noted";
    case verdict::pass:
      return "pass";
    case verdict::inconclusive:
      return "inconclusive";
    case verdict::warn:
      return "warn";
    case verdict::fail:
      return "fail";
  }
  return "?";
}

std::string_view to_text(scope s) { return scope_names[static_cast<std::size_t>(s)]; }

std::string reaction::text() const {
  std::string out;
  switch (is) {
    case scope::ignored:
      out = "went on as before";
      break;
    case scope::tcp:
      out = "dropped the connection without a close";
      break;
    case scope::silent:
      out = "neither answered nor ended anything";
      break;
    default:
      out = std::string(to_text(is)) + '(' + (condition.empty() ? "no error" : condition) + ')';
  }
  if (!also.empty()) out += ", " + also;
  return out;
}

expectation::expectation(std::string_view text) : text_(text) {
  std::vector<std::string> words = split(text, ' ');
  AMQP_ASSERT(!words.empty());
  scopes_inferred_ = drop_tilde(words.front());
  scopes_ = split(words.front(), '|');
  for (const std::string& s : scopes_) {
    AMQP_ASSERT(std::find(scope_names.begin(), scope_names.end(), s) != scope_names.end());
  }
  for (std::size_t i = 1; i < words.size(); ++i) {
    conditions_inferred_ = drop_tilde(words[i]) || conditions_inferred_;
    conditions_.push_back(words[i]);
  }
}

bool expectation::fits_scope(scope s) const {
  return std::find(scopes_.begin(), scopes_.end(), to_text(s)) != scopes_.end();
}

bool expectation::fits_condition(const reaction& what) const {
  const bool carries_none =
      what.is == scope::ignored || what.is == scope::tcp || what.is == scope::silent;
  if (conditions_.empty() || carries_none) return true;
  return std::find(conditions_.begin(), conditions_.end(), what.condition) != conditions_.end();
}

expectation::judgement expectation::judge(const reaction& what, bool is_strict) const {
  const std::string did = "the peer " + what.text();
  if (!fits_scope(what.is)) {
    if (scopes_inferred_ && !is_strict) return {verdict::noted, did};
    return {verdict::fail, did + "; expected " + text_};
  }
  if (!fits_condition(what)) {
    const bool excused = (scopes_inferred_ || conditions_inferred_) && !is_strict;
    if (!excused) return {verdict::fail, did + "; expected " + text_};
    return {scopes_inferred_ ? verdict::noted : verdict::pass,
            did + " (another condition would fit better: " + text_ + ')'};
  }
  return {scopes_inferred_ && !is_strict ? verdict::noted : verdict::pass, did};
}

}  // namespace whimbrel::conformance
