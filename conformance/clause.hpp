// SPDX-License-Identifier: Apache-2.0
// The clauses of clauses.md, compiled in.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace whimbrel::conformance {

/// How binding a clause is, in the letters of clauses.md.
enum class level : char {
  must = 'M',
  must_not = 'N',
  should = 'S',
  should_not = 's',
  permission = 'P',
  definition = 'D',
};

/// One row of clauses.md. Views into the text that is compiled in.
struct clause {
  std::string_view id = {};           // T-2.3.1-b
  level how = level::must;
  std::string_view binds = {};        // any, srv, snd, ...
  std::string_view requirement = {};
  std::string_view stimulus = {};     // what to send, and what to expect
  std::string_view error = {};        // scopes and conditions, `~` where the list infers them
  std::string_view part = {};         // "Part 2: Transport"
  std::string_view section = {};      // "2.3.1 Frame Layout"
  unsigned part_number = 0;           // 0 to 5

  /// A recommendation: to fall short of it is a warning.
  [[nodiscard]] bool is_advice() const { return how == level::should || how == level::should_not; }
};

std::string_view clauses_text();

/// In the order of the file.
std::span<const clause> clauses();

/// Null for an id that is none.
const clause* find_clause(std::string_view id);

std::string_view to_text(level how);

}  // namespace whimbrel::conformance
