// SPDX-License-Identifier: Apache-2.0
#include "storage/sqlite/group_format.hpp"

#include <algorithm>
#include <bit>

#include "storage/check.hpp"
#include "storage/crc32c.hpp"

namespace whimbrel::storage::sqlite {
namespace {

constexpr std::uint32_t format = 1;
constexpr std::size_t header_octets = 24;
constexpr std::size_t run_octets = 20;
constexpr std::size_t entry_octets = 16;
constexpr std::size_t extra_octets = 24;

constexpr std::size_t state_header_octets = 20;
constexpr std::uint32_t form_ranges = 1;
constexpr std::uint32_t form_bitmap = 2;

/// The checksum stands in the first four octets and covers the row's id and all that follows: a
/// blob that turns up under another id is as wrong as one with a flipped bit.
std::uint32_t checksum(group_id id, std::span<const std::byte> octets) {
  const auto id_octets = std::as_bytes(std::span(&id, 1));
  return crc32c(octets.subspan(4), crc32c(id_octets));
}

}  // namespace

// entries_view

std::optional<entries_view> entries_view::parse(group_id id, std::span<const std::byte> octets) {
  if (octets.size() < header_octets) return std::nullopt;
  if (load<std::uint32_t>(octets, 0) != checksum(id, octets)) return std::nullopt;
  if (load<std::uint32_t>(octets, 4) != format) return std::nullopt;
  const entries_view view = trusted(octets);
  if (!view.is_sound()) return std::nullopt;
  return view;
}

entries_view entries_view::trusted(std::span<const std::byte> octets) {
  entries_view view;
  view.octets_ = octets;
  view.runs_ = load<std::uint32_t>(octets, 8);
  view.entries_ = load<std::uint32_t>(octets, 12);
  view.extras_ = load<std::uint32_t>(octets, 16);
  view.body_octets_ = load<std::uint32_t>(octets, 20);
  return view;
}

std::size_t entries_view::entries_at() const {
  return header_octets + std::size_t{runs_} * run_octets;
}

std::size_t entries_view::extras_at() const {
  return entries_at() + std::size_t{entries_} * entry_octets;
}

stored_run entries_view::run(std::uint32_t i) const {
  const std::size_t at = header_octets + std::size_t{i} * run_octets;
  return {load<std::uint64_t>(octets_, at), load<std::uint64_t>(octets_, at + 8),
          load<std::uint32_t>(octets_, at + 16)};
}

stored_entry entries_view::entry(std::uint32_t position) const {
  const std::size_t at = entries_at() + std::size_t{position} * entry_octets;
  return {load<std::uint32_t>(octets_, at), load<std::uint32_t>(octets_, at + 4),
          load<std::uint32_t>(octets_, at + 8), load<std::uint32_t>(octets_, at + 12)};
}

stored_extra entries_view::extra(std::uint32_t i) const {
  const std::size_t at = extras_at() + std::size_t{i} * extra_octets;
  return {load<std::uint32_t>(octets_, at), load<std::uint32_t>(octets_, at + 4),
          load<std::int64_t>(octets_, at + 8), load<std::uint64_t>(octets_, at + 16)};
}

std::uint32_t entries_view::first_extra_from(std::uint32_t position) const {
  std::uint32_t from = 0;
  for (std::uint32_t end = extras_; from < end;) {
    const std::uint32_t middle = from + (end - from) / 2;
    if (extra(middle).position < position) {
      from = middle + 1;
    } else {
      end = middle;
    }
  }
  return from;
}

bool entries_view::is_sound() const {
  const std::size_t whole = extras_at() + std::size_t{extras_} * extra_octets;
  return whole == octets_.size() && runs_are_sound() && entries_are_sound() && extras_are_sound();
}

bool entries_view::runs_are_sound() const {
  std::uint64_t total = 0;
  for (std::uint32_t i = 0; i < runs_; ++i) {
    const stored_run r = run(i);
    if (r.count == 0 || r.first + (r.count - 1) < r.first) return false;
    total += r.count;
  }
  return total == entries_;
}

bool entries_view::entries_are_sound() const {
  for (std::uint32_t i = 0; i < entries_; ++i) {
    const stored_entry e = entry(i);
    if (e.offset == in_chunks && e.size == in_chunks) continue;
    if (e.offset > body_octets_ || e.size > body_octets_ - e.offset) return false;
  }
  return true;
}

bool entries_view::extras_are_sound() const {
  for (std::uint32_t i = 0; i < extras_; ++i) {
    const std::uint32_t position = extra(i).position;
    if (position >= entries_ || (i > 0 && position <= extra(i - 1).position)) return false;
  }
  return true;
}

// entries_writer

void entries_writer::clear() {
  runs_.clear();
  entry_octets_.clear();
  extra_octets_.clear();
  entries_ = 0;
  extras_ = 0;
}

void entries_writer::add(std::uint64_t queue, std::uint64_t at, const stored_entry& e) {
  const bool continues = !runs_.empty() && runs_.back().queue == queue &&
                         runs_.back().first + runs_.back().count == at;
  if (continues) {
    ++runs_.back().count;
  } else {
    runs_.push_back({queue, at, 1});
  }
  static_assert(sizeof e == entry_octets);
  append(entry_octets_, e);
  ++entries_;
}

void entries_writer::add_extra(std::uint32_t delivery_count, std::int64_t expires_ms,
                               std::uint64_t large) {
  if (delivery_count == 0 && expires_ms == 0 && large == 0) return;
  append(extra_octets_, entries_ - 1);
  append(extra_octets_, delivery_count);
  append(extra_octets_, expires_ms);
  append(extra_octets_, large);
  ++extras_;
}

std::span<const std::byte> entries_writer::finish(group_id id, std::uint32_t body_octets) {
  whole_.clear();
  append(whole_, std::uint32_t{0});  // the checksum's place
  append(whole_, format);
  append(whole_, static_cast<std::uint32_t>(runs_.size()));
  append(whole_, entries_);
  append(whole_, extras_);
  append(whole_, body_octets);
  for (const stored_run& r : runs_) {
    append(whole_, r.queue);
    append(whole_, r.first);
    append(whole_, r.count);
  }
  whole_.insert(whole_.end(), entry_octets_.begin(), entry_octets_.end());
  whole_.insert(whole_.end(), extra_octets_.begin(), extra_octets_.end());
  store_at(whole_, 0, checksum(id, whole_));
  return whole_;
}

// settled_bits

std::uint32_t settled_bits::set(std::uint32_t from, std::uint32_t n) {
  std::uint32_t fresh = 0;
  for (const std::uint32_t end = from + n; from < end;) {
    const std::uint32_t shift = from % 64;
    const std::uint32_t take = std::min(64 - shift, end - from);
    const std::uint64_t mask = (take == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << take) - 1)
                               << shift;
    std::uint64_t& word = words_[from / 64];
    fresh += static_cast<std::uint32_t>(std::popcount(mask & ~word));
    word |= mask;
    from += take;
  }
  return fresh;
}

