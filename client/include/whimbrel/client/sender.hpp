// SPDX-License-Identifier: Apache-2.0
// Sends messages on one link and learns what became of them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "whimbrel/client/options.hpp"
#include "whimbrel/client/outcome.hpp"

namespace whimbrel::client {

/// A message that has been posted. Copies mean the same one. Any thread.
class tracker {
 public:
  /// Waits for the outcome. Throws error if the link or connection went before it came (then it is
  /// unknown: the message may have arrived), or if it does not come in time.
  outcome wait() const;
  outcome wait(duration time_out) const;
  /// The outcome if it is there. Throws error if it will never be.
  [[nodiscard]] std::optional<outcome> poll() const;

 private:
  friend class sender;
  struct state;
  explicit tracker(std::shared_ptr<state> s) : state_(std::move(s)) {}
  std::shared_ptr<state> state_;
};

/// Any number of threads may use one sender; messages of one thread keep their order. Detaches
/// when destroyed, without waiting: what has no outcome then is in doubt.
class sender {
 public:
  struct impl;

  /// Sends and waits for the outcome.
  outcome send(const message& m);
  outcome send(const message& m, duration time_out);

  /// Sends without waiting for the outcome. Waits only while `pipeline_max` messages have none,
  /// throws error when that does not end in time.
  tracker post(const message& m);
  tracker post(const message& m, duration time_out);

  /// Waits until every message posted has its outcome. Throws error as tracker::wait does.
  void flush();
  void flush(duration time_out);

  /// The outcomes so far.
  [[nodiscard]] outcome_counts counts() const;
  /// Of the target; the peer's word where the node is dynamic.
  [[nodiscard]] const std::string& address() const;
  /// What the peer takes at most; 0: no limit.
  [[nodiscard]] std::uint64_t max_message_size() const;

  /// flush, then detach, and wait for the answer.
  void close();

 private:
  friend class connection;
  explicit sender(std::shared_ptr<impl> i) : impl_(std::move(i)) {}
  std::shared_ptr<impl> impl_;
};

}  // namespace whimbrel::client
