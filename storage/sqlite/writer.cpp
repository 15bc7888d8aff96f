// SPDX-License-Identifier: Apache-2.0
#include "storage/sqlite/writer.hpp"

#include <algorithm>
#include <utility>

#include "storage/sqlite/schema.hpp"

namespace whimbrel::storage::sqlite {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds pause_first{10};
constexpr milliseconds pause_max{500};
/// A set beyond it is committed before more is taken in: it bounds what one commit adds to the
/// log, and what is held in memory while the disk is full.
constexpr std::size_t set_octets_max = 8 * 1024 * 1024;
constexpr std::uint64_t frame_octets = page_size + 24;
/// After a checkpoint that a reader kept from finishing, the next one waits for so much more.
constexpr std::uint64_t checkpoint_again = 1024 * 1024;
constexpr std::uint64_t commits_between_failed_steps = 1000;

}  // namespace

writer::writer(const sqlite_options& options, database& db, live_index& index,
               completion_sink& sink)
    : options_(options),
      db_(db),
      index_(index),
      sink_(sink),
      committer_(db, index, options.log),
      forwarder_(index, committer_, moving_),
      changes_(index),
      checkpoint_at_(options.log_octets_checkpoint) {
  db_.on_log_growth(
      [](void* self, sqlite3*, const char*, int frames) {
        static_cast<writer*>(self)->log_octets_ = static_cast<std::uint64_t>(frames) * frame_octets;
        return 0;
      },
      this);
}

writer::~writer() { close(); }

void writer::start(group_id next) {
  committer_.continue_from(next);
  thread_ = std::thread([this] { run(); });
}

void writer::submit(waiting who, batch changes) { enqueue(submission{who, std::move(changes)}); }

void writer::withdraw(waiting who, std::vector<entry_key> puts) {
  enqueue(withdrawal{who, std::move(puts)});
}

void writer::enqueue(request r) {
  const std::lock_guard lock(mutex_);
  if (is_closing_) return;
  arrived_.push_back(std::move(r));
  if (is_waiting_) wake_.notify_one();
}

