// SPDX-License-Identifier: Apache-2.0
// The unsettled deliveries of one direction of a session, by delivery-id. [2.5, 2.7.6]
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "amqp/base/assert.hpp"

namespace whimbrel::amqp::engine {

/// Entries in the order of their ids, which only rise (and wrap). `Entry::owner` is null in an
/// entry that is not live.
///
///      stragglers          ring: id & mask
///     [7] [9] [40]      |x| |x|x| | |x|x|x|
///                        base_            end_
///
/// The ring holds a span of ids without gaps; a live entry that would make it more gaps than
/// deliveries moves to the stragglers, a sorted vector. So memory is proportional to what is live,
/// and so is the work of a walk, also when a peer leaves one delivery in ten thousand unsettled.
/// Adding, finding and erasing in the ring take constant time.
template <class Entry>
class delivery_map {
 public:
  [[nodiscard]] std::size_t size() const {
    return ring_live_ + stragglers_.size() - dead_stragglers_;
  }

  /// Adds the entry of `id`, which lies ahead of all ids added before.
  Entry& add(std::uint32_t id, const Entry& entry) {
    make_room(id);
    Entry& slot = ring_[id & mask()];
    slot = entry;
    end_ = id + 1;
    ++ring_live_;
    return slot;
  }

  /// Null if no such delivery is live.
  [[nodiscard]] Entry* find(std::uint32_t id) {
    if (id - base_ < end_ - base_) [[likely]] {
      Entry& slot = ring_[id & mask()];
      return slot.owner != nullptr ? &slot : nullptr;
    }
    const auto at = straggler(id);
    if (at == stragglers_.end() || at->first != id || at->second.owner == nullptr) return nullptr;
    return &at->second;
  }

  /// `id` is live.
  void erase(std::uint32_t id) {
    if (id - base_ < end_ - base_) [[likely]] {
      ring_[id & mask()].owner = nullptr;
      --ring_live_;
      skip_gaps();
    } else {
      straggler(id)->second.owner = nullptr;
      if (++dead_stragglers_ > stragglers_.size() / 2) drop_dead_stragglers();
    }
  }

  /// How many deliveries from `id` on, none left out and none after `last`, satisfy
  /// same(entry, place in the run). 0 if `id` is not in the ring.
  template <class Predicate>
  [[nodiscard]] std::uint32_t run(std::uint32_t id, std::uint32_t last, Predicate&& same) const {
    if (id - base_ >= end_ - base_) return 0;
    const std::uint32_t most = std::min(last - id, end_ - 1 - id) + 1;
    std::uint32_t n = 0;
    for (; n < most; ++n) {
      const Entry& slot = ring_[(id + n) & mask()];
      if (slot.owner == nullptr || !same(slot, n)) break;
    }
    return n;
  }

  /// Erases `n` deliveries from `id` on, as `run` has found them.
  void erase_run(std::uint32_t id, std::uint32_t n) {
    for (std::uint32_t i = 0; i < n; ++i) ring_[(id + i) & mask()].owner = nullptr;
    ring_live_ -= n;
    if (id == base_) base_ += n;
    skip_gaps();
  }

  /// The first live id of [first, last]; `last` is not before `first`.
  [[nodiscard]] std::optional<std::uint32_t> first_in(std::uint32_t first, std::uint32_t last) {
    if (!stragglers_.empty()) {
      for (auto at = straggler(first); at != stragglers_.end() && at->first - first <= last - first;
           ++at)
        if (at->second.owner != nullptr) return at->first;
    }
    if (ring_live_ == 0) return std::nullopt;
    const auto ahead = [&](std::uint32_t id) { return static_cast<std::int32_t>(id - base_); };
    const std::int32_t stop = std::min(ahead(last), ahead(end_) - 1);
    for (std::int32_t i = std::max(ahead(first), 0); i <= stop; ++i) {
      const std::uint32_t id = base_ + static_cast<std::uint32_t>(i);
      if (ring_[id & mask()].owner != nullptr) return id;
    }
    return std::nullopt;
  }

  /// Calls visit(id, entry) for each live one, oldest first; it must not add or erase.
  template <class Visitor>
  void each(Visitor&& visit) const {
    for (const auto& [id, entry] : stragglers_)
      if (entry.owner != nullptr) visit(id, entry);
    for (std::uint32_t id = base_; id != end_; ++id)
      if (ring_[id & mask()].owner != nullptr) visit(id, ring_[id & mask()]);
  }

