// SPDX-License-Identifier: Apache-2.0
// Messages into random sets of queues, over crashes and disks that take nothing, against a ledger
// of what was promised.
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "broker/core/fan_out.hpp"
#include "broker/core/joint.hpp"
#include "tests/broker/core/town.hpp"

using namespace whimbrel;
using namespace whimbrel::test;

namespace {

constexpr std::size_t queue_count = 5;  // the last one keeps nothing in the store

struct promise {
  std::set<std::size_t> to = {};
  bool durable = false;
  bool accepted = false;
  bool rejected = false;
  std::set<std::size_t> seen = {};
  std::set<std::size_t> settled = {};  // before the last life
  std::set<std::size_t> found = {};    // in the last one
};

struct tally {
  std::uint64_t accepted = 0, rejected = 0, seen = 0, crashes = 0, spread = 0;
};

struct ledger {
  std::map<std::string, promise> all = {};
  int next = 0;
  bool last = false;  // the life that ends well
  tally sum = {};
};

/// Sends to sets of queues, and writes down what it is told.
class spreader final : public test_link {
 public:
  spreader(core::shard& home, ledger& book, std::string name)
      : test_link(home, {}), home_(home), book_(book), name_(std::move(name)) {}

  void put(const std::vector<core::hit>& to, std::set<std::size_t> which, bool durable) {
    const std::string text = name_ + ':' + std::to_string(book_.next++);
    book_.all[text] = {std::move(which), durable};
    book_.sum.spread += to.size() > 1 ? 1 : 0;
    under_way_[next_id_] = text;
    const auto m = make_text(text, {.durable = durable});
    if (to.size() > 1) {
      core::fan_out(home_, to, m, self, next_id_);
    } else {
      letter l;
      l.kind = letter_kind::put;
      l.id = next_id_;
      l.link = self;
      l.queue = to.front().queue;
      l.message = m;
      home_.send(std::move(l));
    }
    ++next_id_;
  }
  void take_verdicts() {
    for (const verdict& v : std::exchange(verdicts, {})) {
      const auto found = under_way_.find(v.id);
      REQUIRE(found != under_way_.end());  // one verdict each
      promise& p = book_.all.at(found->second);
      under_way_.erase(found);
      if (v.what == outcome::accepted) {
        p.accepted = true;
        ++book_.sum.accepted;
      } else {
        CHECK(v.what == outcome::rejected);
        CHECK(p.seen.empty());
        p.rejected = true;
        ++book_.sum.rejected;
      }
    }
  }
  [[nodiscard]] std::size_t waiting() const { return under_way_.size(); }

 private:
  core::shard& home_;
  ledger& book_;
  std::string name_;
  std::uint32_t next_id_ = 0xffff'fff0;
  std::map<std::uint32_t, std::string> under_way_ = {};
};

/// From one start to the next.
class life {
 public:
  life(std::uint16_t workers, std::uint64_t seed, storage::memory_disk& disk, ledger& book)
      : book_(book), random_(seed), w_({.workers = workers, .seed = seed}, disk),
        town_(w_, settings(), false) {
    w_.store.recover(town_.nodes);
    town_.nodes.finish_recovery();
    for (std::size_t i = 0; i < queue_count; ++i) {
      const bool durable = i + 1 < queue_count;
      town_.nodes.declare("q" + std::to_string(i), durable);
      w_.settle_down();
      queues_.push_back({town_.reply(ask("/queues/q" + std::to_string(i))).queue, durable});
      consumers_.push_back(std::make_unique<test_consumer>(w_, queues_.back().queue));
      done_.push_back(0);
    }
    for (std::size_t s = 0; s < w_.shards.size(); ++s) {
      producers_.push_back(std::make_unique<spreader>(
          *w_.shards[s], book, "p" + std::to_string(seed) + "-" + std::to_string(s)));
    }
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      step();
      look();
    }
  }
  void end_well() {
    w_.store.stall(0);
    for (int round = 0; round < 50; ++round) {
      for (auto& c : consumers_) c->grant(1'000'000);
      w_.settle_down();
      look();
      for (std::size_t q = 0; q < queue_count; ++q) settle_some(q, 1000);
      w_.settle_down();
    }
    for (auto& p : producers_) CHECK(p->waiting() == 0);
    for (auto& s : w_.shards) CHECK(s->joints().size() == 0);
    for (const auto& h : queues_) CHECK(w_.at(h.queue).depth() == 0);
  }
  void crash() {
    w_.store.lose_power();
    ++book_.sum.crashes;
  }
  void doubt() {
    w_.store.doubt(random_() % 2 == 0);
    run(30);
    crash();
  }

