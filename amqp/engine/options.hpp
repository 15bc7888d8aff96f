// SPDX-License-Identifier: Apache-2.0
// What one side of a connection announces and enforces. Each default is explained where it is not
// the standard's.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "amqp/codec/types.hpp"
#include "amqp/codec/value.hpp"
#include "amqp/sasl/exchange.hpp"

namespace whimbrel::amqp::engine {

using clock = std::chrono::steady_clock;

enum class side : std::uint8_t { client, server };

/// Whether the SASL layer is used. [5.3]
enum class sasl_policy : std::uint8_t {
  none,      // client: bare AMQP. Server: a SASL header is answered with the AMQP one
  optional,  // server: either header is welcome
  required,  // server: a bare AMQP header is answered with the SASL one, then the end [2.2]
};

struct client_credentials {
  std::string mechanism = "ANONYMOUS";  // or PLAIN
  std::string user = {};
  std::string password = {};
  sasl::exchange_choice choose = {};  // instead of the three above: any mechanism, by the offer
};

struct options {
  side role = side::server;
  sasl_policy sasl = sasl_policy::required;
  std::vector<std::string> mechanisms = {"ANONYMOUS"};  // a server's offer, best first
  std::optional<client_credentials> credentials = {};   // a client's; set means SASL is used

  // announced in open [2.7.1]
  std::string container_id = {};
  std::optional<std::string> hostname = {};
  std::uint32_t max_frame_size = 64 * 1024;
  std::uint16_t channel_max = 255;
  std::optional<std::chrono::milliseconds> idle_time_out = std::chrono::seconds(30);
  std::vector<symbol> offered_capabilities = {};
  std::vector<symbol> desired_capabilities = {};
  std::optional<codec::map> properties = {};

  // announced in begin [2.7.2]
  std::uint32_t handle_max = 1023;       // at most 65,535 is announced
  std::uint32_t incoming_window = 2048;  // frames; fixed in the steady state
  std::uint32_t outgoing_window = 2048;
  std::uint32_t first_delivery_id = 0;  // of ours on a session; elsewhere for tests of the wrap

  // bounds on what a peer can make us hold
  std::uint32_t links_max = 4096;                   // a connection
  std::uint64_t max_message_size = 128ull << 20;    // one delivery's octets, over all its frames
  std::uint64_t partial_octets_max = 256ull << 20;  // deliveries begun, not complete; a connection
  std::uint32_t unsettled_in_max = 2048;            // a link; credit is cut so that it holds
  std::uint32_t unsettled_out_max = 65536;          // a link; sending pauses beyond it
  std::size_t output_octets_max = 1 << 20;
  std::uint32_t handshake_frame_size_max = 8192;  // before SASL's outcome (attack A5)
  std::uint32_t handshake_frames_max = 16;
  std::chrono::milliseconds handshake_time = std::chrono::seconds(10);  // start to the peer's open
  std::chrono::milliseconds close_time = std::chrono::seconds(5);       // our close to theirs

  /// One outcome event may speak of a run of deliveries of one link: `event::count` of them, their
  /// ids and the tokens that sender::send was given consecutive.
  bool outcome_runs = false;

  /// Sees each frame as readable text when set; `ours` tells the direction.
  std::function<void(bool ours, std::uint16_t channel, std::string_view text)> trace = {};
};

}  // namespace whimbrel::amqp::engine
