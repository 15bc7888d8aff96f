// SPDX-License-Identifier: Apache-2.0
// Which connections each container has, for those that want to be its only one. [soleconn CS01]
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "broker/core/ids.hpp"

namespace whimbrel::broker::core {

class shard;

/// What a connection wants to become of others of its container, before it and after.
enum class sole_policy : std::uint8_t {
  none,            // there may be several, unless another one says otherwise
  refuse,          // it is refused, or who comes later is
  close_existing,  // who was there before is closed, and so is it when somebody comes later
};

/// Kept on worker 0, asked from any. Detection is strong: every connection counts, also one that
/// has not asked to be the only one. A refusal by one that is there goes before all else; two that
/// do not mind each other live side by side.
class containers {
 public:
  struct member {
    std::uint64_t connection = 0;
    sole_policy policy = sole_policy::none;
    std::function<void()> close = {};              // on its worker: make room for another one
    std::function<void(bool admitted)> then = {};  // on its worker
  };

  void enter(shard& from, std::string name, member who);
  /// The connection goes; one that was refused or closed to make room is unknown already.
  void leave(shard& from, std::string name, std::uint64_t connection);

  /// Containers with connections. On worker 0.
  [[nodiscard]] std::size_t size() const { return by_name_.size(); }

 private:
  struct present {
    std::uint64_t connection = 0;
    sole_policy policy = sole_policy::none;
    worker_id worker{};
    std::function<void()> close = {};
  };
  enum class verdict : std::uint8_t { admit, refuse, replace };

  [[nodiscard]] static verdict judge(const std::vector<present>& there, sole_policy comes);
  [[nodiscard]] bool admit(shard& home, const std::string& name, worker_id worker, member& who);

  std::unordered_map<std::string, std::vector<present>> by_name_ = {};
};

}  // namespace whimbrel::broker::core
