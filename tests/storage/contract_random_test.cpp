// SPDX-License-Identifier: Apache-2.0
// The store's contract, for every implementation: thousands of random batches, with reopenings
// and losses of power in between, against the most obvious model there is.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include "tests/storage/rig.hpp"

namespace whimbrel::storage {
namespace {

/// The copies of a model share it: there is one a step.
class shared_text {
 public:
  shared_text() : shared_text(std::string()) {}
  shared_text(std::string text) : text_(std::make_shared<const std::string>(std::move(text))) {}

  bool operator==(const shared_text& other) const {
    return text_ == other.text_ || *text_ == *other.text_;
  }

 private:
  std::shared_ptr<const std::string> text_;
};

struct model_message {
  shared_text body;
  std::uint32_t flags = 0;
  std::uint32_t delivery_count = 0;
  std::int64_t expires_ms = 0;
  bool operator==(const model_message&) const = default;
};

struct model {
  std::map<entry_key, model_message> messages;
  std::map<std::pair<record_kind, std::string>, shared_text> records;
  bool operator==(const model&) const = default;

  void apply(const batch& b) {
    for (const record& r : b.records) {
      if (r.value) {
        records[{r.kind, r.key}] = to_text(r.value->octets());
      } else {
        records.erase({r.kind, r.key});
      }
    }
    for (const put& p : b.puts) {
      messages[p.key] = {to_text(p.body->octets()), p.flags, p.delivery_count, p.expires_ms};
    }
    for (const move& m : b.moves) {
      const auto from = messages.find(m.from);
      if (from == messages.end()) continue;
      messages[m.to] = {from->second.body, m.flags, m.delivery_count, m.expires_ms};
      messages.erase(from);
    }
    for (const recount& r : b.recounts) {
      const auto at = messages.find(r.key);
      if (at != messages.end()) at->second.delivery_count = r.delivery_count;
    }
    for (const settle& s : b.settles) erase(s.queue, s.first, s.last);
    for (const queue_id q : b.dropped_queues) erase(q, 0, std::numeric_limits<sequence>::max());
  }

  void erase(queue_id q, sequence first, sequence last) {
    if (first > last) return;
    messages.erase(messages.lower_bound({q, first}), messages.upper_bound({q, last}));
  }
};

/// What recovery found, with the bodies read back.
template <class Rig>
model found(Rig& r) {
  model m;
  const auto& records = r.recovered().records;
  m.records.insert(records.begin(), records.end());
  m.records.erase({record_kind::setting, "primer"});
  for (const auto& [q, entries] : r.recovered().queues) {
    const auto bodies = r.contents(q);
    REQUIRE(bodies.size() == entries.size());
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const recovered_entry& e = entries[i];
      REQUIRE(bodies[i].first == e.key.at);
      REQUIRE(bodies[i].second.size() == e.size);
      m.messages[e.key] = {bodies[i].second, e.flags, e.delivery_count, e.expires_ms};
    }
  }
  return m;
}

class generator {
 public:
  explicit generator(std::uint64_t seed) : random_(seed) {}

  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  bool chance(unsigned percent) { return below(100) < percent; }

  /// Gives out sequences like a queue that was restored.
  void continue_at(const std::map<queue_id, sequence>& ends) {
    last_.clear();
    for (const auto& [queue, next] : ends) last_[queue] = next - 1;
  }

  batch next(const model& now) {
    batch b;
    if (chance(75)) add_puts(b);
    if (chance(15)) {
      for (std::uint64_t i = below(4); i > 0; --i) b.moves.push_back(random_move(now, b));
    }
    if (chance(20)) {
      for (std::uint64_t i = below(5); i > 0; --i) {
        b.recounts.push_back({random_key(now, b), static_cast<std::uint32_t>(below(9))});
      }
    }
    if (chance(65)) add_settles(b, now);
    if (chance(10)) add_record(b);
    if (chance(1)) b.dropped_queues.push_back(random_queue());
    return b;
  }

 private:
  queue_id random_queue() { return queue_id{1 + below(5)}; }
  sequence fresh(queue_id q) { return ++last_[q]; }

  std::string random_body() {
    const std::size_t size = chance(2) ? below(400'000) : chance(20) ? below(20'000) : below(300);
    return std::string(size, static_cast<char>('a' + below(26)));
  }

  void add_puts(batch& b) {
    const queue_id favourite = random_queue();
    for (std::uint64_t i = below(12); i > 0; --i) {
      const queue_id q = chance(70) ? favourite : random_queue();
      put p = text_put(q, fresh(q), random_body());
      if (chance(20) && !b.puts.empty()) p.body = b.puts.back().body;
      if (chance(30)) p.flags = static_cast<std::uint32_t>(random_());
      if (chance(10)) p.delivery_count = static_cast<std::uint32_t>(below(5));
      if (chance(10)) p.expires_ms = static_cast<std::int64_t>(below(1'000'000));
      b.puts.push_back(std::move(p));
    }
    if (chance(20)) std::shuffle(b.puts.begin(), b.puts.end(), random_);
  }

