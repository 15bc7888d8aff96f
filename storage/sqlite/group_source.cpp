// SPDX-License-Identifier: Apache-2.0
#include "storage/sqlite/group_source.hpp"

#include <algorithm>

namespace whimbrel::storage::sqlite {

group_source::group_source(database& db)
    : db_(db), entries_(db.prepare(R"(SELECT entries FROM "group" WHERE id = ?1)")) {}

group_source::loaded group_source::load(group_id id) {
  const auto known = std::find_if(cache_.begin(), cache_.end(),
                                  [&](const kept& k) { return k.id == id && k.view; });
  if (known != cache_.end()) {
    known->used = ++clock_;
    return {finding::found, &*known->view, code::ok};
  }
  const code result = entries_.bind(1, id).step();
  if (result != code::row) {
    entries_.reset();
    if (result == code::done) return {finding::missing, nullptr, code::ok};
    if (primary(result) == code::corrupt) return {finding::damaged, nullptr, code::ok};
    return {finding::unreadable, nullptr, result};
  }
  kept& place = *std::min_element(cache_.begin(), cache_.end(),
                                  [](const kept& a, const kept& b) { return a.used < b.used; });
  const auto octets = entries_.octets(0);
  place.id = id;
  place.octets.assign(octets.begin(), octets.end());
  place.view = entries_view::parse(id, place.octets);
  place.used = ++clock_;
  entries_.reset();
  if (!place.view) return {finding::damaged, nullptr, code::ok};
  return {finding::found, &*place.view, code::ok};
}

group_source::piece group_source::open_bodies(group_id id) {
  if (bodies_.is_open() && bodies_of_ == id) return {finding::found, code::ok};
  bodies_.close();
  const code result = db_.open_blob(bodies_, "group_body", "bodies", static_cast<std::int64_t>(id));
  bodies_of_ = id;
  if (result == code::ok) return {finding::found, code::ok};
  bodies_.close();
  if (result == code::error) return {finding::missing, code::ok};  // SQLite's "no such rowid"
  if (primary(result) == code::corrupt) return {finding::damaged, code::ok};
  return {finding::unreadable, result};
}

group_source::piece group_source::read_bodies(group_id id, std::size_t offset,
                                              std::span<std::byte> into) {
  if (into.empty()) return {finding::found, code::ok};
  const piece opened = open_bodies(id);
  if (opened.found != finding::found) return opened;
  const code result = bodies_.read(into, offset);
  if (result == code::ok) return {finding::found, code::ok};
  bodies_.close();
  if (primary(result) == code::corrupt) return {finding::damaged, code::ok};
  return {finding::unreadable, result};
}

void group_source::rest() {
  bodies_.close();
  bodies_of_ = 0;
}

}  // namespace whimbrel::storage::sqlite
