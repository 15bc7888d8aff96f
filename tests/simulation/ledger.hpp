// SPDX-License-Identifier: Apache-2.0
// What clients know of their messages, and what they may conclude from it. Survives the broker.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace whimbrel::simulation {

/// One message of one producer.
struct ledger_entry {
  bool durable = false;
  bool accepted = false;  // its producer was told so
  bool refused = false;   // rejected: nobody may rely on it
  bool settled = false;   // a consumer accepted or rejected it; what follows is in doubt
  bool answered = false;  // ... and was told that this is final: never seen again
  std::uint32_t deliveries = 0;
  std::uint32_t failed = 0;           // delivery-failed outcomes sent
  std::uint32_t failed_answered = 0;  // of those, answered: these survive a crash
  bool count_is_sure = true;          // no crash since `failed` was last seen
};

/// Counts what must not be; tests require zero of each.
struct ledger_faults {
  std::uint64_t invented = 0;      // never sent
  std::uint64_t seen_again = 0;    // after its final settlement was answered
  std::uint64_t out_of_order = 0;  // a first delivery overtaken by a later one of the producer
  std::uint64_t early = 0;         // an outcome before the commit that it rests on
  std::uint64_t twice = 0;         // a second verdict or answer
  std::uint64_t over_credit = 0;
  std::uint64_t bad_count = 0;   // delivery-count is not what consumers said
  std::uint64_t lost = 0;        // accepted, never settled, and not there in the end
  std::uint64_t unanswered = 0;  // somebody waits for ever

  [[nodiscard]] std::uint64_t sum() const {
    return invented + seen_again + out_of_order + early + twice + over_credit + bad_count + lost +
           unanswered;
  }
  [[nodiscard]] std::string text() const {
    const std::pair<const char*, std::uint64_t> all[] = {{"invented", invented},
                                                         {"seen again", seen_again},
                                                         {"out of order", out_of_order},
                                                         {"early", early},
                                                         {"twice", twice},
                                                         {"over credit", over_credit},
                                                         {"bad count", bad_count},
                                                         {"lost", lost},
                                                         {"unanswered", unanswered}};
    std::string out;
    for (const auto& [name, n] : all) {
      if (n > 0) out += std::string(name) + ": " + std::to_string(n) + "  ";
    }
    return out;
  }
};

/// How much happened: a run in which nothing did proves nothing.
struct ledger_totals {
  std::uint64_t sent = 0, accepted = 0, delivered = 0, settled = 0, answered = 0, redelivered = 0;
  std::uint64_t crashes = 0, cancelled = 0, rejected = 0, doubts = 0;
};

}  // namespace whimbrel::simulation
