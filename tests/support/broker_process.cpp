// SPDX-License-Identifier: Apache-2.0
#include "tests/support/broker_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

namespace whimbrel::support {
namespace {

constexpr std::string_view listening = "listening on 127.0.0.1:";
constexpr auto poll_interval = std::chrono::milliseconds(2);

/// In the child: never returns.
[[noreturn]] void execute(const std::vector<std::string>& words, const std::string& log) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // no broker outlives its test
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (out < 0 || nothing < 0) _exit(126);
  dup2(nothing, STDIN_FILENO);
  dup2(nothing, STDOUT_FILENO);
  dup2(out, STDERR_FILENO);
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  execv(arguments[0], arguments.data());
  _exit(127);
}

}  // namespace

broker_process::broker_process(broker_options options) : options_(std::move(options)) {}

broker_process::~broker_process() { kill(); }

void broker_process::spawn() {
  if (pid_ > 0) throw std::runtime_error("the broker is already running");
  std::vector<std::string> words = {options_.binary, "broker",    "--listen",
                                    "127.0.0.1:0",   "--data",    options_.data,
                                    "--workers",     std::to_string(options_.workers)};
  words.insert(words.end(), options_.arguments.begin(), options_.arguments.end());
  std::error_code none;
  const auto size = std::filesystem::file_size(options_.log, none);
  log_from_ = none ? 0 : size;
  port_ = 0;
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) execute(words, options_.log);
}

std::string broker_process::new_log() const {
  std::ifstream in(options_.log, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(log_from_));
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void broker_process::wait_listening(int seconds_max) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds_max);
  while (true) {
    const std::string text = new_log();
    const auto at = text.find(listening);
    if (at != std::string::npos && text.find('\n', at) != std::string::npos) {
      port_ = static_cast<std::uint16_t>(std::atoi(text.c_str() + at + listening.size()));
      return;
    }
    if (std::chrono::steady_clock::now() > end) {
      throw std::runtime_error("the broker does not listen:\n" + text);
    }
    if (ends_within(poll_interval)) {
      throw std::runtime_error("the broker ended at its start:\n" + new_log());
    }
  }
}

bool broker_process::has_ended() {
  if (pid_ <= 0) return true;
  if (waitpid(pid_, &status_, WNOHANG) != pid_) return false;
  pid_ = -1;
  return true;
}

bool broker_process::ends_within(std::chrono::microseconds time) {
  if (has_ended()) return true;
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(time);
  const timespec most{whole.count(), std::chrono::nanoseconds(time - whole).count()};
  const int process = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  if (process < 0) throw std::system_error(errno, std::generic_category(), "pidfd_open");
  pollfd watched{process, POLLIN, 0};
  ::ppoll(&watched, 1, &most, nullptr);
  ::close(process);
  return has_ended();
}

std::string broker_process::how_ended() const {
  return WIFEXITED(status_) ? "exit code " + std::to_string(WEXITSTATUS(status_))
                            : "signal " + std::to_string(WTERMSIG(status_));
}

int broker_process::wait_end() {
  if (pid_ > 0) waitpid(pid_, &status_, 0);
  pid_ = -1;
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : -WTERMSIG(status_);
}

void broker_process::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  wait_end();
}

int broker_process::stop() {
  if (pid_ > 0) ::kill(pid_, SIGTERM);
  return wait_end();
}

}  // namespace whimbrel::support
