// SPDX-License-Identifier: Apache-2.0
#include "storage/sqlite/database.hpp"

#include <sqlite3.h>

namespace whimbrel::storage::sqlite {
namespace {

static_assert(static_cast<int>(code::row) == SQLITE_ROW);
static_assert(static_cast<int>(code::done) == SQLITE_DONE);
static_assert(static_cast<int>(code::full) == SQLITE_FULL);
static_assert(static_cast<int>(code::io_read) == SQLITE_IOERR_READ);
static_assert(static_cast<int>(code::io_short_read) == SQLITE_IOERR_SHORT_READ);
static_assert(static_cast<int>(code::io_write) == SQLITE_IOERR_WRITE);
static_assert(static_cast<int>(code::io_fsync) == SQLITE_IOERR_FSYNC);
static_assert(static_cast<int>(code::io_dir_fsync) == SQLITE_IOERR_DIR_FSYNC);
static_assert(static_cast<int>(code::io_truncate) == SQLITE_IOERR_TRUNCATE);
static_assert(static_cast<int>(code::io_no_memory) == SQLITE_IOERR_NOMEM);
static_assert(static_cast<int>(code::io_lock) == SQLITE_IOERR_LOCK);
static_assert(static_cast<int>(code::io_shm_open) == SQLITE_IOERR_SHMOPEN);
static_assert(static_cast<int>(code::io_shm_size) == SQLITE_IOERR_SHMSIZE);
static_assert(static_cast<int>(code::io_shm_lock) == SQLITE_IOERR_SHMLOCK);
static_assert(static_cast<int>(code::io_shm_map) == SQLITE_IOERR_SHMMAP);

class sqlite_category final : public boost::system::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "sqlite"; }
  [[nodiscard]] std::string message(int value) const override { return sqlite3_errstr(value); }
};

code extended(sqlite3* db, int result) {
  if (result == SQLITE_OK || result == SQLITE_ROW || result == SQLITE_DONE) return code{result};
  const int precise = sqlite3_extended_errcode(db);
  return code{(precise & 0xff) == (result & 0xff) ? precise : result};
}

/// A pointer that is never null: SQLite binds null pointers as SQL NULL.
const void* address(std::span<const std::byte> octets) {
  return octets.data() != nullptr ? static_cast<const void*>(octets.data()) : "";
}

}  // namespace

std::string_view describe(code c) { return sqlite3_errstr(static_cast<int>(c)); }

const boost::system::error_category& category() {
  static const sqlite_category instance;
  return instance;
}

void throw_code(code c, const std::string& doing) {
  throw boost::system::system_error(static_cast<int>(c), category(), doing);
}

// statement

void statement::finalizer::operator()(sqlite3_stmt* s) const noexcept { sqlite3_finalize(s); }

statement& statement::bind(int index, std::int64_t value) {
  sqlite3_bind_int64(handle_.get(), index, value);
  return *this;
}

statement& statement::bind(int index, std::span<const std::byte> octets) {
  sqlite3_bind_blob64(handle_.get(), index, address(octets), octets.size(), SQLITE_STATIC);
  return *this;
}

statement& statement::bind(int index, std::string_view text) {
  sqlite3_bind_text64(handle_.get(), index, text.data() != nullptr ? text.data() : "", text.size(),
                      SQLITE_STATIC, SQLITE_UTF8);
  return *this;
}

code statement::step() {
  return extended(sqlite3_db_handle(handle_.get()), sqlite3_step(handle_.get()));
}

code statement::run() {
  const code result = step();
  reset();
  return result == code::done || result == code::row ? code::ok : result;
}

void statement::reset() { sqlite3_reset(handle_.get()); }

std::int64_t statement::integer(int column) const {
  return sqlite3_column_int64(handle_.get(), column);
}

std::span<const std::byte> statement::octets(int column) const {
  const auto* const data =
      static_cast<const std::byte*>(sqlite3_column_blob(handle_.get(), column));
  if (data == nullptr) return {};
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column))};
}

std::string_view statement::text(int column) const {
  const auto* const data =
      reinterpret_cast<const char*>(sqlite3_column_text(handle_.get(), column));
  if (data == nullptr) return {};
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column))};
}

// blob_handle

void blob_handle::closer::operator()(sqlite3_blob* b) const noexcept { sqlite3_blob_close(b); }

code blob_handle::read(std::span<std::byte> into, std::size_t offset) {
  if (offset > size() || into.size() > size() - offset) return code::corrupt;
  return code{sqlite3_blob_read(handle_.get(), into.data(), static_cast<int>(into.size()),
                                static_cast<int>(offset))};
}

std::size_t blob_handle::size() const {
  return static_cast<std::size_t>(sqlite3_blob_bytes(handle_.get()));
}

// database

void database::closer::operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }

database::database(const open_options& options) {
  const int flags =
      (options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) |
      SQLITE_OPEN_NOMUTEX;
  sqlite3* raw = nullptr;
  const int result = sqlite3_open_v2(options.path.c_str(), &raw, flags,
                                     options.vfs.empty() ? nullptr : options.vfs.c_str());
  handle_.reset(raw);
  if (result != SQLITE_OK) {
    throw_code(raw != nullptr ? extended(raw, result) : code{result},
               "cannot open " + options.path);
  }
  sqlite3_extended_result_codes(raw, 1);
  sqlite3_busy_timeout(raw, options.busy_ms);
}

statement database::prepare(std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  const int result = sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  statement made;
  made.handle_.reset(raw);
  if (result != SQLITE_OK) {
    throw_code(extended(handle_.get(), result),
               last_message() + ", while preparing: " + std::string(sql));
  }
  return made;
}

code database::execute(const char* sql) noexcept {
  return extended(handle_.get(), sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr));
}

void database::require_execute(const char* sql) {
  const code result = execute(sql);
  if (!succeeded(result)) throw_code(result, last_message() + ", while running: " + sql);
}

std::int64_t database::require_integer(std::string_view sql) {
  statement s = prepare(sql);
  const code result = s.step();
  if (result != code::row) throw_code(result, "no answer to: " + std::string(sql));
  return s.integer(0);
}

std::string database::require_text(std::string_view sql) {
  statement s = prepare(sql);
  const code result = s.step();
  if (result != code::row) throw_code(result, "no answer to: " + std::string(sql));
  return std::string(s.text(0));
}

code database::open_blob(blob_handle& into, const char* table, const char* column,
                         std::int64_t row) {
  sqlite3_blob* raw = nullptr;
  const int result = sqlite3_blob_open(handle_.get(), "main", table, column, row, 0, &raw);
  into.handle_.reset(raw);
  return extended(handle_.get(), result);
}

bool database::in_transaction() const { return sqlite3_get_autocommit(handle_.get()) == 0; }

std::string database::last_message() const { return sqlite3_errmsg(handle_.get()); }

void database::checkpoint_on_close(bool wanted) {
  sqlite3_db_config(handle_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, wanted ? 0 : 1, nullptr);
}

database::checkpoint_result database::checkpoint_passive() {
  checkpoint_result out;
  out.result = extended(handle_.get(),
                        sqlite3_wal_checkpoint_v2(handle_.get(), "main", SQLITE_CHECKPOINT_PASSIVE,
                                                  &out.frames, &out.frames_moved));
  return out;
}

void database::on_log_growth(log_hook hook, void* context) {
  sqlite3_wal_hook(handle_.get(), hook, context);
}

}  // namespace whimbrel::storage::sqlite
