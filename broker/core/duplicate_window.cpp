// SPDX-License-Identifier: Apache-2.0
#include "broker/core/duplicate_window.hpp"

#include <algorithm>
#include <utility>

#include "amqp/base/assert.hpp"
#include "broker/core/value_identity.hpp"
#include "storage/octets.hpp"

namespace whimbrel::broker::core {

namespace {

constexpr std::byte record_format{1};

void append_big_endian(std::string& to, std::uint64_t n) {
  for (int shift = 56; shift >= 0; shift -= 8) to.push_back(static_cast<char>(n >> shift & 0xff));
}

std::uint64_t read_big_endian(std::string_view from) {
  std::uint64_t n = 0;
  for (const char c : from) n = n << 8 | static_cast<unsigned char>(c);
  return n;
}

}  // namespace

void duplicate_window::set(std::uint64_t window_ms, std::uint64_t count_max) {
  window_ms_ = static_cast<std::int64_t>(window_ms);
  count_max_ = count_max;
}

std::optional<std::string> duplicate_window::id_of(const message& m) {
  const auto id = amqp::message::view(m.octets(), m.sections()).message_id();
  return id.has_value() ? identity_of(*id) : std::nullopt;
}

const duplicate_window::memory* duplicate_window::find(const std::string& id) const {
  const auto found = known_.find(id);
  return found == known_.end() ? nullptr : &found->second;
}

/// It is not known yet.
const std::string& duplicate_window::remember(std::string id, const memory& what) {
  const auto [entry, fresh] = known_.try_emplace(std::move(id), what);
  AMQP_ASSERT(fresh);
  order_.push_back(&entry->first);
  if (what.record != 0) ++records_[what.record];
  return entry->first;
}

void duplicate_window::append(std::vector<std::byte>& to, const std::string& id,
                              std::int64_t when) {
  if (to.empty()) to.push_back(record_format);
  storage::append(to, when);
  storage::append(to, static_cast<std::uint16_t>(id.size()));
  const auto octets = std::as_bytes(std::span(id));
  to.insert(to.end(), octets.begin(), octets.end());
}

void duplicate_window::add(std::string id, sequence at, bool stored, std::int64_t now) {
  if (stored && open_record_ == 0) open_record_ = ++last_record_;
  const std::string& kept =
      remember(std::move(id), {now, at, stored, stored ? open_record_ : std::uint64_t{0}});
  if (stored) append(open_value_, kept, now);
}

storage::record duplicate_window::add_alone(storage::queue_id queue, std::string id, sequence at,
                                            std::int64_t now) {
  const std::uint64_t number = ++last_record_;
  std::vector<std::byte> value;
  append(value, remember(std::move(id), {now, at, true, number}), now);
  return {storage::record_kind::duplicates, key_of(queue, number), storage::make_blob(value)};
}

std::optional<storage::record> duplicate_window::take_record(storage::queue_id queue) {
  if (open_record_ == 0) return std::nullopt;
  const std::uint64_t number = std::exchange(open_record_, 0);
  const std::vector<std::byte> value = std::exchange(open_value_, {});
  if (!records_.contains(number)) return std::nullopt;  // they have left the window already
  return storage::record{storage::record_kind::duplicates, key_of(queue, number),
                         storage::make_blob(value)};
}

/// Names the record that nobody needs any more, if there is one.
std::optional<std::uint64_t> duplicate_window::drop_oldest() {
  const auto oldest = known_.find(*order_.front());
  order_.pop_front();
  const std::uint64_t number = oldest->second.record;
  known_.erase(oldest);
  const auto of = records_.find(number);
  if (of == records_.end() || --of->second > 0) return std::nullopt;
  records_.erase(of);
  return number == open_record_ ? std::nullopt : std::optional(number);
}

std::vector<storage::record> duplicate_window::trim(storage::queue_id queue, std::int64_t now) {
  std::vector<storage::record> out;
  const auto has_left = [&](const std::string& id) {
    return known_.size() > count_max_ || now - known_.find(id)->second.when >= window_ms_;
  };
  // Recovery may find a record of which every id stands in an older one, too.
  while (!records_.empty() && records_.begin()->second == 0) {
    out.push_back({storage::record_kind::duplicates, key_of(queue, records_.begin()->first), {}});
    records_.erase(records_.begin());
  }
  while (!order_.empty() && has_left(*order_.front())) {
    const auto number = drop_oldest();
    if (number) out.push_back({storage::record_kind::duplicates, key_of(queue, *number), {}});
  }
  return out;
}

std::vector<storage::record> duplicate_window::erase_all(storage::queue_id queue) const {
  std::vector<storage::record> out;
  for (const auto& [number, ids] : records_) {
    out.push_back({storage::record_kind::duplicates, key_of(queue, number), {}});
  }
  return out;
}

// --- recovery --------------------------------------------------------------------------------

std::string duplicate_window::key_of(storage::queue_id queue, std::uint64_t record) {
  std::string out;
  append_big_endian(out, static_cast<std::uint64_t>(queue));
  append_big_endian(out, record);
  return out;
}

std::optional<std::pair<storage::queue_id, std::uint64_t>> duplicate_window::read_key(
    std::string_view key) {
  if (key.size() != 16) return std::nullopt;
  return std::pair(storage::queue_id{read_big_endian(key.substr(0, 8))},
                   read_big_endian(key.substr(8)));
}

void duplicate_window::restore(std::uint64_t record, std::span<const std::byte> value) {
  constexpr std::size_t head = 10;
  last_record_ = std::max(last_record_, record);
  records_.try_emplace(record, 0);
  if (value.empty() || value[0] != record_format) return;
  for (std::size_t i = 1; i + head <= value.size();) {
    const auto when = storage::load<std::int64_t>(value, i);
    const auto size = storage::load<std::uint16_t>(value, i + 8);
    i += head;
    if (size > value.size() - i) return;
    std::string id(reinterpret_cast<const char*>(value.data() + i), size);
    i += size;
    if (find(id) == nullptr) remember(std::move(id), {when, 0, true, record});
  }
}

}  // namespace whimbrel::broker::core
