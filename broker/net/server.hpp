// SPDX-License-Identifier: Apache-2.0
// The broker as one object: store, workers, listeners. Embeddable: tests run it in their process.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "broker/config/settings.hpp"
#include "broker/core/directory.hpp"
#include "broker/exit_code.hpp"
#include "broker/log.hpp"
#include "broker/management/totals.hpp"
#include "broker/net/http_pages.hpp"
#include "broker/net/listener.hpp"
#include "broker/net/worker.hpp"
#include "broker/security/authenticator.hpp"
#include "broker/security/users.hpp"
#include "storage/store.hpp"

namespace whimbrel::broker::net {

/// For tests alone; no setting of the product reaches these.
struct test_switches {
  bool accept_before_commit = false;
  std::string vfs = {};  // the SQLite VFS to use
};

using management::totals;

///     constructor   opens the store, recovers, binds the listeners; throws system_error, or
///                   start_error with the exit code that goes with it
///     run           serves until stop() was called or the store failed
///     stop          from any thread or signal handler's thread: connections are closed with
///                   amqp:connection:forced, the store is flushed, run() returns
class server final : private core::shard_owner, private storage::completion_sink {
 public:
  server(config::settings settings, logger& log, test_switches switches = {});
  ~server() override;

  exit_code run();
  void stop();
  /// Where it listens, ports resolved.
  [[nodiscard]] std::vector<std::string> addresses() const;
  /// The same of its pages; empty if there are none.
  [[nodiscard]] std::string http_address() const;
  /// Asks all workers for their counters; `done` runs on some worker, once.
  void count(std::function<void(const totals&)> done);

 private:
  void on_store_failed() override;
  void log(std::string_view line) override;
  void on_commit(storage::commit_done d) noexcept override;
  void on_withdraw(storage::withdraw_done d) noexcept override;
  void on_read(storage::read_done d) noexcept override;
  void on_pressure(storage::pressure level, std::string_view reason) noexcept override;

  void make_workers();
  void recover();
  void make_listeners();
  void make_http_listener();
  void declare_nodes();
  void start_listeners();
  void accept(boost::asio::ip::tcp::socket socket, worker& to, const listener& through);
  [[nodiscard]] amqp::engine::options options_for(const config::listener& through,
                                                  const std::string& peer);
  void on_http(const std::string& path, const http_pages::answer& done);
  void check_store(const http_pages::answer& done);
  void close_connections();
  void wait_until_quiet();
  [[nodiscard]] std::size_t connection_count() const;
  void add(totals& sum, worker& w);

  config::settings settings_;
  logger& log_;
  test_switches switches_;
  security::user_table users_;
  std::unique_ptr<security::authenticator> logins_;
  std::unique_ptr<storage::store> store_;
  std::unique_ptr<core::directory> nodes_;
  std::vector<std::unique_ptr<worker>> workers_;
  std::vector<std::unique_ptr<listener>> listeners_;
  http_pages pages_;
  std::unique_ptr<listener> http_;  // if there is to be one
  struct {
    bool is_under_way = false;
    std::vector<std::shared_ptr<http_pages::answer>> asked = {};
  } store_check_;  // belongs to worker 0
  std::atomic<bool> stopping_{false};
  std::atomic<bool> failed_{false};
  std::atomic<std::uint64_t> last_connection_{0};
  std::atomic<std::size_t> next_worker_{0};
  int wake_fd_ = -1;  // an eventfd: stop() and failures end run()'s wait
};

/// Why the broker cannot start, for its operator.
class start_error : public std::runtime_error {
 public:
  start_error(exit_code code, const std::string& what) : std::runtime_error(what), code_(code) {}
  [[nodiscard]] exit_code code() const { return code_; }

 private:
  exit_code code_ = exit_code::failure;
};

}  // namespace whimbrel::broker::net
