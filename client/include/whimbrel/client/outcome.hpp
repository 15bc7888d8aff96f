// SPDX-License-Identifier: Apache-2.0
// What became of a message. [3.4]
#pragma once

#include <cstdint>
#include <string>

#include "whimbrel/client/error.hpp"

namespace whimbrel::client {

enum class outcome_kind : std::uint8_t {
  accepted,
  rejected,  // `condition` and `description`, if the peer gave them
  released,
  modified,  // `delivery_failed`, `undeliverable_here`
  unstated,  // settled without a word: by us when sending settled, or by a peer that gave none
};

struct outcome {
  outcome_kind kind = outcome_kind::unstated;
  bool delivery_failed = false;
  bool undeliverable_here = false;
  std::string condition = {};
  std::string description = {};

  bool operator==(const outcome&) const = default;

  [[nodiscard]] bool is_accepted() const { return kind == outcome_kind::accepted; }
  /// Throws error (scope refused) for rejected, released and modified.
  void must_be_accepted() const {
    if (kind == outcome_kind::accepted || kind == outcome_kind::unstated) return;
    throw error({error_scope::refused, condition,
                 description.empty() ? "the message was " + text() : description});
  }
  /// accepted, rejected, released, modified or settled.
  [[nodiscard]] std::string text() const {
    switch (kind) {
      case outcome_kind::accepted: return "accepted";
      case outcome_kind::rejected: return "rejected";
      case outcome_kind::released: return "released";
      case outcome_kind::modified: return "modified";
      case outcome_kind::unstated: break;
    }
    return "settled";
  }
};

/// Outcomes counted.
struct outcome_counts {
  std::uint64_t accepted = 0;
  std::uint64_t rejected = 0;
  std::uint64_t released = 0;
  std::uint64_t modified = 0;
  std::uint64_t unstated = 0;

  [[nodiscard]] std::uint64_t total() const {
    return accepted + rejected + released + modified + unstated;
  }
  void add(outcome_kind kind) {
    switch (kind) {
      case outcome_kind::accepted: ++accepted; return;
      case outcome_kind::rejected: ++rejected; return;
      case outcome_kind::released: ++released; return;
      case outcome_kind::modified: ++modified; return;
      case outcome_kind::unstated: ++unstated; return;
    }
  }
};

}  // namespace whimbrel::client
