// SPDX-License-Identifier: Apache-2.0
// What the Proton C++ programs share: a handler that fails loudly, and a list of cases printed as
// run.py reads them, `case ok|FAIL SECONDS NAME | NOTE OR REASON`.
#pragma once

#include <chrono>
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <proton/connection.hpp>
#include <proton/connection_options.hpp>
#include <proton/container.hpp>
#include <proton/delivery.hpp>
#include <proton/duration.hpp>
#include <proton/error_condition.hpp>
#include <proton/message.hpp>
#include <proton/messaging_handler.hpp>
#include <proton/receiver.hpp>
#include <proton/receiver_options.hpp>
#include <proton/sender.hpp>
#include <proton/sender_options.hpp>
#include <proton/session.hpp>
#include <proton/source.hpp>
#include <proton/source_options.hpp>
#include <proton/target.hpp>
#include <proton/target_options.hpp>
#include <proton/tracker.hpp>
#include <proton/transport.hpp>
#include <proton/work_queue.hpp>

namespace interop {

/// One container run. A case derives from it, and ends with done() or fail(); anything that goes
/// wrong without being expected fails it too, and so does its deadline.
class scenario : public proton::messaging_handler {
 public:
  scenario(std::string url, int seconds_max) : url_(std::move(url)), seconds_max_(seconds_max) {}

  /// Throws what failed.
  void run() {
    proton::container(*this).run();
    if (!failure_.empty()) throw std::runtime_error(failure_);
    if (!done_) throw std::runtime_error("ended before its work was done");
  }

 protected:
  virtual void start(proton::container& c) = 0;

  const std::string& url() const { return url_; }

  void done() {
    if (done_ || !failure_.empty()) return;
    done_ = true;
    container_->stop();
  }

  void fail(const std::string& why) {
    if (done_ || !failure_.empty()) return;  // what stop() itself tears down is no failure
    failure_ = why;
    container_->stop();
  }

  void expect(bool condition, const std::string& what) {
    if (!condition) fail(what);
  }

  void on_container_start(proton::container& c) override {
    container_ = &c;
    deadline_ = std::chrono::steady_clock::now() + std::chrono::seconds(seconds_max_);
    watch();
    start(c);
  }

  /// For the message of a deadline that passed.
  virtual std::string state() const { return "waiting"; }

  void on_error(const proton::error_condition& error) override { fail(error.what()); }
  void on_tracker_reject(proton::tracker&) override { fail("a message was rejected"); }
  void on_tracker_release(proton::tracker&) override { fail("a message was released"); }

 private:
  /// In short steps: a container does not stop before its timers have fired.
  void watch() {
    if (done_ || !failure_.empty()) return;
    if (std::chrono::steady_clock::now() > deadline_) {
      fail("not done in " + std::to_string(seconds_max_) + " s: " + state());
      return;
    }
    container_->schedule(proton::duration(50), [this] { watch(); });
  }

  std::string url_;
  int seconds_max_;
  std::chrono::steady_clock::time_point deadline_ = {};
  std::string failure_ = {};
  bool done_ = false;
  proton::container* container_ = nullptr;
};

struct test_case {
  std::string name = {};
  std::function<std::string(const std::string& url)> run = {};  // returns a note, or throws
};

/// Runs them all against 127.0.0.1:PORT; the exit code for main.
inline int run_cases(const std::string& port, const std::vector<test_case>& cases) {
  int failures = 0;
  for (const test_case& each : cases) {
    const auto began = std::chrono::steady_clock::now();
    bool ok = true;
    std::string text;
    try {
      text = each.run("amqp://127.0.0.1:" + port);
    } catch (const std::exception& error) {
      ok = false;
      text = error.what();
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    std::printf("case %s %.2f %s%s%s\n", ok ? "ok" : "FAIL", took.count(), each.name.c_str(),
                text.empty() ? "" : " | ", text.c_str());
    std::fflush(stdout);
    failures += ok ? 0 : 1;
  }
  return failures == 0 ? 0 : 1;
}

/// A case that is one scenario, made from the URL.
template <class Scenario, class... Arguments>
test_case one(std::string name, Arguments... arguments) {
  return {std::move(name), [arguments...](const std::string& url) {
            Scenario what(url, arguments...);
            what.run();
            return std::string();
          }};
}

}  // namespace interop
