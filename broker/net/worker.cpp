// SPDX-License-Identifier: Apache-2.0
// The turn of a worker, its inbox and its connections.
#include "broker/net/worker.hpp"

#include <utility>

#include <boost/asio/post.hpp>

#include "broker/protocol/states.hpp"

namespace whimbrel::broker::net {

namespace asio = boost::asio;

namespace {
constexpr std::size_t read_octets = 256 * 1024;
constexpr int handlers_a_turn = 256;
}  // namespace

worker::worker(core::shard_options options, storage::store& store, core::shard_owner& owner,
               std::function<worker&(core::worker_id)> peer_of)
    : work_(asio::make_work_guard(io_)),
      shard_(options, *this, store, *this, owner),
      peer_of_(std::move(peer_of)),
      read_buffer_(read_octets),
      ticker_(io_) {}

worker::~worker() {
  if (thread_.joinable()) stop_and_join();
  connections_.clear();
}

void worker::start_thread() {
  tick();
  thread_ = std::thread([this] { run(); });
}

void worker::stop_and_join() {
  leave_task([this] { stopping_ = true; });
  thread_.join();
}

// --- the turn --------------------------------------------------------------------------------

void worker::run() {
  while (!stopping_) {
    if (io_.run_one() == 0) return;
    for (int i = 1; i < handlers_a_turn && io_.poll_one() != 0; ++i) {
    }
    flush();
  }
}

void worker::flush() {
  shard_.flush_store();
  shard_.flush_letters();
  flushing_.swap(to_flush_);
  for (connection* c : flushing_) {
    if (c == nullptr) continue;
    c->wants_flush = false;
    c->wire->flush();
  }
  flushing_.clear();
  // Writing may have freed room and so moved more: that belongs to the next turn.
  if (!to_flush_.empty()) asio::post(io_, [] {});
  clock_is_read_ = false;
}

void worker::tick() {
  ticker_.expires_after(std::chrono::seconds(1));
  ticker_.async_wait([this](boost::system::error_code ec) {
    if (ec) return;
    shard_.tick();
    tick();
  });
}

// --- inbox -----------------------------------------------------------------------------------

void worker::leave_letters(std::vector<core::letter>& letters) {
  bool wake = false;
  {
    const std::lock_guard hold(inbox_lock_);
    wake = inbox_.empty();
    if (inbox_.letters.empty()) {
      inbox_.letters.swap(letters);
    } else {
      for (auto& l : letters) inbox_.letters.push_back(std::move(l));
    }
  }
  letters.clear();
  if (wake) wake_up();
}

void worker::leave_task(std::function<void()> work) {
  leave(&inbox_contents::tasks, std::move(work));
}

void worker::wake_up() {
  asio::post(io_, [this] { drain_inbox(); });
}

void worker::drain_inbox() {
  {
    const std::lock_guard hold(inbox_lock_);
    std::swap(inbox_, taken_);
  }
  for (auto& l : taken_.letters) shard_.receive(std::move(l));
  for (const auto& c : taken_.commits) shard_.on_commit(c);
  for (const auto& w : taken_.withdrawals) shard_.on_withdraw(w);
  for (auto& r : taken_.reads) shard_.on_read(std::move(r));
  for (auto& work : taken_.tasks) work();
  taken_.letters.clear();
  taken_.commits.clear();
  taken_.withdrawals.clear();
  taken_.reads.clear();
  taken_.tasks.clear();
}

void worker::hand_over(core::worker_id to, std::vector<core::letter>& letters) {
  peer_of_(to).leave_letters(letters);
}

// --- executor --------------------------------------------------------------------------------

void worker::post(task work) { asio::post(io_, std::move(work)); }

core::executor::timer_id worker::after(std::chrono::milliseconds delay, task work) {
  const std::uint64_t id = ++last_timer_;
  auto timer = std::make_unique<asio::steady_timer>(io_, delay);
  timer->async_wait([this, id, work = std::move(work)](boost::system::error_code ec) {
    if (ec) return;
    timers_.erase(id);
    work();
  });
  timers_.emplace(id, std::move(timer));
  return timer_id{id};
}

void worker::cancel(timer_id id) { timers_.erase(static_cast<std::uint64_t>(id)); }

void worker::read_clock() const {
  if (clock_is_read_) return;
  clock_is_read_ = true;
  now_ = clock::now();
  wall_ms_ = std::chrono::duration_cast<std::chrono::milliseconds>(
                 std::chrono::system_clock::now().time_since_epoch())
                 .count();
}

core::executor::clock::time_point worker::now() const {
  read_clock();
  return now_;
}

std::int64_t worker::wall_ms() const {
  read_clock();
  return wall_ms_;
}

// --- connections -----------------------------------------------------------------------------

void worker::add_connection(asio::ip::tcp::socket socket, amqp::engine::options options,
                            protocol::connection_handler::peer who,
                            std::unique_ptr<amqp::io::tls_stream> tls) {
  auto made = std::make_unique<connection>();
  connection* c = made.get();
  c->wire = std::make_shared<amqp::io::driver>(std::move(socket), std::move(options), *this,
                                               std::move(tls));
  c->wire->context = c;
  c->handler = std::make_unique<protocol::connection_handler>(
      *with_, c->wire->engine(), std::move(who), [this, c] {
        if (c->wants_flush) return;
        c->wants_flush = true;
        to_flush_.push_back(c);
      });
  c->place = connections_.size();
  connections_.push_back(std::move(made));
  ++connection_count_;
  c->wire->start();
}

void worker::on_events(amqp::io::driver& d) {
  static_cast<connection*>(d.context)->handler->on_events();
}

void worker::on_written(amqp::io::driver& d) {
  static_cast<connection*>(d.context)->handler->on_output_written();
}

void worker::on_stopped(amqp::io::driver& d) {
  auto* c = static_cast<connection*>(d.context);
  for (connection*& waiting : to_flush_) {
    if (waiting == c) waiting = nullptr;
  }
  for (connection*& waiting : flushing_) {
    if (waiting == c) waiting = nullptr;
  }
  if (const std::string& why = d.tls_failure(); !why.empty()) {
    with_->log.info("TLS failed", {{"peer", c->handler->address()}, {"why", why}});
  }
  const std::size_t place = c->place;
  c->handler.reset();
  std::swap(connections_[place], connections_.back());
  connections_[place]->place = place;
  connections_.pop_back();
  --connection_count_;
}

void worker::shut_down_connections(std::string_view condition, const std::string& description) {
  for (auto& c : connections_) {
    c->handler->shut_down(protocol::make_error(condition, description));
  }
}

std::size_t worker::session_count() const {
  std::size_t n = 0;
  for (const auto& c : connections_) n += c->wire->engine().session_count();
  return n;
}

std::size_t worker::link_count() const {
  std::size_t n = 0;
  for (const auto& c : connections_) n += c->handler->links().size();
  return n;
}

void worker::drop_connections() {
  for (auto& c : connections_) c->wire->stop();
}

bool worker::is_quiet() {
  const std::lock_guard hold(inbox_lock_);
  return inbox_.empty() && shard_.commits().is_idle();
}

}  // namespace whimbrel::broker::net
