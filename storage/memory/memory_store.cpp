// SPDX-License-Identifier: Apache-2.0
#include "storage/memory/memory_store.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <set>
#include <utility>

#include "storage/check.hpp"

namespace whimbrel::storage {
namespace {

constexpr std::chrono::milliseconds retry_pause{10};
constexpr std::size_t recovery_slice = 1024;  // entries handed to the visitor in one call

template <class... Fs>
struct overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
overloaded(Fs...) -> overloaded<Fs...>;

std::uint32_t saturated(std::uint64_t n) {
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(n, std::numeric_limits<std::uint32_t>::max()));
}

}  // namespace

memory_store::memory_store(memory_disk& disk, completion_sink& sink, memory_options options)
    : disk_(disk), sink_(sink), options_(options), random_(options.seed) {
  check(!std::exchange(disk_.in_use_, true), "a memory_disk belongs to one store at a time");
}

memory_store::~memory_store() { close(); }

void memory_store::recover(recovery_visitor& visitor) {
  check(!std::exchange(recovered_, true), "recover() is called once");
  disk_.remove_orphans();
  for (const auto& [key, value] : disk_.records_) {
    visitor.on_record(key.first, key.second, value->octets());
  }
  std::vector<recovered_entry> slice;
  for (const auto& [id, messages] : disk_.queues_) {
    for (const auto& [at, m] : messages) {
      std::uint64_t size = m.body ? m.body->size() : 0;
      if (const auto c = disk_.chunks_.find(m.large); c != disk_.chunks_.end()) {
        for (const auto& [offset, octets] : c->second) size += octets->size();
      }
      slice.push_back(
          {{id, at}, saturated(size), m.flags, m.delivery_count, m.expires_ms, m.large});
      if (slice.size() == recovery_slice) visitor.on_entries(std::exchange(slice, {}));
    }
    if (!slice.empty()) visitor.on_entries(std::exchange(slice, {}));
  }
  for (const auto& [id, messages] : disk_.queues_) {
    if (!messages.empty()) visitor.on_end(id, messages.rbegin()->first + 1);
  }
  if (!options_.manual) thread_ = std::thread([this] { run(); });
}

void memory_store::submit(worker_id worker, batch changes, token done) {
  enqueue(submission{worker, done, std::move(changes)});
}

void memory_store::withdraw(worker_id worker, std::vector<entry_key> puts, token done) {
  enqueue(withdrawal{worker, done, std::move(puts)});
}

void memory_store::read(worker_id worker, queue_id queue, sequence from, std::size_t octets_max,
                        token done) {
  enqueue(range_read{worker, done, queue, from, octets_max});
}

void memory_store::read_body(worker_id worker, body_id body, std::uint64_t offset,
                             std::size_t octets_max, token done) {
  enqueue(body_read{worker, done, body, offset, octets_max});
}

void memory_store::enqueue(request r) {
  const std::lock_guard lock(mutex_);
  check(recovered_, "recover() comes before any other call");
  if (closing_ || powerless_) return;
  arrived_.push_back(std::move(r));
  wake_.notify_one();
}

void memory_store::close() { stop(true); }

void memory_store::lose_power() { stop(false); }

