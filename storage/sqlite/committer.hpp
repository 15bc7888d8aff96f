// SPDX-License-Identifier: Apache-2.0
// Writes change sets in transactions, and says which kind of failure a failure is.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "storage/sqlite/change_set.hpp"
#include "storage/sqlite/database.hpp"
#include "storage/sqlite/group_builder.hpp"
#include "storage/sqlite/group_source.hpp"

namespace whimbrel::storage::sqlite {

enum class verdict : std::uint8_t {
  durable,
  stalled,   // before the sync, and rolled back: nothing happened, it may be tried again
  in_doubt,  // at or after the sync, or unknown: only recovery can tell
};

/// What a failed attempt means. `at_commit`: the statement that failed was COMMIT.
[[nodiscard]] verdict judge(code failure, bool at_commit);

/// Used by the writer's thread alone.
class committer {
 public:
  committer(database& db, live_index& index, const log_function& log);

  void continue_from(group_id next) { next_id_ = next; }

  /// When durable, the index has the new groups. `probe` makes it write something even if the
  /// set has no effect, to learn whether the disk takes anything.
  [[nodiscard]] verdict commit(const change_set& changes, bool probe);

  /// Replaces whole groups by their live messages, which `puts` names. The index is left alone.
  [[nodiscard]] verdict forward(std::span<const pending_put> puts, std::vector<group_id> old);
  [[nodiscard]] std::vector<new_group> take_built() { return std::move(built_); }

  /// When most of a large file is free, gives some of it back to the file system.
  [[nodiscard]] verdict shrink();

  [[nodiscard]] group_source& source() { return source_; }
  [[nodiscard]] const std::string& reason() const { return reason_; }

 private:
  /// Runs `steps` in a transaction. Each step is skipped once one failed.
  template <class Steps>
  [[nodiscard]] verdict transact(Steps steps);
  [[nodiscard]] verdict abandon(code failure, bool at_commit);

  [[nodiscard]] code write_records(std::span<const record> records);
  [[nodiscard]] code write_chunks(std::span<const chunk> chunks);
  [[nodiscard]] code write_groups(std::span<const pending_put> puts);
  [[nodiscard]] code write_states();
  [[nodiscard]] code delete_groups(std::vector<group_id> ids);
  [[nodiscard]] code delete_group_range(group_id first, group_id last);
  [[nodiscard]] code delete_bodies(std::span<const body_id> bodies);
  [[nodiscard]] code write_probe();
  [[nodiscard]] static std::int64_t ask(statement& s);

  database& db_;
  live_index& index_;
  group_source source_;
  group_builder builder_;
  group_id next_id_ = 1;
  std::vector<new_group> built_;
  std::vector<std::byte> state_octets_;
  std::string reason_;
  std::int64_t probes_ = 0;

  statement begin_;
  statement commit_;
  statement rollback_;
  statement put_record_;
  statement erase_record_;
  statement put_chunk_;
  statement erase_chunks_;
  statement put_group_;
  statement put_bodies_;
  statement put_state_;
  statement erase_groups_;
  statement erase_bodies_;
  statement erase_states_;
  statement put_probe_;
  statement free_pages_;
  statement all_pages_;
};

/// The checksums of rows that are no group: over the key, then the octets.
[[nodiscard]] std::uint32_t record_checksum(record_kind kind, std::string_view key,
                                            std::span<const std::byte> value);
[[nodiscard]] std::uint32_t chunk_checksum(body_id body, std::uint64_t place,
                                           std::span<const std::byte> octets);

}  // namespace whimbrel::storage::sqlite
