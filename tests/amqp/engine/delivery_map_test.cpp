// SPDX-License-Identifier: Apache-2.0
#include "amqp/engine/delivery_map.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <map>

#include "tests/support/hex.hpp"

using whimbrel::amqp::engine::delivery_map;
using whimbrel::test::random_source;

namespace {

struct entry {
  const int* owner = nullptr;
  std::uint32_t value = 0;
};

const int someone = 0;

using map = delivery_map<entry>;

std::vector<std::uint32_t> ids_in(map& m, std::uint32_t first, std::uint32_t last) {
  std::vector<std::uint32_t> out;
  for (std::uint32_t at = first;; ++at) {
    const auto id = m.first_in(at, last);
    if (!id) return out;
    out.push_back(*id);
    at = *id;
    if (at == last) return out;
  }
}

/// From one of the oldest on. Returns how many went: none if that is a straggler.
std::uint32_t erase_a_run(map& m, std::map<std::uint32_t, std::uint32_t>& model,
                          std::uint32_t start, random_source& dice) {
  auto at = model.begin();
  std::advance(
      at, static_cast<std::ptrdiff_t>(dice.below(std::min<std::size_t>(model.size(), 90))));
  const std::uint32_t first = at->first;
  const auto most = static_cast<std::uint32_t>(1 + dice.below(30));
  const auto is_next = [&](const entry& e, std::uint32_t place) {
    return e.value == first + place;
  };
  const std::uint32_t n = m.run(start + first, start + first + most - 1, is_next);
  REQUIRE(n <= most);
  if (n == 0) return 0;
  for (std::uint32_t i = 0; i < n; ++i) REQUIRE(model.erase(first + i) == 1);
  REQUIRE((n == most || !model.contains(first + n)));
  m.erase_run(start + first, n);
  return n;
}

}  // namespace

