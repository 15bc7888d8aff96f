// SPDX-License-Identifier: Apache-2.0
// What the clients know about every message they ever sent, and what that permits a broker to
// show after it was killed. Pure bookkeeping: no I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace whimbrel::crash {

using message_id = std::uint64_t;  // dense: the n-th message ever sent is n

enum class outcome : std::uint8_t { accepted, rejected, released, failed };

/// accepted and rejected end a message; released and failed (modified with delivery-failed) give
/// it back.
constexpr bool is_final(outcome what) {
  return what == outcome::accepted || what == outcome::rejected;
}

struct totals {
  std::uint64_t sent = 0;
  std::uint64_t accepted = 0;   // the broker's outcome for a producer
  std::uint64_t received = 0;   // deliveries
  std::uint64_t answered = 0;   // outcomes of consumers for which the broker's `settled` came
};

/// The life of a message:
///
///     sent --> accepted --> held <--> (released, failed) --> final sent --> final answered
///
/// with a crash possible between any two. After a restart all that is left is received once, by
/// found(), and end_recovery() judges what was not found:
///
///     accepted, no final outcome sent     must be found                       else lost
///     final outcome answered              must not be found                   else resurrected
///     final outcome sent, not answered    in doubt: either
///     sent, not accepted                  in doubt: either
class ledger {
 public:
  // --- producers ---
  message_id send(std::uint32_t producer, std::uint32_t queue);
  void accept(message_id id);
  void refuse(message_id id);  // the broker answered with anything else

  // --- consumers, while the broker runs ---
  void receive(message_id id, std::uint32_t queue, std::uint32_t delivery_count);
  void send_outcome(message_id id, outcome what);
  void answer(message_id id, outcome what);

  // --- the crash and the recovery ---
  /// Nothing is held, nothing will be answered any more.
  void crash();
  void begin_recovery();
  void found(message_id id, std::uint32_t queue, std::uint32_t delivery_count);
  void end_recovery();

  [[nodiscard]] const totals& counts() const { return totals_; }
  [[nodiscard]] std::uint64_t unanswered_sends() const { return unanswered_sends_; }
  [[nodiscard]] std::uint64_t unanswered_outcomes() const { return unanswered_outcomes_; }
  [[nodiscard]] std::uint64_t backlog() const { return totals_.sent - ended_; }
  [[nodiscard]] std::uint64_t found_count() const { return found_; }
  [[nodiscard]] std::uint64_t in_doubt_count() const { return in_doubt_; }

  /// What the broker did that it must not, in words; at most a few of each kind.
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }
  [[nodiscard]] std::uint64_t lost() const { return lost_; }
  [[nodiscard]] std::uint64_t invented() const { return invented_; }
  [[nodiscard]] std::uint64_t resurrected() const { return resurrected_; }
  [[nodiscard]] std::uint64_t other() const { return other_; }
  [[nodiscard]] std::uint64_t faults() const {
    return lost_ + invented_ + resurrected_ + other_;
  }
  [[nodiscard]] bool is_clean() const { return faults() == 0; }
  /// Anything else that must not be.
  void corrupted(const std::string& what);

 private:
  struct record {
    std::uint32_t producer = 0;
    std::uint16_t queue = 0;
    std::uint16_t failed_least = 0;  // delivery-failed outcomes that were answered
    std::uint16_t failed_most = 0;   // that were sent
    bool accepted : 1 = false;
    bool waits_accept : 1 = false;   // sent in this life of the broker, no outcome yet
    bool held : 1 = false;
    bool final_sent : 1 = false;
    bool final_answered : 1 = false;
    bool outcome_waits : 1 = false;
    bool gone : 1 = false;           // judged: it must never be seen again
    bool found : 1 = false;
  };

  record* known(message_id id);
  void check_sight(record& r, message_id id, std::uint32_t queue, std::uint32_t delivery_count);
  void note(std::uint64_t& counter, const std::string& what);
  void end(record& r);

  std::vector<record> records_;
  std::vector<message_id> last_found_;  // by producer: for the order
  totals totals_;
  std::uint64_t ended_ = 0;
  std::uint64_t unanswered_sends_ = 0;
  std::uint64_t unanswered_outcomes_ = 0;
  std::uint64_t found_ = 0;
  std::uint64_t in_doubt_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t invented_ = 0;
  std::uint64_t resurrected_ = 0;
  std::uint64_t other_ = 0;
  std::size_t judged_from_ = 0;  // everything before has ended
  std::vector<std::string> violations_;
};

/// Feeds ledgers with histories of faulty brokers; the number of faults that went unnoticed, each
/// printed to stderr.
int self_test();

}  // namespace whimbrel::crash
