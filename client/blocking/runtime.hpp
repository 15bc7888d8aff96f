// SPDX-License-Identifier: Apache-2.0
// Behind the blocking face: the library's thread, and how an application's thread waits for it.
// Callbacks that run on the library's thread hold what they fill in, never the runtime: whoever
// lets go of the runtime last joins that thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "client/core/connection.hpp"
#include "whimbrel/client/connection.hpp"

namespace whimbrel::client {

using wait_clock = std::chrono::steady_clock;

/// Also for times that would overflow the clock.
[[nodiscard]] inline wait_clock::time_point deadline_after(duration time_out) {
  constexpr duration longest = std::chrono::hours(24 * 365);
  return wait_clock::now() + std::min(time_out, longest);
}

[[noreturn]] inline void throw_time_out(const std::string& what) {
  throw error({error_scope::time_out, {}, "no " + what + " in time"});
}

/// One answer on its way from the library's thread.
class answer {
 public:
  void give(std::optional<failure> why) {
    const std::lock_guard lock(mutex_);
    why_ = std::move(why);
    given_ = true;
    came_.notify_all();
  }
  /// False when it does not come in time.
  [[nodiscard]] bool wait_until(wait_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    return came_.wait_until(lock, deadline, [this] { return given_; });
  }
  /// Throws what it says, or error (time_out).
  void expect(wait_clock::time_point deadline, const std::string& what) {
    if (!wait_until(deadline)) throw_time_out(what);
    const std::lock_guard lock(mutex_);
    if (why_) throw error(*why_);
  }

 private:
  std::mutex mutex_ = {};
  std::condition_variable came_ = {};
  bool given_ = false;
  std::optional<failure> why_ = {};
};

/// A callback that gives it.
[[nodiscard]] inline core::done giving(std::shared_ptr<answer> to) {
  return [to = std::move(to)](std::optional<failure> why) { to->give(std::move(why)); };
}

struct connection::impl {
  impl(const broker_url& url, const connection_options& o);
  ~impl();
  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;

  template <class F>
  void post(F&& f) {
    boost::asio::post(io, std::forward<F>(f));
  }
  /// Attaches and waits; gives the link up when that takes too long.
  void attach(const std::shared_ptr<core::link>& fresh, const std::string& what);
  void detach(const std::shared_ptr<core::link>& link, bool closed);

  const connection_options options;
  boost::asio::io_context io{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work;
  std::shared_ptr<core::connection> core;
  std::thread thread = {};
  // Constant once it is open.
  std::string container_id = {};
  std::string remote_container_id = {};
};

}  // namespace whimbrel::client
