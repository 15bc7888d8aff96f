// SPDX-License-Identifier: Apache-2.0
// Whose link a name is, over all connections and workers: whoever attaches it again steals it.
// [2.6.1]
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <unordered_map>

#include "broker/core/ids.hpp"

namespace whimbrel::broker::core {

class shard;

/// Kept on worker 0, asked from any. A name passes from link to link by a chain of tasks, each
/// behind all that its worker has sent there before:
///
///     worker 0 ──steal──> old link's ──> its queue's ──moved──> worker 0 ──yours──> new link's
///
/// so the queue has back what the old link held before the new one can ask for anything. Others who
/// want the name meanwhile wait for their turn, and steal it then.
class link_names {
 public:
  /// `then` runs on the worker of `from` once `link` has the name, unless the link has gone.
  void take(shard& from, std::string name, link_ref link, std::function<void()> then);
  /// The link goes: it has no name any more, and wants none.
  void release(shard& from, link_ref link);

  /// Names in use. On worker 0.
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct claim {
    link_ref link{};
    std::function<void()> then = {};
  };
  struct entry {
    link_ref holder{};  // none: it is passing to the first in line
    std::deque<claim> line = {};
  };

  void ask(shard& home, const std::string& name, claim who);
  void steal(shard& home, const std::string& name, link_ref from);
  void give(shard& home, const std::string& name);
  void release_here(link_ref link);

  std::unordered_map<std::string, entry> entries_ = {};
  std::unordered_map<link_ref, std::string, slot_hash> by_link_ = {};
};

}  // namespace whimbrel::broker::core
