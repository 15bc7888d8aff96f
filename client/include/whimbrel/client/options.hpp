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

/// amqp://USER:PASSWORD@HOST:PORT/ADDRESS, or amqps:// for TLS. What is not there has the default.
struct broker_url {
  std::string host = "localhost";
  std::string port = "5672";  // of amqps 5671
  std::string user = {};  // empty: ANONYMOUS
  std::string password = {};
  std::string address = {};  // all behind the first slash, as it stands: addresses may have
                             // percent-encoded parts of their own
  bool tls = false;          // amqps

  bool operator==(const broker_url&) const = default;
};
/// Throws error (scope usage) where the text is none. User, password and host are percent-decoded.
/// Without a scheme, amqp is meant.
[[nodiscard]] broker_url parse_broker_url(std::string_view text);

/// For amqps. The peer's certificate must lead to a root that is believed, and have the name or the
/// address that the URL has.
struct tls_options {
  std::string ca_file = {};           // PEM: the roots to believe; empty: the system's
  std::string certificate_file = {};  // PEM: ours, for peers that ask, and those up to its root
  std::string key_file = {};          // PEM: its key, without a passphrase
  bool verify = true;  // false: whoever answers is believed, and so is whoever is in between

  bool operator==(const tls_options&) const = default;
};

struct connection_options {
  std::string container_id = {};  // empty: a random one. Durable subscriptions need one that stays
  std::string user = {};          // instead of the URL's
  std::string password = {};
  bool sasl = true;  // false: bare AMQP, for peers that know no SASL
  /// First choice first: SCRAM-SHA-512, SCRAM-SHA-256, SCRAM-SHA-1, PLAIN, ANONYMOUS. Empty: with a
  /// user the strongest that the peer offers, without one ANONYMOUS. To leave PLAIN out is to show
  /// the password to nobody, not even to the peer.
  std::vector<std::string> sasl_mechanisms = {};
  tls_options tls = {};

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
