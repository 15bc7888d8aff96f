// SPDX-License-Identifier: Apache-2.0
// What stands around the messaging model in its tests: a clock that tests own, timers on it, and
// mailboxes between shards that are emptied when the test says so.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "amqp/base/octet_buffer.hpp"
#include "amqp/message/view.hpp"
#include "broker/core/executor.hpp"
#include "broker/core/message.hpp"
#include "broker/core/shard.hpp"
#include "storage/store.hpp"

namespace whimbrel::test {

namespace core = broker::core;
using core::letter;
using core::letter_kind;
using core::outcome;
using core::sequence;
using storage::worker_id;

inline std::size_t index_of(worker_id w) { return static_cast<std::size_t>(w); }

/// Moves only when told.
struct test_clock {
  std::int64_t ms = 1'700'000'000'000;
};

class test_executor final : public core::executor {
 public:
  explicit test_executor(const test_clock& time) : time_(time) {}

  void post(task work) override { posted_.push_back(std::move(work)); }
  timer_id after(std::chrono::milliseconds delay, task work) override {
    const auto name = timer_id{++last_};
    timers_.emplace(std::pair(time_.ms + delay.count(), name), std::move(work));
    return name;
  }
  void cancel(timer_id which) override {
    std::erase_if(timers_, [&](const auto& t) { return t.first.second == which; });
  }
  [[nodiscard]] clock::time_point now() const override {
    return clock::time_point(std::chrono::milliseconds(time_.ms));
  }
  [[nodiscard]] std::int64_t wall_ms() const override { return time_.ms; }

  [[nodiscard]] bool has_work() const {
    return !posted_.empty() || (!timers_.empty() && timers_.begin()->first.first <= time_.ms);
  }
  [[nodiscard]] std::size_t timer_count() const { return timers_.size(); }
  /// Runs what has been posted and what is due by now, not what those add.
  void run_ready() {
    for (auto& work : std::exchange(posted_, {})) work();
    while (!timers_.empty() && timers_.begin()->first.first <= time_.ms) {
      timers_.extract(timers_.begin()).mapped()();
    }
  }

 private:
  const test_clock& time_;
  std::deque<task> posted_ = {};
  std::map<std::pair<std::int64_t, timer_id>, task> timers_ = {};
  std::uint64_t last_ = 0;
};

/// Letters under way, first in first out for each pair of workers.
class test_mail {
 public:
  explicit test_mail(std::size_t workers) : workers_(workers), lanes_(workers * workers) {}

  [[nodiscard]] std::deque<letter>& lane(std::size_t from, std::size_t to) {
    return lanes_[from * workers_ + to];
  }
  [[nodiscard]] bool has_for(std::size_t to) {
    for (std::size_t from = 0; from < workers_; ++from) {
      if (!lane(from, to).empty()) return true;
    }
    return false;
  }

 private:
  std::size_t workers_;
  std::vector<std::deque<letter>> lanes_;
};

/// One worker's outgoing side of the mail.
class test_post final : public core::post_office {
 public:
  test_post(test_mail& mail, std::size_t from) : mail_(mail), from_(from) {}
  void hand_over(worker_id to, std::vector<letter>& letters) override {
    auto& lane = mail_.lane(from_, index_of(to));
    for (letter& l : letters) lane.push_back(std::move(l));
    letters.clear();
  }

 private:
  test_mail& mail_;
  std::size_t from_;
};

/// The store's word, until the worker it is for takes it.
class test_inbox final : public storage::completion_sink {
 public:
  struct pressure_change {
    storage::pressure level{};
  };
  using completion = std::variant<storage::commit_done, storage::withdraw_done, storage::read_done,
                                  pressure_change>;

  explicit test_inbox(std::size_t workers) : of_(workers) {}

  void on_commit(storage::commit_done d) noexcept override {
    of_[index_of(d.worker)].emplace_back(d);
  }
  void on_withdraw(storage::withdraw_done d) noexcept override {
    of_[index_of(d.worker)].emplace_back(std::move(d));
  }
  void on_read(storage::read_done d) noexcept override {
    of_[index_of(d.worker)].emplace_back(std::move(d));
  }
  void on_pressure(storage::pressure level, std::string_view) noexcept override {
    for (auto& inbox : of_) inbox.emplace_back(pressure_change{level});
  }

  [[nodiscard]] std::deque<completion>& of(std::size_t worker) { return of_[worker]; }

 private:
  std::vector<std::deque<completion>> of_;
};

inline void pass_on(core::shard& to, test_inbox::completion&& c) {
  if (auto* const commit = std::get_if<storage::commit_done>(&c)) return to.on_commit(*commit);
  if (auto* const back = std::get_if<storage::withdraw_done>(&c)) return to.on_withdraw(*back);
  if (auto* const read = std::get_if<storage::read_done>(&c)) return to.on_read(std::move(*read));
  to.on_pressure(std::get<test_inbox::pressure_change>(c).level);
}

struct test_owner final : core::shard_owner {
  void on_store_failed() override { ++failures; }
  void log(std::string_view line) override { lines.emplace_back(line); }

  std::size_t failures = 0;
  std::vector<std::string> lines = {};
};

struct message_shape {
  bool durable = true;
  std::optional<std::uint32_t> ttl = {};
  std::uint32_t format = 0;
  std::uint8_t priority = 4;
};

/// A message whose body is one data section.
inline core::message_ptr make_text(std::string_view text, const message_shape& shape = {}) {
  amqp::octet_buffer out;
  amqp::message::header_view h;
  h.durable = shape.durable;
  h.ttl = shape.ttl;
  h.priority = shape.priority;
  amqp::message::write_header(out, h);
  const auto n = static_cast<std::uint32_t>(text.size());
  const std::uint8_t head[] = {0x00,
                               0x53,
                               0x75,
                               0xb0,
                               static_cast<std::uint8_t>(n >> 24),
                               static_cast<std::uint8_t>(n >> 16),
                               static_cast<std::uint8_t>(n >> 8),
                               static_cast<std::uint8_t>(n)};
  out.append(std::as_bytes(std::span(head)));
  out.append(std::as_bytes(std::span(text)));
  auto made = core::make_message(out.octets(), shape.format);
  AMQP_ASSERT(made.has_value());
  return *std::move(made);
}

inline std::string text_of(const core::message& m) {
  const auto& at = m.sections();
  const auto body = m.octets().subspan(at.application_properties_end + 8);
  return {reinterpret_cast<const char*>(body.data()), body.size()};
}

}  // namespace whimbrel::test
