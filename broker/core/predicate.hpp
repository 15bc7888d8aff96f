// SPDX-License-Identifier: Apache-2.0
// What a consumer says of the messages that it wants. The queue knows no more than this of filters.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "broker/core/message.hpp"

namespace whimbrel::broker::core {

/// Belongs to whoever evaluates it: one thread at a time. What it says of a message depends on that
/// message's octets and origin alone, so it need not be asked twice. [3.5.1]
class predicate {
 public:
  virtual ~predicate() = default;

  [[nodiscard]] virtual bool matches(const message& m) const = 0;

  /// `field = constant` is true of whatever matches. The field is named so that it is the same for
  /// all predicates that look at it; the constant is given by its hash.
  struct equality {
    std::string field = {};
    std::uint64_t hash = 0;
  };
  [[nodiscard]] virtual std::optional<equality> find_equality() const { return std::nullopt; }

  /// Which constants the field of `find_equality` may equal in this message.
  struct key {
    enum class state : std::uint8_t { nothing, only, anything } which = state::anything;
    std::uint64_t hash = 0;  // only
  };
  [[nodiscard]] virtual key key_of(const message&) const { return {}; }
};

}  // namespace whimbrel::broker::core
