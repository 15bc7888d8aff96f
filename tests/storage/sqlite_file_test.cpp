// SPDX-License-Identifier: Apache-2.0
// What only the SQLite store promises: its file, its directory, damage, and the log's bound.
#include <doctest/doctest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include <boost/system/system_error.hpp>

#include "storage/sqlite/schema.hpp"
#include "tests/storage/rig.hpp"

namespace whimbrel::storage {
namespace {

namespace fs = std::filesystem;

/// Runs SQL on a file that no store holds open.
class raw_file {
 public:
  explicit raw_file(const std::string& path) {
    REQUIRE(sqlite3_open(path.c_str(), &db_) == SQLITE_OK);
  }
  ~raw_file() { sqlite3_close(db_); }
  raw_file(const raw_file&) = delete;
  raw_file& operator=(const raw_file&) = delete;

  void run(const std::string& sql) {
    const int result = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
    REQUIRE_MESSAGE(result == SQLITE_OK, sqlite3_errmsg(db_));
  }
  std::string ask(const std::string& sql) {
    std::string answer;
    const auto keep = [](void* into, int n, char** values, char**) {
      if (n > 0 && values[0] != nullptr) *static_cast<std::string*>(into) = values[0];
      return 0;
    };
    REQUIRE(sqlite3_exec(db_, sql.c_str(), keep, &answer, nullptr) == SQLITE_OK);
    return answer;
  }

