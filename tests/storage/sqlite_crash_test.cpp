// SPDX-License-Identifier: Apache-2.0
// What the SQLite store leaves behind when it is cut off: at every sync and between, with
// unsynced octets lost, kept, torn or partly there; and when writes and syncs fail.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <mutex>
#include <random>
#include <set>

#include "tests/storage/rig.hpp"

namespace whimbrel::storage {
namespace {

namespace fs = std::filesystem;
using tests::vfs_call;
using tests::vfs_effect;
using tests::vfs_file;
using tests::vfs_unsynced;

std::map<queue_id, std::vector<recovered_entry>> recovered_from(const std::string& directory) {
  keeping_sink sink;
  keeping_visitor visitor;
  sqlite_options options;
  options.directory = directory;
  open_sqlite_store(options, sink)->recover(visitor);
  return visitor.queues;
}

TEST_CASE("sqlite store: no commit is reported before the sync that covers it") {
  sqlite_rig r;
  r.open();
  std::mutex mutex;
  std::string covered;  // all that syncs of the log covered so far
  r.vfs().on_log_sync([&](std::uint64_t, std::span<const tests::vfs_write> writes) {
    const std::lock_guard lock(mutex);
    for (const auto& w : writes) covered += to_text(w.octets);
  });
  std::size_t looked_at = 0;
  for (sequence at = 1; at <= 200; ++at) {
    const std::string mark = "<mark " + std::to_string(at) + ">";
    batch b;
    b.puts.push_back(text_put(q1, at, mark));
    REQUIRE(r.commit(std::move(b)) == commit_outcome::durable);
    const std::lock_guard lock(mutex);
    REQUIRE(covered.find(mark, looked_at) != std::string::npos);
    looked_at = covered.size() > 100'000 ? covered.size() - 100'000 : 0;
  }
}

TEST_CASE("sqlite store: a disk that lies about syncs is found out by the same test") {
  sqlite_rig r;
  r.open();
  r.commit(puts(q1, 1, 1));
  r.vfs().fail({vfs_call::sync, vfs_effect::skipped, vfs_file::any, 0, ~std::uint64_t{0}});
  CHECK(r.commit(puts(q1, 2, 2)) == commit_outcome::durable);
  r.lose_power();
  CHECK(sequences(r.recovered().queues.at(q1)) == std::vector<sequence>{1});
}

TEST_CASE("sqlite store: power can be cut at any sync, whatever becomes of unsynced octets") {
  const vfs_unsynced fates[] = {vfs_unsynced::lost, vfs_unsynced::kept, vfs_unsynced::part,
                                vfs_unsynced::prefix};
  tests::scratch_directory scratch;
  sqlite_rig r;
  r.options.log_octets_checkpoint = 512 * 1024;  // so that cuts fall among checkpoints, too
  r.open();
  std::mt19937_64 random(17);
  sequence next = 1;
  sequence settled = 0;
  std::size_t cuts = 0;
  std::size_t extra = 0;
  for (int commit = 0; commit < 60; ++commit) {
    batch b;
    const sequence n = 1 + random() % 20;
    for (sequence k = 0; k < n; ++k) {
      b.puts.push_back(text_put(q1, next + k, text_of(q1, next + k) + std::string(2000, '.')));
    }
    const sequence gone = std::min(next - 1, settled + random() % 20);
    b.settles.push_back({q1, 0, gone});
    r.vfs().hold_syncs();
    const token t = r.submit(std::move(b));
    r.vfs().wait_for_held_sync();
    // Written, not synced: either state is right, and nothing else.
    for (const vfs_unsynced fate : fates) {
      const std::string copy = (scratch.path() / std::to_string(cuts)).string();
      fs::create_directory(copy);
      r.vfs().materialise(copy, fate, random());
      const auto found = recovered_from(copy);
      const auto at = found.find(q1);
      const sequence first = at == found.end() ? 0 : at->second.front().key.at;
      const sequence last = at == found.end() ? 0 : at->second.back().key.at;
      const std::size_t count = at == found.end() ? 0 : at->second.size();
      CAPTURE(commit);
      CAPTURE(static_cast<int>(fate));
      const bool is_before =
          count == next - 1 - settled && (count == 0 || (first == settled + 1 && last == next - 1));
      const bool is_after =
          count == next - 1 + n - gone && first == gone + 1 && last == next + n - 1;
      REQUIRE((is_before || is_after));
      if (fate == vfs_unsynced::lost) REQUIRE(is_before);
      if (!is_before) ++extra;
      ++cuts;
      fs::remove_all(copy);
    }
    r.vfs().release_syncs();
    REQUIRE(r.outcome(t) == commit_outcome::durable);
    next += n;
    settled = gone;
  }
  MESSAGE(cuts, " cuts, ", extra, " of them with a commit that was not synced yet");
  CHECK(extra > 0);
  CHECK(r.get().statistics().checkpoints > 0);
}

TEST_CASE("sqlite store: whichever write or sync fails, no outcome is ever wrong") {
  struct {
    const char* what;
    vfs_call call;
    vfs_effect effect;
    bool is_for_good;
  } const rows[] = {
      {"full", vfs_call::write, vfs_effect::full, false},
      {"write error", vfs_call::write, vfs_effect::io_error, false},
      {"short write", vfs_call::write, vfs_effect::short_write, false},
      {"sync error", vfs_call::sync, vfs_effect::io_error, true},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    std::size_t hit = 0;
    for (std::uint64_t n = 0; n < 40; ++n) {
      CAPTURE(n);
      sqlite_rig r;
      r.options.log_octets_checkpoint = 128 * 1024;  // checkpoints are met as well
      r.open();
      r.vfs().fail({row.call, row.effect, vfs_file::any, n, 1});
      std::set<sequence> durable;
      std::set<sequence> doubtful;
      for (sequence at = 1; at <= 12; ++at) {
        const auto got = r.commit(puts(q1, at, at));
        (got == commit_outcome::durable ? durable : doubtful).insert(at);
      }
      if (r.vfs().faults_hit() > 0) ++hit;
      if (!row.is_for_good) CHECK(doubtful.empty());
      if (row.is_for_good && r.vfs().faults_hit() > 0 && !r.sink().pressures().empty()) {
        CHECK(r.sink().pressures().back() == pressure::failed);
        // Once failed, always failed.
        if (!doubtful.empty()) CHECK(*doubtful.rbegin() == 12);
      }
      r.lose_power();
      std::set<sequence> found;
      if (r.recovered().queues.contains(q1)) {
        for (const auto& e : r.recovered().queues.at(q1)) found.insert(e.key.at);
      }
      REQUIRE(std::includes(found.begin(), found.end(), durable.begin(), durable.end()));
      for (const sequence at : found) REQUIRE((durable.contains(at) || doubtful.contains(at)));
    }
    CHECK(hit > 10);
  }
}

TEST_CASE("sqlite store: a stall with nothing left to write does not count as healed") {
  sqlite_rig r;
  r.open();
  r.stall();
  const token t = r.submit(puts(q1, 1, 3));
  REQUIRE(r.wait_for_pressure(pressure::stalled));
  CHECK(r.withdraw({{q1, 1}, {q1, 2}, {q1, 3}}).size() == 3);
  const auto failed = r.vfs().faults_hit();
  REQUIRE(r.wait([&] { return r.vfs().faults_hit() >= failed + 2; }));  // it goes on trying
  CHECK(r.sink().pressures() == std::vector{pressure::stalled});
  CHECK(!r.sink().outcome(t));
  r.heal();
  CHECK(r.outcome(t) == commit_outcome::durable);
}

TEST_CASE("sqlite store: a failed sync is not trusted by the next process either") {
  // The kernel may hold, as clean, octets that a failed sync never brought to the disk. Commits
  // that the next process appends must not depend on them.
  sqlite_rig r;
  r.open();
  r.commit(puts(q1, 1, 2));
  r.vfs().fail({vfs_call::sync, vfs_effect::io_error, vfs_file::log, 0, ~std::uint64_t{0}});
  CHECK(r.commit(puts(q1, 3, 3)) == commit_outcome::in_doubt);
  const std::string directory = r.directory();
  tests::scratch_directory after;
  fs::create_directory(after.path() / "kernel");
  // What the next process finds in the kernel's cache: the log with the doubtful commit.
  r.vfs().materialise((after.path() / "kernel").string(), vfs_unsynced::kept);
  keeping_sink sink;
  keeping_visitor visitor;
  tests::recording_vfs next("next-process");
  {
    sqlite_options options;
    options.directory = (after.path() / "kernel").string();
    options.vfs = next.name();
    const auto s = open_sqlite_store(options, sink);
    s->recover(visitor);
    REQUIRE(visitor.queues.at(q1).size() == 3);
    // Everything the doubtful commit wrote has been written again, into the file, and synced.
    CHECK(next.count(vfs_call::write, vfs_file::database) > 0);
    CHECK(next.count(vfs_call::sync, vfs_file::database) > 0);
    s->submit(worker_id{}, puts(q1, 4, 4), token{1});
    REQUIRE(sink.wait([&] { return sink.outcome(token{1}).has_value(); }));
    const auto events = next.events();
    const auto first_log_write =
        std::find_if(events.begin(), events.end(), [](const tests::vfs_event& e) {
          return e.call == vfs_call::write && e.file == vfs_file::log;
        });
    REQUIRE(first_log_write != events.end());
    CHECK(first_log_write->offset == 0);  // the log begins anew, nothing is appended
  }
}

TEST_CASE("sqlite store: a hundred thousand messages are recovered quickly") {
  sqlite_rig r;
  r.open();
  for (sequence at = 1; at <= 100'000; at += 1000) r.commit(puts(q1, at, at + 999));
  r.close();
  const auto begin = std::chrono::steady_clock::now();
  r.open();
  const auto took = std::chrono::steady_clock::now() - begin;
  CHECK(r.recovered().queues.at(q1).size() == 100'000);
  MESSAGE("opened and recovered in ",
          std::chrono::duration_cast<std::chrono::milliseconds>(took).count(), " ms");
}

}  // namespace
}  // namespace whimbrel::storage
