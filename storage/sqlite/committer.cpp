// SPDX-License-Identifier: Apache-2.0
#include "storage/sqlite/committer.hpp"

#include <algorithm>

#include "storage/crc32c.hpp"

namespace whimbrel::storage::sqlite {
namespace {

constexpr std::int64_t shrink_pages_least = 4096;  // 64 MiB
constexpr const char* shrink_some = "PRAGMA incremental_vacuum(256)";

}  // namespace

verdict judge(code failure, bool at_commit) {
  switch (failure) {
    case code::full:
    case code::io_write:
    case code::busy:
      return verdict::stalled;
    // No sync happens before COMMIT, so these say only that a statement could not run.
    case code::no_memory:
    case code::io_no_memory:
    case code::io_read:
    case code::io_short_read:
    case code::io_truncate:
    case code::io_lock:
    case code::io_shm_open:
    case code::io_shm_size:
    case code::io_shm_lock:
    case code::io_shm_map:
    case code::cannot_open:
      return at_commit ? verdict::in_doubt : verdict::stalled;
    default:
      return verdict::in_doubt;
  }
}

std::uint32_t record_checksum(record_kind kind, std::string_view key,
                              std::span<const std::byte> value) {
  const auto k = static_cast<std::byte>(kind);
  return crc32c(value, crc32c(std::as_bytes(std::span(key)), crc32c({&k, 1})));
}

std::uint32_t chunk_checksum(body_id body, std::uint64_t place, std::span<const std::byte> octets) {
  const std::uint64_t key[] = {static_cast<std::uint64_t>(body), place};
  return crc32c(octets, crc32c(std::as_bytes(std::span(key))));
}

committer::committer(database& db, live_index& index, const log_function& log)
    : db_(db),
      index_(index),
      source_(db),
      builder_(source_, log),
      begin_(db.prepare("BEGIN IMMEDIATE")),
      commit_(db.prepare("COMMIT")),
      rollback_(db.prepare("ROLLBACK")),
      put_record_(db.prepare(
          "INSERT OR REPLACE INTO record(kind, key, crc, value) VALUES(?1, ?2, ?3, ?4)")),
      erase_record_(db.prepare("DELETE FROM record WHERE kind = ?1 AND key = ?2")),
      put_chunk_(db.prepare("INSERT OR REPLACE INTO chunk(body, place, size, crc, octets) "
                            "VALUES(?1, ?2, ?3, ?4, ?5)")),
      erase_chunks_(db.prepare("DELETE FROM chunk WHERE body = ?1")),
      put_group_(db.prepare(R"(INSERT INTO "group"(id, entries) VALUES(?1, ?2))")),
      put_bodies_(db.prepare("INSERT INTO group_body(id, bodies) VALUES(?1, ?2)")),
      put_state_(
          db.prepare("INSERT OR REPLACE INTO group_state(id, live, state) VALUES(?1, ?2, ?3)")),
      erase_groups_(db.prepare(R"(DELETE FROM "group" WHERE id BETWEEN ?1 AND ?2)")),
      erase_bodies_(db.prepare("DELETE FROM group_body WHERE id BETWEEN ?1 AND ?2")),
      erase_states_(db.prepare("DELETE FROM group_state WHERE id BETWEEN ?1 AND ?2")),
      put_probe_(db.prepare("INSERT OR REPLACE INTO probe(id, attempt) VALUES(1, ?1)")),
      free_pages_(db.prepare("PRAGMA freelist_count")),
      all_pages_(db.prepare("PRAGMA page_count")) {}

verdict committer::commit(const change_set& changes, bool probe) {
  if (!changes.has_effect() && !probe) return verdict::durable;
  const verdict result = transact([&] {
    code c = write_records(changes.records());
    if (c == code::ok) c = write_chunks(changes.chunks());
    if (c == code::ok) c = write_groups(changes.puts());
    if (c == code::ok) c = write_states();
    if (c == code::ok) c = delete_bodies(index_.freed_bodies());
    if (c == code::ok && probe) c = write_probe();
    return c;
  });
  if (result != verdict::durable) return result;
  const auto lock = index_.lock();
  index_.forget_changes();
  for (new_group& g : built_) index_.add(std::move(g));
  return result;
}

verdict committer::forward(std::span<const pending_put> puts, std::vector<group_id> old) {
  return transact([&] {
    const code c = write_groups(puts);
    return c == code::ok ? delete_groups(std::move(old)) : c;
  });
}

verdict committer::shrink() {
  const std::int64_t free = ask(free_pages_);
  if (free < shrink_pages_least || free * 2 < ask(all_pages_)) return verdict::durable;
  return transact([&] { return db_.execute(shrink_some); });
}

/// -1 when there is no answer.
std::int64_t committer::ask(statement& s) {
  const std::int64_t answer = s.step() == code::row ? s.integer(0) : -1;
  s.reset();
  return answer;
}

template <class Steps>
verdict committer::transact(Steps steps) {
  built_.clear();
  code result = begin_.run();
  if (result != code::ok) return abandon(result, false);
  result = steps();
  source_.rest();
  if (result != code::ok) return abandon(result, false);
  result = commit_.run();
  if (result != code::ok) return abandon(result, true);
  if (!built_.empty()) next_id_ = built_.back().id + 1;
  return verdict::durable;
}

verdict committer::abandon(code failure, bool at_commit) {
  reason_ = std::string(describe(failure)) + " (" + std::to_string(static_cast<int>(failure)) +
            ") while " + (at_commit ? "committing: " : "writing: ") + db_.last_message();
  built_.clear();
  verdict result = judge(failure, at_commit);
  if (db_.in_transaction()) {
    // SQLite undoes most failed transactions by itself; what it left open is ours to undo.
    if (rollback_.run() != code::ok || db_.in_transaction()) result = verdict::in_doubt;
  }
  return result;
}

code committer::write_records(std::span<const record> records) {
  for (const record& r : records) {
    statement& s = r.value ? put_record_ : erase_record_;
    s.bind(1, std::int64_t{static_cast<std::uint8_t>(r.kind)}).bind(2, std::string_view(r.key));
    if (r.value) {
      s.bind(3, std::int64_t{record_checksum(r.kind, r.key, r.value->octets())});
      s.bind(4, r.value->octets());
    }
    if (const code c = s.run(); c != code::ok) return c;
  }
  return code::ok;
}

code committer::write_chunks(std::span<const chunk> chunks) {
  for (const chunk& k : chunks) {
    const auto octets = k.octets->octets();
    put_chunk_.bind(1, static_cast<std::uint64_t>(k.body)).bind(2, k.offset);
    put_chunk_.bind(3, std::uint64_t{octets.size()});
    put_chunk_.bind(4, std::int64_t{chunk_checksum(k.body, k.offset, octets)}).bind(5, octets);
    if (const code c = put_chunk_.run(); c != code::ok) return c;
  }
  return code::ok;
}

code committer::write_groups(std::span<const pending_put> puts) {
  builder_.begin(puts);
  for (group_id id = next_id_; builder_.gather(); ++id) {
    code c = builder_.lay_out(id);
    if (c == code::ok) c = put_group_.bind(1, id).bind(2, builder_.entries()).run();
    if (c == code::ok) c = put_bodies_.bind(1, id).bind(2, builder_.bodies()).run();
    if (c != code::ok) return c;
    built_.push_back(builder_.take_description());
  }
  return code::ok;
}

code committer::write_states() {
  std::vector<group_id> dead;
  for (const std::uint32_t slot : index_.dirty()) {
    const group& g = index_.at(slot);
    if (g.live == 0) {
      dead.push_back(g.id);
      continue;
    }
    encode_state(g.id, g.count, *g.marks, state_octets_);
    put_state_.bind(1, g.id).bind(2, std::int64_t{g.live});
    put_state_.bind(3, std::span<const std::byte>(state_octets_));
    if (const code c = put_state_.run(); c != code::ok) return c;
  }
  return delete_groups(std::move(dead));
}

/// Groups mostly die in the order of their birth, so neighbours go with one statement.
code committer::delete_groups(std::vector<group_id> ids) {
  std::sort(ids.begin(), ids.end());
  for (std::size_t i = 0; i < ids.size();) {
    std::size_t end = i + 1;
    while (end < ids.size() && ids[end] == ids[end - 1] + 1) ++end;
    if (const code c = delete_group_range(ids[i], ids[end - 1]); c != code::ok) return c;
    i = end;
  }
  return code::ok;
}

code committer::delete_group_range(group_id first, group_id last) {
  for (statement* const s : {&erase_groups_, &erase_bodies_, &erase_states_}) {
    if (const code c = s->bind(1, first).bind(2, last).run(); c != code::ok) return c;
  }
  return code::ok;
}

code committer::delete_bodies(std::span<const body_id> bodies) {
  for (const body_id body : bodies) {
    const code c = erase_chunks_.bind(1, static_cast<std::uint64_t>(body)).run();
    if (c != code::ok) return c;
  }
  return code::ok;
}

code committer::write_probe() { return put_probe_.bind(1, ++probes_).run(); }

}  // namespace whimbrel::storage::sqlite
