// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/simulation.hpp"

#include <algorithm>
#include <utility>

namespace whimbrel::simulation {

namespace {

constexpr std::size_t producers_wanted = 3;
constexpr std::size_t consumers_wanted = 4;

core::directory_options directory_settings() {
  core::directory_options o;
  o.rules.push_back({[](std::string_view) { return true; }, true, true});
  o.random_name = [] { return std::string("unused"); };
  return o;
}

/// What recovery finds goes to the directory, and the spy hears of it.
class overheard final : public storage::recovery_visitor {
 public:
  overheard(core::directory& nodes, spy_store& spy) : nodes_(nodes), spy_(spy) {}
  void on_record(storage::record_kind kind, std::string_view key,
                 std::span<const std::byte> value) override {
    nodes_.on_record(kind, key, value);
  }
  void on_entries(std::span<const storage::recovered_entry> entries) override {
    nodes_.on_entries(entries);
    for (const auto& e : entries) spy_.found(e.key);
  }
  void on_end(storage::queue_id queue, storage::sequence next) override {
    nodes_.on_end(queue, next);
  }

 private:
  core::directory& nodes_;
  spy_store& spy_;
};

}  // namespace

machine::machine(const options& o, ledger& book, storage::memory_disk& disk, std::uint64_t seed)
    : mail(o.workers),
      inbox(o.workers),
      spy(inbox, book.names),
      store(disk, spy, {.manual = true, .seed = seed, .stall_permille = o.faults ? 30U : 0U}),
      nodes(directory_settings()),
      now{book, spy} {
  spy.set_store(store);
  core::shard_options s;
  s.workers = o.workers;
  s.memory_octets = o.small_memory ? 24'000 : 64 << 20;
  s.accept_before_commit = o.accept_before_commit;
  std::vector<core::shard*> all;
  for (std::size_t w = 0; w < o.workers; ++w) {
    s.self = static_cast<storage::worker_id>(w);
    executors.push_back(std::make_unique<test::test_executor>(time));
    posts.push_back(std::make_unique<test::test_post>(mail, w));
    shards.push_back(std::make_unique<core::shard>(s, *executors[w], spy, *posts[w], owner));
    all.push_back(shards.back().get());
  }
  nodes.set_shards(std::move(all));
}

simulation::simulation(options o) : options_(o), random_(o.seed * 2 + 1) {}

void simulation::start() {
  at_ = std::make_unique<machine>(options_, book_, disk_, random_());
  at_->time.ms += time_ms_;
  overheard visitor(at_->nodes, at_->spy);
  at_->store.recover(visitor);
  at_->nodes.finish_recovery();
  queues_.assign(queue_count, std::nullopt);
  for (std::size_t i = 0; i < queue_count; ++i) {
    core::node_request request;
    request.address = "q" + std::to_string(i);
    request.may_use = request.may_configure = [](std::string_view) { return true; };
    // Asked by each worker: it must come to be once all the same.
    for (auto& s : at_->shards) {
      at_->nodes.resolve(*s, request, [this, i](const core::node_reply& reply) {
        if (queues_[i] && *queues_[i] != reply.queue) ++book_.faults.invented;
        queues_[i] = reply.queue;
      });
    }
  }
}

/// Power goes: what was not on the disk never was, and clients know nothing of what they awaited.
void simulation::crash() {
  ++book_.totals.crashes;
  book_.note("crash");
  reads_ += at_->spy.reads;
  at_->store.lose_power();
  producers_.clear();
  consumers_.clear();
  time_ms_ = at_->time.ms - test::test_clock{}.ms;
  at_.reset();
  for (auto& [text, e] : book_.entries) {
    e.count_is_sure = false;
    if (!e.durable) e.settled = true;  // went with the memory it was in
  }
  start();
}

void simulation::take_letters(std::size_t worker, bool all) {
  for (std::size_t from = 0; from < at_->shards.size(); ++from) {
    auto& lane = at_->mail.lane(from, worker);
    for (std::size_t n = all ? lane.size() : pick(lane.size() + 1); n > 0; --n) {
      letter l = std::move(lane.front());
      lane.pop_front();
      const bool late =
          l.kind == letter_kind::deliver && at_->shards[worker]->find_link(l.link) == nullptr;
      if (late) at_->now.touched.insert(test::text_of(*l.message));
      at_->shards[worker]->receive(std::move(l));
    }
  }
}

/// One turn of a worker, as design has it: letters, the store's word, sockets; then submit, then
/// mail.
void simulation::turn(std::size_t worker, bool all) {
  core::shard& here = *at_->shards[worker];
  if (chance(500)) take_letters(worker, all);
  auto& box = at_->inbox.of(worker);
  for (std::size_t n = all ? box.size() : pick(box.size() + 1); n > 0; --n) {
    auto c = std::move(box.front());
    box.pop_front();
    pass_on(here, std::move(c));
  }
  at_->now.in_doubt = at_->owner.failures > 0;
  take_letters(worker, all);
  at_->executors[worker]->run_ready();
  if (!all) act(worker);
  here.flush_store();
  // What the mail tells others rests on a batch that has left, or on one that waits for it.
  const bool ordered = here.commits().has_in_flight() || here.commits().is_idle();
  if (!ordered && !at_->now.in_doubt) ++book_.faults.early;
  here.flush_letters();
}

void simulation::attach_missing() {
  for (std::size_t i = 0; i < queue_count; ++i) {
    if (!queues_[i]) return;
  }
  while (producers_.size() < producers_wanted) {
    const std::size_t w = pick(at_->shards.size());
    producers_.emplace_back(
        w, std::make_unique<producer>(at_->now, *at_->shards[w], *queues_[pick(queue_count)],
                                      "p" + std::to_string(next_name_++)));
  }
  while (consumers_.size() < consumers_wanted) {
    const std::size_t w = pick(at_->shards.size());
    // Each queue has its consumers, or it would never be emptied.
    const std::size_t q = consumers_.size() % queue_count;
    consumers_.emplace_back(w, std::make_unique<consumer>(at_->now, *at_->shards[w], *queues_[q]));
  }
}

void simulation::act_producer(producer& p) {
  const auto n = pick(4);
  for (std::size_t i = 0; i < n && p.may_put(); ++i) p.put(chance(700), chance(100));
}

void simulation::act_consumer(std::unique_ptr<consumer>& c) {
  if (chance(400)) c->grant(static_cast<std::uint32_t>(pick(6)), chance(100));
  for (std::size_t n = pick(5); n > 0 && c->held() > 0; --n) {
    const auto what = pick(20);
    const bool answer = !chance(200);
    if (what < 13)
      c->settle_oldest(outcome::accepted, false, answer, 1 + pick(3));
    else if (what < 15)
      c->settle_oldest(outcome::released, false, answer, 1);
    else if (what < 18)
      c->settle_oldest(outcome::modified, chance(700), answer, 1);
    else if (what < 19)
      c->settle_oldest(outcome::rejected, false, answer, 1);
  }
}

void simulation::act(std::size_t worker) {
  attach_missing();
  for (auto& [w, p] : producers_) {
    if (w == worker) act_producer(*p);
  }
  std::erase_if(producers_, [&](const auto& p) {
    if (p.first != worker || !chance(5)) return false;
    p.second->leave();
    return true;
  });
  for (std::size_t i = 0; i < consumers_.size(); ++i) {
    if (consumers_[i].first != worker) continue;
    act_consumer(consumers_[i].second);
    if (!chance(15)) continue;
    // The link dies with letters under way; another takes its place.
    consumers_[i].second->leave(chance(500));
    const std::size_t w = pick(at_->shards.size());
    consumers_[i].second.reset();
    consumers_[i] = {
        w, std::make_unique<consumer>(at_->now, *at_->shards[w], *queues_[i % queue_count])};
  }
}

void simulation::step() {
  const auto what = pick(100);
  if (what < 70) return turn(pick(at_->shards.size()), false);
  if (what < 90) {
    at_->store.pump();
    return;
  }
  if (what < 98 || !options_.faults) {
    at_->time.ms += static_cast<std::int64_t>(pick(200));
    if (chance(200)) {
      for (auto& s : at_->shards) s->tick();
    }
    return;
  }
  const auto fault = pick(20);
  if (fault < 8) {
    // A disk that takes nothing for longer than producers are asked to wait.
    at_->store.stall(static_cast<unsigned>(pick(60)));
    at_->time.ms += chance(500) ? 31'000 : 0;
  } else if (fault < 10) {
    ++book_.totals.doubts;
    at_->store.doubt(chance(500));
    for (int i = 0; i < 30; ++i) {
      if (chance(300)) at_->store.pump();
      turn(pick(at_->shards.size()), false);
    }
    crash();
  } else if (fault < 12) {
    crash();
  }
}

bool simulation::is_quiet() {
  for (std::size_t w = 0; w < at_->shards.size(); ++w) {
    if (at_->mail.has_for(w) || !at_->inbox.of(w).empty() || at_->executors[w]->has_work() ||
        !at_->shards[w]->commits().is_idle()) {
      return false;
    }
  }
  return true;
}

/// All that is due happens, with consumers that take everything. False: nothing happened.
bool simulation::finish_round() {
  bool moved = false;
  for (auto& [w, c] : consumers_) {
    moved = moved || c->held() > 0;
    while (c->held() > 0) c->settle_oldest(outcome::accepted, false, true, 5);
    c->grant(100, false);
  }
  for (int i = 0; i < 100 && (i < 2 || !is_quiet()); ++i) {
    for (std::size_t w = 0; w < at_->shards.size(); ++w) turn(w, true);
    at_->store.pump();
  }
  for (auto& [w, c] : consumers_) moved = moved || c->held() > 0;
  return moved || !is_quiet();
}

void simulation::come_to_rest() {
  if (at_->owner.failures > 0) crash();
  at_->store.stall(0);
  for (int i = 0; i < 20 && !queues_.back(); ++i) {
    for (std::size_t w = 0; w < at_->shards.size(); ++w) turn(w, true);
    at_->store.pump();
  }
  attach_missing();
  for (int i = 0; i < 500 && finish_round(); ++i) at_->time.ms += 100;
}

/// After quiet: everybody has had an answer, and nothing that was promised is missing.
void simulation::audit() {
  for (const auto& [w, p] : producers_) book_.faults.unanswered += p->waiting();
  for (const auto& [w, c] : consumers_) book_.faults.unanswered += c->waiting() + c->held();
  for (const auto& [text, e] : book_.entries) {
    if (e.accepted && !e.settled) ++book_.faults.lost;
  }
  for (auto& s : at_->shards) {
    s->each_queue([&](core::queue& q) {
      q.check_invariants();
      book_.faults.lost += q.depth() + q.counters().lost;
    });
  }
  reads_ += at_->spy.reads;
}

void simulation::run() {
  start();
  for (unsigned i = 0; i < options_.steps; ++i) step();
  options_.faults = false;
  come_to_rest();
  audit();
  producers_.clear();
  consumers_.clear();
}

}  // namespace whimbrel::simulation
