// SPDX-License-Identifier: Apache-2.0
#include "storage/sqlite/forwarder.hpp"

#include <algorithm>

namespace whimbrel::storage::sqlite {
namespace {

constexpr std::uint64_t sparse_octets_wanted = 8 * 1024 * 1024;
constexpr std::uint64_t small_groups_wanted = 4096;
constexpr std::size_t small_groups_taken = 2048;
constexpr std::uint64_t octets_read_max = 4 * 1024 * 1024;

std::uint64_t live_octets(const group& g) {
  return std::uint64_t{g.octets} * g.live / std::max(g.count, 1u);
}

}  // namespace

bool forwarder::is_wanted() const {
  return !is_blocked_ && (index_.sparse_octets() >= sparse_octets_wanted ||
                          index_.small_groups() >= small_groups_wanted);
}

verdict forwarder::step() {
  choose();
  puts_.clear();
  std::vector<group_id> old;
  std::erase_if(slots_, [&](std::uint32_t slot) { return !gather(slot); });
  for (const std::uint32_t slot : slots_) old.push_back(index_.at(slot).id);
  if (old.empty()) return verdict::durable;

  const std::lock_guard moving(moving_);
  const verdict result = committer_.forward(puts_, std::move(old));
  if (result == verdict::durable) {
    const auto lock = index_.lock();
    index_.relocate(slots_, committer_.take_built());
  }
  return result;
}

/// The oldest first, as many as one transaction may read.
void forwarder::choose() {
  const bool sparse = index_.sparse_octets() >= sparse_octets_wanted;
  slots_.clear();
  const auto groups = index_.groups();
  for (std::uint32_t slot = 0; slot < groups.size(); ++slot) {
    const group& g = groups[slot];
    if (sparse ? live_index::is_sparse(g) : live_index::is_small(g)) slots_.push_back(slot);
  }
  std::sort(slots_.begin(), slots_.end(),
            [&](std::uint32_t a, std::uint32_t b) { return groups[a].id < groups[b].id; });
  std::uint64_t octets = 0;
  std::size_t taken = 0;
  while (taken < slots_.size() && taken < small_groups_taken && octets < octets_read_max) {
    octets += live_octets(groups[slots_[taken++]]);
  }
  slots_.resize(taken);
}

bool forwarder::gather(std::uint32_t slot) {
  const group& g = index_.at(slot);
  const auto stored = committer_.source().load(g.id);
  if (stored.view == nullptr) {
    is_blocked_ = true;
    return false;
  }
  const entries_view& view = *stored.view;
  const std::size_t begin = puts_.size();
  std::uint32_t position = 0;
  for (std::uint32_t i = 0; i < view.runs(); ++i) {
    const stored_run r = view.run(i);
    for (std::uint32_t k = 0; k < r.count; ++k, ++position) {
      pending_put p;
      p.live = !g.marks || !g.marks->settled.test(position);
      p.key = {queue_id{r.queue}, r.first + k};
      p.flags = view.entry(position).flags;
      p.source = g.id;
      p.source_position = position;
      puts_.push_back(std::move(p));
    }
  }
  for (std::uint32_t i = 0; i < view.extras(); ++i) {
    const stored_extra x = view.extra(i);
    pending_put& p = puts_[begin + x.position];
    p.delivery_count = x.delivery_count;
    p.expires_ms = x.expires_ms;
    p.large = body_id{x.large};
    if (x.large != 0) p.source = 0;
  }
  if (g.marks) {
    for (const auto& [at, count] : g.marks->recounts) puts_[begin + at].delivery_count = count;
  }
  return true;
}

}  // namespace whimbrel::storage::sqlite
