// SPDX-License-Identifier: Apache-2.0
// A data directory, held by one process at a time through a lock on DIRECTORY/whimbrel.lock.
#pragma once

#include <string>

namespace whimbrel::storage::sqlite {

/// Creates the directory (0750) if it is absent and holds its lock until destroyed. The lock is
/// the kernel's, so it goes with the process however that ends; the file stays, and names the
/// process that holds it. Throws system_error, naming directory and holder, when it is taken.
class data_directory {
 public:
  explicit data_directory(std::string path);
  ~data_directory();
  data_directory(const data_directory&) = delete;
  data_directory& operator=(const data_directory&) = delete;

  [[nodiscard]] std::string database_path() const { return path_ + "/whimbrel.db"; }

 private:
  void take_lock();

  std::string path_;
  int lock_ = -1;
};

}  // namespace whimbrel::storage::sqlite
