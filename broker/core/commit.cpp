// SPDX-License-Identifier: Apache-2.0
// Batches, what they owe, and when it is paid.
#include "broker/core/commit.hpp"

#include <algorithm>
#include <utility>

#include "amqp/base/assert.hpp"
#include "amqp/spec/conditions.hpp"

namespace whimbrel::broker::core {

std::uint32_t commit::put(storage::put change, queue_ref home, link_ref producer,
                          std::uint32_t id) {
  ++counters_.puts;
  const note n{producer, id, false, home, change.key};
  if (accept_before_commit && producer) {
    send_verdicts(n, 1, outcome::accepted);
    open_due_.notes.push_back({link_ref{}, id, false, home, change.key});
  } else {
    open_due_.notes.push_back(n);
  }
  open_.puts.push_back(std::move(change));
  return static_cast<std::uint32_t>(open_.puts.size() - 1);
}

void commit::cancel(std::uint32_t position) {
  note& n = open_due_.notes[position];
  AMQP_ASSERT(!n.dead);
  n.dead = true;
  open_.puts[position].body.reset();
  ++dead_in_open_;
  ++counters_.cancelled;
  // Responsibility has passed to the consumer: nothing is left that a commit could make safer.
  // Not behind a batch in doubt, where no outcome is sent.
  if (n.producer && !failed_) send_verdicts(n, 1, outcome::accepted);
}

void commit::recount_in_batch(std::uint32_t position, std::uint32_t failed) {
  open_.puts[position].delivery_count = failed;
}

void commit::settle(storage::queue_id queue, sequence first, sequence last) {
  if (!open_.settles.empty()) {
    auto& before = open_.settles.back();
    if (before.queue == queue && before.last + 1 == first) {
      before.last = last;
      return;
    }
  }
  open_.settles.push_back({queue, first, last});
}

void commit::recount(storage::queue_id queue, sequence at, std::uint32_t failed) {
  open_.recounts.push_back({{queue, at}, failed});
}

void commit::add(storage::record change) { open_.records.push_back(std::move(change)); }

void commit::drop_queue(storage::queue_id queue) { open_.dropped_queues.push_back(queue); }

void commit::answer(link_ref consumer, std::uint32_t id, std::uint32_t count, outcome what) {
  if (!open_due_.answers.empty()) {
    auto& before = open_due_.answers.back();
    if (before.consumer == consumer && before.what == what && before.id + before.count == id) {
      before.count += count;
      return;
    }
  }
  open_due_.answers.push_back({consumer, id, count, what});
}

void commit::when_durable(std::function<void()> run) {
  open_due_.callbacks.push_back(std::move(run));
}

bool commit::is_open_empty() const {
  return open_.puts.size() == dead_in_open_ && open_.settles.empty() && open_.recounts.empty() &&
         open_.records.empty() && open_.dropped_queues.empty() && open_due_.answers.empty() &&
         open_due_.callbacks.empty();
}

/// Takes the cancelled puts out of the open batch.
void commit::compact() {
  if (dead_in_open_ == 0) return;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < open_.puts.size(); ++i) {
    if (open_due_.notes[i].dead) continue;
    if (kept != i) {
      open_.puts[kept] = std::move(open_.puts[i]);
      open_due_.notes[kept] = open_due_.notes[i];
    }
    ++kept;
  }
  open_.puts.resize(kept);
  open_due_.notes.resize(kept);
  dead_in_open_ = 0;
}

void commit::flush() {
  if (in_flight_ || failed_) return;
  if (is_open_empty()) {
    if (dead_in_open_ == 0) return;
    for (const note& n : open_due_.notes) on_submitted(n.home);
    compact();
    return;
  }
  queue_ref told{};
  for (const note& n : open_due_.notes) {
    if (n.home != told) on_submitted(told = n.home);
  }
  compact();
  ++counters_.batches;
  in_flight_.emplace(flight{storage::token{++last_token_}, std::exchange(open_due_, {})});
  open_due_.notes.reserve(in_flight_->due.notes.size());
  auto changes = std::exchange(open_, {});
  open_.puts.reserve(changes.puts.size());
  store_.submit(self_, std::move(changes), in_flight_->name);
}