std::uint32_t settled_bits::next(std::uint32_t from, std::uint32_t end, bool wanted) const {
  while (from < end) {
    const std::uint64_t word = wanted ? words_[from / 64] : ~words_[from / 64];
    const std::uint64_t rest = word >> from % 64;
    if (rest != 0) {
      return std::min(end, from + static_cast<std::uint32_t>(std::countr_zero(rest)));
    }
    from = (from / 64 + 1) * 64;
  }
  return end;
}

std::uint32_t settled_bits::count(std::uint32_t from, std::uint32_t end) const {
  std::uint32_t total = 0;
  for (std::uint32_t at = next(from, end, true); at < end;) {
    const std::uint32_t stop = next(at, end, false);
    total += stop - at;
    at = next(stop, end, true);
  }
  return total;
}

// state

namespace {

std::uint32_t count_ranges(const settled_bits& bits, std::uint32_t positions) {
  std::uint32_t ranges = 0;
  for (std::uint32_t at = bits.next(0, positions, true); at < positions; ++ranges) {
    at = bits.next(bits.next(at, positions, false), positions, true);
  }
  return ranges;
}

void append_ranges(const settled_bits& bits, std::uint32_t positions,
                   std::vector<std::byte>& into) {
  for (std::uint32_t at = bits.next(0, positions, true); at < positions;) {
    const std::uint32_t end = bits.next(at, positions, false);
    append(into, at);
    append(into, end - at);
    at = bits.next(end, positions, true);
  }
}

/// True when the bits beyond the last position are clear.
bool tail_is_clear(const settled_bits& bits, std::uint32_t positions) {
  return positions % 64 == 0 || bits.words().back() >> positions % 64 == 0;
}

bool load_ranges(std::span<const std::byte> octets, std::uint32_t positions, settled_bits& into) {
  for (std::size_t at = 0; at < octets.size(); at += 8) {
    const auto first = load<std::uint32_t>(octets, at);
    const auto n = load<std::uint32_t>(octets, at + 4);
    if (n == 0 || first >= positions || n > positions - first) return false;
    if (into.set(first, n) != n) return false;
  }
  return true;
}

bool load_bitmap(std::span<const std::byte> octets, std::uint32_t positions, settled_bits& into) {
  for (std::size_t i = 0; i < into.words().size(); ++i) {
    into.words()[i] = load<std::uint64_t>(octets, i * 8);
  }
  return positions == 0 || tail_is_clear(into, positions);
}

bool load_recounts(std::span<const std::byte> octets, std::uint32_t positions, recount_list& into) {
  for (std::size_t at = 0; at < octets.size(); at += 8) {
    const auto position = load<std::uint32_t>(octets, at);
    if (position >= positions) return false;
    if (!into.empty() && position <= into.back().first) return false;
    into.emplace_back(position, load<std::uint32_t>(octets, at + 4));
  }
  return true;
}

}  // namespace

