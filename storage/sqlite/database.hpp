// SPDX-License-Identifier: Apache-2.0
// SQLite behind RAII: a connection, its statements and its blob handles. Result codes are the
// extended ones and are returned; only opening, preparing and `require_*` throw (start-up).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

struct sqlite3;
struct sqlite3_stmt;
struct sqlite3_blob;

namespace whimbrel::storage::sqlite {

/// An extended result code of SQLite. The names cover what we tell apart.
enum class code : int {
  ok = 0,
  error = 1,
  busy = 5,
  locked = 6,
  no_memory = 7,
  io_error = 10,
  corrupt = 11,
  full = 13,
  cannot_open = 14,
  row = 100,
  done = 101,
  io_read = 10 | 1 << 8,
  io_short_read = 10 | 2 << 8,
  io_write = 10 | 3 << 8,
  io_fsync = 10 | 4 << 8,
  io_dir_fsync = 10 | 5 << 8,
  io_truncate = 10 | 6 << 8,
  io_no_memory = 10 | 12 << 8,
  io_lock = 10 | 15 << 8,
  io_shm_open = 10 | 18 << 8,
  io_shm_size = 10 | 19 << 8,
  io_shm_lock = 10 | 20 << 8,
  io_shm_map = 10 | 21 << 8,
};

[[nodiscard]] inline bool succeeded(code c) {
  return c == code::ok || c == code::row || c == code::done;
}
/// The code without its extension: `io_fsync` -> `io_error`.
[[nodiscard]] inline code primary(code c) { return static_cast<code>(static_cast<int>(c) & 0xff); }
[[nodiscard]] std::string_view describe(code c);
[[nodiscard]] const boost::system::error_category& category();
[[noreturn]] void throw_code(code c, const std::string& doing);

/// A prepared statement. Borrowed octets and text given to `bind` must stay until the next
/// `reset`. Must not outlive its database.
class statement {
 public:
  statement() = default;

  statement& bind(int index, std::int64_t value);
  statement& bind(int index, std::uint64_t value) {
    return bind(index, static_cast<std::int64_t>(value));
  }
  statement& bind(int index, std::span<const std::byte> octets);
  statement& bind(int index, std::string_view text);

  /// `row`, `done`, or what went wrong.
  [[nodiscard]] code step();
  /// For statements that give no rows: runs it and resets it; `ok` or what went wrong.
  [[nodiscard]] code run();
  void reset();

  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::uint64_t unsigned_integer(int column) const {
    return static_cast<std::uint64_t>(integer(column));
  }
  /// Valid until the next step or reset. Empty when the column is null or memory ran out.
  [[nodiscard]] std::span<const std::byte> octets(int column) const;
  [[nodiscard]] std::string_view text(int column) const;

 private:
  friend class database;
  struct finalizer {
    void operator()(sqlite3_stmt* s) const noexcept;
  };
  std::unique_ptr<sqlite3_stmt, finalizer> handle_;
};

/// Reads parts of one stored blob. While it is open it holds a read transaction.
class blob_handle {
 public:
  [[nodiscard]] code read(std::span<std::byte> into, std::size_t offset);
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool is_open() const { return handle_ != nullptr; }
  void close() { handle_.reset(); }

 private:
  friend class database;
  struct closer {
    void operator()(sqlite3_blob* b) const noexcept;
  };
  std::unique_ptr<sqlite3_blob, closer> handle_;
};

struct open_options {
  std::string path;
  std::string vfs;  // empty: SQLite's default
  bool read_only = false;
  int busy_ms = 0;
};

/// One connection, used by one thread at a time.
class database {
 public:
  explicit database(const open_options& options);

  [[nodiscard]] statement prepare(std::string_view sql);
  [[nodiscard]] code execute(const char* sql) noexcept;
  void require_execute(const char* sql);
  /// First column of the first row.
  [[nodiscard]] std::int64_t require_integer(std::string_view sql);
  [[nodiscard]] std::string require_text(std::string_view sql);

  [[nodiscard]] code open_blob(blob_handle& into, const char* table, const char* column,
                               std::int64_t row);

  [[nodiscard]] bool in_transaction() const;
  [[nodiscard]] std::string last_message() const;

  /// With `false` the last connection leaves the write-ahead log as it is when it closes.
  void checkpoint_on_close(bool wanted);

  struct checkpoint_result {
    code result = code::ok;
    int frames = 0;        // in the log
    int frames_moved = 0;  // of these, already in the database
  };
  [[nodiscard]] checkpoint_result checkpoint_passive();

  /// Calls `hook(context, frames)` after each commit that wrote to the log.
  using log_hook = int (*)(void* context, sqlite3*, const char* schema, int frames);
  void on_log_growth(log_hook hook, void* context);

 private:
  struct closer {
    void operator()(sqlite3* db) const noexcept;
  };
  std::unique_ptr<sqlite3, closer> handle_;
};

}  // namespace whimbrel::storage::sqlite
