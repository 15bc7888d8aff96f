// SPDX-License-Identifier: Apache-2.0
// A broker as a process of its own, on a loopback port that the system chooses.
#pragma once

#include <chrono>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace whimbrel::support {

struct broker_options {
  std::string binary = {};
  std::string data = {};      // its data directory
  std::string log = {};       // file that its standard error is appended to
  unsigned workers = 1;
  std::vector<std::string> arguments = {};
};

/// Not running until start(); may be started again after kill() or stop(). Killed when destroyed.
/// Throws std::runtime_error where the system or the broker fails.
class broker_process {
 public:
  explicit broker_process(broker_options options);
  ~broker_process();
  broker_process(const broker_process&) = delete;
  broker_process& operator=(const broker_process&) = delete;

  /// Runs it without waiting for anything.
  void spawn();
  /// Waits until it listens.
  void wait_listening(int seconds_max = 60);
  void start() {
    spawn();
    wait_listening();
  }

  void kill();              // SIGKILL, and waits for its end
  int stop();               // SIGTERM; the exit code, or minus the signal that ended it
  [[nodiscard]] bool has_ended();
  /// Waits so long at most, and not longer than it runs.
  [[nodiscard]] bool ends_within(std::chrono::microseconds time);
  [[nodiscard]] std::string how_ended() const;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  [[nodiscard]] std::string new_log() const;
  int wait_end();

  broker_options options_;
  pid_t pid_ = -1;
  int status_ = 0;
  std::uint16_t port_ = 0;
  std::uint64_t log_from_ = 0;  // where in the log this run begins
};

}  // namespace whimbrel::support
