// SPDX-License-Identifier: Apache-2.0
#include "storage/sqlite/directory.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>

#include <boost/system/system_error.hpp>

namespace whimbrel::storage::sqlite {
namespace {

[[noreturn]] void throw_errno(int value, const std::string& doing) {
  throw boost::system::system_error(value, boost::system::generic_category(), doing);
}

/// A new name is durable only once the directory that holds it is synced.
void sync_directory(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) throw_errno(errno, "cannot open directory " + path.string());
  const int result = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  if (result != 0) throw_errno(error, "cannot sync directory " + path.string());
}

void create(const std::filesystem::path& path) {
  if (std::filesystem::is_directory(path)) return;
  const auto parent = std::filesystem::absolute(path).parent_path();
  if (!std::filesystem::exists(parent)) create(parent);
  if (::mkdir(path.c_str(), 0750) != 0 && errno != EEXIST) {
    throw_errno(errno, "cannot create data directory " + path.string());
  }
  sync_directory(parent);
}

std::string holder(int fd) {
  std::array<char, 32> text{};
  const auto n = ::pread(fd, text.data(), text.size() - 1, 0);
  std::string pid(text.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
  while (!pid.empty() && pid.back() == '\n') pid.pop_back();
  return pid.empty() ? "another process" : "process " + pid;
}

}  // namespace

data_directory::data_directory(std::string path) : path_(std::move(path)) {
  while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
  create(path_);
  take_lock();
}

void data_directory::take_lock() {
  const std::string name = path_ + "/whimbrel.lock";
  lock_ = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (lock_ < 0) throw_errno(errno, "cannot open " + name);
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    const std::string who = holder(lock_);
    ::close(lock_);
    if (error != EWOULDBLOCK) throw_errno(error, "cannot lock " + name);
    throw_errno(error, "data directory " + path_ + " is in use by " + who);
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock_, 0) != 0 ||
      ::pwrite(lock_, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    // A full disk must not keep the broker from starting to drain: the pid is only a courtesy.
  }
}

data_directory::~data_directory() { ::close(lock_); }

}  // namespace whimbrel::storage::sqlite
