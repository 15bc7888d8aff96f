// SPDX-License-Identifier: Apache-2.0
// What can go wrong, as a value and as the exception that the blocking face throws.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

namespace whimbrel::client {

/// How much has ended, or that nothing has and only patience did.
enum class error_scope : std::uint8_t {
  usage,       // the caller's arguments; nothing was sent
  time_out,    // nothing came in time; what was asked for may still happen
  network,     // no connection, or it went without a word
  connection,  // the peer closed it, or refused us
  session,     // the peer ended the session, and all links with it
  link,        // the peer refused or detached the link
  refused,     // the peer did not accept the message
};

struct failure {
  error_scope scope = error_scope::network;
  std::string condition = {};  // the peer's, such as amqp:not-found; empty if it gave none
  std::string description = {};

  bool operator==(const failure&) const = default;

  /// For people: the condition, if any, and the description.
  [[nodiscard]] std::string text() const {
    if (condition.empty()) return description;
    return description.empty() ? condition : condition + ": " + description;
  }
};

class error : public std::runtime_error {
 public:
  explicit error(failure why) : std::runtime_error(why.text()), why_(std::move(why)) {}

  [[nodiscard]] const failure& why() const { return why_; }
  [[nodiscard]] error_scope scope() const { return why_.scope; }
  [[nodiscard]] const std::string& condition() const { return why_.condition; }
  [[nodiscard]] const std::string& description() const { return why_.description; }

 private:
  failure why_;
};

}  // namespace whimbrel::client
