// SPDX-License-Identifier: Apache-2.0
// What management says of arguments before the core takes them.
#include "broker/management/queue_arguments.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "broker/core/queue_policy.hpp"

namespace whimbrel::broker::management {

namespace {

using amqp::codec::value;

constexpr std::string_view type_key = "x-queue-type";

/// Arguments of other brokers that clients send, which this one does not do yet.
constexpr std::array<std::string_view, 6> not_done{
    "x-max-age",
    "x-stream-max-segment-size-bytes",
    "x-stream-filter-size-bytes",
    "x-max-in-memory-length",
    "x-max-in-memory-bytes",
    "x-consumer-timeout",
};

std::optional<std::string> check_type(const value& v) {
  const auto type = v.text();
  if (!type) return "argument 'x-queue-type' is not a string";
  if (*type == "classic" || *type == "quorum") return std::nullopt;
  if (*type == "stream") return "queues of type 'stream' are not supported by this version";
  return "invalid queue type '" + *type + "'";
}

/// The number of replicas: one broker has one.
std::optional<std::string> check_group_size(const value& v) {
  const auto size = v.to_signed();
  if (size && *size == 1) return std::nullopt;
  return "argument 'x-quorum-initial-group-size' must be 1: this broker is no cluster";
}

/// Where the queue's leader is to be: with one broker each answer comes to the same.
std::optional<std::string> check_locator(const value& v) {
  const auto where = v.text();
  if (where && (*where == "client-local" || *where == "balanced")) return std::nullopt;
  return "argument 'x-queue-leader-locator' must be 'client-local' or 'balanced'";
}

/// What it means for queues is the core's to say: here is only what it cannot see.
std::optional<std::string> check_one(std::string_view key, const value& v) {
  if (key == type_key) return check_type(v);
  if (key == "x-quorum-initial-group-size") return check_group_size(v);
  if (key == "x-queue-leader-locator") return check_locator(v);
  if (!core::is_argument(key) &&
      std::find(not_done.begin(), not_done.end(), key) != not_done.end()) {
    return "argument '" + std::string(key) + "' is not supported by this version";
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> objection_to(const core::queue_definition& as) {
  for (const auto& [key, v] : as.arguments) {
    const auto name = key.text();
    if (!name) return "the key of an argument is not a string";
    if (auto why = check_one(*name, v)) return why;
  }
  core::queue_policy meant;
  if (auto why = core::set_arguments(meant, as.arguments)) return why;
  if (queue_type(as) == "quorum" && !as.durable) {
    return "invalid property 'non-durable' for a queue of type 'quorum'";
  }
  if (queue_type(as) == "quorum" && as.exclusive) {
    return "invalid property 'exclusive-owner' for a queue of type 'quorum'";
  }
  return std::nullopt;
}

std::string queue_type(const core::queue_definition& as) {
  const auto type = as.arguments.find(type_key);
  return type ? type->text().value_or("classic") : "classic";
}

amqp::codec::map normal_arguments(const amqp::codec::map& arguments) {
  amqp::codec::map out;
  for (const auto& [key, v] : arguments) {
    const auto name = key.text();
    if (!name) continue;  // refused by objection_to
    const auto text = v.text();
    if (*name == type_key && text == "classic") continue;
    out.set(value(*name), text ? value(*text) : v);
  }
  return out;
}

}  // namespace whimbrel::broker::management
