// SPDX-License-Identifier: Apache-2.0
#include "broker/core/delivery_time.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include "amqp/codec/codec.hpp"

namespace whimbrel::broker::core {

namespace {

using amqp::codec::value;

constexpr std::int64_t ms_max = std::int64_t{100} * 365 * 86'400'000;  // nobody waits longer

std::int64_t time_from(const value& v) {
  if (const auto at = v.to<amqp::timestamp>()) return std::max<std::int64_t>(at->ms, 0);
  return std::max<std::int64_t>(v.to_signed().value_or(0), 0);
}

std::int64_t after_delay(const value& v, std::int64_t now_ms) {
  const auto delay = v.to_signed();
  return delay && *delay > 0 ? now_ms + std::min(*delay, ms_max) : 0;
}

value annotation(const message& m, std::string_view key) {
  const auto found = amqp::message::view(m.octets(), m.sections()).message_annotation(key);
  if (found.has_error() || found->empty()) return {};
  auto read = amqp::codec::decode<value>(*found);
  return read.has_value() ? *std::move(read) : value{};
}

}  // namespace

bool may_tell_time(const message& m) {
  if (!has_annotations(m)) return false;
  const auto& at = m.sections();
  const std::string_view octets(
      reinterpret_cast<const char*>(m.octets().data()) + at.delivery_annotations_end,
      at.message_annotations_end - at.delivery_annotations_end);
  return octets.find("x-opt-delivery-") != std::string_view::npos;
}

std::int64_t delivery_time_of(const message& m) {
  return may_tell_time(m) ? time_from(annotation(m, delivery_time_key)) : 0;
}

std::int64_t delivery_time_in(const amqp::codec::map& changes, std::int64_t now_ms) {
  if (const auto at = changes.find(delivery_time_key)) return time_from(*at);
  const auto delay = changes.find(delivery_delay_key);
  return delay ? after_delay(*delay, now_ms) : 0;
}

void fix_delivery_time(message_ptr& m, std::int64_t now_ms) {
  if (!may_tell_time(*m) || delivery_time_of(*m) != 0) return;
  const std::int64_t when = after_delay(annotation(*m, delivery_delay_key), now_ms);
  if (when == 0) return;
  m = annotate(*m, {{value(amqp::symbol(delivery_time_key)), value(amqp::timestamp{when})}});
}

void schedule::add(std::int64_t when, sequence at) {
  times.emplace_back(when, at);
  std::push_heap(times.begin(), times.end(), std::greater<>{});
}

sequence schedule::take_first() {
  std::pop_heap(times.begin(), times.end(), std::greater<>{});
  const sequence at = times.back().second;
  times.pop_back();
  return at;
}

}  // namespace whimbrel::broker::core
