// SPDX-License-Identifier: Apache-2.0
#include "storage/sqlite/reader.hpp"

#include <algorithm>
#include <utility>

#include "storage/crc32c.hpp"
#include "storage/sqlite/committer.hpp"
#include "storage/sqlite/schema.hpp"

namespace whimbrel::storage::sqlite {
namespace {

constexpr std::uint32_t located_at_once = 1024;
/// One stretch is read into one buffer, however much was asked for.
constexpr std::size_t stretch_octets_max = 1024 * 1024;

constexpr std::uint64_t octets_max_sane = std::uint64_t{1} << 40;  // sums with it fit SQL integers

using finding = group_source::finding;

}  // namespace

reader::reader(const sqlite_options& options, const open_options& file, const live_index& index,
               std::mutex& moving, completion_sink& sink)
    : options_(options),
      index_(index),
      moving_(moving),
      sink_(sink),
      db_(file),
      source_(db_),
      chunks_(db_.prepare("SELECT place, crc, octets FROM chunk WHERE body = ?1 AND place < ?3 AND "
                          "place + size > ?2 ORDER BY place")) {
  configure_reader(db_);
}

reader::~reader() { close(); }

void reader::start() {
  thread_ = std::thread([this] { run(); });
}

void reader::enqueue_request(request r) {
  const std::lock_guard lock(mutex_);
  if (is_closing_) return;
  arrived_.push_back(r);
  wake_.notify_one();
}

void reader::close() {
  {
    const std::lock_guard lock(mutex_);
    is_closing_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void reader::run() {
  for (bool goes_on = true; goes_on;) {
    std::vector<request> taken;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return !arrived_.empty() || is_closing_; });
      taken = std::exchange(arrived_, {});
      goes_on = !is_closing_;
    }
    for (const request& r : taken) {
      std::visit([&](const auto& asked) { answer(asked); }, r);
    }
  }
}

void reader::answer(const range& r) {
  progress p{r, {r.worker, r.done, {}, false}};
  for (bool goes_on = true; goes_on && !p.is_full;) {
    const std::size_t before = p.answer.items.size();
    const step s = read_more(p);
    p.answer.failed = s == step::failed;
    // What is stale was settled or copied forward after it was located: look again.
    goes_on = s == step::is_stale || (s == step::goes_on && p.answer.items.size() > before);
  }
  sink_.on_read(std::move(p.answer));
}

reader::step reader::read_more(progress& p) {
  const std::lock_guard moving(moving_);
  const sequence from = p.answer.items.empty() ? p.asked.from : p.answer.items.back().key.at + 1;
  {
    const auto lock = index_.lock();
    index_.locate(p.asked.queue, from, located_at_once, spans_);
  }
  step result = step::goes_on;
  for (std::size_t i = 0; i < spans_.size() && result == step::goes_on && !p.is_full; ++i) {
    result = read_span(spans_[i], p);
  }
  source_.rest();
  return result;
}

reader::step reader::read_span(const live_span& span, progress& p) {
  const auto stored = source_.load(span.group);
  if (stored.found == finding::missing) return judge_absence(span, p);
  if (stored.found == finding::unreadable) {
    log("cannot read: " + std::string(describe(stored.why)));
    return step::failed;
  }
  if (stored.view == nullptr || span.position + span.count > stored.view->entries()) {
    add_damaged(span, p);
    return step::goes_on;
  }
  for (std::uint32_t done = 0; done < span.count;) {
    const std::uint32_t n = fitting(*stored.view, span.position + done, span.count - done, p);
    if (n == 0) {
      p.is_full = true;
      return step::goes_on;
    }
    const live_span stretch{span.group, span.first + done, span.position + done, n};
    const step result = read_stretch(stretch, *stored.view, p);
    if (result != step::goes_on) return result;
    done += n;
  }
  return step::goes_on;
}

std::uint32_t reader::fitting(const entries_view& view, std::uint32_t begin, std::uint32_t count,
                              progress& p) const {
  std::size_t stretch = 0;
  std::uint32_t n = 0;
  for (std::uint64_t end = 0; n < count; ++n) {
    const stored_entry e = view.entry(begin + n);
    const std::size_t size = e.size == in_chunks ? 0 : e.size;
    if (n > 0 && size > 0 && (e.offset != end || stretch + size > stretch_octets_max)) break;
    const bool is_first = n == 0 && p.answer.items.empty();
    if (!is_first && p.octets + stretch + size > p.asked.octets_max) break;
    stretch += size;
    if (size > 0) end = std::uint64_t{e.offset} + size;
    if (n == 0 && size == 0) end = e.offset;
  }
  return n;
}

