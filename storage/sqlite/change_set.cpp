// SPDX-License-Identifier: Apache-2.0
#include "storage/sqlite/change_set.hpp"

#include <algorithm>
#include <limits>

namespace whimbrel::storage::sqlite {
namespace {

constexpr std::size_t queues_kept = 1024;  // beyond it the table of queues is built anew
constexpr sequence last_sequence = std::numeric_limits<sequence>::max();

}  // namespace

void change_set::absorb(waiting who, batch changes) {
  const auto lock = index_.lock();
  waiting_.push_back(who);
  for (record& r : changes.records) {
    octets_ += r.key.size() + (r.value ? r.value->size() : 0);
    records_.push_back(std::move(r));
  }
  for (chunk& c : changes.chunks) {
    octets_ += c.octets->size();
    chunks_.push_back(std::move(c));
  }
  for (put& p : changes.puts) {
    if (p.large != body_id{}) index_.refer(p.large);
    counts_.octets_put += p.body ? p.body->size() : 0;
    octets_ += p.body ? p.body->size() : 0;
    add({p.key, std::move(p.body), p.large, p.flags, p.delivery_count, p.expires_ms});
  }
  counts_.puts += changes.puts.size();
  for (const move& m : changes.moves) apply(m);
  for (const recount& r : changes.recounts) apply(r);
  for (const storage::settle& s : changes.settles) settle(s.queue, s.first, s.last);
  for (const queue_id q : changes.dropped_queues) drop(q);
}

void change_set::add(pending_put p) {
  queue_puts& q = by_queue_[static_cast<std::uint64_t>(p.key.queue)];
  if (!q.numbers.empty() && puts_[q.numbers.back()].key.at > p.key.at) q.ascending = false;
  q.numbers.push_back(static_cast<std::uint32_t>(puts_.size()));
  puts_.push_back(std::move(p));
  octets_ += sizeof(pending_put);
  ++live_puts_;
}

void change_set::apply(const move& m) {
  if (pending_put* const p = find(m.from); p != nullptr) {
    pending_put moved = *p;
    p->live = false;
    p->body.reset();
    --live_puts_;
    moved.moved = true;
    moved.key = m.to;
    moved.flags = m.flags;
    moved.delivery_count = m.delivery_count;
    moved.expires_ms = m.expires_ms;
    add(std::move(moved));
    return;
  }
  const auto from = index_.find(m.from);
  if (!from) return;
  pending_put moved{m.to, {}, index_.large_at(*from), m.flags, m.delivery_count, m.expires_ms};
  moved.moved = true;
  if (moved.large != body_id{}) {
    index_.refer(moved.large);  // before its old place gives its reference up
  } else {
    const group& g = index_.at(from->slot);
    moved.source = g.id;
    octets_ += g.octets / g.count;  // its own size is not known here
    moved.source_position = from->position;
  }
  add(std::move(moved));
  index_.settle(m.from.queue, m.from.at, m.from.at);
}

void change_set::apply(const recount& r) {
  if (pending_put* const p = find(r.key); p != nullptr) {
    p->delivery_count = r.delivery_count;
  } else if (const auto where = index_.find(r.key)) {
    index_.recount(*where, r.delivery_count);
  }
}

void change_set::settle(queue_id queue, sequence first, sequence last) {
  if (first > last) return;
  const std::uint64_t stored = index_.settle(queue, first, last);
  counts_.settled += stored;
  if (stored <= last - first) counts_.settled += remove_range(queue, first, last);
}

void change_set::drop(queue_id queue) {
  counts_.settled += index_.drop(queue);
  counts_.settled += remove_range(queue, 0, last_sequence);
}

std::uint64_t change_set::remove_range(queue_id queue, sequence first, sequence last) {
  queue_puts* const q = sorted(queue);
  if (q == nullptr) return 0;
  std::uint64_t gone = 0;
  for (auto n = first_at(*q, first); n != q->numbers.end() && puts_[*n].key.at <= last; ++n) {
    if (!puts_[*n].live) continue;
    remove(puts_[*n]);
    ++gone;
  }
  return gone;
}

void change_set::remove(pending_put& p) {
  p.live = false;
  p.body.reset();
  --live_puts_;
  if (!p.moved) ++counts_.puts_elided;
  if (p.large != body_id{}) index_.release(p.large);
}

bool change_set::withdraw(entry_key key) {
  const auto lock = index_.lock();
  pending_put* const p = find(key);
  if (p == nullptr || p->moved) return false;
  remove(*p);
  return true;
}

change_set::queue_puts* change_set::sorted(queue_id queue) {
  const auto found = by_queue_.find(static_cast<std::uint64_t>(queue));
  if (found == by_queue_.end() || found->second.numbers.empty()) return nullptr;
  queue_puts& q = found->second;
  if (!q.ascending) {
    std::stable_sort(q.numbers.begin(), q.numbers.end(), [&](std::uint32_t a, std::uint32_t b) {
      return puts_[a].key.at < puts_[b].key.at;
    });
    q.ascending = true;
  }
  return &q;
}

std::vector<std::uint32_t>::iterator change_set::first_at(queue_puts& q, sequence at) {
  return std::lower_bound(q.numbers.begin(), q.numbers.end(), at,
                          [&](std::uint32_t n, sequence s) { return puts_[n].key.at < s; });
}

pending_put* change_set::find(entry_key key) {
  queue_puts* const q = sorted(key.queue);
  if (q == nullptr) return nullptr;
  const auto n = first_at(*q, key.at);
  if (n == q->numbers.end() || puts_[*n].key.at != key.at || !puts_[*n].live) return nullptr;
  return &puts_[*n];
}

bool change_set::has_effect() const {
  return live_puts_ > 0 || !records_.empty() || !chunks_.empty() || !index_.dirty().empty() ||
         !index_.freed_bodies().empty();
}

void change_set::clear() {
  waiting_.clear();
  records_.clear();
  chunks_.clear();
  puts_.clear();
  if (by_queue_.size() > queues_kept) {
    by_queue_.clear();
  } else {
    for (auto& [queue, q] : by_queue_) {
      q.numbers.clear();
      q.ascending = true;
    }
  }
  live_puts_ = octets_ = 0;
  counts_ = {};
}

}  // namespace whimbrel::storage::sqlite
