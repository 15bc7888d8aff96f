// SPDX-License-Identifier: Apache-2.0
// What a queue may be told to do beyond keeping messages in order: the names, types and ranges of
// its arguments, declared once, for configuration, management and the store alike.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "amqp/codec/value.hpp"

namespace whimbrel::broker::core {

/// What happens when a message comes to a queue that is full.
enum class overflow : std::uint8_t {
  drop_head,     // the oldest that waits goes: to the dead letters if there is a target, else away
  reject,        // its producer is told `rejected`
  dead_letter,   // the newcomer goes to the dead letters
  flow_control,  // it is taken, and producers get no more credit until there is room
};

/// Empty fields are not set. What is declared for one queue and what policies say of it are both of
/// this type; `merge` makes one of them.
struct queue_policy {
  std::optional<std::uint64_t> message_ttl = {};  // milliseconds
  std::optional<std::uint64_t> max_length = {};   // messages that wait
  std::optional<std::uint64_t> max_octets = {};   // of all that it has
  std::optional<core::overflow> overflow = {};    // default: drop-head
  std::optional<std::string> dead_letter_exchange = {};     // "": the queue that the key names
  std::optional<std::string> dead_letter_routing_key = {};  // else the message's subject
  std::optional<std::uint64_t> delivery_limit = {};  // failed deliveries beyond which it is dead
  std::optional<std::uint64_t> expires = {};      // ms without a consumer after which it goes
  std::optional<std::uint64_t> retry_delay = {};      // ms a failed message rests, times failures
  std::optional<std::uint64_t> retry_delay_max = {};  // ms, whatever the number of failures
  std::optional<std::string> last_value_key = {};  // one message for each value of this property
  std::optional<std::uint64_t> dedup_window = {};   // ms in which a message-id comes once
  std::optional<std::uint64_t> dedup_max = {};      // ids remembered at most
  std::optional<bool> priorities = {};               // ten levels, strictly; else order of arrival
  std::optional<bool> single_active_consumer = {};
  std::optional<bool> exclusive_consumer = {};       // a second one is refused
  std::optional<bool> message_groups = {};   // messages with one group-id go to one consumer
  std::optional<bool> group_rebalance = {};  // a consumer that comes sets the groups free
  std::optional<bool> group_first = {};      // the first of a group for a consumer says so

  bool operator==(const queue_policy&) const = default;
  [[nodiscard]] bool empty() const { return *this == queue_policy{}; }
};

/// Sets one field from its argument, by our name ("max-length") or by the one that clients of other
/// brokers use ("x-max-length"). Returns what is wrong, in words that name the argument; nothing if
/// it is right. Arguments that mean nothing with one node are checked, and change nothing.
[[nodiscard]] std::optional<std::string> set_argument(queue_policy& to, std::string_view name,
                                                      const amqp::codec::value& to_what);

/// What no single argument shows: fields that need another one. Nothing if all is well.
[[nodiscard]] std::optional<std::string> find_conflict(const queue_policy& in);

/// All of a map of arguments, into `to`, and `find_conflict`. Returns the first thing wrong.
[[nodiscard]] std::optional<std::string> set_arguments(queue_policy& to,
                                                       const amqp::codec::map& arguments);

/// What is set, under our names; `set_arguments` reads it back.
[[nodiscard]] amqp::codec::map to_arguments(const queue_policy& from);

/// What `first` leaves open is taken from `then`. Exchange and routing key of dead letters go
/// together.
void merge(queue_policy& first, const queue_policy& then);

/// Is this an argument of queues, by whichever name?
[[nodiscard]] bool is_argument(std::string_view name);

/// Does it change what a queue does? Others are taken because their values are met anyway.
[[nodiscard]] bool is_effective(std::string_view name);

/// Our name of an argument, whichever it was given by; `name` itself if it has no other.
[[nodiscard]] std::string_view argument_name(std::string_view name);

/// Our names of all arguments, for messages and completion.
[[nodiscard]] std::string argument_names();

}  // namespace whimbrel::broker::core
