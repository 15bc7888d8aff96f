// SPDX-License-Identifier: Apache-2.0
#include "tests/support/recording_vfs.hpp"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <random>
#include <stdexcept>
#include <utility>

#include <sqlite3.h>

namespace whimbrel::tests {
namespace {

constexpr std::size_t sector = 512;

using contents = std::vector<std::byte>;

/// One change that no sync has covered yet: a write, or a truncation to `write.offset`.
struct change {
  vfs_write write;
  bool is_truncation = false;
};

void replay(const change& c, contents& to) {
  if (c.is_truncation) {
    to.resize(std::min<std::size_t>(to.size(), c.write.offset));
    return;
  }
  const std::size_t end = c.write.offset + c.write.octets.size();
  if (to.size() < end) to.resize(end);
  std::copy(c.write.octets.begin(), c.write.octets.end(),
            to.begin() + static_cast<std::ptrdiff_t>(c.write.offset));
}

void replay_sectors(const change& c, contents& to, std::mt19937_64& random) {
  if (c.is_truncation) {
    if (random() % 2 == 0) replay(c, to);
    return;
  }
  for (std::size_t at = 0; at < c.write.octets.size(); at += sector) {
    if (random() % 2 == 0) continue;
    const std::size_t n = std::min(sector, c.write.octets.size() - at);
    const auto from = c.write.octets.begin() + static_cast<std::ptrdiff_t>(at);
    replay({{0, c.write.offset + at, {from, from + static_cast<std::ptrdiff_t>(n)}}, false}, to);
  }
}

struct recorded_file {
  contents synced;
  std::vector<change> unsynced;
};

struct armed_fault {
  vfs_fault what;
  std::uint64_t seen = 0;
  std::uint64_t hit = 0;
};

vfs_file kind_of(std::string_view name) {
  if (name.ends_with("-wal")) return vfs_file::log;
  if (name.ends_with("-journal")) return vfs_file::other;
  return vfs_file::database;
}

std::string last_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

struct recording_vfs::state {
  std::string name;
  sqlite3_vfs* base = nullptr;
  sqlite3_vfs vfs{};

  mutable std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, recorded_file> files;  // by full path
  std::vector<vfs_event> events;
  std::vector<armed_fault> faults;
  std::uint64_t faults_hit = 0;
  std::uint64_t log_size_max = 0;
  bool is_holding = false;
  bool has_held = false;
  log_sync_hook hook;

  std::uint64_t note(vfs_call call, vfs_file file, std::uint64_t offset, std::size_t octets) {
    events.push_back({events.size() + 1, call, file, offset, octets});
    return events.size();
  }

