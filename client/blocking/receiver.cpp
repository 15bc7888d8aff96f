// SPDX-License-Identifier: Apache-2.0
#include "whimbrel/client/receiver.hpp"

#include <algorithm>
#include <deque>

#include "amqp/codec/codec.hpp"
#include "amqp/spec/fast.hpp"
#include "client/blocking/runtime.hpp"
#include "client/core/receiver.hpp"

namespace whimbrel::client {

namespace {

/// What has come and was not asked for yet. Both threads; guarded by the mutex.
struct inbox {
  std::mutex mutex = {};
  std::condition_variable changed = {};
  std::deque<delivery> waiting = {};
  std::uint32_t taken = 0;  // of which the library's thread has not been told
  bool drained = false;
  std::optional<failure> gone = {};
};

core::receiver::listener listener_of(const std::shared_ptr<inbox>& box) {
  core::receiver::listener out;
  out.on_delivery = [box](delivery&& d) {
    const std::lock_guard lock(box->mutex);
    box->waiting.push_back(std::move(d));
    box->changed.notify_all();  // who waits for the end of a drain waits here too
  };
  out.on_drained = [box] {
    const std::lock_guard lock(box->mutex);
    box->drained = true;
    box->changed.notify_all();
  };
  out.on_gone = [box](const failure& why) {
    const std::lock_guard lock(box->mutex);
    box->gone = why;
    box->changed.notify_all();
  };
  return out;
}

}  // namespace

struct receiver::impl {
  ~impl() {
    if (link) on->post([l = link, e = !durable] { l->detach(e, [](const auto&) {}); });
  }

  void settle(const delivery& d, amqp::codec::raw state) {
    if (d.is_settled) return;
    on->post([l = link, id = d.id, state = std::move(state)] { l->settle(id, state.octets()); });
  }
  /// Tells that deliveries were taken, many at once; the lock is held.
  void count_taken() {
    if (++box->taken < step) return;
    on->post([l = link, n = std::exchange(box->taken, 0)] { l->consumed(n); });
  }

  std::shared_ptr<connection::impl> on = {};
  std::shared_ptr<core::receiver> link = {};
  std::shared_ptr<inbox> box = std::make_shared<inbox>();
  std::uint32_t step = 1;
  bool auto_accept = false;
  bool durable = false;
  // Constant once attached.
  std::string address = {};
  map filters = {};
};

receiver connection::open_receiver(const std::string& address, const receiver_options& options) {
  auto made = std::make_shared<receiver::impl>();
  made->on = impl_;
  // With less the credit would run dry before we tell; with more each message costs a hand-over.
  made->step = std::max(options.prefetch / 4, 1u);
  made->auto_accept = options.auto_accept;
  made->durable = options.durable;
  made->link = std::make_shared<core::receiver>(
      options.dynamic ? std::nullopt : std::optional(address), options, listener_of(made->box));
  impl_->attach(made->link, "a receiver from " + (options.dynamic ? "a new node" : address));
  made->address = made->link->address();
  made->filters = made->link->filters();
  return receiver(std::move(made));
}

std::optional<delivery> receiver::receive() { return receive(impl_->on->options.time_out); }

std::optional<delivery> receiver::receive(duration time_out) {
  std::optional<delivery> out;
  {
    inbox& box = *impl_->box;
    std::unique_lock lock(box.mutex);
    const bool came = box.changed.wait_until(lock, deadline_after(time_out), [&] {
      return !box.waiting.empty() || box.gone;
    });
    if (!came) return std::nullopt;
    if (box.waiting.empty()) throw error(*box.gone);
    out = std::move(box.waiting.front());
    box.waiting.pop_front();
    impl_->count_taken();
  }
  if (impl_->auto_accept) accept(*out);
  return out;
}

void receiver::accept(const delivery& d) {
  impl_->settle(d, amqp::codec::raw(std::span(amqp::spec::fast::accepted_octets)));
}

void receiver::release(const delivery& d) {
  impl_->settle(d, amqp::codec::raw(std::span(amqp::spec::fast::released_octets)));
}

void receiver::reject(const delivery& d, const std::string& condition,
                      const std::string& description) {
  amqp::spec::rejected state;
  if (!condition.empty()) {
    state.error = amqp::spec::error{.condition = symbol(condition)};
    if (!description.empty()) state.error->description = description;
  }
  impl_->settle(d, amqp::codec::to_raw(state));
}

void receiver::modify(const delivery& d, bool delivery_failed, bool undeliverable_here,
                      const map& annotations) {
  amqp::spec::modified state;
  if (delivery_failed) state.delivery_failed = true;
  if (undeliverable_here) state.undeliverable_here = true;
  if (!annotations.empty()) state.message_annotations = annotations;
  impl_->settle(d, amqp::codec::to_raw(state));
}

void receiver::grant(std::uint32_t credit) {
  impl_->on->post([l = impl_->link, credit] { l->grant(credit); });
}

void receiver::drain() { drain(impl_->on->options.time_out); }

void receiver::drain(duration time_out) {
  inbox& box = *impl_->box;
  std::unique_lock lock(box.mutex);
  box.drained = false;
  impl_->on->post([l = impl_->link, n = std::exchange(box.taken, 0)] {
    l->consumed(n);
    l->drain();
  });
  const bool came = box.changed.wait_until(lock, deadline_after(time_out),
                                           [&] { return box.drained || box.gone; });
  if (!came) throw_time_out("answer to the drain");
  if (!box.drained) throw error(*box.gone);
}

const std::string& receiver::address() const { return impl_->address; }

const map& receiver::filters() const { return impl_->filters; }

std::uint64_t receiver::malformed() const { return impl_->link->malformed(); }

void receiver::detach() { impl_->on->detach(impl_->link, false); }

void receiver::close() { impl_->on->detach(impl_->link, true); }

}  // namespace whimbrel::client
