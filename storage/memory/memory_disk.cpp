// SPDX-License-Identifier: Apache-2.0
// How a batch changes what is durable: the plainest possible reading of the contract.
#include <algorithm>
#include <unordered_map>

#include "storage/check.hpp"
#include "storage/memory/memory_store.hpp"

namespace whimbrel::storage {

std::map<queue_id, std::size_t> memory_disk::counts() const {
  std::map<queue_id, std::size_t> out;
  for (const auto& [id, messages] : queues_) {
    if (!messages.empty()) out[id] = messages.size();
  }
  return out;
}

std::uint64_t memory_disk::apply(const batch& changes) {
  for (const record& r : changes.records) {
    if (r.value) {
      records_[{r.kind, r.key}] = make_blob(r.value->octets());
    } else {
      records_.erase({r.kind, r.key});
    }
  }
  for (const chunk& c : changes.chunks) chunks_[c.body][c.offset] = make_blob(c.octets->octets());

  std::unordered_map<const blob*, blob_ptr> copies;  // one stored copy of a shared body
  for (const put& p : changes.puts) {
    blob_ptr copy;
    if (p.body) {
      auto& known = copies[p.body.get()];
      if (!known) known = make_blob(p.body->octets());
      copy = known;
    }
    apply_put(p, std::move(copy));
  }
  for (const move& m : changes.moves) apply_move(m);
  for (const recount& r : changes.recounts) {
    const auto q = queues_.find(r.key.queue);
    if (q == queues_.end()) continue;
    const auto at = q->second.find(r.key.at);
    if (at != q->second.end()) at->second.delivery_count = r.delivery_count;
  }
  std::uint64_t gone = 0;
  for (const settle& s : changes.settles) gone += erase(s.queue, s.first, s.last);
  for (const queue_id q : changes.dropped_queues) gone += erase(q, 0, ~sequence{0});
  return gone;
}

void memory_disk::apply_put(const put& p, blob_ptr body) {
  if (p.large != body_id{}) ++references_[p.large];
  const bool fresh = queues_[p.key.queue]
                         .try_emplace(p.key.at, message{std::move(body), p.large, p.flags,
                                                        p.delivery_count, p.expires_ms})
                         .second;
  check(fresh, "a sequence is given to one message only");
}

void memory_disk::apply_move(const move& m) {
  const auto q = queues_.find(m.from.queue);
  if (q == queues_.end()) return;
  const auto node = q->second.extract(m.from.at);
  if (node.empty()) return;
  if (q->second.empty()) queues_.erase(q);
  const message& old = node.mapped();
  const bool fresh = queues_[m.to.queue]
                         .try_emplace(m.to.at, message{old.body, old.large, m.flags,
                                                       m.delivery_count, m.expires_ms})
                         .second;
  check(fresh, "a sequence is given to one message only");
}

std::uint64_t memory_disk::erase(queue_id id, sequence first, sequence last) {
  const auto q = queues_.find(id);
  if (q == queues_.end() || first > last) return 0;
  const auto from = q->second.lower_bound(first);
  const auto to = q->second.upper_bound(last);
  std::uint64_t gone = 0;
  for (auto at = from; at != to; ++at, ++gone) release(at->second);
  q->second.erase(from, to);
  if (q->second.empty()) queues_.erase(q);
  return gone;
}

void memory_disk::release(const message& m) {
  if (m.large == body_id{}) return;
  const auto count = references_.find(m.large);
  if (--count->second > 0) return;
  references_.erase(count);
  chunks_.erase(m.large);
}

void memory_disk::remove_orphans() {
  std::erase_if(chunks_, [&](const auto& body) { return !references_.contains(body.first); });
}

}  // namespace whimbrel::storage
