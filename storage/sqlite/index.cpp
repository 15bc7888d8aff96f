// SPDX-License-Identifier: Apache-2.0
#include "storage/sqlite/index.hpp"

#include <algorithm>
#include <limits>

#include "storage/check.hpp"

namespace whimbrel::storage::sqlite {
namespace {

constexpr std::uint32_t small_count = 64;
constexpr std::uint32_t small_octets = 64 * 1024;
constexpr std::uint32_t sparse_divisor = 4;  // live * 4 <= count: three quarters have gone

std::uint64_t key_of(queue_id q) { return static_cast<std::uint64_t>(q); }

std::uint32_t count_settled(const group& g) {
  return g.marks ? g.marks->settled.count(0, g.count) : 0;
}

}  // namespace

bool live_index::is_small(const group& g) {
  return g.live > 0 && g.count <= small_count && g.octets <= small_octets;
}

bool live_index::is_sparse(const group& g) {
  return g.live > 0 && !is_small(g) && g.live <= g.count / sparse_divisor;
}

std::uint64_t live_index::settle(queue_id queue, sequence first, sequence last) {
  const auto found = queues_.find(key_of(queue));
  if (found == queues_.end()) return 0;
  run_list& runs = found->second;
  std::uint64_t total = 0;
  std::size_t died = 0;
  for (std::size_t i = runs.find(first); i < runs.size() && runs[i].first <= last; ++i) {
    run& r = runs[i];
    if (r.live == 0) continue;
    const sequence from = std::max(first, r.first);
    const auto n = static_cast<std::uint32_t>(std::min(last, r.last()) - from + 1);
    const auto offset = static_cast<std::uint32_t>(from - r.first);
    const std::uint32_t fresh = settle_in(r.slot, r.position + offset, n);
    r.live -= fresh;
    total += fresh;
    if (r.live == 0) ++died;
  }
  runs.sweep(died);
  return total;
}

std::uint64_t live_index::drop(queue_id queue) {
  const std::uint64_t gone = settle(queue, 0, std::numeric_limits<sequence>::max());
  queues_.erase(key_of(queue));
  return gone;
}

/// The common case needs no bitmap: a group that is settled as a whole.
std::uint32_t live_index::settle_in(std::uint32_t slot, std::uint32_t position, std::uint32_t n) {
  group& g = groups_[slot];
  if (g.large) release_large(g, position, n);
  const std::uint32_t fresh = n == g.count ? g.live : marks_of(g).settled.set(position, n);
  if (fresh == 0) return 0;
  touch(slot);
  set_live(g, g.live - fresh);
  if (g.live == 0) {
    g.marks.reset();
    g.large.reset();
  } else if (!g.marks->recounts.empty()) {
    std::erase_if(g.marks->recounts,
                  [&](const auto& r) { return r.first >= position && r.first - position < n; });
  }
  return fresh;
}

void live_index::release_large(group& g, std::uint32_t position, std::uint32_t n) {
  for (const auto& [at, body] : *g.large) {
    if (at < position || at - position >= n) continue;
    if (!g.marks || !g.marks->settled.test(at)) release(body);
  }
}

void live_index::release(body_id body) {
  const auto count = references_.find(static_cast<std::uint64_t>(body));
  check(count != references_.end(), "a chunked body is released as often as it is referred to");
  if (--count->second > 0) return;
  references_.erase(count);
  freed_bodies_.push_back(body);
}

std::optional<place> live_index::find(entry_key key) const {
  const auto found = queues_.find(key_of(key.queue));
  if (found == queues_.end()) return std::nullopt;
  const run_list& runs = found->second;
  const std::size_t i = runs.find(key.at);
  if (i == runs.size() || runs[i].live == 0 || runs[i].first > key.at) return std::nullopt;
  const place where{runs[i].slot,
                    runs[i].position + static_cast<std::uint32_t>(key.at - runs[i].first)};
  const group& g = groups_[where.slot];
  if (g.marks && g.marks->settled.test(where.position)) return std::nullopt;
  return where;
}

void live_index::recount(place where, std::uint32_t delivery_count) {
  recount_list& list = marks_of(groups_[where.slot]).recounts;
  const auto at = std::lower_bound(
      list.begin(), list.end(), where.position,
      [](const auto& known, std::uint32_t position) { return known.first < position; });
  if (at != list.end() && at->first == where.position) {
    at->second = delivery_count;
  } else {
    list.insert(at, {where.position, delivery_count});
  }
  touch(where.slot);
}

body_id live_index::large_at(place where) const {
  const group& g = groups_[where.slot];
  if (!g.large) return body_id{};
  for (const auto& [at, body] : *g.large) {
    if (at == where.position) return body;
  }
  return body_id{};
}

void live_index::forget_changes() {
  for (const std::uint32_t slot : dirty_) {
    group& g = groups_[slot];
    g.dirty = false;
    if (g.live == 0) free_slot(slot);
  }
  dirty_.clear();
  freed_bodies_.clear();
}

void live_index::add(new_group g) {
  const std::uint32_t slot = add_slot(g);
  const group_marks* const marks = groups_[slot].marks.get();
  std::uint32_t position = 0;
  for (const stored_run& r : g.runs) {
    const std::uint32_t gone =
        marks != nullptr ? marks->settled.count(position, position + r.count) : 0;
    if (const std::uint32_t live = r.count - gone; live > 0) {
      queues_[r.queue].add({r.first, r.count, live, slot, position});
    }
    position += r.count;
  }
}

void live_index::relocate(std::span<const std::uint32_t> slots, std::vector<new_group> groups) {
  check(dirty_.empty(), "groups are moved between commits");
  for (const std::uint32_t slot : slots) set_live(groups_[slot], 0);

  boost::unordered_flat_map<std::uint64_t, std::vector<run>> moved;
  for (new_group& g : groups) {
    const std::uint32_t slot = add_slot(g);
    std::uint32_t position = 0;
    for (const stored_run& r : g.runs) {
      moved[r.queue].push_back({r.first, r.count, r.count, slot, position});
      position += r.count;
    }
  }
  for (auto& [queue, runs] : moved) {
    std::sort(runs.begin(), runs.end(),
              [](const run& a, const run& b) { return a.first < b.first; });
    queues_[queue].replace([&](const run& r) { return groups_[r.slot].live == 0; }, runs);
  }
  for (const std::uint32_t slot : slots) free_slot(slot);
}

void live_index::locate(queue_id queue, sequence from, std::uint32_t count_max,
                        std::vector<live_span>& into) const {
  into.clear();
  const auto found = queues_.find(key_of(queue));
  if (found == queues_.end()) return;
  const run_list& runs = found->second;
  std::uint32_t taken = 0;
  for (std::size_t i = runs.find(from); i < runs.size() && taken < count_max; ++i) {
    const run& r = runs[i];
    if (r.live == 0) continue;
    const group& g = groups_[r.slot];
    const std::uint32_t end = r.position + r.count;
    auto at = r.position + static_cast<std::uint32_t>(std::max(from, r.first) - r.first);
    while (at < end && taken < count_max) {
      if (g.marks) at = g.marks->settled.next(at, end, false);
      const std::uint32_t stop = g.marks ? g.marks->settled.next(at, end, true) : end;
      if (stop > at) into.push_back({g.id, r.first + (at - r.position), at, stop - at});
      taken += stop - at;
      at = stop;
    }
  }
}

void live_index::set_live(group& g, std::uint32_t live) {
  count_as_candidate(g, false);
  g.live = live;
  count_as_candidate(g, true);
}

void live_index::count_as_candidate(const group& g, bool in) {
  if (is_small(g)) small_groups_ = in ? small_groups_ + 1 : small_groups_ - 1;
  if (is_sparse(g)) sparse_octets_ = in ? sparse_octets_ + g.octets : sparse_octets_ - g.octets;
}

void live_index::touch(std::uint32_t slot) {
  if (std::exchange(groups_[slot].dirty, true)) return;
  dirty_.push_back(slot);
}

group_marks& live_index::marks_of(group& g) {
  if (!g.marks) g.marks = std::make_unique<group_marks>(group_marks{settled_bits(g.count), {}});
  return *g.marks;
}

std::uint32_t live_index::add_slot(new_group& g) {
  std::uint32_t slot = 0;
  if (free_slots_.empty()) {
    slot = static_cast<std::uint32_t>(groups_.size());
    groups_.emplace_back();
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  group& made = groups_[slot];
  made.id = g.id;
  for (const stored_run& r : g.runs) made.count += r.count;
  made.octets = g.body_octets + made.count * 16;
  made.marks = std::move(g.marks);
  if (!g.large.empty()) made.large = std::make_unique<large_list>(std::move(g.large));
  set_live(made, made.count - count_settled(made));
  return slot;
}

void live_index::free_slot(std::uint32_t slot) {
  groups_[slot] = group{};
  free_slots_.push_back(slot);
}

}  // namespace whimbrel::storage::sqlite
