// SPDX-License-Identifier: Apache-2.0
// Levels of priority, and limits of length.
#include "broker/core/level_order.hpp"

#include <map>
#include <random>
#include <set>
#include <string>

#include <doctest/doctest.h>

#include "broker/core/length_limit.hpp"

using namespace whimbrel::broker::core;
using standing = level_order::standing;

TEST_CASE("levels: the highest first, in each the oldest, what comes back to its place") {
  level_order order;
  const auto all_ready = [](sequence) { return standing::ready; };
  const auto take = [&] {
    const auto at = order.next(all_ready);
    REQUIRE(at);
    order.take(*at);
    return *at;
  };
  order.push(1, 4);
  order.push(2, 9);
  order.push(3, 4);
  order.push(4, 255);
  order.push(5, 0);
  CHECK(take() == 2);
  CHECK(take() == 4);
  CHECK(take() == 1);
  order.push_back(2, 9);
  order.push_back(1, 4);
  CHECK(take() == 2);
  CHECK(take() == 1);
  CHECK(take() == 3);
  CHECK(take() == 5);
  CHECK_FALSE(order.next(all_ready));
}

TEST_CASE("levels: what is in the making holds up its own level alone") {
  level_order order;
  order.push(1, 9);
  order.push(2, 9);
  order.push(3, 4);
  const auto ask = [](sequence at) { return at == 1 ? standing::in_the_making : standing::ready; };
  CHECK(order.next(ask) == 3);
}

TEST_CASE("levels: any order of coming, going and coming back gives the strict order") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  level_order order;
  std::set<std::pair<int, sequence>> waiting;  // (9 - level, sequence): the order that is due
  std::map<sequence, std::uint8_t> level_of;
  std::set<sequence> taken;
  std::size_t given = 0;
  std::size_t came_back = 0;
  sequence last = 0;
  for (int step = 0; step < 20'000; ++step) {
    switch (random() % 4) {
      case 0: {
        const auto priority = static_cast<std::uint8_t>(random() % 10);
        order.push(++last, priority);
        level_of[last] = priority;
        waiting.emplace(9 - priority, last);
        break;
      }
      case 1: {
        if (taken.empty()) break;
        const auto which = std::next(taken.begin(), static_cast<std::ptrdiff_t>(
                                                        random() % taken.size()));
        order.push_back(*which, level_of[*which]);
        waiting.emplace(9 - level_of[*which], *which);
        taken.erase(which);
        ++came_back;
        break;
      }
      case 2: {  // one that waits goes for good
        if (waiting.empty() || random() % 4 != 0) break;
        waiting.erase(std::next(waiting.begin(), static_cast<std::ptrdiff_t>(
                                                     random() % waiting.size())));
        break;
      }
      default: {
        const auto at = order.next([&](sequence s) {
          return waiting.contains({9 - level_of[s], s}) ? standing::ready : standing::gone;
        });
        REQUIRE(at.has_value() == !waiting.empty());
        if (!at) break;
        REQUIRE(*at == waiting.begin()->second);
        order.take(*at);
        waiting.erase(waiting.begin());
        taken.insert(*at);
        ++given;
      }
    }
  }
  CHECK(given > 1000);
  CHECK(came_back > 1000);
}

TEST_CASE("length limit: messages and octets, each alone or both") {
  length_limit none;
  none.set({});
  CHECK_FALSE(none.is_set());
  CHECK_FALSE(none.is_exceeded(1'000'000));
  CHECK(none.has_room(1'000'000));

  length_limit limit;
  queue_policy p;
  p.max_length = 10;
  limit.set(p);
  CHECK_FALSE(limit.is_exceeded(10));
  CHECK(limit.is_exceeded(11));
  CHECK(limit.is_full_for(10, 1));
  CHECK_FALSE(limit.is_full_for(9, 1));
  CHECK_FALSE(limit.has_room(8));
  CHECK(limit.has_room(7));

  p.max_length.reset();
  p.max_octets = 100;
  limit.set(p);
  limit.add(1, 60);
  limit.add(1, 60);  // is known
  limit.add(2, 40);
  CHECK_FALSE(limit.is_exceeded(2));
  CHECK(limit.is_full(2));
  CHECK(limit.is_full_for(2, 1));
  limit.remove(1);
  limit.remove(1);
  CHECK(limit.has_room(1));
  CHECK(limit.is_full_for(1, 61));
  CHECK_FALSE(limit.is_full_for(1, 60));
  limit.set({});
  CHECK_FALSE(limit.is_set());
}
