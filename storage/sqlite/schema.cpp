// SPDX-License-Identifier: Apache-2.0
#include "storage/sqlite/schema.hpp"

#include <array>
#include <string>

namespace whimbrel::storage::sqlite {
namespace {

/// `group` holds what recovery reads, `group_body` what it must not: SQLite keeps short rows in
/// one place, so two columns of one row would be read together.
constexpr const char* tables = R"(
  CREATE TABLE "group"(id INTEGER PRIMARY KEY, entries BLOB NOT NULL);
  CREATE TABLE group_body(id INTEGER PRIMARY KEY, bodies BLOB NOT NULL);
  CREATE TABLE group_state(id INTEGER PRIMARY KEY, live INTEGER NOT NULL, state BLOB NOT NULL);
  CREATE TABLE chunk(id INTEGER PRIMARY KEY, body INTEGER NOT NULL, place INTEGER NOT NULL,
                     size INTEGER NOT NULL, crc INTEGER NOT NULL, octets BLOB NOT NULL);
  CREATE UNIQUE INDEX chunk_place ON chunk(body, place);
  CREATE TABLE record(kind INTEGER NOT NULL, key TEXT NOT NULL, crc INTEGER NOT NULL,
                      value BLOB NOT NULL, PRIMARY KEY(kind, key)) WITHOUT ROWID;
  CREATE TABLE probe(id INTEGER PRIMARY KEY, attempt INTEGER NOT NULL);
)";

struct pragma {
  const char* name = nullptr;
  const char* value = nullptr;   // as we write it
  const char* answer = nullptr;  // as SQLite reads it back
};

constexpr std::array writer_pragmas = {
    pragma{"journal_mode", "WAL", "wal"},
    pragma{"synchronous", "FULL", "2"},
    pragma{"locking_mode", "NORMAL", "normal"},
    pragma{"secure_delete", "OFF", "0"},
    pragma{"wal_autocheckpoint", "0", "0"},
    pragma{"journal_size_limit", "-1", "-1"},
    pragma{"mmap_size", "0", "0"},
    pragma{"temp_store", "MEMORY", "2"},
    pragma{"cache_size", "-16384", "-16384"},
    pragma{"cache_spill", "OFF", "0"},  // a transaction reaches the log in one go, at its commit
    pragma{"foreign_keys", "OFF", "0"},
    pragma{"trusted_schema", "OFF", "0"},
    pragma{"cell_size_check", "ON", "1"},
    pragma{"busy_timeout", "250", "250"},
};

constexpr std::array reader_pragmas = {
    pragma{"query_only", "ON", "1"},        pragma{"mmap_size", "0", "0"},
    pragma{"cache_size", "-4096", "-4096"}, pragma{"trusted_schema", "OFF", "0"},
    pragma{"cell_size_check", "ON", "1"},   pragma{"busy_timeout", "250", "250"},
};

constexpr std::array file_pragmas = {
    pragma{"page_size", "16384", "16384"},
    pragma{"auto_vacuum", "INCREMENTAL", "2"},
    pragma{"encoding", "'UTF-8'", "UTF-8"},
};

void require(database& db, const pragma& p) {
  const std::string got = db.require_text("PRAGMA " + std::string(p.name));
  if (got == p.answer) return;
  throw_code(code::error, "SQLite gives " + std::string(p.name) + " = " + got + " where " +
                              p.answer + " is needed");
}

template <std::size_t N>
void apply(database& db, const std::array<pragma, N>& wanted) {
  for (const pragma& p : wanted) {
    db.require_execute(("PRAGMA " + std::string(p.name) + " = " + p.value).c_str());
  }
  for (const pragma& p : wanted) require(db, p);
}

void create(database& db) {
  for (const pragma& p : file_pragmas) {
    db.require_execute(("PRAGMA " + std::string(p.name) + " = " + p.value).c_str());
  }
  db.require_execute("PRAGMA journal_mode = WAL");
  db.require_execute("PRAGMA synchronous = FULL");
  db.require_execute("BEGIN IMMEDIATE");
  db.require_execute(tables);
  db.require_execute(("PRAGMA application_id = " + std::to_string(application_id)).c_str());
  db.require_execute(("PRAGMA user_version = " + std::to_string(format_version)).c_str());
  db.require_execute("COMMIT");
}

}  // namespace

void prepare_schema(database& db) {
  // Until we know that the file is ours, closing it must leave its log alone.
  db.checkpoint_on_close(false);
  const bool empty = db.require_integer("SELECT count(*) FROM sqlite_schema") == 0;
  const std::int64_t owner = db.require_integer("PRAGMA application_id");
  const std::int64_t version = db.require_integer("PRAGMA user_version");
  if (!empty || owner != 0 || version != 0) {
    if (owner != application_id) throw_code(code::error, "the file is not a whimbrel database");
    if (version > format_version) {
      throw_code(code::error, "the file has format " + std::to_string(version) +
                                  ", this program knows up to " + std::to_string(format_version) +
                                  ": use a newer program; nothing was changed");
    }
    if (version < 1) throw_code(code::corrupt, "the file names no format");
  } else {
    create(db);
  }
  db.checkpoint_on_close(true);
  for (const pragma& p : file_pragmas) require(db, p);
}

void configure_writer(database& db) { apply(db, writer_pragmas); }

void configure_reader(database& db) {
  apply(db, reader_pragmas);
  require(db, {"journal_mode", "", "wal"});
}

}  // namespace whimbrel::storage::sqlite
