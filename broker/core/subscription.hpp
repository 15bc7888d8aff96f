// SPDX-License-Identifier: Apache-2.0
// Subscriptions: queues of consumers of a topic or an exchange, and how such a consumer is known
// again. [3.5.3; naming as Qpid JMS has it]
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "storage/blob.hpp"

namespace whimbrel::broker::core {

/// What the queues of subscriptions that outlive their links are named.
inline constexpr std::string_view subscription_prefix = "subscription.";

/// How a consumer wants to be subscribed, should its source turn out to be a topic or an exchange.
/// If it is neither lasting nor shared, its subscription is the link's alone.
struct subscription_wish {
  std::string container = {};
  std::string link = {};   // its name
  bool lasting = false;    // stays when the link goes: expiry-policy never
  bool durable = false;    // and survives a restart: terminus durability
  bool shared = false;     // several links take from it in turn
  bool global = false;     // ... of whatever container
  std::string filter = {};  // as octets: another one makes another subscription
};

/// A link's name without what clients append to it, for further consumers (`name|2`), subscriptions
/// without a client-id (`name|global`) and those that do not last (`name|volatile3`,
/// `name|global-volatile3`).
struct subscription_name {
  std::string name = {};
  bool global = false;
  bool decorated = false;  // something was appended
};
[[nodiscard]] subscription_name parse_subscription_name(std::string_view link);

struct subscription {
  std::string id = {};
  std::string address = {};   // as its consumers write it
  std::string exchange = {};
  std::string key = {};
  std::string filter = {};
  bool lasting = false;
  bool durable = false;
  bool shared = false;
  bool global = false;

  // While it lives.
  bool ready = false;
  std::unordered_set<std::uint64_t> tickets = {};  // of its consumers
  std::vector<std::function<void()>> waiting = {};  // until it is ready

  [[nodiscard]] std::string queue() const { return std::string(subscription_prefix) + id; }
  /// The same messages would come.
  [[nodiscard]] bool is_like(const subscription& other) const {
    return exchange == other.exchange && key == other.key && filter == other.filter &&
           durable == other.durable && shared == other.shared;
  }
};

/// By container and name; global ones by name; those that do not last apart from those that do.
[[nodiscard]] std::string subscription_id(std::string_view container, std::string_view name,
                                          bool global, bool lasting);

[[nodiscard]] storage::blob_ptr encode_record(const subscription& what);
[[nodiscard]] std::optional<subscription> decode_subscription(std::string_view id,
                                                              std::span<const std::byte> value);

}  // namespace whimbrel::broker::core
