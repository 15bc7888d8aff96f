// SPDX-License-Identifier: Apache-2.0
// Shards, a store in memory and links that only remember: what the tests of queues, shards and the
// directory are written against. The same scenario runs with one worker and with three.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "broker/core/directory.hpp"
#include "storage/memory/memory_store.hpp"
#include "tests/broker/core/fakes.hpp"

namespace whimbrel::test {

struct world_options {
  std::uint16_t workers = 1;
  std::uint64_t seed = 1;  // of the order in which workers and letters get their turn
  std::size_t memory_octets = 64 << 20;
  bool accept_before_commit = false;
};

/// Queues live on the last worker, producers on the first, consumers on the one between: with three
/// workers each letter crosses, with one none does.
class world {
  storage::memory_disk own_disk_;  // first: the store is made on it
  storage::memory_disk& disk_;

 public:
  explicit world(world_options options) : world(options, own_disk_) {}
  world(world_options options, storage::memory_disk& disk)
      : disk_(disk),
        mail(options.workers),
        inbox(options.workers),
        store(disk, inbox, {.manual = true}),
        options_(options),
        random_(options.seed) {
    core::shard_options o;
    o.workers = options.workers;
    o.memory_octets = options.memory_octets;
    o.accept_before_commit = options.accept_before_commit;
    for (std::size_t w = 0; w < options.workers; ++w) {
      o.self = static_cast<worker_id>(w);
      executors.push_back(std::make_unique<test_executor>(time));
      posts.push_back(std::make_unique<test_post>(mail, w));
      shards.push_back(std::make_unique<core::shard>(o, *executors[w], store, *posts[w], owner));
    }
  }

  [[nodiscard]] core::shard& producers() { return *shards.front(); }
  [[nodiscard]] core::shard& consumers() { return *shards[shards.size() / 2]; }
  [[nodiscard]] core::shard& home() { return *shards.back(); }
  [[nodiscard]] core::queue& at(core::queue_ref ref) {
    core::queue* found = shards[index_of(ref.worker)]->find(ref);
    REQUIRE(found != nullptr);
    return *found;
  }

  [[nodiscard]] storage::memory_disk& disk() { return disk_; }
  /// Without a store call to recover, nothing may be submitted.
  void start() {
    struct nobody final : storage::recovery_visitor {
      void on_record(storage::record_kind, std::string_view, std::span<const std::byte>) override {}
      void on_entries(std::span<const storage::recovered_entry>) override {}
    } visitor;
    store.recover(visitor);
  }
  core::queue_ref make_queue(bool durable = true, const std::string& name = "q") {
    return home().create_queue({name, storage::queue_id{++last_queue_}, durable, false});
  }
  core::queue_ref make_queue(const core::queue_policy& policy, bool durable = true) {
    const core::queue_ref q = make_queue(durable);
    at(q).set_policy(policy);
    talk();
    return q;
  }

  /// One worker takes what waits for it, then ends its turn.
  void turn(std::size_t w) {
    auto& box = inbox.of(w);
    while (!box.empty()) {
      auto c = std::move(box.front());
      box.pop_front();
      pass_on(*shards[w], std::move(c));
    }
    for (std::size_t from = 0; from < shards.size(); ++from) {
      auto& lane = mail.lane(from, w);
      for (std::size_t n = lane.size(); n > 0; --n) {
        letter l = std::move(lane.front());
        lane.pop_front();
        shards[w]->receive(std::move(l));
      }
    }
    executors[w]->run_ready();
    shards[w]->flush_store();
    shards[w]->flush_letters();
  }
  /// Every worker until no letters are left. The store does nothing meanwhile.
  void talk() {
    do {
      for (std::size_t i = 0; i < shards.size(); ++i) turn(random_() % shards.size());
      for (std::size_t w = 0; w < shards.size(); ++w) turn(w);
    } while (has_letters());
  }
  /// Workers and store until nothing moves.
  void settle_down() {
    for (int rounds = 0; rounds < 1000; ++rounds) {
      talk();
      const std::size_t answered = store.pump();
      talk();
      if (answered == 0 && !has_letters()) return;
    }
    FAIL("the world does not come to rest");
  }
  void pass(std::int64_t ms) {
    time.ms += ms;
    for (std::size_t w = 0; w < shards.size(); ++w) turn(w);
  }
  void tick() {
    for (auto& s : shards) s->tick();
    talk();
  }

  test_clock time;
  test_mail mail;
  test_inbox inbox;
  test_owner owner;
  storage::memory_store store;
  std::vector<std::unique_ptr<test_executor>> executors;
  std::vector<std::unique_ptr<test_post>> posts;
  std::vector<std::unique_ptr<core::shard>> shards;

 private:
  [[nodiscard]] bool has_letters() {
    for (std::size_t w = 0; w < shards.size(); ++w) {
      if (mail.has_for(w) || !inbox.of(w).empty() || executors[w]->has_work()) return true;
    }
    return false;
  }

  world_options options_;
  std::mt19937_64 random_;
  std::uint64_t last_queue_ = 0;
};

/// What came to one link, letter by letter.
class test_link : public core::link_end {
 public:
  struct delivery {
    sequence at = 0;
    std::string text = {};
    std::uint32_t failed = 0;
    bool first = false;
    std::uint32_t format = 0;
    core::message_ptr message = {};
  };
  struct verdict {
    std::uint32_t id = 0;
    outcome what{};
    std::string condition = {};
    bool operator==(const verdict&) const = default;
  };

