// SPDX-License-Identifier: Apache-2.0
// What is said about a clause.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace whimbrel::conformance {

/// In order of weight: where two exchanges judge one clause, the later one here stands.
enum class verdict : std::uint8_t {
  skip,          // not offered, not allowed, or not to be seen here: with the reason
  noted,         // the text prescribes no reaction: what the peer did
  pass,
  inconclusive,  // the exchange did not get to the point
  warn,          // fell short of a recommendation
  fail,
};

std::string_view to_text(verdict v);

/// Judged in one way or another, as against skipped or missed.
constexpr bool is_judged(verdict v) {
  return v != verdict::skip && v != verdict::inconclusive;
}

/// The verdict on one clause by one check.
struct finding {
  std::string clause = {};
  verdict is = verdict::inconclusive;
  std::string text = {};   // what the peer did
  std::string check = {};  // which exchange showed it
  std::vector<std::string> frames = {};
};

}  // namespace whimbrel::conformance