 private:
  [[nodiscard]] std::size_t pick(std::size_t n) { return static_cast<std::size_t>(random_() % n); }

  void step() {
    const auto what = pick(100);
    if (what < 25) {
      put();
    } else if (what < 60) {
      w_.turn(pick(w_.shards.size()));
    } else if (what < 75) {
      w_.store.pump();
    } else if (what < 85) {
      consumers_[pick(queue_count)]->grant(static_cast<std::uint32_t>(granted_ += pick(4)));
    } else if (what < 98) {
      settle_some(pick(queue_count), pick(4));
    } else {
      w_.store.stall(static_cast<unsigned>(pick(20)));
      w_.time.ms += pick(2) == 0 ? 31'000 : 0;
    }
  }
  void put() {
    std::vector<core::hit> to;
    std::set<std::size_t> which;
    for (std::size_t q = 0; q < queue_count; ++q) {
      if (pick(2) == 0 && q + 1 < queue_count + pick(2)) {
        to.push_back(queues_[q]);
        which.insert(q);
      }
    }
    if (!to.empty()) producers_[pick(producers_.size())]->put(to, which, pick(4) > 0);
  }
  void settle_some(std::size_t q, std::size_t most) {
    test_consumer& c = *consumers_[q];
    for (; most > 0 && done_[q] < c.deliveries.size(); --most, ++done_[q]) {
      const auto& d = c.deliveries[done_[q]];
      if (!book_.last) book_.all.at(d.text).settled.insert(q);
      c.settle(d.at, d.at, outcome::accepted);
    }
  }
  /// What came since the last look, and what was said.
  void look() {
    for (std::size_t q = 0; q < queue_count; ++q) {
      auto& c = *consumers_[q];
      for (std::size_t i = looked_[q]; i < c.deliveries.size(); ++i) {
        const std::string& text = c.deliveries[i].text;
        promise& p = book_.all.at(text);
        CHECK(p.to.contains(q));
        CHECK_FALSE(p.rejected);
        p.seen.insert(q);
        if (book_.last) p.found.insert(q);
        ++book_.sum.seen;
        const auto colon = text.find(':');
        const int number = std::stoi(text.substr(colon + 1));
        int& newest = newest_[q].emplace(text.substr(0, colon), -1).first->second;
        CHECK(number > newest);  // the order of its producer
        newest = number;
      }
      looked_[q] = c.deliveries.size();
    }
    for (auto& p : producers_) p->take_verdicts();
  }

  ledger& book_;
  std::mt19937_64 random_;
  world w_;
  town town_;
  std::vector<core::hit> queues_ = {};
  std::vector<std::unique_ptr<test_consumer>> consumers_ = {};
  std::vector<std::unique_ptr<spreader>> producers_ = {};
  std::vector<std::size_t> done_ = {};
  std::map<std::size_t, std::size_t> looked_ = {};
  std::map<std::size_t, std::map<std::string, int>> newest_ = {};
  std::uint64_t granted_ = 0;
};

void run_seed(std::uint16_t workers, std::uint64_t seed, ledger& book) {
  CAPTURE(workers);
  CAPTURE(seed);
  storage::memory_disk disk;
  for (std::uint64_t n = 0; n < 4; ++n) {
    book.last = n == 3;
    life l(workers, seed * 10 + n, disk, book);
    l.run(250);
    if (n == 3) l.end_well();
    else if (n == 1) l.doubt();
    else l.crash();
  }
  for (auto& [text, p] : book.all) {
    CAPTURE(text);
    if (!p.durable) continue;
    std::set<std::size_t> kept = p.to;
    kept.erase(queue_count - 1);
    std::size_t arrived = 0;
    for (const std::size_t q : kept) arrived += p.seen.contains(q) ? 1 : 0;
    if (p.accepted) CHECK(arrived == kept.size());
    if (p.rejected) CHECK(p.seen.empty());
    // What nobody has settled has survived everywhere or nowhere.
    p.found.erase(queue_count - 1);
    if (p.settled.empty()) CHECK((p.found.empty() || p.found == kept));
  }
  book.all.clear();
}

}  // namespace

TEST_CASE("fan-out: over crashes and stalls, every promise to producers and consumers is kept") {
  for (const std::uint16_t workers : {std::uint16_t{1}, std::uint16_t{3}}) {
    ledger book;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) run_seed(workers, seed, book);
    CHECK(book.sum.accepted > 2000);
    CHECK(book.sum.seen > 4000);
    CHECK(book.sum.spread > 2000);
    CHECK(book.sum.crashes == 120);
    if (workers > 1) CHECK(book.sum.rejected > 0);
  }
}
