// SPDX-License-Identifier: Apache-2.0
#include "storage/sqlite/group_format.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "storage/crc32c.hpp"

namespace whimbrel::storage::sqlite {
namespace {

constexpr group_id id = 77;

std::vector<std::byte> sample(entries_writer& w) {
  w.clear();
  w.add(5, 100, {0, 10, 0xaaaa, 1});
  w.add(5, 101, {10, 0, 0, 2});
  w.add_extra(3, 0, 0);
  w.add(5, 103, {0, 10, 0xaaaa, 3});  // shares the first one's body
  w.add(9, 1, {in_chunks, in_chunks, 0, 4});
  w.add_extra(0, -5, 42);
  const auto octets = w.finish(id, 10);
  return {octets.begin(), octets.end()};
}

/// Makes the checksum right again after `octets` were changed.
void reseal(std::vector<std::byte>& octets) {
  const auto sum = crc32c(std::span(octets).subspan(4), crc32c(std::as_bytes(std::span(&id, 1))));
  store_at(octets, 0, sum);
}

TEST_CASE("group entries: come back as written") {
  entries_writer w;
  const auto octets = sample(w);
  CHECK(octets.size() == 24 + 3 * 20 + 4 * 16 + 2 * 24);
  const auto view = entries_view::parse(id, octets);
  REQUIRE(view);
  CHECK(view->entries() == 4);
  CHECK(view->body_octets() == 10);
  REQUIRE(view->runs() == 3);
  CHECK(view->run(0).first == 100);
  CHECK(view->run(0).count == 2);
  CHECK(view->run(2).queue == 9);
  CHECK(view->entry(2).flags == 3);
  CHECK(view->entry(2).crc == 0xaaaa);
  REQUIRE(view->extras() == 2);
  CHECK(view->extra(0).position == 1);
  CHECK(view->extra(0).delivery_count == 3);
  CHECK(view->extra(1).expires_ms == -5);
  CHECK(view->extra(1).large == 42);
  CHECK(view->first_extra_from(0) == 0);
  CHECK(view->first_extra_from(2) == 1);
  CHECK(view->first_extra_from(4) == 2);
}

TEST_CASE(
    "group entries: another row's octets, every flipped bit and every truncation are refused") {
  entries_writer w;
  auto octets = sample(w);
  CHECK(!entries_view::parse(id + 1, octets));
  for (std::size_t bit = 0; bit < octets.size() * 8; ++bit) {
    octets[bit / 8] ^= std::byte{1} << bit % 8;
    REQUIRE(!entries_view::parse(id, octets));
    octets[bit / 8] ^= std::byte{1} << bit % 8;
  }
  for (std::size_t n = 0; n < octets.size(); ++n) {
    REQUIRE(!entries_view::parse(id, std::span(octets).first(n)));
  }
  REQUIRE(entries_view::parse(id, octets));
}

TEST_CASE("group entries: nonsense is refused even under a right checksum") {
  struct {
    const char* what;
    std::size_t at;
    std::uint32_t value;
  } const rows[] = {
      {"another format", 4, 2},
      {"more runs than there is room for", 8, 0xffff'ffff},
      {"more entries than the runs hold", 12, 5},
      {"more extras than there is room for", 16, 3},
      {"a body past the end", 24 + 3 * 20 + 4, 11},
      {"a body that begins past the end", 24 + 3 * 20, 11},
      {"a run of none", 24 + 16, 0},
      {"an extra of nobody", 24 + 3 * 20 + 4 * 16, 4},
      {"extras out of order", 24 + 3 * 20 + 4 * 16, 3},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    entries_writer w;
    auto octets = sample(w);
    store_at(octets, row.at, row.value);
    reseal(octets);
    CHECK(!entries_view::parse(id, octets));
  }
  entries_writer w;
  auto wrapping = sample(w);
  store_at(wrapping, 24 + 8, ~std::uint64_t{0});  // a run past the last sequence
  reseal(wrapping);
  CHECK(!entries_view::parse(id, wrapping));
}

TEST_CASE("group state: is ranges or a bitmap, whichever is shorter, and comes back as written") {
  struct {
    const char* what;
    std::uint32_t positions;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> settled;
    std::size_t octets;
  } const rows[] = {
      {"nothing", 100, {}, 20},
      {"the front", 1000, {{0, 900}}, 20 + 8},
      {"all of a word", 64, {{0, 64}}, 20 + 8},
      {"here and there", 200, {{0, 1}, {63, 2}, {199, 1}}, 20 + 3 * 8},
      {"too many for ranges", 128, {{0, 1}, {2, 1}, {4, 1}, {127, 1}}, 20 + 2 * 8},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    group_marks marks{settled_bits(row.positions), {{3, 7}, {5, 1}}};
    for (const auto& [from, n] : row.settled) CHECK(marks.settled.set(from, n) == n);
    std::vector<std::byte> octets;
    encode_state(id, row.positions, marks, octets);
    CHECK(octets.size() == row.octets + 2 * 8);
    const auto got = parse_state(id, row.positions, octets);
    REQUIRE(got);
    for (std::uint32_t at = 0; at < row.positions; ++at) {
      REQUIRE(got->settled.test(at) == marks.settled.test(at));
    }
    CHECK(got->recounts == marks.recounts);
    CHECK(!parse_state(id + 1, row.positions, octets));
    CHECK(!parse_state(id, row.positions + 1, octets));
    for (std::size_t bit = 0; bit < octets.size() * 8; ++bit) {
      octets[bit / 8] ^= std::byte{1} << bit % 8;
      REQUIRE(!parse_state(id, row.positions, octets));
      octets[bit / 8] ^= std::byte{1} << bit % 8;
    }
    for (std::size_t n = 0; n < octets.size(); ++n) {
      REQUIRE(!parse_state(id, row.positions, std::span(octets).first(n)));
    }
  }
}

TEST_CASE("settled bits: agree with a plain list of booleans") {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    const auto size = static_cast<std::uint32_t>(1 + random() % 300);
    settled_bits bits(size);
    std::vector<bool> plain(size);
    for (int i = 0; i < 20; ++i) {
      const auto from = static_cast<std::uint32_t>(random() % size);
      const auto n = static_cast<std::uint32_t>(random() % (size - from + 1));
      std::uint32_t fresh = 0;
      for (std::uint32_t at = from; at < from + n; ++at) {
        fresh += plain[at] ? 0u : 1u;
        plain[at] = true;
      }
      REQUIRE(bits.set(from, n) == fresh);
      const auto begin = static_cast<std::uint32_t>(random() % size);
      std::uint32_t set = begin;
      std::uint32_t clear = begin;
      while (set < size && !plain[set]) ++set;
      while (clear < size && plain[clear]) ++clear;
      REQUIRE(bits.next(begin, size, true) == set);
      REQUIRE(bits.next(begin, size, false) == clear);
      REQUIRE(bits.count(begin, size) ==
              static_cast<std::uint32_t>(std::count(plain.begin() + begin, plain.end(), true)));
    }
  }
}

}  // namespace
}  // namespace whimbrel::storage::sqlite