  /// Mostly somebody who is there, sometimes one of this very batch, sometimes nobody.
  entry_key random_key(const model& now, const batch& b) {
    if (chance(25) && !b.puts.empty()) return b.puts[below(b.puts.size())].key;
    const entry_key near{random_queue(), 1 + below(2000)};
    const auto at = now.messages.lower_bound(near);
    return at == now.messages.end() || chance(10) ? near : at->first;
  }

  move random_move(const model& now, const batch& b) {
    const queue_id to = random_queue();
    return {random_key(now, b),
            {to, fresh(to)},
            static_cast<std::uint32_t>(below(100)),
            static_cast<std::uint32_t>(below(3)),
            static_cast<std::int64_t>(below(1000))};
  }

  void add_settles(batch& b, const model& now) {
    if (chance(50)) {  // from the front of a queue, as consumers do
      const queue_id q = random_queue();
      auto at = now.messages.lower_bound({q, 0});
      if (at == now.messages.end() || at->first.queue != q) return;
      b.settles.push_back({q, at->first.at, at->first.at + below(20)});
      return;
    }
    for (std::uint64_t i = below(6); i > 0; --i) {
      const entry_key k = random_key(now, b);
      b.settles.push_back({k.queue, k.at, k.at + (chance(30) ? below(5) : 0)});
    }
  }

  void add_record(batch& b) {
    const std::string key = "k" + std::to_string(below(20));
    const auto kind = static_cast<record_kind>(1 + below(3));
    b.records.push_back({kind, key, chance(30) ? nullptr : text_blob(random_body())});
  }

  std::mt19937_64 random_;
  std::map<queue_id, sequence> last_;
};

struct tally {
  std::size_t reopened = 0;
  std::size_t power_lost = 0;
  std::size_t batches_lost = 0;
  std::size_t most_messages = 0;
};

/// Submits batches without waiting for each; `now` is the state after the last one submitted,
/// `after` holds the states that power loss may bring back: any from the last durable one on.
template <class Rig>
tally run(std::uint64_t seed, std::size_t steps) {
  generator g(seed);
  Rig r;
  r.open();
  model now;
  std::deque<std::pair<token, model>> after;
  tally t;
  const auto forget_durable = [&] {
    while (after.size() > 1 && r.sink().outcome(after[1].first)) after.pop_front();
  };
  after.emplace_back(token{}, now);
  for (std::size_t step = 0; step < steps; ++step) {
    batch b = g.next(now);
    now.apply(b);
    after.emplace_back(r.submit(std::move(b)), now);
    t.most_messages = std::max(t.most_messages, now.messages.size());
    if (g.chance(20)) CHECK(r.outcome(after.back().first) == commit_outcome::durable);
    forget_durable();
    if (g.chance(1)) {
      r.close();
      r.open();
      ++t.reopened;
      REQUIRE(found(r) == now);
      g.continue_at(r.recovered().ends);
      after.assign(1, {token{}, now});
    } else if (g.chance(1)) {
      // All at once, so that the store is in the middle of some, however slow this machine is.
      std::vector<batch> burst(8);
      for (batch& next : burst) {
        next = g.next(now);
        now.apply(next);
        after.emplace_back(token{}, now);
      }
      for (std::size_t i = 0; i < burst.size(); ++i) {
        after[after.size() - burst.size() + i].first = r.submit(std::move(burst[i]));
      }
      r.lose_power();
      ++t.power_lost;
      const model left = found(r);
      const auto which =
          std::find_if(after.begin(), after.end(), [&](const auto& s) { return s.second == left; });
      REQUIRE(which != after.end());
      t.batches_lost += static_cast<std::size_t>(after.end() - which) - 1;
      now = left;
      g.continue_at(r.recovered().ends);
      after.assign(1, {token{}, now});
    }
  }
  r.close();
  r.open();
  REQUIRE(found(r) == now);
  return t;
}

std::uint64_t first_seed() {
  const char* const wanted = std::getenv("WHIMBREL_SEED");
  return wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 20;
}

TEST_CASE_TEMPLATE("store: any sequence of batches does what the obvious model does", Rig,
                   sqlite_rig, memory_rig) {
  tally total;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + 4; ++seed) {
    CAPTURE(seed);
    INFO("again with WHIMBREL_SEED=", seed);
    const tally t = run<Rig>(seed, 1000);
    total.reopened += t.reopened;
    total.power_lost += t.power_lost;
    total.batches_lost += t.batches_lost;
    total.most_messages = std::max(total.most_messages, t.most_messages);
  }
  MESSAGE("seeds ", first_seed(), "..", first_seed() + 3, ": reopened ", total.reopened,
          ", power lost ", total.power_lost, ", batches lost ", total.batches_lost,
          ", most messages ", total.most_messages);
  CHECK(total.reopened > 10);
  CHECK(total.power_lost > 10);
  CHECK(total.batches_lost > 10);
  CHECK(total.most_messages > 300);
}

}  // namespace
}  // namespace whimbrel::storage
