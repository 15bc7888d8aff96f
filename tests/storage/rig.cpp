// SPDX-License-Identifier: Apache-2.0
#include "tests/storage/rig.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <limits>

namespace whimbrel::storage {
namespace {

constexpr std::chrono::seconds patience{10};
constexpr int pumps_max = 100;

template <class Done>
std::optional<Done> find_done(const std::vector<Done>& all, token t) {
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Done& d) { return d.done == t; });
  return found == all.end() ? std::nullopt : std::optional<Done>(*found);
}

}  // namespace

// keeping_sink

void keeping_sink::on_commit(commit_done d) noexcept {
  const std::lock_guard lock(mutex_);
  commits_.push_back(d);
  wake_.notify_all();
}

void keeping_sink::on_withdraw(withdraw_done d) noexcept {
  const std::lock_guard lock(mutex_);
  withdrawals_.push_back(std::move(d));
  wake_.notify_all();
}

void keeping_sink::on_read(read_done d) noexcept {
  const std::lock_guard lock(mutex_);
  readings_.push_back(std::move(d));
  wake_.notify_all();
}

void keeping_sink::on_pressure(pressure p, std::string_view) noexcept {
  const std::lock_guard lock(mutex_);
  pressures_.push_back(p);
  wake_.notify_all();
}

bool keeping_sink::wait(const std::function<bool()>& holds) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!holds()) {
    std::unique_lock lock(mutex_);
    // `holds` looks through this lock, so a wake-up may fall between the two: wait briefly.
    wake_.wait_for(lock, std::chrono::milliseconds(1));
    if (std::chrono::steady_clock::now() > until) return false;
  }
  return true;
}

std::vector<commit_done> keeping_sink::commits() const {
  const std::lock_guard lock(mutex_);
  return commits_;
}

std::vector<pressure> keeping_sink::pressures() const {
  const std::lock_guard lock(mutex_);
  return pressures_;
}

std::optional<commit_outcome> keeping_sink::outcome(token t) const {
  const std::lock_guard lock(mutex_);
  const auto found = find_done(commits_, t);
  return found ? std::optional(found->outcome) : std::nullopt;
}

std::optional<withdraw_done> keeping_sink::withdrawal(token t) const {
  const std::lock_guard lock(mutex_);
  return find_done(withdrawals_, t);
}

std::optional<read_done> keeping_sink::reading(token t) const {
  const std::lock_guard lock(mutex_);
  return find_done(readings_, t);
}

// keeping_visitor

void keeping_visitor::on_record(record_kind kind, std::string_view key,
                                std::span<const std::byte> value) {
  CHECK(queues.empty());
  records[{kind, std::string(key)}] = to_text(value);
}

void keeping_visitor::on_entries(std::span<const recovered_entry> entries) {
  for (const recovered_entry& e : entries) {
    auto& known = queues[e.key.queue];
    if (!known.empty()) CHECK(known.back().key.at < e.key.at);
    known.push_back(e);
  }
}

void keeping_visitor::on_end(queue_id queue, sequence next) {
  CHECK(ends.emplace(queue, next).second);
  const auto known = queues.find(queue);
  if (known != queues.end()) CHECK(known->second.back().key.at < next);
}

// rig

void rig::open() {
  sink_ = std::make_unique<keeping_sink>();
  store_ = make(*sink_);
  recovered_ = {};
  store_->recover(recovered_);
}

void rig::close() {
  store_->close();
  store_.reset();
}

void rig::lose_power() {
  cut_power();
  store_.reset();
  open();
}

void rig::note(std::string_view line) {
  const std::lock_guard lock(log_mutex_);
  log_.emplace_back(line);
}

token rig::submit(batch b, worker_id w) {
  const token t = next_token();
  store_->submit(w, std::move(b), t);
  return t;
}

commit_outcome rig::commit(batch b) { return outcome(submit(std::move(b))); }

commit_outcome rig::outcome(token t) {
  REQUIRE(wait([&] { return sink_->outcome(t).has_value(); }));
  return *sink_->outcome(t);
}

std::vector<entry_key> rig::withdraw(std::vector<entry_key> puts) {
  const token t = next_token();
  store_->withdraw(worker_id{1}, std::move(puts), t);
  REQUIRE(wait([&] { return sink_->withdrawal(t).has_value(); }));
  auto got = sink_->withdrawal(t)->withdrawn;
  std::sort(got.begin(), got.end());
  return got;
}

read_done rig::read(queue_id q, sequence from, std::size_t octets_max) {
  const token t = next_token();
  store_->read(worker_id{1}, q, from, octets_max, t);
  REQUIRE(wait([&] { return sink_->reading(t).has_value(); }));
  return *sink_->reading(t);
}

