// SPDX-License-Identifier: Apache-2.0
// The passing of links' names.
#include "broker/core/link_names.hpp"

#include <algorithm>
#include <utility>

#include "broker/core/letter.hpp"
#include "broker/core/shard.hpp"

namespace whimbrel::broker::core {

namespace {
constexpr worker_id keeper{0};
}  // namespace

void link_names::take(shard& from, std::string name, link_ref link, std::function<void()> then) {
  from.send_task(keeper, [this, name = std::move(name), link,
                          then = std::move(then)](shard& home) { ask(home, name, {link, then}); });
}

void link_names::release(shard& from, link_ref link) {
  from.send_task(keeper, [this, link](shard&) { release_here(link); });
}

void link_names::ask(shard& home, const std::string& name, claim who) {
  by_link_[who.link] = name;
  const auto [at, is_new] = entries_.try_emplace(name);
  entry& e = at->second;
  e.line.push_back(std::move(who));
  if (is_new) return give(home, name);
  if (e.holder) steal(home, name, std::exchange(e.holder, {}));
}

void link_names::steal(shard& home, const std::string& name, link_ref from) {
  by_link_.erase(from);
  home.send_task(from.worker, [this, name, from](shard& there) {
    link_end* const old = there.find_link(from);
    const queue_ref queue = old == nullptr ? queue_ref{} : old->on_stolen();
    // By way of its queue's worker: behind what it has just sent there.
    const worker_id by = queue ? queue.worker : there.self();
    there.send_task(by, [this, name](shard& s) {
      s.send_task(keeper, [this, name](shard& here) { give(here, name); });
    });
  });
}

/// Nobody has it: it goes to the first in line.
void link_names::give(shard& home, const std::string& name) {
  const auto at = entries_.find(name);
  entry& e = at->second;
  if (e.line.empty()) {  // who wanted it has gone
    entries_.erase(at);
    return;
  }
  claim next = std::move(e.line.front());
  e.line.pop_front();
  if (!e.line.empty()) return steal(home, name, next.link);  // somebody came after it
  e.holder = next.link;
  home.send_task(next.link.worker, [next](shard& there) {
    if (there.find_link(next.link) != nullptr) next.then();
  });
}

void link_names::release_here(link_ref link) {
  const auto named = by_link_.find(link);
  if (named == by_link_.end()) return;
  const auto at = entries_.find(named->second);
  by_link_.erase(named);
  entry& e = at->second;
  std::erase_if(e.line, [link](const claim& c) { return c.link == link; });
  // While it is passing, `give` comes and sees.
  if (e.holder == link) entries_.erase(at);
}

}  // namespace whimbrel::broker::core
