// SPDX-License-Identifier: Apache-2.0
// A run as text, JUnit XML, JSON and HTML.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/run/runner.hpp"

namespace whimbrel::conformance {

/// For the terminal: counts by section, then whatever needs attention.
std::string to_text(const report& r, bool with_notes);

/// One test case for each clause; failures carry their frames.
std::string to_junit(const report& r);

std::string to_json(const report& r);
/// Throws std::runtime_error with a sentence that says what is wrong.
report from_json(std::string_view text);

/// One page without anything outside it: a matrix by section, a column for each run.
std::string to_html(std::span<const report> runs);

/// `&`, `<`, `>` and quotes for XML and HTML; control characters as U+FFFD.
std::string escaped(std::string_view text);

/// All clauses with id, section, level, who is bound, and whether a check judges them.
std::string list_clauses(const selection& chosen);

/// Sections in order, each with the clauses of `r` that are in it.
struct section_counts {
  std::string title = {};
  std::size_t of[6] = {};  // by verdict
};
std::vector<section_counts> counts_by_section(const report& r);

}  // namespace whimbrel::conformance
