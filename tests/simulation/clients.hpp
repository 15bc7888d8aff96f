// SPDX-License-Identifier: Apache-2.0
// Producers and consumers of the simulation: links that speak to queues by letter, and a ledger
// that hears all they say.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "tests/broker/core/fakes.hpp"
#include "tests/simulation/ledger.hpp"
#include "tests/simulation/spy_store.hpp"

namespace whimbrel::simulation {

namespace core = broker::core;
using core::letter;
using core::letter_kind;
using core::outcome;
using core::sequence;

/// What outlives a crash: messages, faults found, and the hash of all that happened.
struct ledger {
  std::map<std::string, ledger_entry> entries = {};
  ledger_faults faults = {};
  ledger_totals totals = {};
  std::uint64_t trace = 0xcbf29ce484222325;
  std::map<storage::entry_key, std::string> names = {};  // what the store was given where

  void note(std::string_view what, std::uint64_t a = 0, std::uint64_t b = 0) {
    for (const char c : what) mix(static_cast<unsigned char>(c));
    mix(a);
    mix(b);
  }

 private:
  void mix(std::uint64_t octet) { trace = (trace ^ octet) * 0x100000001b3; }
};

/// What lasts from one start of the broker to the next crash.
struct era {
  ledger& book;
  spy_store& spy;
  std::set<std::string> touched = {};  // given to somebody, or sent back by a link that had gone
  bool in_doubt = false;
};

class client : public core::link_end {
 public:
  client(era& in, core::shard& home, core::queue_ref queue)
      : in_(in), home_(home), self_(home.add_link(*this)), queue_(queue) {}
  ~client() override { home_.remove_link(self_); }
  client(const client&) = delete;
  client& operator=(const client&) = delete;

 protected:
  void post(letter l) {
    l.link = self_;
    l.queue = queue_;
    home_.send(std::move(l));
  }
  void post(letter_kind kind, std::uint8_t flags = 0, std::uint32_t count = 0) {
    letter l;
    l.kind = kind;
    l.flags = flags;
    l.count = count;
    post(std::move(l));
  }

  era& in_;
  core::shard& home_;
  core::link_ref self_;
  core::queue_ref queue_;
};

class producer final : public client {
 public:
  producer(era& in, core::shard& home, core::queue_ref queue, std::string name)
      : client(in, home, queue), name_(std::move(name)) {
    post(letter_kind::add_producer);
  }
  void on_letter(letter&& l) override;
  void put(bool durable, bool presettled);
  void leave() { post(letter_kind::remove_producer); }
  [[nodiscard]] bool may_put() const { return open_ && waiting_.size() < 20; }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

 private:
  void on_verdict(std::uint32_t id, outcome what);

  std::string name_;
  bool open_ = false;
  int next_ = 0;
  std::uint32_t next_id_ = 0xffff'fffa;  // wraps early
  std::map<std::uint32_t, std::string> waiting_ = {};
};

class consumer final : public client {
 public:
  consumer(era& in, core::shard& home, core::queue_ref queue) : client(in, home, queue) {
    post(letter_kind::subscribe);
  }
  void on_letter(letter&& l) override;
  void grant(std::uint32_t more, bool drain);
  /// The oldest that is held, and its neighbours up to `range_max`, reach an outcome.
  void settle_oldest(outcome what, bool failed, bool answer, std::size_t range_max);
  /// Leaves the queue, then gives back what it holds.
  void leave(bool failed);
  [[nodiscard]] std::size_t held() const { return held_.size(); }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size() + (draining_ ? 1U : 0U); }

 private:
  struct holding {
    std::uint32_t id = 0;
    std::string text = {};
  };
  struct question {
    std::string text = {};
    outcome what{};
    std::uint32_t failed = 0;
  };

  void on_deliver(const letter& l);
  void on_answer(std::uint32_t id, outcome what);
  void conclude(const holding& h, outcome what, bool failed, bool answer);
  void check_count(ledger_entry& e, std::uint32_t count);

  std::uint32_t next_id_ = 0xffff'fff0;
  std::uint32_t received_ = 0;
  std::uint32_t limit_ = 0;
  bool draining_ = false;
  std::map<sequence, holding> held_ = {};
  std::map<std::uint32_t, question> waiting_ = {};
  std::map<std::string, int> newest_ = {};  // by producer: the highest that came untouched
};

}  // namespace whimbrel::simulation
