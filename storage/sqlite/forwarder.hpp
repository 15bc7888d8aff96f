// SPDX-License-Identifier: Apache-2.0
// Keeps the file and the index from filling up with leftovers: copies the survivors of sparse
// groups, and the members of many small ones, forward into new groups.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "storage/sqlite/committer.hpp"
#include "storage/sqlite/index.hpp"

namespace whimbrel::storage::sqlite {

/// Used by the writer's thread, between commits.
///
/// What it costs  A sparse group has lost three quarters: copying it writes at most a third of
///                what it frees. A small group is copied once, into one that is no longer small.
class forwarder {
 public:
  /// `moving` is held from before the commit that moves messages until the index says where they
  /// are, so that a reader never finds them in neither place.
  forwarder(live_index& index, committer& writer, std::mutex& moving)
      : index_(index), committer_(writer), moving_(moving) {}

  [[nodiscard]] bool is_wanted() const;

  /// One transaction. `stalled` leaves everything as it was.
  [[nodiscard]] verdict step();

 private:
  void choose();
  /// False when the group cannot be read; it then stays where it is.
  [[nodiscard]] bool gather(std::uint32_t slot);

  live_index& index_;
  committer& committer_;
  std::mutex& moving_;
  std::vector<std::uint32_t> slots_;
  std::vector<pending_put> puts_;
  bool is_blocked_ = false;  // a chosen group could not be read: stop trying in this process
};

}  // namespace whimbrel::storage::sqlite