void memory_store::stop(bool commit_rest) {
  {
    const std::lock_guard lock(mutex_);
    if (closing_ || powerless_) return;
    (commit_rest ? closing_ : powerless_) = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
  if (commit_rest && options_.manual && recovered_) {
    turn(std::exchange(arrived_, {}));
    finish_backlog(commit_outcome::in_doubt);
  }
  disk_.in_use_ = false;
}

store_statistics memory_store::statistics() const {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

void memory_store::stall(unsigned attempts) {
  const std::lock_guard lock(mutex_);
  stalls_left_ = attempts;
}

void memory_store::doubt(bool reached_disk) {
  const std::lock_guard lock(mutex_);
  doubt_next_ = true;
  doubt_reaches_disk_ = reached_disk;
}

std::size_t memory_store::pump() {
  check(options_.manual, "pump() is for manual mode");
  std::vector<request> arrived;
  {
    const std::lock_guard lock(mutex_);
    if (closing_ || powerless_) return 0;
    arrived = std::exchange(arrived_, {});
  }
  return turn(std::move(arrived));
}

void memory_store::run() {
  for (bool last = false; !last;) {
    std::vector<request> arrived;
    {
      std::unique_lock lock(mutex_);
      const auto wanted = [&] { return !arrived_.empty() || closing_ || powerless_; };
      if (pressure_ == pressure::stalled) {
        wake_.wait_for(lock, retry_pause, wanted);
      } else {
        wake_.wait(lock, wanted);
      }
      if (powerless_) return;
      last = closing_;
      arrived = std::exchange(arrived_, {});
    }
    turn(std::move(arrived));
  }
  finish_backlog(commit_outcome::in_doubt);
}

/// Withdrawals and reads see everything that was submitted before this turn; a read is answered
/// from what is durable at its end.
std::size_t memory_store::turn(std::vector<request> arrived) {
  std::size_t answered = 0;
  for (request& r : arrived) {
    if (auto* const s = std::get_if<submission>(&r)) backlog_.push_back(std::move(*s));
    if (auto* const w = std::get_if<withdrawal>(&r)) {
      take_out(*w);
      ++answered;
    }
  }
  answered += commit_backlog();
  for (const request& r : arrived) {
    std::visit(overloaded{[](const submission&) {}, [](const withdrawal&) {},
                          [&](const auto& read) {
                            answer(read);
                            ++answered;
                          }},
               r);
  }
  return answered;
}

memory_store::fate memory_store::draw_fate() {
  const std::lock_guard lock(mutex_);
  if (stalls_left_ > 0) {
    --stalls_left_;
    return fate::stalls;
  }
  if (std::exchange(doubt_next_, false)) {
    return doubt_reaches_disk_ ? fate::doubt_kept : fate::doubt_lost;
  }
  if (options_.stall_permille > 0 && random_() % 1000 < options_.stall_permille) {
    return fate::stalls;
  }
  if (options_.doubt_permille > 0 && random_() % 1000 < options_.doubt_permille) {
    return random_() % 2 == 0 ? fate::doubt_kept : fate::doubt_lost;
  }
  return fate::commits;
}

std::size_t memory_store::commit_backlog() {
  if (pressure_ == pressure::failed) return finish_backlog(commit_outcome::in_doubt);
  if (backlog_.empty() && pressure_ != pressure::stalled) return 0;
  const fate now = draw_fate();
  if (now == fate::stalls) {
    report(pressure::stalled, "memory store: told to stall");
    return 0;
  }
  store_statistics done;
  if (now != fate::doubt_lost) {
    for (const submission& s : backlog_) {
      done.settled += disk_.apply(s.changes);
      done.puts += s.changes.puts.size();
      for (const put& p : s.changes.puts) done.octets_put += p.body ? p.body->size() : 0;
    }
  }
  if (now != fate::commits) {
    report(pressure::failed, "memory store: told to fail at the sync");
    return finish_backlog(commit_outcome::in_doubt);
  }
  {
    const std::lock_guard lock(mutex_);
    statistics_.commits += 1;
    statistics_.batches += backlog_.size();
    statistics_.puts += done.puts;
    statistics_.settled += done.settled;
    statistics_.octets_put += done.octets_put;
  }
  report(pressure::none, "memory store: commits again");
  return finish_backlog(commit_outcome::durable);
}

std::size_t memory_store::finish_backlog(commit_outcome outcome) {
  const auto finished = std::exchange(backlog_, {});
  for (const submission& s : finished) sink_.on_commit({s.worker, s.done, outcome});
  return finished.size();
}

void memory_store::take_out(withdrawal& w) {
  withdraw_done answer{w.worker, w.done, {}};
  const std::set<entry_key> wanted(w.puts.begin(), w.puts.end());
  if (pressure_ != pressure::failed) {
    for (submission& s : backlog_) {
      std::erase_if(s.changes.puts, [&](const put& p) {
        if (!wanted.contains(p.key)) return false;
        answer.withdrawn.push_back(p.key);
        return true;
      });
    }
  }
  sink_.on_withdraw(std::move(answer));
}

void memory_store::answer(const range_read& r) {
  read_done answer{r.worker, r.done, {}, false};
  const auto q = disk_.queues_.find(r.queue);
  if (q != disk_.queues_.end()) {
    std::size_t octets = 0;
    for (auto at = q->second.lower_bound(r.from); at != q->second.end(); ++at) {
      const blob_ptr body = at->second.body ? at->second.body : make_blob({});
      octets += body->size();
      if (!answer.items.empty() && octets > r.octets_max) break;
      answer.items.push_back({{r.queue, at->first}, body});
    }
  }
  sink_.on_read(std::move(answer));
}

void memory_store::answer(const body_read& r) {
  read_done answer{r.worker, r.done, {}, false};
  std::vector<std::byte> octets;
  if (const auto c = disk_.chunks_.find(r.body); c != disk_.chunks_.end()) {
    for (const auto& [offset, piece] : c->second) {
      const std::uint64_t from = r.offset + octets.size();
      if (from < offset || from >= offset + piece->size()) continue;
      const auto rest = piece->octets().subspan(from - offset);
      const auto n = std::min(rest.size(), r.octets_max - octets.size());
      octets.insert(octets.end(), rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(n));
    }
  }
  answer.items.push_back({{}, make_blob(octets)});
  sink_.on_read(std::move(answer));
}

void memory_store::report(pressure p, std::string_view reason) {
  if (std::exchange(pressure_, p) != p) sink_.on_pressure(p, reason);
}

}  // namespace whimbrel::storage
