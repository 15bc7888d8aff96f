// SPDX-License-Identifier: Apache-2.0
// The directory and policies: which queue obeys which, how that is changed, kept and told.
#include <utility>

#include "broker/core/directory.hpp"

namespace whimbrel::broker::core {

directory::directory(directory_options options)
    : options_(std::move(options)), policies_(options_.glob) {}

/// Arguments of a version that knew more, or other ones, do not keep the queue from being there.
effective_policy directory::policy_of(const std::string& name, const node& n) const {
  queue_policy own;
  for (const auto& [key, mapped] : n.as.arguments) {
    const auto argument = key.text();
    if (argument) static_cast<void>(set_argument(own, *argument, mapped));
  }
  return policies_.of(name, own);
}

/// The file's go before what was stored; then all queues found so far obey. Once, in recovery.
void directory::install_policies() {
  if (std::exchange(has_policies_, true)) return;
  for (const named_policy& p : options_.policies) policies_.set(p);
  for (auto& [name, n] : nodes_) {
    queue* q = shards_[static_cast<std::size_t>(n.queue.worker)]->find(n.queue);
    if (q != nullptr) q->set_policy(policy_of(name, n).what);
  }
}

/// One in the making obeys as soon as it is made.
void directory::apply_policy(const std::string& name, node& n) {
  if (!n.queue) {
    n.obeys = 0;
    ++policy_changes_;
    return;
  }
  n.obeys = policy_changes_;
  shards_[0]->send_task(n.queue.worker, [ref = n.queue, to = policy_of(name, n).what](shard& home) {
    if (queue* q = home.find(ref)) q->set_policy(to);
  });
}

void directory::apply_policies(std::string_view pattern, std::string_view other_pattern) {
  ++policy_changes_;
  for (auto& [name, n] : nodes_) {
    if (!options_.glob) return;
    if (options_.glob(pattern, name) || options_.glob(other_pattern, name)) apply_policy(name, n);
  }
}

// --- administration --------------------------------------------------------------------------

void directory::set_policy(shard& from, named_policy which, std::function<void()> done) {
  const worker_id asker = from.self();
  from.send_task(worker_id{0}, [this, asker, which = std::move(which),
                                done = std::move(done)](shard& home) {
    std::string before = which.pattern;
    for (const named_policy& p : policies_.all()) {
      if (p.name == which.name) before = p.pattern;
    }
    policies_.set(which);
    apply_policies(which.pattern, before);
    home.commits().add({storage::record_kind::policy, which.name, encode_record(which)});
    home.commits().when_durable([&home, asker, done] {
      home.send_task(asker, [done](shard&) { done(); });
    });
  });
}

void directory::remove_policy(shard& from, std::string name, std::function<void(bool)> done) {
  const worker_id asker = from.self();
  from.send_task(worker_id{0}, [this, asker, name = std::move(name),
                                done = std::move(done)](shard& home) {
    std::optional<std::string> pattern;
    for (const named_policy& p : policies_.all()) {
      if (p.name == name) pattern = p.pattern;
    }
    if (!pattern) return home.send_task(asker, [done](shard&) { done(false); });
    policies_.remove(name);
    apply_policies(*pattern, *pattern);
    home.commits().add({storage::record_kind::policy, name, {}});
    home.commits().when_durable([&home, asker, done] {
      home.send_task(asker, [done](shard&) { done(true); });
    });
  });
}

void directory::read_policies(shard& from,
                              std::function<void(const std::vector<named_policy>&)> done) {
  const worker_id asker = from.self();
  from.send_task(worker_id{0}, [this, asker, done = std::move(done)](shard& home) {
    home.send_task(asker, [done, all = policies_.all()](shard&) { done(all); });
  });
}

void directory::read_policy_of(shard& from, std::string queue,
                               std::function<void(const std::optional<effective_policy>&)> done) {
  const worker_id asker = from.self();
  from.send_task(worker_id{0}, [this, asker, queue = std::move(queue),
                                done = std::move(done)](shard& home) {
    std::optional<effective_policy> found;
    const auto at = nodes_.find(queue);
    if (at != nodes_.end()) found = policy_of(queue, at->second);
    home.send_task(asker, [done, found](shard&) { done(found); });
  });
}

/// For dead letters: what is not there yet, or is being made, is not there.
void directory::find_queue(shard& from, const std::string& name,
                           std::function<void(const hit&)> done) {
  const worker_id asker = from.self();
  from.send_task(worker_id{0}, [this, asker, name, done = std::move(done)](shard& home) {
    hit found;
    const auto at = nodes_.find(name);
    if (at != nodes_.end() && at->second.ready) {
      found = {at->second.queue, at->second.id_is_stored()};
    }
    home.send_task(asker, [done, found](shard&) { done(found); });
  });
}

}  // namespace whimbrel::broker::core
