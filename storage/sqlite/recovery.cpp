// SPDX-License-Identifier: Apache-2.0
#include "storage/sqlite/recovery.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>

#include <boost/unordered/unordered_flat_map.hpp>

namespace whimbrel::storage::sqlite {
namespace {

constexpr std::size_t slice = 1024;  // entries handed to the visitor in one call

/// One pass over the file. Entries blobs (some 16 octets a message) are kept until all queues
/// have been handed over: a queue's messages lie in many groups, and a group has many queues.
class pass {
 public:
  pass(database& db, live_index& index, recovery_visitor& visitor, const log_function& log)
      : db_(db), index_(index), visitor_(visitor), log_(log) {}

  group_id read_all() {
    read_records();
    read_chunk_sizes();
    read_groups();
    remove_orphans();
    hand_over_entries();
    for (const auto& [queue, next] : ends_) visitor_.on_end(queue_id{queue}, next);
    return last_ + 1;
  }

 private:
  void read_records();
  void read_chunk_sizes();
  void read_groups();
  /// Reads on from behind `last_`; the code that ended it.
  [[nodiscard]] code read_some_groups();
  void read_group(group_id id, std::span<const std::byte> entries,
                  std::optional<std::span<const std::byte>> state);
  void skip_damaged_row();
  void remove_orphans();
  void hand_over_entries();
  void hand_over(queue_id queue, const run& r, std::vector<recovered_entry>& batch);
  void add_extra(const stored_extra& extra, recovered_entry& into) const;
  static void add_recount(const recount_list& list, std::uint32_t position, recovered_entry& into);
  void report_damage(const std::string& what) {
    is_damaged_ = true;
    report(what);
  }
  void report(const std::string& what) const {
    if (log_) log_(what);
  }

