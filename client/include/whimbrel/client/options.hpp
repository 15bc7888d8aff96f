// SPDX-License-Identifier: Apache-2.0
// What a connection and its links are asked to be. Every default is one to leave alone at first.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "whimbrel/client/message.hpp"

namespace whimbrel::client {

using duration = std::chrono::milliseconds;

/// amqp://USER:PASSWORD@HOST:PORT/ADDRESS. What is not there has the default.
struct broker_url {
  std::string host = "localhost";
  std::string port = "5672";
  std::string user = {};  // empty: ANONYMOUS
  std::string password = {};
  std::string address = {};  // all behind the first slash, as it stands: addresses may have
                             // percent-encoded parts of their own

  bool operator==(const broker_url&) const = default;
};
/// Throws error (scope usage) where the text is none, and for amqps: there is no TLS yet. User,
/// password and host are percent-decoded. Without a scheme, amqp is meant.
[[nodiscard]] broker_url parse_broker_url(std::string_view text);

struct connection_options {
  std::string container_id = {};  // empty: a random one. Durable subscriptions need one that stays
  std::string user = {};          // instead of the URL's
  std::string password = {};
  bool sasl = true;  // false: bare AMQP, for peers that know no SASL

  /// For everything that waits and is given no time of its own: open, attach, outcomes, close.
  duration time_out = std::chrono::seconds(30);
  /// The peer is told to say something at least every half of it; zero: it need not. What the peer
  /// asks of us is always kept.
  duration idle_time_out = std::chrono::seconds(60);
  std::uint32_t max_frame_size = 64 * 1024;
  std::uint64_t max_message_size = 128ull << 20;  // of what we receive

  std::vector<symbol> desired_capabilities = {};
  std::optional<map> properties = {};

  /// Sees each frame as text, on the library's thread. `ours`: it is one that we send.
  std::function<void(bool ours, std::uint16_t channel, std::string_view text)> trace = {};
};

/// Who forgets a delivery when. [2.8.2]
enum class settle_mode : std::uint8_t {
  unsettled,  // at least once: the sender keeps it until it has an outcome
  settled,    // at most once: sent and forgotten
};

struct sender_options {
  std::string name = {};  // of the link; empty: a random one
  settle_mode settle = settle_mode::unsettled;
  std::size_t pipeline_max = 1000;  // messages without an outcome before `post` waits
  std::vector<symbol> capabilities = {};  // of the target: queue, topic, ...
  bool dynamic = false;                   // the peer makes a node, see sender::address
  std::optional<map> properties = {};     // of the link
};

struct receiver_options {
  std::string name = {};  // of the link; names a durable subscription
  settle_mode settle = settle_mode::unsettled;
  /// Messages that may be here or under way and not handed out yet; the library keeps the credit
  /// at that. 0: manual, see receiver::grant.
  std::uint32_t prefetch = 100;
  /// With a prefetch: how many messages to ask for in all. 0: no end.
  std::uint64_t limit = 0;
  /// Accepted when `receive` hands it out. A crash between that and its processing loses it.
  bool auto_accept = false;

  bool browse = false;        // copies: the messages stay [3.5.7]
  std::string selector = {};  // JMS selector
  map filters = {};           // others: name to described value [3.5.8]
  /// The peer keeps the subscription, by name and container-id, when the link detaches; `close`
  /// ends it.
  bool durable = false;
  std::vector<symbol> capabilities = {};  // of the source: queue, topic, shared, global, ...
  bool dynamic = false;                   // the peer makes a node, see receiver::address
  std::optional<map> properties = {};     // of the link
};

}  // namespace whimbrel::client
