// SPDX-License-Identifier: Apache-2.0
#include "conformance/run/test.hpp"

#include <algorithm>
#include <utility>

#include "amqp/base/assert.hpp"

namespace whimbrel::conformance {

namespace {

/// No check may take longer, whatever the peer does.
constexpr std::chrono::seconds check_time_max{120};
constexpr std::size_t frames_kept_max = 400;

}  // namespace

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t at = std::min(text.find(' '), text.size());
    if (at > 0) out.emplace_back(text.substr(0, at));
    text.remove_prefix(std::min(at + 1, text.size()));
  }
  return out;
}

void rule_book::seen(std::string_view clause, bool held, std::string_view what,
                     const std::vector<std::string>& frames) {
  const std::lock_guard lock(mutex_);
  auto found = entries_.find(clause);
  if (found == entries_.end()) found = entries_.emplace(std::string(clause), entry{}).first;
  entry& e = found->second;
  ++e.seen;
  if (held) return;
  if (e.broken++ > 0) return;
  e.first_broken = what;
  e.frames = frames;
}

std::map<std::string, rule_book::entry, std::less<>> rule_book::entries() const {
  const std::lock_guard lock(mutex_);
  return entries_;
}

test::test(const subject& peer, rule_book& rules, std::string name, std::string clauses)
    : peer_(peer),
      rules_(rules),
      name_(std::move(name)),
      clauses_(words_of(clauses)),
      deadline_(clock::now() + check_time_max),
      serial_(rules.next_serial()) {}

std::string test::unique(std::string_view what) const {
  const std::string first = clauses_.empty() ? "x" : clauses_.front();
  return std::string(what) + '-' + first + '-' + peer_.run + '-' + std::to_string(serial_);
}

std::string test::address(std::string_view suffix) const {
  std::string out = peer_.address;
  const std::size_t at = out.find("{}");
  std::string own = clauses_.empty() ? "x" : clauses_.front();
  std::replace(own.begin(), own.end(), '.', '_');
  own += '-' + peer_.run + '-' + std::to_string(serial_);
  if (!suffix.empty()) own += '-' + std::string(suffix);
  if (at != std::string::npos) out.replace(at, 2, own);
  return out;
}

void test::say(std::string_view clause, verdict is, std::string_view text) {
  const bool promised = std::find(clauses_.begin(), clauses_.end(), clause) != clauses_.end();
  AMQP_ASSERT(promised);
  finding& f = findings_[std::string(clause)];
  const bool is_first = f.clause.empty();
  if (!is_first && f.is >= is) return;
  f.clause = clause;
  f.is = is;
  f.text = text;
  f.check = name_;
}

bool test::expect(std::string_view clause, bool held, std::string_view text) {
  const conformance::clause* known = find_clause(clause);
  AMQP_ASSERT(known != nullptr);
  const verdict breach = known->is_advice() ? verdict::warn : verdict::fail;
  say(clause, held ? verdict::pass : breach, text);
  return held;
}

void test::judge(std::string_view clause, const reaction& what, std::string_view expected) {
  const auto j = expectation(expected).judge(what, peer_.is_strict);
  if (j.is == verdict::fail && find_clause(clause)->is_advice()) {
    say(clause, verdict::warn, j.text);
  } else {
    say(clause, j.is, j.text);
  }
}

void test::judge_all(const reaction& what, std::string_view expected) {
  for (const std::string& clause : clauses_) judge(clause, what, expected);
}

void test::expect_all(bool held, std::string_view text) {
  for (const std::string& clause : clauses_) expect(clause, held, text);
}

void test::rest(verdict is, std::string_view text) {
  for (const std::string& clause : clauses_) {
    if (findings_.find(clause) == findings_.end()) say(clause, is, text);
  }
}

void test::rest_broken(std::string_view text) {
  for (const std::string& clause : clauses_) {
    if (findings_.find(clause) == findings_.end()) expect(clause, false, text);
  }
}

std::vector<finding> test::take_findings() {
  std::vector<finding> out;
  for (auto& [clause, f] : findings_) {
    if (f.is == verdict::fail || f.is == verdict::warn || f.is == verdict::inconclusive) {
      f.frames = frames_;
    }
    out.push_back(std::move(f));
  }
  return out;
}

void test::log(std::string line) {
  if (frames_.size() == frames_kept_max) line = "... (more frames are not kept)";
  if (frames_.size() <= frames_kept_max) frames_.push_back(std::move(line));
}

}  // namespace whimbrel::conformance