std::optional<std::string> rig::read_body(body_id b, std::uint64_t offset, std::size_t octets_max) {
  const token t = next_token();
  store_->read_body(worker_id{1}, b, offset, octets_max, t);
  REQUIRE(wait([&] { return sink_->reading(t).has_value(); }));
  const read_done got = *sink_->reading(t);
  REQUIRE(got.items.size() == 1);
  if (!got.items[0].body) return std::nullopt;
  return to_text(got.items[0].body->octets());
}

std::vector<std::pair<sequence, std::string>> rig::contents(queue_id q) {
  std::vector<std::pair<sequence, std::string>> all;
  for (sequence from = 0;;) {
    const read_done got = read(q, from, 64 * 1024);
    REQUIRE(!got.failed);
    if (got.items.empty()) return all;
    for (const read_item& i : got.items) {
      REQUIRE(i.key.queue == q);
      REQUIRE(i.key.at >= from);
      from = i.key.at + 1;
      all.emplace_back(i.key.at, i.body ? to_text(i.body->octets()) : "?");
    }
  }
}

bool rig::wait_for_pressure(pressure p) {
  return wait([&] {
    const auto seen = sink_->pressures();
    return !seen.empty() && seen.back() == p;
  });
}

// sqlite_rig

sqlite_rig::~sqlite_rig() {
  if (vfs_) {
    vfs_->heal();
    vfs_->release_syncs();
  }
  store_.reset();
}

std::string sqlite_rig::directory() const {
  return (scratch_.path() / std::to_string(incarnation_)).string();
}

std::unique_ptr<store> sqlite_rig::make(completion_sink& sink) {
  static std::atomic<int> instances{0};
  vfs_ = std::make_unique<tests::recording_vfs>("rig-" + std::to_string(++instances));
  options.directory = directory();
  options.vfs = vfs_->name();
  options.log = [this](std::string_view line) { note(line); };
  return open_sqlite_store(options, sink);
}

void sqlite_rig::cut_power() {
  const std::string after = (scratch_.path() / std::to_string(incarnation_ + 1)).string();
  std::filesystem::create_directory(after);
  vfs_->materialise(after);
  vfs_->heal();
  vfs_->release_syncs();
  store_.reset();
  ++incarnation_;
}

/// A commit of its own is brought to its sync and held there.
void sqlite_rig::hold() {
  vfs_->hold_syncs();
  batch primer;
  primer.records.push_back({record_kind::setting, "primer", text_blob("1")});
  submit(std::move(primer), worker_id{99});
  vfs_->wait_for_held_sync();
}

void sqlite_rig::release() { vfs_->release_syncs(); }

void sqlite_rig::stall() {
  vfs_->fail({tests::vfs_call::write, tests::vfs_effect::full, tests::vfs_file::log, 0,
              std::numeric_limits<std::uint64_t>::max()});
}

void sqlite_rig::heal() { vfs_->heal(); }

void sqlite_rig::fail_sync() {
  vfs_->fail({tests::vfs_call::sync, tests::vfs_effect::io_error, tests::vfs_file::log, 0, 1});
}

// memory_rig

memory_store& memory_rig::memory() { return static_cast<memory_store&>(*store_); }

std::unique_ptr<store> memory_rig::make(completion_sink& sink) {
  memory_options manual;
  manual.manual = true;
  return std::make_unique<memory_store>(disk_, sink, manual);
}

void memory_rig::cut_power() { memory().lose_power(); }
void memory_rig::release() { memory().pump(); }
void memory_rig::stall() { memory().stall(std::numeric_limits<unsigned>::max()); }
void memory_rig::heal() { memory().stall(0); }
void memory_rig::fail_sync() { memory().doubt(false); }

bool memory_rig::wait(const std::function<bool()>& holds) {
  for (int i = 0; i < pumps_max && !holds(); ++i) memory().pump();
  return holds();
}

// Making things

blob_ptr text_blob(std::string_view text) { return make_blob(std::as_bytes(std::span(text))); }

std::string to_text(std::span<const std::byte> octets) {
  return {reinterpret_cast<const char*>(octets.data()), octets.size()};
}

put text_put(queue_id q, sequence at, std::string_view text) {
  put p;
  p.key = {q, at};
  p.body = text_blob(text);
  return p;
}

std::string text_of(queue_id q, sequence at) {
  return "queue " + std::to_string(static_cast<std::uint64_t>(q)) + ", message " +
         std::to_string(at);
}

batch puts(queue_id q, sequence first, sequence last) {
  batch b;
  for (sequence at = first; at <= last; ++at) b.puts.push_back(text_put(q, at, text_of(q, at)));
  return b;
}

batch settles(queue_id q, sequence first, sequence last) {
  batch b;
  b.settles.push_back({q, first, last});
  return b;
}

std::vector<sequence> sequences(const std::vector<recovered_entry>& entries) {
  std::vector<sequence> all;
  for (const recovered_entry& e : entries) all.push_back(e.key.at);
  return all;
}

}  // namespace whimbrel::storage