TEST_CASE("delivery_map: finds what was added and not erased, across the wrap") {
  map m;
  CHECK(m.find(0) == nullptr);
  CHECK_FALSE(m.first_in(0, 0xffff'ffff / 2).has_value());
  for (std::uint32_t i = 0; i < 40; ++i) m.add(0xffff'fff0u + i, {&someone, i});
  CHECK(m.size() == 40);
  for (std::uint32_t i = 0; i < 40; ++i) {
    REQUIRE(m.find(0xffff'fff0u + i) != nullptr);
    CHECK(m.find(0xffff'fff0u + i)->value == i);
  }
  CHECK(m.find(0xffff'ffef) == nullptr);
  CHECK(m.find(0xffff'fff0u + 40) == nullptr);
  CHECK(ids_in(m, 0xffff'fffe, 1) == std::vector<std::uint32_t>{0xffff'fffe, 0xffff'ffff, 0, 1});
  m.erase(0);
  CHECK(ids_in(m, 0xffff'ffff, 1) == std::vector<std::uint32_t>{0xffff'ffff, 1});
  CHECK(m.first_in(0, 0) == std::nullopt);
}

TEST_CASE("delivery_map: behaves as a plain map under random use") {
  const std::uint64_t seed = 42;
  CAPTURE(seed);
  random_source dice(seed);
  for (const std::uint32_t start : {0u, 0xffff'ff00u, 0x7fff'ff00u}) {
    CAPTURE(start);
    map m;
    std::map<std::uint32_t, std::uint32_t> model;  // by distance from start
    std::uint32_t next = 0;
    std::size_t walked = 0;
    std::size_t grew = 0;
    std::size_t in_runs = 0;
    for (int step = 0; step < 60'000; ++step) {
      const std::size_t what = dice.below(10);
      const bool growing = step / 5000 % 2 == 0;
      if (what < (growing ? 6u : 3u)) {
        next += dice.one_in(50) ? static_cast<std::uint32_t>(1 + dice.below(500)) : 1;
        if (dice.one_in(5000)) next += 100'000;
        m.add(start + next, {&someone, next});
        model.emplace(next, next);
      } else if (what < 9 && !model.empty()) {
        auto at = model.begin();
        std::advance(
            at, static_cast<std::ptrdiff_t>(dice.below(std::min<std::size_t>(model.size(), 40))));
        if (dice.one_in(30)) at = std::prev(model.end());
        REQUIRE(m.find(start + at->first) != nullptr);
        CHECK(m.find(start + at->first)->value == at->second);
        m.erase(start + at->first);
        CHECK(m.find(start + at->first) == nullptr);
        model.erase(at);
      } else if (dice.one_in(5)) {
        const auto first = static_cast<std::uint32_t>(dice.below(next + 10));
        const auto last = first + static_cast<std::uint32_t>(dice.below(2000));
        std::vector<std::uint32_t> want;
        for (auto at = model.lower_bound(first); at != model.end() && at->first <= last; ++at)
          want.push_back(start + at->first);
        CHECK(ids_in(m, start + first, start + last) == want);
        walked += want.size();
        if (dice.one_in(3)) m.compact_if_sparse();
      } else if (dice.one_in(5) && !model.empty()) {
        in_runs += erase_a_run(m, model, start, dice);
      } else if (dice.one_in(500)) {
        m.erase_if([](std::uint32_t, const entry& e) { return e.value % 3 == 0; });
        std::erase_if(model, [](const auto& item) { return item.second % 3 == 0; });
      }
      REQUIRE(m.size() == model.size());
      grew = std::max(grew, model.size());
    }
    std::vector<std::uint32_t> all;
    m.each([&](std::uint32_t id, const entry&) { all.push_back(id - start); });
    std::vector<std::uint32_t> want;
    for (const auto& [id, value] : model) want.push_back(id);
    CHECK(all == want);
    CHECK(walked > 1000);
    CHECK(grew > 1000);
    CHECK(in_runs > 500);
  }
}

TEST_CASE("delivery_map: memory follows what is live, not the span of its ids") {
  map m;
  m.add(0, {&someone, 0});  // never settled
  for (std::uint32_t id = 1; id < 1'000'000; ++id) {
    m.add(id, {&someone, id});
    if (id > 10) m.erase(id - 10);
  }
  CHECK(m.size() == 11);
  CHECK(m.memory() < 4096);
  REQUIRE(m.find(0) != nullptr);
  CHECK(m.first_in(0, 999'000) == 0u);
  CHECK(m.first_in(1, 999'989) == std::nullopt);
  CHECK(m.first_in(1, 999'990) == 999'990u);
}

TEST_CASE("delivery_map: walks over what is not there are cheap from the second on") {
  map m;
  for (std::uint32_t id = 0; id < 65'536; ++id) m.add(id, {&someone, id});
  for (std::uint32_t id = 1; id < 65'535; ++id) m.erase(id);
  CHECK(ids_in(m, 0, 65'535) == std::vector<std::uint32_t>{0, 65'535});
  m.compact_if_sparse();
  const auto since = std::chrono::steady_clock::now();
  for (int i = 0; i < 10'000; ++i) {
    REQUIRE(m.first_in(1, 65'535) == 65'535u);
    m.compact_if_sparse();
  }
  CHECK(std::chrono::steady_clock::now() - since < std::chrono::seconds(2));
  CHECK(m.size() == 2);
  m.add(65'536, {&someone, 1});
  CHECK(ids_in(m, 0, 65'536) == std::vector<std::uint32_t>{0, 65'535, 65'536});
}

TEST_CASE("delivery_map: thousands left unsettled among others are erased at no quadratic cost") {
  map m;
  const std::uint32_t n = 200'000;
  for (std::uint32_t id = 0; id < n; ++id) {
    m.add(id, {&someone, id});
    if (id % 4 != 0) m.erase(id);
  }
  CHECK(m.size() == n / 4);
  const auto since = std::chrono::steady_clock::now();
  for (std::uint32_t id = 0; id < n; id += 4) m.erase(id);
  CHECK(std::chrono::steady_clock::now() - since < std::chrono::seconds(5));
  CHECK(m.size() == 0);
  m.release_spare();
  CHECK(m.memory() == 0);
}