void encode_state(group_id id, std::uint32_t positions, const group_marks& marks,
                  std::vector<std::byte>& into) {
  const auto words = marks.settled.words();
  const std::uint32_t ranges = count_ranges(marks.settled, positions);
  const bool as_ranges = ranges <= words.size();
  into.clear();
  append(into, std::uint32_t{0});  // the checksum's place
  append(into, as_ranges ? form_ranges : form_bitmap);
  append(into, positions);
  append(into, as_ranges ? ranges : static_cast<std::uint32_t>(words.size()));
  append(into, static_cast<std::uint32_t>(marks.recounts.size()));
  if (as_ranges) {
    append_ranges(marks.settled, positions, into);
  } else {
    const auto octets = std::as_bytes(words);
    into.insert(into.end(), octets.begin(), octets.end());
  }
  for (const auto& [position, count] : marks.recounts) {
    append(into, position);
    append(into, count);
  }
  store_at(into, 0, checksum(id, into));
}

std::optional<group_marks> parse_state(group_id id, std::uint32_t positions,
                                       std::span<const std::byte> octets) {
  if (octets.size() < state_header_octets) return std::nullopt;
  if (load<std::uint32_t>(octets, 0) != checksum(id, octets)) return std::nullopt;
  const auto form = load<std::uint32_t>(octets, 4);
  const std::size_t settled_octets = std::size_t{load<std::uint32_t>(octets, 12)} * 8;
  const std::size_t recount_octets = std::size_t{load<std::uint32_t>(octets, 16)} * 8;
  if (load<std::uint32_t>(octets, 8) != positions) return std::nullopt;
  if (octets.size() - state_header_octets != settled_octets + recount_octets) return std::nullopt;

  group_marks marks{settled_bits(positions), {}};
  const auto settled = octets.subspan(state_header_octets, settled_octets);
  const auto recounts = octets.subspan(state_header_octets + settled_octets);
  if (form == form_bitmap && settled_octets != marks.settled.words().size_bytes()) {
    return std::nullopt;
  }
  const bool known = form == form_ranges || form == form_bitmap;
  const bool sound = known &&
                     (form == form_ranges ? load_ranges(settled, positions, marks.settled)
                                          : load_bitmap(settled, positions, marks.settled)) &&
                     load_recounts(recounts, positions, marks.recounts);
  if (!sound) return std::nullopt;
  return marks;
}

}  // namespace whimbrel::storage::sqlite
