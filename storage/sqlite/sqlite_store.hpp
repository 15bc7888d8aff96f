// SPDX-License-Identifier: Apache-2.0
// The default store: one SQLite file in a data directory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "storage/store.hpp"

namespace whimbrel::storage {

struct sqlite_options {
  std::string directory = {};  // created if absent; holds whimbrel.db and whimbrel.lock
  std::string vfs = {};        // empty: SQLite's default

  std::uint64_t log_octets_checkpoint = 32 * 1024 * 1024;  // past it the log is emptied
  std::uint64_t log_octets_slow = 64 * 1024 * 1024;        // from it on: pressure::slow

  /// Damage and troubles, for the operator. Called on the store's threads and in recover().
  std::function<void(std::string_view)> log = {};
};

/// Opens the directory and the file, neither reads nor changes messages yet: recover() does.
/// Throws boost::system::system_error, with a message for the operator, when another process
/// holds the directory, when the file is not ours or of a newer format, or cannot be opened.
///
/// Threads  One writes, one reads. They meet callers at one mutex each, and one another at the
///          index's and at the one that is held while messages move between groups.
[[nodiscard]] std::unique_ptr<store> open_sqlite_store(sqlite_options options,
                                                       completion_sink& sink);

}  // namespace whimbrel::storage
