// SPDX-License-Identifier: Apache-2.0
// How much a queue may hold.
#pragma once

#include <cstdint>
#include <limits>

#include <boost/unordered/unordered_flat_map.hpp>

#include "broker/core/ids.hpp"
#include "broker/core/queue_policy.hpp"

namespace whimbrel::broker::core {

/// Counts the octets of messages where they are limited, which costs 16 octets a message there.
class length_limit {
 public:
  void set(const queue_policy& p) {
    length_ = p.max_length.value_or(none);
    octets_ = p.max_octets.value_or(none);
    if (octets_ == none) {
      sizes_.clear();
      held_ = 0;
    }
  }
  [[nodiscard]] bool is_set() const { return length_ != none || octets_ != none; }
  [[nodiscard]] bool counts_octets() const { return octets_ != none; }

  void add(sequence at, std::uint64_t size) {
    if (octets_ == none || !sizes_.emplace(at, size).second) return;
    held_ += size;
  }
  void remove(sequence at) {
    if (octets_ == none) return;
    const auto found = sizes_.find(at);
    if (found == sizes_.end()) return;
    held_ -= found->second;
    sizes_.erase(found);
  }

  /// With `waiting` messages: more than there may be?
  [[nodiscard]] bool is_exceeded(std::uint64_t waiting) const {
    return waiting > length_ || held_ > octets_;
  }
  /// Would one more of this size be too many?
  [[nodiscard]] bool is_full_for(std::uint64_t waiting, std::uint64_t size) const {
    return waiting >= length_ || held_ + size > octets_;
  }
  /// Is there no room for anything?
  [[nodiscard]] bool is_full(std::uint64_t waiting) const {
    return waiting >= length_ || held_ >= octets_;
  }
  /// Is there room again, with a fifth to spare, so that credit does not come and go with each
  /// message?
  [[nodiscard]] bool has_room(std::uint64_t waiting) const {
    return (length_ == none || waiting < length_ - length_ / 5) &&
           (octets_ == none || held_ < octets_ - octets_ / 5);
  }

 private:
  static constexpr std::uint64_t none = std::numeric_limits<std::uint64_t>::max();

  std::uint64_t length_ = none;
  std::uint64_t octets_ = none;
  std::uint64_t held_ = 0;
  boost::unordered_flat_map<sequence, std::uint64_t> sizes_ = {};
};

}  // namespace whimbrel::broker::core
