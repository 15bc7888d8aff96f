// SPDX-License-Identifier: Apache-2.0
// A controller of transactions, for the checks of part 4.
#pragma once

#include <optional>
#include <string>

#include "conformance/checks/family.hpp"

namespace whimbrel::conformance {

/// A control link on channel 0 of a connection. Throws `not_offered` if the peer has none.
class controller {
 public:
  explicit controller(peer& p, spec::source source = {}, std::uint16_t channel = 0);

  /// What became of a message sent to the coordinator: its outcome, or an ending.
  struct answer {
    codec::raw state = {};
    reaction what = {};
    [[nodiscard]] bool is_accepted() const { return code_of(state) == 0x24; }
    [[nodiscard]] std::string text() const;
  };
  answer send(const bytes& message, bool settled = false);
  answer discharge(const binary& txn, bool fail);
  /// A new transaction. Throws `not_set_up` if it cannot be had.
  binary declare();

  [[nodiscard]] link& control() { return *control_; }
  [[nodiscard]] bool lists(std::string_view capability) const;

 private:
  peer& peer_;
  link* control_ = nullptr;
};

/// transactional-state of `txn`, with an outcome or without.
codec::raw in_txn(const binary& txn, const codec::raw& outcome = {});
inline bytes declare_message() { return value_message(composite(0x31, {})); }
bytes discharge_message(const binary& txn, std::optional<bool> fail);
inline binary unknown_txn() { return binary(std::string_view("no-such-transaction")); }

}  // namespace whimbrel::conformance