  /// The effect on this call, if a fault acts.
  const vfs_effect* draw(vfs_call call, vfs_file file) {
    for (armed_fault& f : faults) {
      if (f.what.call != call) continue;
      if (f.what.file != vfs_file::any && f.what.file != file) continue;
      if (f.seen++ < f.what.after || f.hit >= f.what.times) continue;
      ++f.hit;
      ++faults_hit;
      return &f.what.effect;
    }
    return nullptr;
  }
};

namespace {

using state = recording_vfs::state;

/// SQLite allocates it; the base VFS's own file object follows behind it.
struct watched_file {
  sqlite3_file head;
  state* owner;
  std::string* path;  // null: passed through unrecorded
  vfs_file kind;
  sqlite3_file* base;
};

watched_file& watched(sqlite3_file* f) { return *reinterpret_cast<watched_file*>(f); }
sqlite3_file* base_of(sqlite3_file* f) { return watched(f).base; }

int close_file(sqlite3_file* f) {
  watched_file& w = watched(f);
  delete w.path;
  return w.base->pMethods != nullptr ? w.base->pMethods->xClose(w.base) : SQLITE_OK;
}

int read_file(sqlite3_file* f, void* into, int n, sqlite3_int64 offset) {
  return base_of(f)->pMethods->xRead(base_of(f), into, n, offset);
}

int write_through(watched_file& w, std::span<const std::byte> octets, std::uint64_t offset) {
  const int result = w.base->pMethods->xWrite(
      w.base, octets.data(), static_cast<int>(octets.size()), static_cast<sqlite3_int64>(offset));
  if (result != SQLITE_OK || w.path == nullptr) return result;
  const std::lock_guard lock(w.owner->mutex);
  const std::uint64_t number = w.owner->note(vfs_call::write, w.kind, offset, octets.size());
  w.owner->files[*w.path].unsynced.push_back(
      {{number, offset, {octets.begin(), octets.end()}}, false});
  if (w.kind == vfs_file::log) {
    w.owner->log_size_max = std::max(w.owner->log_size_max, offset + octets.size());
  }
  return SQLITE_OK;
}

int write_file(sqlite3_file* f, const void* from, int n, sqlite3_int64 offset) {
  watched_file& w = watched(f);
  std::span octets(static_cast<const std::byte*>(from), static_cast<std::size_t>(n));
  const vfs_effect* effect = nullptr;
  if (w.path != nullptr) {
    const std::lock_guard lock(w.owner->mutex);
    effect = w.owner->draw(vfs_call::write, w.kind);
  }
  if (effect == nullptr) return write_through(w, octets, static_cast<std::uint64_t>(offset));
  switch (*effect) {
    case vfs_effect::full:
      return SQLITE_FULL;
    case vfs_effect::skipped:
      return SQLITE_OK;
    case vfs_effect::io_error:
      return SQLITE_IOERR_WRITE;
    case vfs_effect::short_write:
      break;
  }
  const int half =
      write_through(w, octets.first(octets.size() / 2), static_cast<std::uint64_t>(offset));
  return half == SQLITE_OK ? SQLITE_IOERR_WRITE : half;
}

int truncate_file(sqlite3_file* f, sqlite3_int64 size) {
  watched_file& w = watched(f);
  if (w.path != nullptr) {
    const std::lock_guard lock(w.owner->mutex);
    const vfs_effect* const effect = w.owner->draw(vfs_call::truncate, w.kind);
    if (effect != nullptr) {
      return *effect == vfs_effect::skipped ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
    }
  }
  const int result = w.base->pMethods->xTruncate(w.base, size);
  if (result == SQLITE_OK && w.path != nullptr) {
    const std::lock_guard lock(w.owner->mutex);
    const auto to = static_cast<std::uint64_t>(size);
    const std::uint64_t number = w.owner->note(vfs_call::truncate, w.kind, to, 0);
    w.owner->files[*w.path].unsynced.push_back({{number, to, {}}, true});
  }
  return result;
}

/// Moves what is unsynced to what is synced; returns the writes among it.
std::vector<vfs_write> cover(recorded_file& file) {
  std::vector<vfs_write> covered;
  for (change& c : file.unsynced) {
    replay(c, file.synced);
    if (!c.is_truncation) covered.push_back(std::move(c.write));
  }
  file.unsynced.clear();
  return covered;
}

int sync_file(sqlite3_file* f, int flags) {
  watched_file& w = watched(f);
  if (w.path == nullptr) return w.base->pMethods->xSync(w.base, flags);
  {
    std::unique_lock lock(w.owner->mutex);
    if (w.kind == vfs_file::log && w.owner->is_holding) {
      w.owner->has_held = true;
      w.owner->changed.notify_all();
      w.owner->changed.wait(lock, [&] { return !w.owner->is_holding; });
    }
    const vfs_effect* const effect = w.owner->draw(vfs_call::sync, w.kind);
    if (effect != nullptr) {
      return *effect == vfs_effect::skipped ? SQLITE_OK : SQLITE_IOERR_FSYNC;
    }
  }
  const int result = w.base->pMethods->xSync(w.base, flags);
  if (result != SQLITE_OK) return result;
  std::unique_lock lock(w.owner->mutex);
  const std::uint64_t number = w.owner->note(vfs_call::sync, w.kind, 0, 0);
  const auto covered = cover(w.owner->files[*w.path]);
  lock.unlock();
  if (w.kind == vfs_file::log && w.owner->hook) w.owner->hook(number, covered);
  return SQLITE_OK;
}

int file_size(sqlite3_file* f, sqlite3_int64* size) {
  return base_of(f)->pMethods->xFileSize(base_of(f), size);
}
int lock_file(sqlite3_file* f, int level) { return base_of(f)->pMethods->xLock(base_of(f), level); }
int unlock_file(sqlite3_file* f, int level) {
  return base_of(f)->pMethods->xUnlock(base_of(f), level);
}
int check_reserved_lock(sqlite3_file* f, int* out) {
  return base_of(f)->pMethods->xCheckReservedLock(base_of(f), out);
}
int file_control(sqlite3_file* f, int what, void* argument) {
  return base_of(f)->pMethods->xFileControl(base_of(f), what, argument);
}
int sector_size(sqlite3_file* f) { return base_of(f)->pMethods->xSectorSize(base_of(f)); }
int device_characteristics(sqlite3_file* f) {
  return base_of(f)->pMethods->xDeviceCharacteristics(base_of(f));
}
int shm_map(sqlite3_file* f, int page, int size, int extend, void volatile** out) {
  return base_of(f)->pMethods->xShmMap(base_of(f), page, size, extend, out);
}
int shm_lock(sqlite3_file* f, int offset, int n, int flags) {
  return base_of(f)->pMethods->xShmLock(base_of(f), offset, n, flags);
}
void shm_barrier(sqlite3_file* f) { base_of(f)->pMethods->xShmBarrier(base_of(f)); }
int shm_unmap(sqlite3_file* f, int remove) {
  return base_of(f)->pMethods->xShmUnmap(base_of(f), remove);
}

/// Version 2: without the memory-mapped reads of version 3, which would go past us.
const sqlite3_io_methods methods = {
    2,
    close_file,
    read_file,
    write_file,
    truncate_file,
    sync_file,
    file_size,
    lock_file,
    unlock_file,
    check_reserved_lock,
    file_control,
    sector_size,
    device_characteristics,
    shm_map,
    shm_lock,
    shm_barrier,
    shm_unmap,
    nullptr,
    nullptr,
};

state& state_of(sqlite3_vfs* vfs) { return *static_cast<state*>(vfs->pAppData); }

int open_file(sqlite3_vfs* vfs, const char* name, sqlite3_file* f, int flags, int* out_flags) {
  state& s = state_of(vfs);
  watched_file& w = watched(f);
  w = {};
  w.owner = &s;
  w.base = reinterpret_cast<sqlite3_file*>(reinterpret_cast<std::byte*>(f) + sizeof(watched_file));
  const int result = s.base->xOpen(s.base, name, w.base, flags, out_flags);
  if (result != SQLITE_OK) return result;
  f->pMethods = &methods;
  if (name == nullptr) return SQLITE_OK;
  w.path = new std::string(name);
  w.kind = kind_of(*w.path);
  const std::lock_guard lock(s.mutex);
  if (s.files.contains(*w.path)) return SQLITE_OK;
  // What was there before we looked counts as synced.
  recorded_file& file = s.files[*w.path];
  sqlite3_int64 size = 0;
  if (w.base->pMethods->xFileSize(w.base, &size) == SQLITE_OK && size > 0) {
    file.synced.resize(static_cast<std::size_t>(size));
    w.base->pMethods->xRead(w.base, file.synced.data(), static_cast<int>(size), 0);
  }
  return SQLITE_OK;
}

int delete_file(sqlite3_vfs* vfs, const char* name, int sync_directory) {
  state& s = state_of(vfs);
  const int result = s.base->xDelete(s.base, name, sync_directory);
  const std::lock_guard lock(s.mutex);
  if (result == SQLITE_OK) s.files.erase(name);
  return result;
}

int access_file(sqlite3_vfs* vfs, const char* name, int flags, int* out) {
  sqlite3_vfs* const base = state_of(vfs).base;
  return base->xAccess(base, name, flags, out);
}
int full_pathname(sqlite3_vfs* vfs, const char* name, int n, char* out) {
  sqlite3_vfs* const base = state_of(vfs).base;
  return base->xFullPathname(base, name, n, out);
}
int randomness(sqlite3_vfs* vfs, int n, char* out) {
  sqlite3_vfs* const base = state_of(vfs).base;
  return base->xRandomness(base, n, out);
}
int sleep_micros(sqlite3_vfs* vfs, int micros) {
  sqlite3_vfs* const base = state_of(vfs).base;
  return base->xSleep(base, micros);
}
int current_time(sqlite3_vfs* vfs, double* out) {
  sqlite3_vfs* const base = state_of(vfs).base;
  return base->xCurrentTime(base, out);
}
int last_error(sqlite3_vfs* vfs, int n, char* out) {
  sqlite3_vfs* const base = state_of(vfs).base;
  return base->xGetLastError(base, n, out);
}

}  // namespace

recording_vfs::recording_vfs(std::string name) : state_(std::make_unique<state>()) {
  state_->name = std::move(name);
  state_->base = sqlite3_vfs_find(nullptr);
  if (state_->base == nullptr) throw std::runtime_error("SQLite has no default VFS");
  sqlite3_vfs& v = state_->vfs;
  v.iVersion = 1;
  v.szOsFile = static_cast<int>(sizeof(watched_file)) + state_->base->szOsFile;
  v.mxPathname = state_->base->mxPathname;
  v.zName = state_->name.c_str();
  v.pAppData = state_.get();
  v.xOpen = open_file;
  v.xDelete = delete_file;
  v.xAccess = access_file;
  v.xFullPathname = full_pathname;
  v.xRandomness = randomness;
  v.xSleep = sleep_micros;
  v.xCurrentTime = current_time;
  v.xGetLastError = last_error;
  sqlite3_vfs_register(&v, 0);
}

recording_vfs::~recording_vfs() { sqlite3_vfs_unregister(&state_->vfs); }

const std::string& recording_vfs::name() const { return state_->name; }

void recording_vfs::fail(vfs_fault fault) {
  const std::lock_guard lock(state_->mutex);
  state_->faults.push_back({fault, 0, 0});
}

void recording_vfs::heal() {
  const std::lock_guard lock(state_->mutex);
  state_->faults.clear();
}

std::uint64_t recording_vfs::faults_hit() const {
  const std::lock_guard lock(state_->mutex);
  return state_->faults_hit;
}

void recording_vfs::hold_syncs() {
  const std::lock_guard lock(state_->mutex);
  state_->is_holding = true;
  state_->has_held = false;
}

void recording_vfs::wait_for_held_sync() {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [&] { return state_->has_held; });
}

void recording_vfs::release_syncs() {
  const std::lock_guard lock(state_->mutex);
  state_->is_holding = false;
  state_->changed.notify_all();
}

void recording_vfs::on_log_sync(log_sync_hook hook) {
  const std::lock_guard lock(state_->mutex);
  state_->hook = std::move(hook);
}

std::vector<vfs_event> recording_vfs::events() const {
  const std::lock_guard lock(state_->mutex);
  return state_->events;
}

std::uint64_t recording_vfs::count(vfs_call call, vfs_file file) const {
  const std::lock_guard lock(state_->mutex);
  return static_cast<std::uint64_t>(
      std::count_if(state_->events.begin(), state_->events.end(), [&](const vfs_event& e) {
        return e.call == call && (file == vfs_file::any || e.file == file);
      }));
}

std::uint64_t recording_vfs::log_size_max() const {
  const std::lock_guard lock(state_->mutex);
  return state_->log_size_max;
}

void recording_vfs::materialise(const std::string& directory, vfs_unsynced unsynced,
                                std::uint64_t seed) const {
  std::mt19937_64 random(seed);
  const std::lock_guard lock(state_->mutex);
  for (const auto& [path, file] : state_->files) {
    contents left = file.synced;
    std::size_t survivors = unsynced == vfs_unsynced::kept ? file.unsynced.size() : 0;
    if (unsynced == vfs_unsynced::prefix) survivors = random() % (file.unsynced.size() + 1);
    for (std::size_t i = 0; i < file.unsynced.size(); ++i) {
      const bool is_torn = unsynced == vfs_unsynced::prefix && i + 1 == survivors;
      if (unsynced == vfs_unsynced::part || is_torn) {
        replay_sectors(file.unsynced[i], left, random);
      } else if (i < survivors) {
        replay(file.unsynced[i], left);
      }
    }
    std::ofstream out(directory + "/" + last_name(path), std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(left.data()),
              static_cast<std::streamsize>(left.size()));
    if (!out.flush()) throw std::runtime_error("cannot write into " + directory);
  }
}

}  // namespace whimbrel::tests