void writer::close() {
  {
    const std::lock_guard lock(mutex_);
    is_closing_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

store_statistics writer::statistics() const {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

void writer::run() {
  for (bool goes_on = true; goes_on;) {
    goes_on = collect();
    do {
      absorb();
      answer_withdrawals();
      if (pressure_ == pressure::failed) {
        doubt_all();
      } else {
        attempt();
      }
      if (pressure_ != pressure::stalled && pressure_ != pressure::failed) maintain();
    } while (!backlog_.empty() && pressure_ != pressure::stalled);
  }
  // The last attempt has been made above. What the disk still refuses is not durable for sure,
  // but nobody will try again: to say "in doubt" is the safe side.
  doubt_all();
}

bool writer::collect() {
  std::unique_lock lock(mutex_);
  const auto wanted = [&] { return !arrived_.empty() || is_closing_; };
  is_waiting_ = true;
  if (pressure_ == pressure::stalled) {
    wake_.wait_until(lock, retry_at_, wanted);
  } else {
    wake_.wait(lock, wanted);
  }
  is_waiting_ = false;
  std::swap(arrived_, taken_);
  const bool goes_on = !is_closing_;
  if (!goes_on) retry_at_ = {};
  lock.unlock();
  for (request& r : taken_) {
    if (auto* const s = std::get_if<submission>(&r)) {
      backlog_.push_back(std::move(*s));
    } else {
      withdrawals_.push_back(std::move(std::get<withdrawal>(r)));
    }
  }
  taken_.clear();
  return goes_on;
}

void writer::absorb() {
  if (pressure_ == pressure::failed) return;
  while (!backlog_.empty() && changes_.octets() < set_octets_max) {
    changes_.absorb(backlog_.front().who, std::move(backlog_.front().changes));
    backlog_.pop_front();
  }
}

/// A withdrawal concerns batches that came before it. Keys are never used again, so batches that
/// came after it hold none of them, and its place in the order does not matter.
void writer::answer_withdrawals() {
  for (withdrawal& w : withdrawals_) {
    withdraw_done answer{w.who.worker, w.who.done, {}};
    if (pressure_ != pressure::failed) {
      std::sort(w.puts.begin(), w.puts.end());
      for (const entry_key& key : w.puts) {
        if (changes_.withdraw(key)) answer.withdrawn.push_back(key);
      }
      for (submission& s : backlog_) {
        std::erase_if(s.changes.puts, [&](const put& p) {
          if (!std::binary_search(w.puts.begin(), w.puts.end(), p.key)) return false;
          answer.withdrawn.push_back(p.key);
          return true;
        });
      }
    }
    sink_.on_withdraw(std::move(answer));
  }
  withdrawals_.clear();
}

void writer::attempt() {
  const bool is_stalled = pressure_ == pressure::stalled;
  if (is_stalled ? steady_clock::now() < retry_at_ : changes_.is_empty()) return;
  const auto begin = steady_clock::now();
  // With nothing left to write only a probe can tell whether the disk has healed.
  const verdict result = committer_.commit(changes_, is_stalled && !changes_.has_effect());
  const auto took =
      std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - begin);
  if (result == verdict::stalled) return stall();
  if (result == verdict::in_doubt) return fail(committer_.reason());
  count_commit(took);
  pause_ = milliseconds{0};
  if (is_stalled) report(pressure::none, "the disk takes writes again");
  complete(commit_outcome::durable);
}

void writer::complete(commit_outcome outcome) {
  for (const waiting& w : changes_.waiters()) sink_.on_commit({w.worker, w.done, outcome});
  changes_.clear();
}

void writer::count_commit(std::chrono::microseconds took) {
  const auto micros = static_cast<std::uint64_t>(took.count());
  const std::lock_guard lock(mutex_);
  statistics_.commits += 1;
  statistics_.batches += changes_.waiters().size();
  statistics_.puts += changes_.counted().puts;
  statistics_.puts_elided += changes_.counted().puts_elided;
  statistics_.settled += changes_.counted().settled;
  statistics_.octets_put += changes_.counted().octets_put;
  statistics_.commit_micros_total += micros;
  statistics_.commit_micros_max = std::max(statistics_.commit_micros_max, micros);
  statistics_.log_octets = log_octets_;
}

void writer::stall() {
  pause_ = pause_.count() == 0 ? pause_first : std::min(pause_ * 2, pause_max);
  retry_at_ = steady_clock::now() + pause_;
  if (pressure_ != pressure::stalled) log("commits stall: " + committer_.reason());
  report(pressure::stalled, committer_.reason());
}

void writer::fail(const std::string& reason) {
  log("the store stops, what was submitted is in doubt: " + reason);
  db_.checkpoint_on_close(false);  // recovery is to find what is there now
  report(pressure::failed, reason);
  doubt_all();
}

void writer::doubt_all() {
  complete(commit_outcome::in_doubt);
  for (const submission& s : backlog_) {
    sink_.on_commit({s.who.worker, s.who.done, commit_outcome::in_doubt});
  }
  backlog_.clear();
}

// Between commits

void writer::maintain() {
  keep_log_short();
  if (pressure_ != pressure::failed) forward();
  if (pressure_ == pressure::failed) return;
  const bool is_slow = log_octets_ >= options_.log_octets_slow;
  report(is_slow ? pressure::slow : pressure::none,
         is_slow ? "the log has outgrown its bound" : "the log is short again");
}

/// A passive checkpoint that got to the log's end lets the next commit start the log anew; it
/// waits for nobody.
void writer::keep_log_short() {
  if (log_octets_ < checkpoint_at_) return;
  const auto done = db_.checkpoint_passive();
  checkpoint_at_ = options_.log_octets_checkpoint;
  if (done.result != code::ok) {
    checkpoint_at_ = log_octets_ + checkpoint_again;
    return heed(judge(done.result, false), "emptying the log", std::string(describe(done.result)));
  }
  if (done.frames_moved < done.frames) {
    checkpoint_at_ = log_octets_ + checkpoint_again;
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    ++statistics_.checkpoints;
  }
  heed(committer_.shrink(), "shrinking the file", committer_.reason());
}

void writer::forward() {
  if (!forwarder_.is_wanted()) return;
  if (forward_after_ > 0) {
    --forward_after_;
    return;
  }
  heed(forwarder_.step(), "copying old messages forward", committer_.reason());
}

void writer::heed(verdict result, const char* doing, const std::string& reason) {
  if (result == verdict::durable) return;
  const std::string what = std::string(doing) + ": " + reason;
  if (result == verdict::in_doubt) return fail(what);
  forward_after_ = commits_between_failed_steps;
  log(what);
}

void writer::report(pressure p, std::string_view reason) {
  if (std::exchange(pressure_, p) != p) sink_.on_pressure(p, reason);
}

void writer::log(const std::string& what) const {
  if (options_.log) options_.log(what);
}

}  // namespace whimbrel::storage::sqlite
