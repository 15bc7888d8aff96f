// SPDX-License-Identifier: Apache-2.0
// The table of arguments, and what is derived from it.
#include "broker/core/queue_policy.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

namespace whimbrel::broker::core {

namespace {

using amqp::codec::value;

using number = std::optional<std::uint64_t> queue_policy::*;
using boolean = std::optional<bool> queue_policy::*;
using text = std::optional<std::string> queue_policy::*;
using choice = std::optional<overflow> queue_policy::*;

struct argument {
  std::string_view name = {};
  std::string_view other = {};  // as clients of other brokers write it
  std::variant<number, boolean, text, choice> member = {};
  std::uint64_t least = 0;
  std::uint64_t most = 0;
  bool may_be_empty = false;    // of texts
};

constexpr std::uint64_t ms_max = std::uint64_t{3'650} * 86'400'000;  // ten years
constexpr std::uint64_t count_max = std::uint64_t{1} << 40;
constexpr std::uint64_t failures_max = (1U << 23) - 1;               // see stored_count
constexpr std::uint64_t ids_max = 10'000'000;                        // some 150 octets each
constexpr std::size_t name_size_max = 255;

constexpr std::array argument_table = {
    argument{"message-ttl", "x-message-ttl", &queue_policy::message_ttl, 0, ms_max, false},
    argument{"max-length", "x-max-length", &queue_policy::max_length, 1, count_max, false},
    argument{"max-octets", "x-max-length-bytes", &queue_policy::max_octets, 1, count_max, false},
    argument{"overflow", "x-overflow", &queue_policy::overflow, 0, 0, false},
    argument{"dead-letter-exchange", "x-dead-letter-exchange", &queue_policy::dead_letter_exchange,
             0, 0, true},
    argument{"dead-letter-routing-key", "x-dead-letter-routing-key",
             &queue_policy::dead_letter_routing_key, 0, 0, true},
    argument{"delivery-limit", "x-delivery-limit", &queue_policy::delivery_limit, 0, failures_max,
             false},
    argument{"expires", "x-expires", &queue_policy::expires, 1, ms_max, false},
    argument{"retry-delay", "x-delayed-retry-min", &queue_policy::retry_delay, 0, ms_max, false},
    argument{"retry-delay-max", "x-delayed-retry-max", &queue_policy::retry_delay_max, 1, ms_max,
             false},
    argument{"last-value-key", "qpid.last_value_queue_key", &queue_policy::last_value_key, 0, 0,
             false},
    argument{"dedup-window", "", &queue_policy::dedup_window, 1, ms_max, false},
    argument{"dedup-max", "", &queue_policy::dedup_max, 1, ids_max, false},
    argument{"priorities", "", &queue_policy::priorities, 0, 0, false},
    argument{"single-active-consumer", "x-single-active-consumer",
             &queue_policy::single_active_consumer, 0, 0, false},
    argument{"exclusive-consumer", "", &queue_policy::exclusive_consumer, 0, 0, false},
    argument{"message-groups", "", &queue_policy::message_groups, 0, 0, false},
    argument{"group-rebalance", "", &queue_policy::group_rebalance, 0, 0, false},
    argument{"group-first", "", &queue_policy::group_first, 0, 0, false},
};

struct named_overflow {
  std::string_view name = {};
  core::overflow what = overflow::drop_head;
};
/// Ours first: the first name of each is the one that is written.
constexpr std::array overflow_names = {
    named_overflow{"drop-head", overflow::drop_head},
    named_overflow{"reject", overflow::reject},
    named_overflow{"dead-letter", overflow::dead_letter},
    named_overflow{"flow-control", overflow::flow_control},
    named_overflow{"reject-publish", overflow::reject},
};

/// Arguments that clients send by habit, and whose values we satisfy or that have no meaning here.
struct accepted_argument {
  std::string_view name = {};
  std::array<std::string_view, 3> values = {};  // none: any
};
constexpr std::array accepted_table = {
    accepted_argument{"x-queue-type", {"classic", "quorum"}},
    accepted_argument{"x-dead-letter-strategy", {"at-least-once", "at-most-once"}},
    accepted_argument{"x-queue-leader-locator", {}},
    accepted_argument{"x-quorum-initial-group-size", {}},
    accepted_argument{"x-queue-mode", {"default", "lazy"}},
    accepted_argument{"x-queue-version", {}},
    accepted_argument{"x-delayed-retry-type", {"failed"}},
};

std::string quoted(std::string_view name) { return "argument '" + std::string(name) + "'"; }

std::optional<std::string> assign(queue_policy& to, const argument& row, number member,
                                  const value& v) {
  const auto given = v.to_unsigned();
  if (!given || *given < row.least || *given > row.most) {
    return quoted(row.name) + " must be a whole number from " + std::to_string(row.least) + " to " +
           std::to_string(row.most);
  }
  to.*member = *given;
  return std::nullopt;
}

std::optional<std::string> assign(queue_policy& to, const argument& row, boolean member,
                                  const value& v) {
  const auto given = v.to<bool>();
  if (!given) return quoted(row.name) + " must be true or false";
  to.*member = *given;
  return std::nullopt;
}

std::optional<std::string> assign(queue_policy& to, const argument& row, text member,
                                  const value& v) {
  auto given = v.text();
  if (!given || (given->empty() && !row.may_be_empty) || given->size() > name_size_max) {
    return quoted(row.name) + " must be a text of at most 255 octets";
  }
  to.*member = *std::move(given);
  return std::nullopt;
}

std::optional<std::string> assign(queue_policy& to, const argument& row, choice member,
                                  const value& v) {
  const auto given = v.text();
  for (const named_overflow& n : overflow_names) {
    if (!given || n.name != *given) continue;
    to.*member = n.what;
    return std::nullopt;
  }
  return quoted(row.name) + " must be drop-head, reject, dead-letter or flow-control";
}

std::optional<std::string> check_accepted(const accepted_argument& row, const value& v) {
  if (row.values.front().empty()) return std::nullopt;
  const auto given = v.text();
  for (const std::string_view known : row.values) {
    if (given && !known.empty() && known == *given) return std::nullopt;
  }
  std::string out = quoted(row.name) + " must be '" + std::string(row.values[0]) + "'";
  if (!row.values[1].empty()) out += " or '" + std::string(row.values[1]) + "'";
  return out;
}

/// Clients write `x-max-length-bytes`, policies of other brokers `max-length-bytes`.
bool is_called(const argument& row, std::string_view name) {
  if (name.empty()) return false;
  return row.name == name || row.other == name ||
         (row.other.starts_with("x-") && row.other.substr(2) == name);
}

const argument* find_row(std::string_view name) {
  const auto found = std::find_if(argument_table.begin(), argument_table.end(),
                                  [&](const argument& row) { return is_called(row, name); });
  return found == argument_table.end() ? nullptr : found;
}

bool is_levels(std::string_view name) { return name == "x-max-priority" || name == "max-priority"; }

const accepted_argument* find_accepted(std::string_view name) {
  const auto found =
      std::find_if(accepted_table.begin(), accepted_table.end(),
                   [&](const accepted_argument& row) { return row.name == name; });
  return found == accepted_table.end() ? nullptr : found;
}

}  // namespace

std::optional<std::string> set_argument(queue_policy& to, std::string_view name,
                                        const amqp::codec::value& to_what) {
  if (const argument* row = find_row(name)) {
    return std::visit([&](auto member) { return assign(to, *row, member, to_what); }, row->member);
  }
  if (const accepted_argument* row = find_accepted(name)) return check_accepted(*row, to_what);
  if (name == "dead-letter-queue") {
    const auto queue = to_what.text();
    if (!queue || queue->empty() || queue->size() > name_size_max) {
      return quoted(name) + " must be a text of 1 to 255 octets";
    }
    to.dead_letter_exchange = "";
    to.dead_letter_routing_key = *queue;
    return std::nullopt;
  }
  if (is_levels(name)) {
    const auto levels = to_what.to_unsigned();
    if (!levels || *levels > 255) return quoted(name) + " must be a whole number from 0 to 255";
    to.priorities = *levels > 0;
    return std::nullopt;
  }
  return quoted(name) + " is not known; there are " + argument_names();
}

std::optional<std::string> find_conflict(const queue_policy& in) {
  if (in.dead_letter_routing_key && !in.dead_letter_exchange) {
    return quoted("dead-letter-routing-key") + " needs dead-letter-exchange";
  }
  if (in.dead_letter_exchange && in.dead_letter_exchange->empty() &&
      in.dead_letter_routing_key.value_or("").empty()) {
    return quoted("dead-letter-exchange") +
           " is the default exchange: dead-letter-routing-key must name a queue";
  }
  if (in.overflow == overflow::dead_letter && !in.dead_letter_exchange) {
    return quoted("overflow") + " is dead-letter: it needs dead-letter-exchange or "
           "dead-letter-queue";
  }
  return std::nullopt;
}

std::optional<std::string> set_arguments(queue_policy& to, const amqp::codec::map& arguments) {
  for (const auto& [key, mapped] : arguments) {
    const auto name = key.text();
    if (!name) return "the name of an argument must be a text";
    if (auto wrong = set_argument(to, *name, mapped)) return wrong;
  }
  return find_conflict(to);
}

amqp::codec::map to_arguments(const queue_policy& from) {
  amqp::codec::map out;
  const auto write = [&](const argument& row, auto member) {
    const auto& field = from.*member;
    if (!field) return;
    if constexpr (std::is_same_v<decltype(member), choice>) {
      const auto named = std::find_if(overflow_names.begin(), overflow_names.end(),
                                      [&](const named_overflow& n) { return n.what == *field; });
      out.append(value(row.name), value(named->name));
    } else {
      out.append(value(row.name), value(*field));
    }
  };
  for (const argument& row : argument_table) {
    std::visit([&](auto member) { write(row, member); }, row.member);
  }
  return out;
}

void merge(queue_policy& first, const queue_policy& then) {
  const auto take = [](auto& mine, const auto& other) {
    if (!mine) mine = other;
  };
  take(first.message_ttl, then.message_ttl);
  take(first.max_length, then.max_length);
  take(first.max_octets, then.max_octets);
  take(first.overflow, then.overflow);
  if (!first.dead_letter_exchange) {
    first.dead_letter_exchange = then.dead_letter_exchange;
    first.dead_letter_routing_key = then.dead_letter_routing_key;
  }
  take(first.delivery_limit, then.delivery_limit);
  take(first.expires, then.expires);
  take(first.retry_delay, then.retry_delay);
  take(first.retry_delay_max, then.retry_delay_max);
  take(first.last_value_key, then.last_value_key);
  take(first.dedup_window, then.dedup_window);
  take(first.dedup_max, then.dedup_max);
  take(first.priorities, then.priorities);
  take(first.single_active_consumer, then.single_active_consumer);
  take(first.exclusive_consumer, then.exclusive_consumer);
  take(first.message_groups, then.message_groups);
  take(first.group_rebalance, then.group_rebalance);
  take(first.group_first, then.group_first);
}

bool is_argument(std::string_view name) {
  return find_row(name) != nullptr || find_accepted(name) != nullptr ||
         name == "dead-letter-queue" || is_levels(name);
}

bool is_effective(std::string_view name) {
  return is_argument(name) && find_accepted(name) == nullptr;
}

std::string_view argument_name(std::string_view name) {
  const argument* row = find_row(name);
  return row != nullptr ? row->name : name;
}

std::string argument_names() {
  std::string out;
  for (const argument& row : argument_table) out += std::string(row.name) + ", ";
  return out + "dead-letter-queue";
}

}  // namespace whimbrel::broker::core
