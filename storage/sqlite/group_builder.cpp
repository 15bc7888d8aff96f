// SPDX-License-Identifier: Apache-2.0
#include "storage/sqlite/group_builder.hpp"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

#include "storage/crc32c.hpp"

namespace whimbrel::storage::sqlite {
namespace {

/// A read at an offset walks the chain of overflow pages up to it: keep it short.
constexpr std::size_t group_octets_max = 1024 * 1024;
constexpr std::size_t group_entries_max = 32 * 1024;

}  // namespace

void group_builder::begin(std::span<const pending_put> puts) {
  puts_ = puts;
  next_ = 0;
}

bool group_builder::gather() {
  members_.clear();
  placed_.clear();
  known_bodies_.clear();
  std::size_t octets = 0;
  for (; next_ < puts_.size() && members_.size() < group_entries_max; ++next_) {
    const pending_put& p = puts_[next_];
    if (!p.live) continue;
    std::uint32_t body = static_cast<std::uint32_t>(placed_.size());
    bool fresh = true;
    if (p.body) {
      const auto [known, is_new] = known_bodies_.try_emplace(p.body.get(), body);
      body = known->second;
      fresh = is_new;
    }
    const std::size_t more = fresh && p.body ? p.body->size() : 0;
    if (octets > 0 && octets + more > group_octets_max) break;
    octets += more;
    if (fresh) placed_.emplace_back();
    members_.push_back({static_cast<std::uint64_t>(p.key.queue), p.key.at,
                        static_cast<std::uint32_t>(next_), body});
  }
  const auto by_place = [](const member& a, const member& b) {
    return std::tie(a.queue, a.at) < std::tie(b.queue, b.at);
  };
  if (!std::is_sorted(members_.begin(), members_.end(), by_place)) {
    std::sort(members_.begin(), members_.end(), by_place);
  }
  return !members_.empty();
}

code group_builder::lay_out(group_id id) {
  bodies_.clear();
  writer_.clear();
  description_ = {};
  for (const member& m : members_) {
    const pending_put& p = puts_[m.number];
    stored_entry entry{0, 0, 0, p.flags};
    const code result = p.source != 0 ? place_moved(p, entry) : place(p, placed_[m.body], entry);
    if (result != code::ok) return result;
    if (p.large != body_id{}) description_.large.emplace_back(writer_.entries(), p.large);
    writer_.add(m.queue, m.at, entry);
    writer_.add_extra(p.delivery_count, p.expires_ms, static_cast<std::uint64_t>(p.large));
  }
  const auto body_octets = static_cast<std::uint32_t>(bodies_.size());
  entries_octets_ = writer_.finish(id, body_octets);
  description_.id = id;
  description_.body_octets = body_octets;
  description_.runs.assign(writer_.runs().begin(), writer_.runs().end());
  return code::ok;
}

new_group group_builder::take_description() { return std::exchange(description_, {}); }

code group_builder::place(const pending_put& p, placed_body& body, stored_entry& into) {
  if (p.large != body_id{}) {
    into.offset = into.size = in_chunks;
    return code::ok;
  }
  const auto octets = p.body ? p.body->octets() : std::span<const std::byte>{};
  if (!body.is_placed) {
    body = {static_cast<std::uint32_t>(bodies_.size()), crc32c(octets), true};
    bodies_.insert(bodies_.end(), octets.begin(), octets.end());
  }
  into.offset = body.offset;
  into.size = static_cast<std::uint32_t>(octets.size());
  into.crc = body.crc;
  return code::ok;
}

/// Octets and checksum are copied as they are: damage stays noticeable where it goes.
code group_builder::place_moved(const pending_put& p, stored_entry& into) {
  const auto from = source_.load(p.source);
  if (from.found == group_source::finding::unreadable) return from.why;
  if (from.view == nullptr || p.source_position >= from.view->entries()) {
    place_lost(p, into);
    return code::ok;
  }
  const stored_entry old = from.view->entry(p.source_position);
  const std::size_t offset = bodies_.size();
  bodies_.resize(offset + old.size);
  const auto read =
      source_.read_bodies(p.source, old.offset, std::span(bodies_).subspan(offset, old.size));
  if (read.found == group_source::finding::unreadable) return read.why;
  if (read.found != group_source::finding::found) {
    bodies_.resize(offset);
    place_lost(p, into);
    return code::ok;
  }
  into.offset = static_cast<std::uint32_t>(offset);
  into.size = old.size;
  into.crc = old.crc;
  return code::ok;
}

/// Its body cannot be had any more: an entry whose checksum is wrong by design says so.
void group_builder::place_lost(const pending_put& p, stored_entry& into) {
  into.offset = static_cast<std::uint32_t>(bodies_.size());
  into.size = 0;
  into.crc = ~crc32c({});
  if (log_) {
    log_("group " + std::to_string(p.source) + " is damaged: the body of a message that moved to " +
         "queue " + std::to_string(static_cast<std::uint64_t>(p.key.queue)) + ", sequence " +
         std::to_string(p.key.at) + " is lost");
  }
}

}  // namespace whimbrel::storage::sqlite
