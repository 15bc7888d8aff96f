// SPDX-License-Identifier: Apache-2.0
#include "whimbrel/client/sender.hpp"

#include <algorithm>

#include "amqp/spec/conditions.hpp"
#include "client/blocking/runtime.hpp"
#include "client/core/sender.hpp"

namespace whimbrel::client {

namespace {

/// What has become of a sender's messages. Both threads; guarded by the mutex.
struct ledger {
  std::mutex mutex = {};
  std::condition_variable changed = {};
  std::size_t in_flight = 0;
  outcome_counts counts = {};
  std::optional<failure> lost = {};  // why the first message without an outcome has none
};

}  // namespace

struct tracker::state {
  std::shared_ptr<ledger> of = {};
  duration time_out = {};
  std::optional<outcome> is = {};    // guarded by of->mutex
  std::optional<failure> lost = {};  // guarded by of->mutex
};

struct sender::impl {
  ~impl() {
    if (link) on->post([l = link] { l->detach(true, [](const auto&) {}); });
  }

  std::shared_ptr<connection::impl> on = {};
  std::shared_ptr<core::sender> link = {};
  std::shared_ptr<ledger> book = std::make_shared<ledger>();
  std::size_t pipeline_max = 0;
  // Constant once attached.
  std::string address = {};
  std::uint64_t max_message_size = 0;
};

sender connection::open_sender(const std::string& address, const sender_options& options) {
  auto made = std::make_shared<sender::impl>();
  made->on = impl_;
  made->pipeline_max = std::max<std::size_t>(options.pipeline_max, 1);
  const bool is_anonymous = address.empty() && !options.dynamic;
  made->link = std::make_shared<core::sender>(
      is_anonymous ? std::nullopt : std::optional(address), options);
  impl_->attach(made->link, is_anonymous ? "the anonymous sender" : "a sender to " + address);
  made->address = made->link->address();
  made->max_message_size = made->link->max_message_size();
  return sender(std::move(made));
}

sender connection::open_anonymous_sender(const sender_options& options) {
  return open_sender("", options);
}

tracker sender::post(const message& m) { return post(m, impl_->on->options.time_out); }

tracker sender::post(const message& m, duration time_out) {
  amqp::octet_buffer octets;
  amqp::message::encode(octets, m);
  auto made = std::make_shared<tracker::state>();
  made->of = impl_->book;
  made->time_out = time_out;
  {
    ledger& book = *impl_->book;
    std::unique_lock lock(book.mutex);
    const bool has_room = book.changed.wait_until(lock, deadline_after(time_out), [&] {
      return book.in_flight < impl_->pipeline_max || book.lost;
    });
    if (book.lost) throw error(*book.lost);
    if (!has_room) throw_time_out("outcome of messages sent before");
    ++book.in_flight;
  }
  impl_->on->post([link = impl_->link, octets = std::move(octets), made]() mutable {
    link->send(std::move(octets), [made](const outcome* is, const failure* lost) {
      ledger& book = *made->of;
      const std::lock_guard lock(book.mutex);
      --book.in_flight;
      if (is != nullptr) {
        made->is = *is;
        book.counts.add(is->kind);
      } else {
        made->lost = *lost;
        // A message that is too large is its own business; else the link has gone.
        if (lost->condition != amqp::spec::conditions::message_size_exceeded && !book.lost) {
          book.lost = *lost;
        }
      }
      book.changed.notify_all();
    });
  });
  return tracker(std::move(made));
}

outcome tracker::wait() const { return wait(state_->time_out); }

outcome tracker::wait(duration time_out) const {
  std::unique_lock lock(state_->of->mutex);
  const bool came = state_->of->changed.wait_until(
      lock, deadline_after(time_out), [this] { return state_->is || state_->lost; });
  if (!came) throw_time_out("outcome");
  if (state_->lost) throw error(*state_->lost);
  return *state_->is;
}

std::optional<outcome> tracker::poll() const {
  const std::lock_guard lock(state_->of->mutex);
  if (state_->lost) throw error(*state_->lost);
  return state_->is;
}

outcome sender::send(const message& m) { return send(m, impl_->on->options.time_out); }

outcome sender::send(const message& m, duration time_out) {
  const auto deadline = deadline_after(time_out);
  const tracker made = post(m, time_out);
  return made.wait(std::chrono::duration_cast<duration>(deadline - wait_clock::now()));
}

void sender::flush() { flush(impl_->on->options.time_out); }

void sender::flush(duration time_out) {
  ledger& book = *impl_->book;
  std::unique_lock lock(book.mutex);
  const bool came = book.changed.wait_until(lock, deadline_after(time_out),
                                            [&] { return book.in_flight == 0 || book.lost; });
  if (book.lost) throw error(*book.lost);
  if (!came) throw_time_out("outcome of " + std::to_string(book.in_flight) + " messages");
}

outcome_counts sender::counts() const {
  const std::lock_guard lock(impl_->book->mutex);
  return impl_->book->counts;
}

const std::string& sender::address() const { return impl_->address; }

std::uint64_t sender::max_message_size() const { return impl_->max_message_size; }

void sender::close() {
  flush();
  impl_->on->detach(impl_->link, true);
}

}  // namespace whimbrel::client
