// SPDX-License-Identifier: Apache-2.0
#include "storage/sqlite/index.hpp"

#include <doctest/doctest.h>

#include "storage/sqlite/change_set.hpp"

namespace whimbrel::storage::sqlite {
namespace {

new_group group_of(group_id id, std::vector<stored_run> runs) {
  new_group g;
  g.id = id;
  g.body_octets = 1'000'000;
  g.runs = std::move(runs);
  return g;
}

std::size_t runs_of(const live_index& index) {
  std::size_t runs = 0;
  index.for_each_queue([&](queue_id, const run_list& list) { runs += list.size(); });
  return runs;
}

TEST_CASE("index: a million untouched messages are a thousand runs") {
  live_index index;
  for (std::uint64_t g = 0; g < 1000; ++g) index.add(group_of(g + 1, {{1, g * 1000, 1000}}));
  CHECK(runs_of(index) == 1000);
  for (const group& g : index.groups()) REQUIRE(g.marks == nullptr);
}

TEST_CASE("index: settling from the front keeps no memory of what has gone") {
  live_index index;
  for (std::uint64_t g = 0; g < 1000; ++g) {
    index.add(group_of(g + 1, {{1, g * 100, 100}}));
    if (g < 10) continue;
    CHECK(index.settle(queue_id{1}, (g - 10) * 100, (g - 10) * 100 + 99) == 100);
    REQUIRE(index.dirty().size() == 1);
    REQUIRE(index.at(index.dirty()[0]).live == 0);
    index.forget_changes();
  }
  CHECK(index.groups().size() <= 12);
  CHECK(runs_of(index) < 100);
}

TEST_CASE("index: counts what would be better off merged") {
  live_index index;
  index.add(group_of(1, {{1, 1, 1000}}));
  new_group small = group_of(2, {{2, 1, 3}});
  small.body_octets = 10;
  index.add(std::move(small));
  CHECK(index.small_groups() == 1);
  CHECK(index.sparse_octets() == 0);
  CHECK(index.settle(queue_id{1}, 1, 749) == 749);
  CHECK(index.sparse_octets() == 0);
  CHECK(index.settle(queue_id{1}, 750, 750) == 1);
  CHECK(index.sparse_octets() == 1'016'000);
  CHECK(index.settle(queue_id{1}, 1, 2000) == 250);
  CHECK(index.sparse_octets() == 0);
  CHECK(index.settle(queue_id{2}, 1, 3) == 3);
  CHECK(index.small_groups() == 0);
}

TEST_CASE("index: moved messages are found where they are now") {
  live_index index;
  index.add(group_of(1, {{1, 1, 100}, {2, 1, 10}}));
  index.add(group_of(2, {{1, 101, 100}}));
  index.settle(queue_id{1}, 3, 98);
  index.settle(queue_id{2}, 1, 10);
  index.forget_changes();
  const std::uint32_t old[] = {0};
  std::vector<new_group> now;
  now.push_back(group_of(3, {{1, 1, 2}, {1, 99, 2}}));
  index.relocate(old, std::move(now));
  CHECK(!index.find({queue_id{1}, 50}));
  const auto at = index.find({queue_id{1}, 100});
  REQUIRE(at);
  CHECK(index.at(at->slot).id == 3);
  CHECK(at->position == 3);
  std::vector<live_span> spans;
  index.locate(queue_id{1}, 0, 1000, spans);
  REQUIRE(spans.size() == 3);
  CHECK(spans[1].first == 99);
  CHECK(spans[2].group == 2);
  CHECK(index.settle(queue_id{1}, 0, 1000) == 104);
}

TEST_CASE("change set: a put that is settled before its commit is not written") {
  live_index index;
  change_set changes(index);
  batch b;
  for (sequence at = 1; at <= 10; ++at)
    b.puts.push_back({{queue_id{1}, at}, make_blob({}), {}, 0, 0, 0});
  changes.absorb({}, std::move(b));
  CHECK(changes.has_effect());
  batch rest;
  rest.settles.push_back({queue_id{1}, 1, 10});
  changes.absorb({}, std::move(rest));
  CHECK(!changes.has_effect());
  CHECK(!changes.is_empty());
  CHECK(changes.counted().puts_elided == 10);
  CHECK(changes.counted().settled == 10);
}

}  // namespace
}  // namespace whimbrel::storage::sqlite
