// SPDX-License-Identifier: Apache-2.0
// One run of one check: what it may use, and where its verdicts go.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/clause.hpp"
#include "conformance/run/expectation.hpp"
#include "conformance/run/verdict.hpp"

namespace whimbrel::conformance {

using std::chrono::milliseconds;

/// The peer under test and how to talk to it.
struct subject {
  std::string host = {};
  std::uint16_t port = 0;
  std::string user = {};
  std::string password = {};
  std::string address = "conformance-{}";  // `{}` becomes a name of each check's own
  bool is_strict = false;
  milliseconds timeout{3000};  // for what must come
  milliseconds quiet{250};     // for what must not come
  std::string run = {};        // distinguishes the names of this run from those of others

  // Found out before the first check, see survey.hpp.
  bool takes_bare_amqp = false;
  std::vector<std::string> mechanisms = {};
  bool has_sasl = false;
  std::uint16_t channel_max = 0;
  std::uint32_t max_frame_size = 512;
  std::uint32_t idle_time_out = 0;
  bool has_node = false;
  std::string no_node = {};  // why not
  bool has_transactions = false;
  std::string no_transactions = {};
  bool has_own_nodes = false;  // `address` has a place for a name
};

/// What the peer should have sent did not come: the clause in question is not kept.
struct no_answer : std::runtime_error {
  using runtime_error::runtime_error;
};
/// The exchange could not be prepared, which says nothing about the clause.
struct not_set_up : std::runtime_error {
  using runtime_error::runtime_error;
};
/// The peer does not offer what the clause is about.
struct not_offered : std::runtime_error {
  using runtime_error::runtime_error;
};

/// Rules on what the peer sends by itself, judged over all frames of a run: how often a rule could
/// have been broken, and by what it first was. Used by all threads.
class rule_book {
 public:
  void seen(std::string_view clause, bool held, std::string_view what,
            const std::vector<std::string>& frames);

  struct entry {
    std::uint64_t seen = 0;
    std::uint64_t broken = 0;
    std::string first_broken = {};
    std::vector<std::string> frames = {};
  };
  [[nodiscard]] std::map<std::string, entry, std::less<>> entries() const;

  /// A number for each test of the run, for names of its own.
  [[nodiscard]] unsigned next_serial() { return ++serial_; }

 private:
  std::atomic<unsigned> serial_{0};
  mutable std::mutex mutex_;
  std::map<std::string, entry, std::less<>> entries_ = {};
};

class test {
 public:
  using clock = std::chrono::steady_clock;

  test(const subject& peer, rule_book& rules, std::string name, std::string clauses);

  [[nodiscard]] const subject& peer() const { return peer_; }
  [[nodiscard]] rule_book& rules() { return rules_; }
  /// A node of this check's own, or of `suffix`'s; the one and only if the address has no `{}`.
  [[nodiscard]] std::string address(std::string_view suffix = {}) const;
  /// A link or container name that no other check uses.
  [[nodiscard]] std::string unique(std::string_view what) const;
  [[nodiscard]] clock::time_point deadline() const { return deadline_; }

  void say(std::string_view clause, verdict is, std::string_view text);
  /// Pass, or what the level of the clause makes of a breach.
  bool expect(std::string_view clause, bool held, std::string_view text);
  void note(std::string_view clause, std::string_view text) { say(clause, verdict::noted, text); }
  void skip(std::string_view clause, std::string_view why) { say(clause, verdict::skip, why); }
  void judge(std::string_view clause, const reaction& what, std::string_view expected);
  /// Judges all clauses of the check alike.
  void judge_all(const reaction& what, std::string_view expected);
  void expect_all(bool held, std::string_view text);

  /// Whatever has no verdict yet gets this one.
  void rest(verdict is, std::string_view text);
  void rest_broken(std::string_view text);

  [[nodiscard]] const std::vector<std::string>& clauses() const { return clauses_; }
  [[nodiscard]] std::vector<finding> take_findings();

  void log(std::string line);
  [[nodiscard]] const std::vector<std::string>& frames() const { return frames_; }
  [[nodiscard]] int next_connection() { return ++connections_; }

 private:
  const subject& peer_;
  rule_book& rules_;
  std::string name_;
  std::vector<std::string> clauses_;
  std::map<std::string, finding, std::less<>> findings_ = {};
  std::vector<std::string> frames_ = {};
  clock::time_point deadline_;
  unsigned serial_ = 0;
  int connections_ = 0;
};

/// One exchange of frames and the clauses that it judges.
struct check {
  std::string clauses = {};  // with blanks between
  std::string title = {};
  std::function<void(test&)> run = {};
  bool is_slow = false;  // started first, so that nothing waits for it at the end
};

/// All there are, in order of the parts.
const std::vector<check>& all_checks();

/// Clauses judged by what the peer sends in all other checks.
const std::vector<std::string>& observed_clauses();

/// Why a clause has no check; empty if it has one.
std::string why_not_automated(const clause& c);

/// Words between blanks.
std::vector<std::string> words_of(std::string_view text);

}  // namespace whimbrel::conformance
