// SPDX-License-Identifier: Apache-2.0
// Fuzz target: the blobs of a group's rows as recovery reads them from a file that anything may
// have happened to. Octet 0 chooses the blob and whether its checksum is made right first, so
// that what lies behind the checksum is reached as well.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "storage/crc32c.hpp"
#include "storage/sqlite/group_format.hpp"

namespace {

using namespace whimbrel::storage;
using namespace whimbrel::storage::sqlite;

constexpr group_id id = 1;

void expect(bool holds) {
  if (!holds) std::abort();
}

/// All that the reader of a parsed blob does without checking again.
void walk_entries(std::span<const std::byte> octets) {
  const auto view = entries_view::parse(id, octets);
  if (!view) return;
  std::uint64_t total = 0;
  for (std::uint32_t i = 0; i < view->runs(); ++i) total += view->run(i).count;
  expect(total == view->entries());
  for (std::uint32_t i = 0; i < view->entries(); ++i) {
    const stored_entry e = view->entry(i);
    if (e.size == in_chunks) continue;
    expect(std::uint64_t{e.offset} + e.size <= view->body_octets());
  }
  for (std::uint32_t i = 0; i < view->extras(); ++i) {
    expect(view->extra(i).position < view->entries());
    expect(view->first_extra_from(view->extra(i).position) == i);
  }
}

/// What was understood is written again, and must then say the same.
void walk_state(std::uint32_t positions, std::span<const std::byte> octets) {
  const auto marks = parse_state(id, positions, octets);
  if (!marks) return;
  expect(marks->settled.count(0, positions) <= positions);
  std::vector<std::byte> again;
  encode_state(id, positions, *marks, again);
  const auto twice = parse_state(id, positions, again);
  expect(twice.has_value());
  expect(twice->recounts == marks->recounts);
  expect(std::ranges::equal(twice->settled.words(), marks->settled.words()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const bool is_state = (data[0] & 1) != 0;
  const bool reseals = (data[0] & 2) != 0;
  const std::uint32_t positions = data[1] | static_cast<std::uint32_t>(data[2]) << 8;
  const auto rest = std::as_bytes(std::span(data, size)).subspan(3);
  std::vector<std::byte> octets(rest.begin(), rest.end());
  if (reseals && octets.size() >= 4) {
    const auto seed = crc32c(std::as_bytes(std::span(&id, 1)));
    store_at(octets, 0, crc32c(std::span(octets).subspan(4), seed));
  }
  if (is_state) {
    walk_state(positions, octets);
  } else {
    walk_entries(octets);
  }
  return 0;
}