reader::step reader::read_stretch(const live_span& stretch, const entries_view& view, progress& p) {
  std::size_t octets = 0;
  std::size_t offset = 0;
  for (std::uint32_t i = 0; i < stretch.count; ++i) {
    const stored_entry e = view.entry(stretch.position + i);
    if (e.size == in_chunks || e.size == 0) continue;
    if (octets == 0) offset = e.offset;
    octets += e.size;
  }
  buffer_.resize(octets);
  const auto read = source_.read_bodies(stretch.group, offset, buffer_);
  if (read.found == finding::unreadable) {
    log("cannot read: " + std::string(describe(read.why)));
    return step::failed;
  }
  if (read.found != finding::found) return judge_absence(stretch, p);
  std::span<const std::byte> rest(buffer_);
  for (std::uint32_t i = 0; i < stretch.count; ++i) {
    const stored_entry e = view.entry(stretch.position + i);
    const std::size_t size = e.size == in_chunks ? 0 : e.size;
    add({p.asked.queue, stretch.first + i}, e, rest.first(size), stretch.group, p);
    rest = rest.subspan(size);
  }
  return step::goes_on;
}

/// Rows go after the index has said so: if it still names them, they ought to be there.
reader::step reader::judge_absence(const live_span& span, progress& p) {
  {
    const auto lock = index_.lock();
    const auto still = index_.find({p.asked.queue, span.first});
    if (!still || index_.at(still->slot).id != span.group) return step::is_stale;
  }
  add_damaged(span, p);
  return step::goes_on;
}

void reader::add(entry_key key, const stored_entry& e, std::span<const std::byte> octets,
                 group_id group, progress& p) {
  p.octets += octets.size();
  const bool is_whole = e.size == in_chunks || crc32c(octets) == e.crc;
  p.answer.items.push_back({key, is_whole ? make_blob(octets) : nullptr});
  if (is_whole) return;
  log("queue " + std::to_string(static_cast<std::uint64_t>(key.queue)) + ", sequence " +
      std::to_string(key.at) + " fails its checksum (group " + std::to_string(group) + ")");
}

void reader::add_damaged(const live_span& span, progress& p) {
  log("group " + std::to_string(span.group) + " is damaged: " + std::to_string(span.count) +
      " messages of queue " + std::to_string(static_cast<std::uint64_t>(p.asked.queue)) +
      " cannot be read");
  for (std::uint32_t i = 0; i < span.count; ++i) {
    p.answer.items.push_back({{p.asked.queue, span.first + i}, nullptr});
  }
}

void reader::answer(const piece& p) {
  read_done answer{p.worker, p.done, {}, false};
  std::vector<std::byte> octets;
  bool is_whole = true;
  chunks_.bind(1, static_cast<std::uint64_t>(p.body)).bind(2, p.offset);
  chunks_.bind(3, p.offset + std::min<std::uint64_t>(p.octets_max, octets_max_sane));
  code c = code::ok;
  while (octets.size() < p.octets_max && (c = chunks_.step()) == code::row) {
    const std::uint64_t place = chunks_.unsigned_integer(0);
    const auto stored = chunks_.octets(2);
    const std::uint64_t from = p.offset + octets.size();
    if (place > from) break;  // a gap: the body ends here
    if (chunk_checksum(p.body, place, stored) != static_cast<std::uint32_t>(chunks_.integer(1)) ||
        from - place > stored.size()) {
      log("a chunk of body " + std::to_string(static_cast<std::uint64_t>(p.body)) + " at " +
          std::to_string(place) + " fails its checksum");
      is_whole = false;
      break;
    }
    const auto rest = stored.subspan(from - place);
    const auto n = static_cast<std::ptrdiff_t>(std::min(rest.size(), p.octets_max - octets.size()));
    octets.insert(octets.end(), rest.begin(), rest.begin() + n);
  }
  chunks_.reset();
  answer.failed = !succeeded(c) && primary(c) != code::corrupt;
  if (!succeeded(c)) {
    is_whole = false;
    log("cannot read body " + std::to_string(static_cast<std::uint64_t>(p.body)) + ": " +
        std::string(describe(c)));
  }
  if (!answer.failed) answer.items.push_back({{}, is_whole ? make_blob(octets) : nullptr});
  sink_.on_read(std::move(answer));
}

void reader::log(const std::string& what) const {
  if (options_.log) options_.log(what);
}

}  // namespace whimbrel::storage::sqlite