  database& db_;
  live_index& index_;
  recovery_visitor& visitor_;
  const log_function& log_;
  group_id last_ = 0;
  bool is_damaged_ = false;
  boost::unordered_flat_map<group_id, std::vector<std::byte>> kept_;
  boost::unordered_flat_map<std::uint64_t, std::uint64_t> chunk_sizes_;
  boost::unordered_flat_map<std::uint64_t, sequence> ends_;  // of queues, settled messages counted
};

void pass::read_records() {
  statement s = db_.prepare("SELECT kind, key, crc, value FROM record ORDER BY kind, key");
  code c = code::ok;
  while ((c = s.step()) == code::row) {
    const auto kind = static_cast<record_kind>(s.integer(0));
    const auto key = s.text(1);
    const auto value = s.octets(3);
    if (record_checksum(kind, key, value) != static_cast<std::uint32_t>(s.integer(2))) {
      report("record " + std::to_string(s.integer(0)) + "/" + std::string(key) +
             " fails its checksum: skipped");
      continue;
    }
    visitor_.on_record(kind, key, value);
  }
  if (c != code::done) throw_code(c, "cannot read the records");
}

void pass::read_chunk_sizes() {
  statement s = db_.prepare("SELECT body, sum(size) FROM chunk GROUP BY body");
  code c = code::ok;
  while ((c = s.step()) == code::row) chunk_sizes_[s.unsigned_integer(0)] = s.unsigned_integer(1);
  if (c != code::done) throw_code(c, "cannot read the chunks");
}

/// A damaged page can end a scan of the table in its midst: it is taken up again behind the row
/// that could not be read.
void pass::read_groups() {
  for (code c = code::row; c != code::done;) {
    const group_id before = last_;
    c = read_some_groups();
    if (c == code::done) break;
    if (primary(c) != code::corrupt) throw_code(c, "cannot read the groups");
    skip_damaged_row();
    if (last_ == before) throw_code(c, "the table of groups is damaged");
  }
}

code pass::read_some_groups() {
  statement s = db_.prepare(
      R"(SELECT g.id, g.entries, s.id IS NOT NULL, s.state
         FROM "group" g LEFT JOIN group_state s ON s.id = g.id WHERE g.id > ?1 ORDER BY g.id)");
  s.bind(1, last_);
  code c = code::ok;
  while ((c = s.step()) == code::row) {
    const group_id id = s.unsigned_integer(0);
    if (id <= last_) return code::corrupt;  // a page that is reached twice
    last_ = id;
    read_group(id, s.octets(1), s.integer(2) != 0 ? std::optional(s.octets(3)) : std::nullopt);
  }
  return c;
}

void pass::skip_damaged_row() {
  statement s = db_.prepare(R"(SELECT id FROM "group" WHERE id > ?1 ORDER BY id LIMIT 1)");
  if (s.bind(1, last_).step() != code::row) return;
  last_ = s.unsigned_integer(0);
  report_damage("group " + std::to_string(last_) + " cannot be read: skipped");
}

void pass::read_group(group_id id, std::span<const std::byte> entries,
                      std::optional<std::span<const std::byte>> state) {
  const auto view = entries_view::parse(id, entries);
  if (!view) {
    report_damage("group " + std::to_string(id) + " fails its checksum: skipped");
    return;
  }
  new_group g{id, view->body_octets(), {}, {}, nullptr};
  for (std::uint32_t i = 0; i < view->runs(); ++i) {
    const stored_run& r = g.runs.emplace_back(view->run(i));
    sequence& end = ends_[r.queue];
    end = std::max(end, r.first + r.count);
  }
  if (state) {
    if (auto marks = parse_state(id, view->entries(), *state)) {
      g.marks = std::make_unique<group_marks>(std::move(*marks));
    } else {
      report("the state of group " + std::to_string(id) +
             " fails its checksum: messages that had left may appear again");
    }
  }
  for (std::uint32_t i = 0; i < view->extras(); ++i) {
    const stored_extra x = view->extra(i);
    if (x.large == 0) continue;
    g.large.emplace_back(x.position, body_id{x.large});
    if (!g.marks || !g.marks->settled.test(x.position)) index_.refer(body_id{x.large});
  }
  index_.add(std::move(g));
  kept_[id].assign(entries.begin(), entries.end());
}

void pass::remove_orphans() {
  if (is_damaged_) return;  // we do not know what the damaged groups refer to
  statement erase = db_.prepare("DELETE FROM chunk WHERE body = ?1");
  for (const auto& [body, size] : chunk_sizes_) {
    if (index_.is_referred(body_id{body})) continue;
    const code c = erase.bind(1, body).run();
    if (c == code::ok) continue;
    if (judge(c, true) == verdict::in_doubt) throw_code(c, "cannot remove orphaned chunks");
    // A full disk is no reason not to start: the next recovery finds them again.
    return report("orphaned chunks stay: " + std::string(describe(c)));
  }
}

void pass::hand_over_entries() {
  std::vector<recovered_entry> batch;
  index_.for_each_queue([&](queue_id queue, const run_list& runs) {
    for (std::size_t i = 0; i < runs.size(); ++i) {
      if (runs[i].live > 0) hand_over(queue, runs[i], batch);
    }
    if (!batch.empty()) visitor_.on_entries(batch);
    batch.clear();
  });
}

void pass::hand_over(queue_id queue, const run& r, std::vector<recovered_entry>& batch) {
  const group& g = index_.at(r.slot);
  const auto view = entries_view::trusted(kept_.at(g.id));
  std::uint32_t x = view.first_extra_from(r.position);
  for (std::uint32_t i = 0; i < r.count; ++i) {
    const std::uint32_t at = r.position + i;
    const stored_entry e = view.entry(at);
    recovered_entry out{{queue, r.first + i}, e.size, e.flags, 0, 0, body_id{}};
    if (x < view.extras() && view.extra(x).position == at) add_extra(view.extra(x++), out);
    if (g.marks && g.marks->settled.test(at)) continue;
    if (g.marks) add_recount(g.marks->recounts, at, out);
    batch.push_back(out);
    if (batch.size() < slice) continue;
    visitor_.on_entries(batch);
    batch.clear();
  }
}

void pass::add_extra(const stored_extra& extra, recovered_entry& into) const {
  into.delivery_count = extra.delivery_count;
  into.expires_ms = extra.expires_ms;
  into.large = body_id{extra.large};
  if (extra.large == 0) return;
  const auto known = chunk_sizes_.find(extra.large);
  const std::uint64_t size = known == chunk_sizes_.end() ? 0 : known->second;
  into.size = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(size, std::numeric_limits<std::uint32_t>::max()));
}

void pass::add_recount(const recount_list& list, std::uint32_t position, recovered_entry& into) {
  const auto found =
      std::lower_bound(list.begin(), list.end(), position,
                       [](const auto& known, std::uint32_t at) { return known.first < at; });
  if (found != list.end() && found->first == position) into.delivery_count = found->second;
}

}  // namespace

group_id recover(database& db, live_index& index, recovery_visitor& visitor,
                 const log_function& log) {
  return pass(db, index, visitor, log).read_all();
}

}  // namespace whimbrel::storage::sqlite
