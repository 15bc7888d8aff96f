// SPDX-License-Identifier: Apache-2.0
// Who may come in beside whom.
#include "broker/core/containers.hpp"

#include <algorithm>
#include <utility>

#include "broker/core/shard.hpp"

namespace whimbrel::broker::core {

namespace {
constexpr worker_id keeper{0};
}  // namespace

void containers::enter(shard& from, std::string name, member who) {
  from.send_task(keeper, [this, name = std::move(name), who = std::move(who),
                          worker = from.self()](shard& home) mutable {
    const bool admitted = admit(home, name, worker, who);
    home.send_task(worker, [admitted, then = std::move(who.then)](shard&) { then(admitted); });
  });
}

void containers::leave(shard& from, std::string name, std::uint64_t connection) {
  from.send_task(keeper, [this, name = std::move(name), connection](shard&) {
    const auto at = by_name_.find(name);
    if (at == by_name_.end()) return;
    std::erase_if(at->second, [&](const present& p) { return p.connection == connection; });
    if (at->second.empty()) by_name_.erase(at);
  });
}

containers::verdict containers::judge(const std::vector<present>& there, sole_policy comes) {
  const auto any = [&](sole_policy policy) {
    return std::any_of(there.begin(), there.end(),
                       [policy](const present& p) { return p.policy == policy; });
  };
  if (there.empty()) return verdict::admit;
  if (any(sole_policy::refuse)) return verdict::refuse;
  if (any(sole_policy::close_existing) || comes == sole_policy::close_existing) {
    return verdict::replace;
  }
  return comes == sole_policy::refuse ? verdict::refuse : verdict::admit;
}

bool containers::admit(shard& home, const std::string& name, worker_id worker, member& who) {
  std::vector<present>& there = by_name_[name];
  const verdict what = judge(there, who.policy);
  if (what == verdict::refuse) return false;
  if (what == verdict::replace) {
    for (present& old : std::exchange(there, {})) {
      home.send_task(old.worker, [close = std::move(old.close)](shard&) { close(); });
    }
  }
  there.push_back({who.connection, who.policy, worker, std::move(who.close)});
  return true;
}

}  // namespace whimbrel::broker::core
