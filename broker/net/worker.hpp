// SPDX-License-Identifier: Apache-2.0
// One thread with its event loop, its shard and its connections.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "amqp/io/driver.hpp"
#include "broker/core/executor.hpp"
#include "broker/core/shard.hpp"
#include "broker/protocol/connection_handler.hpp"
#include "broker/protocol/context.hpp"

namespace whimbrel::broker::net {

/// What other threads may leave for a worker. They meet at one lock, once a turn.
struct inbox_contents {
  std::vector<core::letter> letters;
  std::vector<storage::commit_done> commits;
  std::vector<storage::withdraw_done> withdrawals;
  std::vector<storage::read_done> reads;
  std::vector<std::function<void()>> tasks;

  [[nodiscard]] bool empty() const {
    return letters.empty() && commits.empty() && withdrawals.empty() && reads.empty() &&
           tasks.empty();
  }
};

/// A turn is one handler, then at most 255 more that are ready, then the flush in this order:
/// submit the open store batch, hand over mailboxes, write sockets.
class worker final : public core::executor,
                     public core::post_office,
                     public amqp::io::driver_owner {
 public:
  /// The others' inboxes are reached through `peer_of`, valid while any worker runs.
  worker(core::shard_options options, storage::store& store, core::shard_owner& owner,
         std::function<worker&(core::worker_id)> peer_of);
  ~worker() override;

  [[nodiscard]] core::shard& shard() { return shard_; }
  [[nodiscard]] boost::asio::io_context& context() { return io_; }
  void set_context(std::unique_ptr<protocol::context> with) { with_ = std::move(with); }
  [[nodiscard]] protocol::context& with() { return *with_; }

  void start_thread();
  /// Ends the loop after its current turn, and joins.
  void stop_and_join();

  // --- from any thread ---
  void leave_letters(std::vector<core::letter>& letters);
  void leave_task(std::function<void()> work);
  template <class Value>
  void leave(std::vector<Value> inbox_contents::*kind, Value value) {
    bool wake = false;
    {
      const std::lock_guard hold(inbox_lock_);
      wake = inbox_.empty();
      (inbox_.*kind).push_back(std::move(value));
    }
    if (wake) wake_up();
  }
  /// Connections now, as an estimate.
  [[nodiscard]] std::size_t connection_count() const { return connection_count_.load(); }

  // --- on this worker ---
  void add_connection(boost::asio::ip::tcp::socket socket, amqp::engine::options options,
                      protocol::connection_handler::peer who,
                      std::unique_ptr<amqp::io::tls_stream> tls);
  void shut_down_connections(std::string_view condition, const std::string& description);
  void drop_connections();
  [[nodiscard]] std::size_t session_count() const;
  [[nodiscard]] std::size_t link_count() const;
  /// Nothing is on its way to or from the store or another worker, as far as this one knows.
  [[nodiscard]] bool is_quiet();

  // core::executor
  void post(task work) override;
  timer_id after(std::chrono::milliseconds delay, task work) override;
  void cancel(timer_id id) override;
  [[nodiscard]] clock::time_point now() const override;
  [[nodiscard]] std::int64_t wall_ms() const override;
  // core::post_office
  void hand_over(core::worker_id to, std::vector<core::letter>& letters) override;
  // amqp::io::driver_owner
  std::span<std::byte> read_buffer() override { return read_buffer_; }
  amqp::engine::clock::time_point driver_now() override { return now(); }
  void on_events(amqp::io::driver& d) override;
  void on_written(amqp::io::driver& d) override;
  void on_stopped(amqp::io::driver& d) override;

 private:
  struct connection {
    std::shared_ptr<amqp::io::driver> wire;
    std::unique_ptr<protocol::connection_handler> handler;
    std::size_t place = 0;       // in connections_
    bool wants_flush = false;
  };

  void run();
  void flush();
  void wake_up();
  void drain_inbox();
  void read_clock() const;
  void tick();

  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  core::shard shard_;
  std::function<worker&(core::worker_id)> peer_of_;
  std::unique_ptr<protocol::context> with_;
  std::vector<std::byte> read_buffer_;
  std::vector<std::unique_ptr<connection>> connections_;
  std::vector<connection*> to_flush_;
  std::vector<connection*> flushing_;
  std::unordered_map<std::uint64_t, std::unique_ptr<boost::asio::steady_timer>> timers_;
  std::uint64_t last_timer_ = 0;
  boost::asio::steady_timer ticker_;
  mutable bool clock_is_read_ = false;
  mutable clock::time_point now_{};
  mutable std::int64_t wall_ms_ = 0;
  bool stopping_ = false;
  std::atomic<std::size_t> connection_count_{0};
  std::thread thread_;

  std::mutex inbox_lock_;     // protects inbox_, and nothing else: see ../LOCKS.md
  inbox_contents inbox_;
  inbox_contents taken_;      // what drain_inbox works through
};

}  // namespace whimbrel::broker::net
