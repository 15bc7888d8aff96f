// SPDX-License-Identifier: Apache-2.0
// What the messaging model needs of the thread it runs on: a clock, timers, and a way to be called
// later. The broker has one a worker; a simulation runs several on one thread with its own clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

namespace whimbrel::broker::core {

/// Calls back on its own thread only, never from inside `post` or `after`.
class executor {
 public:
  using clock = std::chrono::steady_clock;
  using task = std::function<void()>;
  enum class timer_id : std::uint64_t {};

  virtual ~executor() = default;

  /// Runs `work` in a later turn of this executor. Only from its own thread.
  virtual void post(task work) = 0;
  /// Runs `work` once, not before `delay` has passed.
  virtual timer_id after(std::chrono::milliseconds delay, task work) = 0;
  /// The task will not run any more; without effect when it has run.
  virtual void cancel(timer_id) = 0;

  /// Time at the start of this turn: one clock read a turn, not one a message.
  [[nodiscard]] virtual clock::time_point now() const = 0;
  /// Milliseconds since the Unix epoch, likewise.
  [[nodiscard]] virtual std::int64_t wall_ms() const = 0;
};

}  // namespace whimbrel::broker::core
