// SPDX-License-Identifier: Apache-2.0
// The broker's verbs: settings, signals, exit codes; nothing else.
#include "broker/command.hpp"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include <pthread.h>

#include "broker/config/command_line.hpp"
#include "broker/net/server.hpp"
#include "broker/security/hash_password.hpp"

namespace whimbrel::broker {

namespace {

/// Waits for signals on a thread of its own, where anything may be called. The first SIGTERM or
/// SIGINT stops the broker in good order, a second one at once; SIGUSR1 logs the counters.
class signal_watch {
 public:
  explicit signal_watch(sigset_t watched) : watched_(watched) {}

  void start(net::server& s, logger& log) {
    thread_ = std::thread([this, &s, &log] { run(s, log); });
  }
  void finish() {
    done_ = true;
    pthread_kill(thread_.native_handle(), SIGUSR2);
    thread_.join();
  }

 private:
  void run(net::server& s, logger& log) {
    bool asked = false;
    while (true) {
      int which = 0;
      sigwait(&watched_, &which);
      if (done_) return;
      if (which == SIGUSR2) continue;
      if (which == SIGUSR1) {
        s.count([&log](const net::totals& t) { log.info(t.text()); });
        continue;
      }
      if (asked) std::_Exit(static_cast<int>(exit_code::failure));
      asked = true;
      log.info("stopping");
      s.stop();
    }
  }

  sigset_t watched_{};
  std::thread thread_;
  std::atomic<bool> done_{false};
};

/// Blocked in every thread, so that only the watch sees them.
sigset_t block_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int s : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2}) sigaddset(&set, s);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return set;
}

net::test_switches switches_from_environment() {
  net::test_switches out;
  out.accept_before_commit = std::getenv("WHIMBREL_TEST_ACCEPT_BEFORE_COMMIT") != nullptr;
  return out;
}

}  // namespace

int run_broker(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const config::command asked =
      config::parse_command_line(arguments, config::process_environment());
  if (!asked.run) {
    std::fputs(asked.text.c_str(), asked.code == exit_code::success ? stdout : stderr);
    return static_cast<int>(asked.code);
  }
  logger log(asked.run->log_least, asked.run->log_as);
  for (const std::string& notice : asked.notices) log.info(notice);
  signal_watch signals(block_signals());
  try {
    net::server s(*asked.run, log, switches_from_environment());
    signals.start(s, log);
    const exit_code code = s.run();
    signals.finish();
    return static_cast<int>(code);
  } catch (const net::start_error& e) {
    log.error(e.what());
    return static_cast<int>(e.code());
  }
}

int run_hash_password(int argc, char** argv) {
  return static_cast<int>(security::hash_password(argc, argv));
}

}  // namespace whimbrel::broker
