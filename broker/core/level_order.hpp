// SPDX-License-Identifier: Apache-2.0
// The order of a queue with priorities: ten levels, the highest first, each in order of arrival.
// [3.2.1]
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "amqp/base/assert.hpp"
#include "broker/core/ids.hpp"

namespace whimbrel::broker::core {

/// Which messages wait, by level. Priorities above 9 are in the highest level. Costs eight octets a
/// message, and ten looks for the next one.
class level_order {
 public:
  static constexpr std::size_t levels = 10;
  static constexpr std::uint8_t usual = 4;  // of a message that does not say [3.2.1]

  /// A message that comes; sequences come in ascending order.
  void push(sequence at, std::uint8_t priority) { of(priority).fresh.push_back(at); }
  /// One that was taken before comes back to its place.
  void push_back(sequence at, std::uint8_t priority) {
    auto& heap = of(priority).returned;
    heap.push_back(at);
    std::push_heap(heap.begin(), heap.end(), std::greater<>{});
  }

  /// How a message at the head of its level stands.
  enum class standing : std::uint8_t { ready, gone, in_the_making };

  /// The first that is ready; those that have gone are forgotten on the way. One in the making
  /// holds up its own level alone. `lowest_first`: who is to go when there are too many.
  template <class Ask>
  [[nodiscard]] std::optional<sequence> next(Ask&& ask, bool lowest_first = false) {
    for (std::size_t i = 0; i < levels; ++i) {
      const std::size_t n = lowest_first ? i : levels - 1 - i;
      level& l = levels_[n];
      while (!l.empty()) {
        const standing stands = ask(l.front());
        if (stands == standing::in_the_making) break;
        if (stands == standing::ready) {
          chosen_ = n;
          return l.front();
        }
        l.pop();
      }
    }
    return std::nullopt;
  }
  /// Takes what `next` named last.
  void take(sequence at) {
    AMQP_ASSERT(!levels_[chosen_].empty());
    AMQP_ASSERT(levels_[chosen_].front() == at);
    levels_[chosen_].pop();
  }

 private:
  struct level {
    std::deque<sequence> fresh = {};
    std::vector<sequence> returned = {};  // min-heap, all of them before those in `fresh`

    [[nodiscard]] bool empty() const { return fresh.empty() && returned.empty(); }
    [[nodiscard]] sequence front() const {
      return returned.empty() ? fresh.front() : returned.front();
    }
    void pop() {
      if (returned.empty()) return fresh.pop_front();
      std::pop_heap(returned.begin(), returned.end(), std::greater<>{});
      returned.pop_back();
    }
  };

  [[nodiscard]] level& of(std::uint8_t priority) {
    return levels_[std::min<std::size_t>(priority, levels - 1)];
  }

  std::array<level, levels> levels_ = {};
  std::size_t chosen_ = 0;
};

}  // namespace whimbrel::broker::core