 private:
  sqlite3* db_ = nullptr;
};

std::string octets_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// What opening and recovering a directory throws.
std::string refusal(const std::string& directory) {
  keeping_sink sink;
  keeping_visitor visitor;
  try {
    sqlite_options options;
    options.directory = directory;
    open_sqlite_store(options, sink)->recover(visitor);
  } catch (const boost::system::system_error& e) {
    return e.what();
  }
  return "";
}

bool logged(const rig& r, std::string_view part) {
  return std::any_of(r.log().begin(), r.log().end(),
                     [&](const std::string& line) { return line.find(part) != line.npos; });
}

TEST_CASE("sqlite store: a new directory and file are as the format says") {
  sqlite_rig r;
  r.open();
  r.commit(puts(q1, 1, 1));
  struct stat s {};
  REQUIRE(::stat(r.directory().c_str(), &s) == 0);
  CHECK((s.st_mode & 0777 & ~0750u) == 0);
  const std::string file = r.file();
  r.close();
  raw_file raw(file);
  CHECK(raw.ask("PRAGMA page_size") == "16384");
  CHECK(raw.ask("PRAGMA auto_vacuum") == "2");
  CHECK(raw.ask("PRAGMA journal_mode") == "wal");
  CHECK(raw.ask("PRAGMA user_version") == "1");
  CHECK(raw.ask("PRAGMA application_id") == std::to_string(0x57484d42));
  CHECK(raw.ask("SELECT count(*) FROM \"group\"") == "1");
}

TEST_CASE("sqlite database: every pragma is read back, and a wrong one is an error") {
  tests::scratch_directory scratch;
  sqlite::open_options options;
  options.path = (scratch.path() / "x.db").string();
  sqlite::database db(options);
  // Not prepared as ours: journal_mode WAL works, but nothing else was set at creation.
  sqlite::configure_writer(db);
  CHECK(db.require_integer("PRAGMA synchronous") == 2);
  CHECK(db.require_integer("PRAGMA secure_delete") == 0);
  CHECK(db.require_integer("PRAGMA wal_autocheckpoint") == 0);
  CHECK(db.require_text("PRAGMA locking_mode") == "normal");
  sqlite::open_options memory;
  memory.path = ":memory:";
  sqlite::database cannot(memory);  // it has no write-ahead log to give
  CHECK_THROWS_AS(sqlite::configure_writer(cannot), boost::system::system_error);
}

TEST_CASE("sqlite store: a directory has one store at a time, and says who") {
  sqlite_rig r;
  r.open();
  const std::string why = refusal(r.directory());
  CHECK(why.find(r.directory()) != why.npos);
  CHECK(why.find("process " + std::to_string(::getpid())) != why.npos);
  r.close();
  CHECK(refusal(r.directory()).empty());
}

TEST_CASE("sqlite store: a file of a newer format is refused untouched") {
  sqlite_rig r;
  r.open();
  r.commit(puts(q1, 1, 10));
  const std::string file = r.file();
  r.close();
  {
    raw_file raw(file);
    raw.run("PRAGMA user_version = 2");
  }
  const std::string before = octets_of(file);
  CHECK(refusal(r.directory()).find("format 2") != std::string::npos);
  CHECK(octets_of(file) == before);
}

TEST_CASE("sqlite store: a newer format that stands in the log only is refused untouched") {
  sqlite_rig r;
  r.open();
  r.commit(puts(q1, 1, 10));
  const std::string directory = r.directory();
  r.close();
  raw_file raw(r.file());  // while it is open, its log stays
  raw.run("PRAGMA user_version = 3");
  const std::string before = octets_of(r.file());
  const std::string log = octets_of(r.file() + "-wal");
  CHECK(!log.empty());
  CHECK(refusal(directory).find("format 3") != std::string::npos);
  CHECK(octets_of(r.file()) == before);
  CHECK(octets_of(r.file() + "-wal") == log);
}

TEST_CASE("sqlite store: another program's file is refused untouched") {
  tests::scratch_directory scratch;
  const std::string file = (scratch.path() / "whimbrel.db").string();
  SUBCASE("a database") {
    raw_file raw(file);
    raw.run("CREATE TABLE t(x); INSERT INTO t VALUES(1)");
  }
  SUBCASE("no database at all") { std::ofstream(file) << std::string(5000, 'x'); }
  const std::string before = octets_of(file);
  CHECK(!refusal(scratch.path().string()).empty());
  CHECK(octets_of(file) == before);
}

TEST_CASE("sqlite store: one copy of a body is stored, however many messages refer to it") {
  sqlite_rig r;
  r.open();
  const blob_ptr shared = text_blob(std::string(100'000, 's'));
  batch b;
  for (std::uint64_t q = 1; q <= 50; ++q) {
    put p;
    p.key = {queue_id{q}, 1};
    p.body = shared;
    b.puts.push_back(p);
  }
  r.commit(std::move(b));
  const std::string file = r.file();
  r.close();
  CHECK(raw_file(file).ask("SELECT sum(length(bodies)) FROM group_body") == "100000");
}

TEST_CASE("sqlite store: an elided put never reaches the disk, and is counted") {
  sqlite_rig r;
  r.open();
  r.hold();
  r.submit(puts(q1, 1, 10));
  const token last = r.submit(settles(q1, 1, 9));
  r.release();
  CHECK(r.outcome(last) == commit_outcome::durable);
  CHECK(r.get().statistics().puts == 10);
  CHECK(r.get().statistics().puts_elided == 9);
  CHECK(r.get().statistics().settled == 9);
  const std::string file = r.file();
  r.close();
  CHECK(octets_of(file).find(text_of(q1, 10)) != std::string::npos);
  CHECK(octets_of(file).find(text_of(q1, 4)) == std::string::npos);
}

TEST_CASE("sqlite store: the sequence of a message that went is not given out again") {
  sqlite_rig r;
  r.open();
  batch both = puts(q1, 1, 6);
  for (put& p : puts(q2, 1, 4).puts) both.puts.push_back(std::move(p));
  r.commit(std::move(both));
  r.commit(settles(q1, 4, 6));  // the end of q1, and all of q2: their places are still on disk
  r.commit(settles(q2, 1, 4));
  r.lose_power();
  CHECK(r.recovered().ends == std::map<queue_id, sequence>{{q1, 7}, {q2, 5}});
  CHECK(r.commit(puts(q1, 7, 7)) == commit_outcome::durable);
  CHECK(r.commit(settles(q1, 1, 3)) == commit_outcome::durable);
  r.lose_power();
  CHECK(r.contents(q1).size() == 1);
  CHECK(r.recovered().ends == std::map<queue_id, sequence>{{q1, 8}});
}

TEST_CASE("sqlite store: the log stays within its bound under load, with a reader at work") {
  sqlite_rig r;
  r.options.log_octets_checkpoint = 2 * 1024 * 1024;
  r.options.log_octets_slow = 4 * 1024 * 1024;
  r.open();
  const std::string body(10'000, 'b');
  for (sequence at = 1; at <= 2000; at += 20) {
    batch b;
    for (sequence k = 0; k < 20; ++k) b.puts.push_back(text_put(q1, at + k, body));
    if (at > 200) b.settles.push_back({q1, at - 200, at - 181});
    CHECK(r.commit(std::move(b)) == commit_outcome::durable);
    CHECK(!r.read(q1, at, 100'000).items.empty());
  }
  CHECK(r.get().statistics().checkpoints >= 5);
  CHECK(r.vfs().log_size_max() < 4 * 1024 * 1024);
  CHECK(r.sink().pressures().empty());
}

TEST_CASE("sqlite store: a log that cannot be emptied asks for less, until it can") {
  sqlite_rig r;
  r.options.log_octets_checkpoint = 1024 * 1024;
  r.options.log_octets_slow = 2 * 1024 * 1024;
  r.open();
  r.vfs().fail({tests::vfs_call::write, tests::vfs_effect::full, tests::vfs_file::database, 0,
                ~std::uint64_t{0}});
  sequence at = 1;
  for (; at <= 30; ++at) {
    batch b;
    b.puts.push_back(text_put(q1, at, std::string(100'000, 'x')));
    REQUIRE(r.commit(std::move(b)) == commit_outcome::durable);
  }
  CHECK(r.wait_for_pressure(pressure::slow));
  r.heal();
  for (; at <= 60; ++at) r.commit(puts(q1, at, at));
  batch much;
  much.puts.push_back(text_put(q1, at, std::string(2'000'000, 'x')));
  r.commit(std::move(much));
  r.commit(puts(q2, 1, 1));
  CHECK(r.wait_for_pressure(pressure::none));
  CHECK(r.contents(q1).size() == 61);
}

TEST_CASE("sqlite store: many small groups are merged, and everything is still there") {
  sqlite_rig r;
  r.open();
  r.vfs().fail({tests::vfs_call::sync, tests::vfs_effect::skipped, tests::vfs_file::log, 0,
                ~std::uint64_t{0}});  // for speed
  batch counted;
  for (sequence at = 1; at <= 4500; ++at) {
    batch b = puts(at % 3 == 0 ? q2 : q1, at, at);
    if (at % 10 == 5) b.settles.push_back({q1, at - 1, at - 1});
    if (at == 100) b.recounts.push_back({{q1, 1}, 6});
    REQUIRE(r.commit(std::move(b)) == commit_outcome::durable);
  }
  const auto first = r.contents(q1);
  const auto second = r.contents(q2);
  for (const auto& [at, text] : first) REQUIRE(text == text_of(q1, at));
  for (const auto& [at, text] : second) REQUIRE(text == text_of(q2, at));
  const std::string file = r.file();
  r.close();
  CHECK(std::stoi(raw_file(file).ask("SELECT count(*) FROM \"group\"")) < 4096);
  r.open();
  CHECK(r.contents(q1) == first);
  CHECK(r.contents(q2) == second);
  CHECK(r.recovered().queues.at(q1)[0].delivery_count == 6);
}

TEST_CASE("sqlite store: survivors of sparse groups are copied forward, and the rest is freed") {
  sqlite_rig r;
  r.open();
  sequence next = 1;
  const auto fill = [&](int commits) {
    for (int i = 0; i < commits; ++i) {
      batch b;
      for (int k = 0; k < 100; ++k, ++next) {
        put p = text_put(queue_id{1 + next % 3}, next, text_of(q1, next) + std::string(8000, '.'));
        p.flags = static_cast<std::uint32_t>(next);
        b.puts.push_back(std::move(p));
      }
      REQUIRE(r.commit(std::move(b)) == commit_outcome::durable);
    }
  };
  fill(30);  // 24 MB in 30 groups
  std::vector<sequence> left;
  std::mt19937_64 random(5);
  batch b;
  for (sequence at = 1; at < next; ++at) {
    if (random() % 10 == 0) {
      left.push_back(at);
    } else {
      b.settles.push_back({queue_id{1 + at % 3}, at, at});
    }
  }
  REQUIRE(r.commit(std::move(b)) == commit_outcome::durable);
  for (sequence at = 1; at <= 20; ++at) r.commit(puts(queue_id{9}, at, at));
  for (int round = 0; round < 2; ++round) {
    std::size_t seen = 0;
    for (std::uint64_t q = 1; q <= 3; ++q) {
      for (const auto& [at, text] : r.contents(queue_id{q})) {
        REQUIRE(std::binary_search(left.begin(), left.end(), at));
        REQUIRE(text == text_of(q1, at) + std::string(8000, '.'));
        ++seen;
      }
    }
    CHECK(seen == left.size());
    r.lose_power();
  }
  for (const auto& e : r.recovered().queues.at(q1)) REQUIRE(e.flags == e.key.at);
  const std::string file = r.file();
  r.close();
  raw_file raw(file);
  CHECK(std::stoll(raw.ask("SELECT sum(length(bodies)) FROM group_body")) < 12'000'000);
  CHECK(raw.ask("PRAGMA integrity_check") == "ok");
}

TEST_CASE("sqlite store: damage to a stored row is noticed, reported, and stays with that row") {
  struct {
    const char* what;
    const char* sql;
    std::size_t recovered;  // of q1's three groups of ten messages
    std::size_t whole;      // of those, bodies that can be read
    const char* log;
  } const rows[] = {
      {"an entries blob",
       "UPDATE \"group\" SET entries = substr(entries, 1, 40) || x'ff' || substr(entries, 42) "
       "WHERE id = 2",
       20, 20, "group 2 fails its checksum"},
      {"an entries blob under another id", "UPDATE \"group\" SET id = 20 WHERE id = 2", 20, 20,
       "group 20 fails its checksum"},
      {"a body",
       "UPDATE group_body SET bodies = substr(bodies, 1, 40) || x'ff' || substr(bodies, 42) "
       "WHERE id = 2",
       30, 29, "fails its checksum (group 2)"},
      {"bodies that are cut short",
       "UPDATE group_body SET bodies = substr(bodies, 1, 100) WHERE id = 2", 30, 20,
       "group 2 is damaged"},
      {"bodies that are gone", "DELETE FROM group_body WHERE id = 2", 30, 20, "group 2 is damaged"},
      {"a state", "INSERT INTO group_state VALUES(2, 5, x'0102030405060708')", 30, 30,
       "the state of group 2 fails its checksum"},
      {"a record", "UPDATE record SET value = x'00'", 30, 30, "record 1/orders fails"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    sqlite_rig r;
    r.open();
    batch b = puts(q1, 1, 10);
    b.records.push_back({record_kind::queue, "orders", text_blob("x")});
    r.commit(std::move(b));
    r.commit(puts(q1, 11, 20));
    r.commit(puts(q1, 21, 30));
    const std::string file = r.file();
    r.close();
    {
      raw_file raw(file);
      raw.run(row.sql);
    }
    r.open();
    CHECK(r.recovered().queues.at(q1).size() == row.recovered);
    const auto all = r.contents(q1);
    CHECK(all.size() == row.recovered);
    std::size_t whole = 0;
    for (const auto& [at, text] : all) {
      if (text == "?") continue;
      CHECK(text == text_of(q1, at));
      ++whole;
    }
    CHECK(whole == row.whole);
    CHECK(logged(r, row.log));
    // Life goes on, and a damaged body that moves stays recognisable.
    batch on = puts(q1, 31, 31);
    for (sequence at = 11; at <= 20; ++at) on.moves.push_back({{q1, at}, {q2, at}, 0, 0, 0});
    CHECK(r.commit(std::move(on)) == commit_outcome::durable);
    for (const auto& [at, text] : r.contents(q2)) CHECK((text == "?" || text == text_of(q1, at)));
  }
}

TEST_CASE("sqlite store: a flipped bit anywhere in the file is never served") {
  sqlite_rig r;
  r.open();
  for (sequence at = 1; at <= 30; at += 3) {
    batch b;
    for (sequence k = at; k < at + 3; ++k) {
      b.puts.push_back(text_put(q1, k, text_of(q1, k) + std::string(3000, '.')));
    }
    r.commit(std::move(b));
  }
  r.commit(settles(q1, 5, 5));
  const std::string file = r.file();
  r.close();
  const std::string good = octets_of(file);
  std::mt19937_64 random(11);
  std::size_t refused = 0;
  std::size_t damaged = 0;
  for (int i = 0; i < 150; ++i) {
    std::string bad = good;
    const std::size_t bit = random() % (bad.size() * 8);
    CAPTURE(bit);
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    fs::remove(file + "-wal");
    fs::remove(file + "-shm");
    std::ofstream(file, std::ios::binary | std::ios::trunc) << bad;
    try {
      r.open();
    } catch (const boost::system::system_error&) {
      ++refused;  // noticed: the file as such cannot be read
      continue;
    }
    for (sequence from = 0;;) {
      const read_done got = r.read(q1, from);
      if (got.failed || got.items.empty()) break;
      for (const read_item& item : got.items) {
        from = item.key.at + 1;
        if (!item.body) {
          ++damaged;
        } else {
          REQUIRE(to_text(item.body->octets()) ==
                  text_of(q1, item.key.at) + std::string(3000, '.'));
        }
      }
    }
    r.close();
  }
  MESSAGE("150 flips: ", refused, " files refused, ", damaged, " bodies refused");
  CHECK(damaged > 0);
}

}  // namespace
}  // namespace whimbrel::storage
