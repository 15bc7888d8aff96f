// SPDX-License-Identifier: Apache-2.0
// What a peer did about an input, and what it should have done.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/run/verdict.hpp"

namespace whimbrel::conformance {

/// How far the peer's answer reached.
enum class scope : std::uint8_t {
  ignored,   // it went on as before
  rejected,  // the delivery, by its outcome
  detach,
  end,
  close,
  tcp,       // the connection went without a close frame
  silent,    // it neither answered nor ended anything until the deadline
};

std::string_view to_text(scope s);

struct reaction {
  scope is = scope::silent;
  std::string condition = {};
  std::string also = {};  // what it did besides

  [[nodiscard]] std::string text() const;
};

/// Written as in the list of clauses: `close amqp:decode-error` prescribes both; a `~` in front of
/// the scopes or of a condition marks what the list infers: the first alone decides, the second
/// is held against the peer only in strict runs.
///
///     "~close|tcp|ignored ~amqp:decode-error ~amqp:not-allowed"
class expectation {
 public:
  explicit expectation(std::string_view text);

  struct judgement {
    verdict is = verdict::pass;
    std::string text = {};
  };
  [[nodiscard]] judgement judge(const reaction& what, bool is_strict) const;

  [[nodiscard]] bool is_inferred() const { return scopes_inferred_; }

 private:
  [[nodiscard]] bool fits_scope(scope s) const;
  [[nodiscard]] bool fits_condition(const reaction& what) const;

  std::string text_;
  std::vector<std::string> scopes_ = {};
  std::vector<std::string> conditions_ = {};
  bool scopes_inferred_ = false;
  bool conditions_inferred_ = false;
};

}  // namespace whimbrel::conformance
