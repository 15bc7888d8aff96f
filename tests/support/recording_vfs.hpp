// SPDX-License-Identifier: Apache-2.0
// A SQLite VFS between SQLite and the default one. It logs what is written and synced, knows what
// would be on the disk if power were lost now, and can make writes and syncs fail.
//
//   recording_vfs vfs("watched");                    // registered under that name
//   auto store = open_sqlite_store({.directory = dir, .vfs = vfs.name()}, sink);
//
// P1, no outcome before its sync: `on_log_sync` is called after each sync of the write-ahead log
// that succeeded, on the thread that synced, with the writes that it covered. A message that was
// in none of these writes, and is answered `durable`, was answered too early. Octets of one body
// can be split between writes (a page holds 16,380 octets of it): repeat a short mark in it.
//
// P3, loss of power: `materialise` writes into a directory what the disk would hold: what was
// synced, and of the rest nothing, all or a seeded part. Opening a store there recovers from it.
//
// P4, faults: `fail` arms one fault for the n-th matching call from now on and those after it.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct sqlite3_vfs;

namespace whimbrel::tests {

enum class vfs_file : std::uint8_t { database, log, other, any };
enum class vfs_call : std::uint8_t { write, sync, truncate };

enum class vfs_effect : std::uint8_t {
  full,         // SQLITE_FULL, nothing written
  io_error,     // SQLITE_IOERR_WRITE, _FSYNC or _TRUNCATE, nothing done
  short_write,  // half of the octets are written, then SQLITE_IOERR_WRITE
  skipped,      // reported as done, and not done: the lying disk
};

struct vfs_fault {
  vfs_call call = vfs_call::write;
  vfs_effect effect = vfs_effect::full;
  vfs_file file = vfs_file::any;
  std::uint64_t after = 0;  // so many matching calls still succeed
  std::uint64_t times = std::numeric_limits<std::uint64_t>::max();
};

struct vfs_event {
  std::uint64_t number = 0;  // counts every event of this VFS, from 1
  vfs_call call = vfs_call::write;
  vfs_file file = vfs_file::any;
  std::uint64_t offset = 0;  // of a write; the new size of a truncation
  std::size_t octets = 0;
};

struct vfs_write {
  std::uint64_t number = 0;
  std::uint64_t offset = 0;
  std::vector<std::byte> octets;
};

/// What becomes of writes that no sync has covered when power is lost.
enum class vfs_unsynced : std::uint8_t {
  lost,
  kept,
  part,    // each 512-octet sector of each write survives with probability one half, by seed
  prefix,  // a random number of the oldest writes survives, the last of them torn
};

/// Threads  Any thread may call any member. Destroy it after the last connection that uses it.
/// Limits   File names are told apart by their ends: `-wal` is the log, `-shm` is passed through
///          unrecorded, a name that ends in neither of these nor in `-journal` is the database.
///          Removing a file counts as durable at once. Everything written is also kept in memory.
class recording_vfs {
 public:
  explicit recording_vfs(std::string name);
  ~recording_vfs();
  recording_vfs(const recording_vfs&) = delete;
  recording_vfs& operator=(const recording_vfs&) = delete;

  [[nodiscard]] const std::string& name() const;

  /// Faults act together; the first that matches a call decides. heal() removes all.
  void fail(vfs_fault fault);
  void heal();
  /// How often a fault acted.
  [[nodiscard]] std::uint64_t faults_hit() const;

  /// Syncs of the log wait until release_syncs(); wait_for_held_sync() returns when one does.
  void hold_syncs();
  void wait_for_held_sync();
  void release_syncs();

  using log_sync_hook = std::function<void(std::uint64_t number, std::span<const vfs_write>)>;
  /// Not while a connection is at work. The hook must not call into this object.
  void on_log_sync(log_sync_hook hook);

  [[nodiscard]] std::vector<vfs_event> events() const;
  [[nodiscard]] std::uint64_t count(vfs_call call, vfs_file file) const;
  [[nodiscard]] std::uint64_t log_size_max() const;

  /// Writes the files into `directory`, which must exist, under their own last names.
  void materialise(const std::string& directory, vfs_unsynced unsynced = vfs_unsynced::lost,
                   std::uint64_t seed = 0) const;

  struct state;  // of the implementation

 private:
  std::unique_ptr<state> state_;
};

}  // namespace whimbrel::tests