bool commit::on_commit(const storage::commit_done& done) {
  AMQP_ASSERT(in_flight_ && in_flight_->name == done.done);
  if (done.outcome != storage::commit_outcome::durable) {
    failed_ = true;
    return false;
  }
  auto flown = *std::exchange(in_flight_, std::nullopt);
  if (flown.asked_back) {
    // The answer to that question will find another batch in flight: these have stayed.
    for (const note& n : flown.due.notes) {
      if (!n.dead) on_withdrawn(n.home, n.key.at, false);
    }
  }
  pay(flown.due);
  return true;
}

void commit::pay(owed& due) {
  queue_ref home{};
  sequence last = 0;
  for (const note& n : due.notes) {
    if (n.home != home) {
      if (home) on_durable(home, last);
      home = n.home;
    }
    last = n.key.at;
  }
  if (home) on_durable(home, last);
  for (std::size_t i = 0; i < due.notes.size();) {
    const note& first = due.notes[i];
    std::uint32_t count = 0;
    if (!first.producer || first.dead) {
      ++i;
      continue;
    }
    for (; i < due.notes.size(); ++i, ++count) {
      const note& n = due.notes[i];
      if (n.dead || n.producer != first.producer || n.id != first.id + count) break;
    }
    send_verdicts(first, count, outcome::accepted);
  }
  for (const owed_answer& a : due.answers) {
    letter l;
    l.kind = letter_kind::answer;
    l.outcome = a.what;
    l.link = a.consumer;
    l.id = a.id;
    l.last = a.count - 1;
    send_(std::move(l));
  }
  for (auto& run : due.callbacks) run();
}

void commit::send_verdicts(const note& first, std::uint32_t count, core::outcome what) {
  letter l;
  l.kind = letter_kind::verdict;
  l.outcome = what;
  l.link = first.producer;
  l.id = first.id;
  l.last = count - 1;
  send_(std::move(l));
}

void commit::reject(const note& n) {
  on_withdrawn(n.home, n.key.at, true);
  if (!n.producer) return;
  letter l;
  l.kind = letter_kind::verdict;
  l.outcome = outcome::rejected;
  l.link = n.producer;
  l.id = n.id;
  l.detail = std::make_unique<letter_detail>();
  l.detail->condition = amqp::spec::conditions::resource_limit_exceeded;
  l.detail->description = "the store takes no messages: its disk is full or fails";
  send_(std::move(l));
}

void commit::withdraw(const permission& may_go) {
  if (failed_) return;
  for (std::size_t i = 0; i < open_due_.notes.size(); ++i) {
    note& n = open_due_.notes[i];
    if (n.dead || !may_go(n.home, n.key.at, n.producer, n.id)) continue;
    n.dead = true;
    open_.puts[i].body.reset();
    ++dead_in_open_;
    reject(n);
  }
  if (!in_flight_) return;
  std::vector<storage::entry_key> keys;
  for (const note& n : in_flight_->due.notes) {
    if (!n.dead && may_go(n.home, n.key.at, n.producer, n.id)) keys.push_back(n.key);
  }
  if (keys.empty()) return;
  in_flight_->asked_back = true;
  store_.withdraw(self_, std::move(keys), in_flight_->name);
}

void commit::on_withdraw(const storage::withdraw_done& done) {
  if (failed_ || !in_flight_ || in_flight_->name != done.done) return;
  auto gone = done.withdrawn;
  std::sort(gone.begin(), gone.end());
  for (note& n : in_flight_->due.notes) {
    if (n.dead) continue;
    if (!std::binary_search(gone.begin(), gone.end(), n.key)) {
      on_withdrawn(n.home, n.key.at, false);
      continue;
    }
    n.dead = true;
    reject(n);
  }
}

}  // namespace whimbrel::broker::core
