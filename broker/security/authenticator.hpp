// SPDX-License-Identifier: Apache-2.0
// Checks passwords off the workers, on one thread of its own with a bounded queue: a flood of
// logins slows logins down and nothing else.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "broker/security/users.hpp"

namespace whimbrel::broker::security {

/// `submit` may be called from any thread; `done` runs on the authenticator's thread and must only
/// post the verdict to where it is wanted. Delaying the answer to a failed login (one second) is
/// the caller's part: a thread that slept here would delay honest users as well.
class authenticator {
 public:
  static constexpr std::size_t depth_default = 256;  // some seconds of work at 16,384 iterations

  /// `users` must outlive the authenticator.
  explicit authenticator(const user_table& users, std::size_t depth_max = depth_default);

  /// Waits for the check in progress. Those still queued are dropped, their `done` never called.
  ~authenticator();
  authenticator(const authenticator&) = delete;
  authenticator& operator=(const authenticator&) = delete;

  /// False, and nothing happens, when the queue is full or the end has begun: refuse the login as
  /// a temporary failure.
  [[nodiscard]] bool submit(std::string user, std::string password, std::function<void(bool)> done);

 private:
  struct login {
    std::string user = {};
    std::string password = {};
    std::function<void(bool)> done = {};
  };

  void run();

  const user_table& users_;
  const std::size_t depth_max_;
  std::mutex mutex_ = {};  // protects the two below; see broker/LOCKS.md
  std::deque<login> waiting_ = {};
  bool stopping_ = false;
  std::condition_variable changed_ = {};
  std::thread thread_ = {};  // last: starts when all the above is there
};

}  // namespace whimbrel::broker::security
