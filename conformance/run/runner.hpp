// SPDX-License-Identifier: Apache-2.0
// Runs checks on several connections at a time and puts their findings together by clause.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "conformance/run/test.hpp"

namespace whimbrel::conformance {

/// Which clauses to judge. Empty lists admit all.
struct selection {
  std::vector<std::string> parts = {};     // "1" or "transport"
  std::vector<std::string> sections = {};  // "2.6" admits 2.6.7 as well
  std::vector<std::string> ids = {};       // "T-2.6.7-b", or the start of one
  std::string levels = {};                 // letters of `level`

  [[nodiscard]] bool admits(const clause& c) const;
};

/// The result of a run, or of one that was saved.
struct report {
  std::string subject = {};  // the URL without its password
  std::string product = {};  // what the peer says it is
  std::string when = {};
  bool is_strict = false;
  double seconds = 0;
  std::vector<finding> findings = {};  // one for each clause selected, in order of the list

  [[nodiscard]] std::size_t count(verdict v) const;
  [[nodiscard]] std::size_t judged() const;
  /// 0 if no clause failed that is more than a recommendation.
  [[nodiscard]] int exit_code() const { return count(verdict::fail) == 0 ? 0 : 1; }
};

using progress = std::function<void(std::size_t done, std::size_t all, const std::string& title)>;

/// Findings for the clauses that `chosen` admits. A clause that has no check gets a skip with the
/// reason.
std::vector<finding> run_checks(const subject& peer, const selection& chosen, unsigned parallel,
                                rule_book& rules, const progress& tell);

/// Runs one check to its end, whatever the peer does.
std::vector<finding> run_check(const check& c, const subject& peer, rule_book& rules);

}  // namespace whimbrel::conformance
