// SPDX-License-Identifier: Apache-2.0
// Reads stored groups over one connection: entries whole and checked, bodies in pieces.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "storage/sqlite/database.hpp"
#include "storage/sqlite/group_format.hpp"

namespace whimbrel::storage::sqlite {

/// Groups never change once written and their ids are not reused, so what was read stays true;
/// the last few entries blobs are kept. Used by the thread that uses the connection.
class group_source {
 public:
  explicit group_source(database& db);

  enum class finding : std::uint8_t { found, missing, damaged, unreadable };
  struct loaded {
    finding found = finding::unreadable;
    const entries_view* view = nullptr;  // when found; until the next call
    code why = code::ok;                 // when unreadable
  };
  [[nodiscard]] loaded load(group_id id);

  /// Reads body octets. Leaves a handle open until `rest`, and with it a read transaction.
  struct piece {
    finding found = finding::unreadable;
    code why = code::ok;
  };
  [[nodiscard]] piece read_bodies(group_id id, std::size_t offset, std::span<std::byte> into);

  /// To be called after each range: an open handle keeps the log from being restarted.
  void rest();

 private:
  struct kept {
    group_id id = 0;
    std::vector<std::byte> octets;
    std::optional<entries_view> view;
    std::uint64_t used = 0;
  };
  [[nodiscard]] piece open_bodies(group_id id);

  database& db_;
  statement entries_;
  std::array<kept, 8> cache_;
  std::uint64_t clock_ = 0;
  blob_handle bodies_;
  group_id bodies_of_ = 0;
};

}  // namespace whimbrel::storage::sqlite