  test_link(core::shard& home, core::queue_ref queue)
      : home_(home), self(home.add_link(*this)), queue_(queue) {}
  ~test_link() override { leave(); }
  test_link(const test_link&) = delete;
  test_link& operator=(const test_link&) = delete;

  void on_letter(letter&& l) override {
    switch (l.kind) {
      case letter_kind::deliver:
        return on_delivery(std::move(l));
      case letter_kind::verdict:
        for (std::uint32_t i = 0; i <= l.last; ++i) {
          verdicts.push_back({l.id + i, l.outcome, condition_of(l)});
        }
        return;
      case letter_kind::answer:
        for (std::uint32_t i = 0; i <= l.last; ++i) answers.push_back({l.id + i, l.outcome, {}});
        return;
      case letter_kind::drained:
        drained_after.push_back(deliveries.size());
        return;
      case letter_kind::gate:
        gates.push_back(l.has(core::letter_flag::open));
        return;
      case letter_kind::active:
        actives.push_back(l.has(core::letter_flag::open));
        return;
      case letter_kind::detached:
        detached = condition_of(l);
        return;
      default:
        FAIL("a letter that no link gets");
    }
  }
  /// The link's name goes; letters for it are late from now on.
  void leave() {
    if (!gone_) home_.remove_link(self);
    gone_ = true;
  }
  void send(letter_kind kind, std::uint8_t flags = 0, std::uint32_t count = 0) {
    letter l;
    l.kind = kind;
    l.flags = flags;
    l.count = count;
    post(std::move(l));
  }
  void post(letter l) {
    l.link = self;
    l.queue = queue_;
    home_.send(std::move(l));
  }
  /// What was delivered so far, in order, separated by spaces.
  [[nodiscard]] std::string texts() const {
    std::string out;
    for (const delivery& d : deliveries) out += (out.empty() ? "" : " ") + d.text;
    return out;
  }
  [[nodiscard]] const delivery& find(std::string_view text) const {
    for (auto d = deliveries.rbegin(); d != deliveries.rend(); ++d) {
      if (d->text == text) return *d;
    }
    FAIL("no delivery of " << std::string(text));
    return deliveries.front();
  }

  std::vector<delivery> deliveries;
  std::vector<verdict> verdicts;
  std::vector<verdict> answers;
  std::vector<std::size_t> drained_after;  // how many deliveries had come before each `drained`
  std::vector<bool> gates;
  std::vector<bool> actives;
  std::optional<std::string> detached;

 private:
  void on_delivery(letter&& l) {
    const bool first = l.has(core::letter_flag::first_acquirer);
    deliveries.push_back(
        {l.first, text_of(*l.message), l.count, first, l.message->format(), l.message});
  }
  static std::string condition_of(const letter& l) {
    return l.detail ? std::string(l.detail->condition) : std::string();
  }

  core::shard& home_;
  bool gone_ = false;

 public:
  core::link_ref self;

 private:
  core::queue_ref queue_;
};

class test_producer : public test_link {
 public:
  test_producer(world& w, core::queue_ref queue) : test_link(w.producers(), queue) {}

  /// Returns the delivery-id under which the verdict will come.
  std::uint32_t put(std::string_view text, const message_shape& shape = {},
                    bool presettled = false) {
    return put(make_text(text, shape), presettled);
  }
  std::uint32_t put(core::message_ptr message, bool presettled = false) {
    letter l;
    l.kind = letter_kind::put;
    l.flags = presettled ? core::letter_flag::presettled : std::uint8_t{0};
    l.id = next_id_++;
    l.message = std::move(message);
    const std::uint32_t id = l.id;
    post(std::move(l));
    return id;
  }
  /// "0a 1r": delivery 0 accepted, then delivery 1 rejected.
  [[nodiscard]] std::string said() const {
    std::string out;
    for (const verdict& v : verdicts) {
      out += (out.empty() ? "" : " ") + std::to_string(v.id) + "arlm"[static_cast<int>(v.what)];
    }
    return out;
  }

 private:
  std::uint32_t next_id_ = 0;
};

class test_consumer : public test_link {
 public:
  test_consumer(world& w, core::queue_ref queue, bool browse = false, std::int32_t priority = 0)
      : test_link(w.consumers(), queue) {
    send(letter_kind::subscribe, browse ? core::letter_flag::copy : std::uint8_t{0},
         static_cast<std::uint32_t>(priority));
  }

  void grant(std::uint32_t limit, bool drain = false) {
    send(letter_kind::grant, drain ? core::letter_flag::drain : std::uint8_t{0}, limit);
  }
  void settle(sequence first, sequence last, outcome what, std::uint8_t flags = 0,
              std::uint32_t id = 0) {
    letter l;
    l.kind = letter_kind::settle;
    l.outcome = what;
    l.flags = flags;
    l.id = id;
    l.first = first;
    l.last = last;
    post(std::move(l));
  }
  void settle(std::string_view text, outcome what, std::uint8_t flags = 0, std::uint32_t id = 0) {
    const sequence at = find(text).at;
    settle(at, at, what, flags, id);
  }
  void accept(std::string_view text, std::uint32_t id = 0) {
    settle(text, outcome::accepted, core::letter_flag::answer, id);
  }
  void unsubscribe() { send(letter_kind::unsubscribe); }
};

/// Runs a scenario with one worker and with three.
template <class Scenario>
void on_each_shape(Scenario scenario, world_options options = {}) {
  for (const std::uint16_t workers : {std::uint16_t{1}, std::uint16_t{3}}) {
    CAPTURE(workers);
    options.workers = workers;
    world w(options);
    w.start();
    scenario(w);
  }
}

}  // namespace whimbrel::test