  /// Erases each entry for which doomed(id, entry) holds.
  template <class Predicate>
  void erase_if(Predicate&& doomed) {
    std::erase_if(stragglers_, [&](const auto& item) {
      return item.second.owner == nullptr || doomed(item.first, item.second);
    });
    dead_stragglers_ = 0;
    for (std::uint32_t id = base_; id != end_; ++id) {
      Entry& slot = ring_[id & mask()];
      if (slot.owner == nullptr || !doomed(id, slot)) continue;
      slot.owner = nullptr;
      --ring_live_;
    }
    skip_gaps();
  }

  /// A walk met far more gaps than deliveries: makes the next one cheap.
  void compact_if_sparse() {
    if (end_ - base_ > 8 * ring_live_ + span_least) move_to_stragglers(end_);
  }

  /// Gives back what is not in use.
  void release_spare() {
    if (ring_live_ == 0) std::vector<Entry>().swap(ring_);
    if (stragglers_.empty()) stragglers_.shrink_to_fit();
  }

  /// Octets of memory held.
  [[nodiscard]] std::size_t memory() const {
    return ring_.capacity() * sizeof(Entry) + stragglers_.capacity() * sizeof(stragglers_[0]);
  }

 private:
  static constexpr std::uint32_t span_least = 16;

  [[nodiscard]] std::uint32_t mask() const { return static_cast<std::uint32_t>(ring_.size()) - 1; }
  [[nodiscard]] std::uint32_t span() const { return static_cast<std::uint32_t>(ring_.size()); }

  void make_room(std::uint32_t id) {
    if (ring_live_ == 0) base_ = end_ = id;
    if (id - base_ >= span()) [[unlikely]]
      make_space(id);
    for (; end_ != id; ++end_) ring_[end_ & mask()].owner = nullptr;  // ids that were left out
  }

  void make_space(std::uint32_t id) {
    const std::uint32_t needed = id - base_ + 1;
    if (span() == 0 || (needed <= 2 * span() && ring_live_ > span() / 2)) {
      grow();
      return;
    }
    move_to_stragglers(id + 1 - span());
  }

  void grow() {
    std::vector<Entry> grown(std::max(span_least, 2 * span()));
    const auto wider = static_cast<std::uint32_t>(grown.size()) - 1;
    for (std::uint32_t id = base_; id != end_; ++id) grown[id & wider] = ring_[id & mask()];
    ring_ = std::move(grown);
  }

  /// Everything live before `until` leaves the ring.
  void move_to_stragglers(std::uint32_t until) {
    while (base_ != end_ && static_cast<std::int32_t>(until - base_) > 0) {
      Entry& slot = ring_[base_ & mask()];
      if (slot.owner != nullptr) {
        stragglers_.emplace_back(base_, slot);
        slot.owner = nullptr;
        --ring_live_;
      }
      ++base_;
    }
    if (base_ == end_) base_ = end_ = until;
    skip_gaps();
  }

  void skip_gaps() {
    while (base_ != end_ && ring_[base_ & mask()].owner == nullptr) ++base_;
  }

  void drop_dead_stragglers() {
    std::erase_if(stragglers_, [](const auto& item) { return item.second.owner == nullptr; });
    dead_stragglers_ = 0;
  }

  /// The first straggler that is not before `id`. All lie behind `base_`, the oldest farthest.
  auto straggler(std::uint32_t id) {
    const std::uint32_t behind = base_ - id;
    if (static_cast<std::int32_t>(behind) < 0) return stragglers_.end();
    return std::partition_point(stragglers_.begin(), stragglers_.end(),
                                [&](const auto& item) { return base_ - item.first > behind; });
  }

  std::vector<Entry> ring_ = {};  // a power of two
  std::vector<std::pair<std::uint32_t, Entry>> stragglers_ = {};
  std::uint32_t base_ = 0;  // no live id of the ring is before it
  std::uint32_t end_ = 0;   // one past the newest
  std::size_t ring_live_ = 0;
  std::size_t dead_stragglers_ = 0;  // erased, not yet dropped
};

}  // namespace whimbrel::amqp::engine
