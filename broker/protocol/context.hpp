// SPDX-License-Identifier: Apache-2.0
// What connections need of their worker and of the broker: given once, shared by all of them.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>

#include "amqp/base/octet_buffer.hpp"
#include "amqp/message/view.hpp"
#include "broker/config/settings.hpp"
#include "broker/core/directory.hpp"
#include "broker/core/shard.hpp"
#include "broker/log.hpp"
#include "broker/security/authenticator.hpp"
#include "broker/security/scram_server.hpp"
#include "broker/security/users.hpp"

namespace whimbrel::broker::protocol {

struct link_counters {
  std::uint64_t messages_in = 0;
  std::uint64_t messages_out = 0;
  std::uint64_t refused = 0;  // verdicts other than accepted
  std::array<std::uint64_t, 4> settled{};  // deliveries to consumers, by core::outcome
};

/// One a worker. References outlive all connections.
struct context {
  core::shard& home;
  core::directory& nodes;
  const config::settings& settings;
  const security::user_table& users;
  security::authenticator& logins;
  logger& log;
  /// Runs `work` on this worker; may be called from any thread.
  std::function<void(std::function<void()> work)> post_from_anywhere;
  /// Our part of a SCRAM nonce; empty if there is none to be had.
  std::function<std::string()> scram_nonce = security::random_nonce;
  link_counters counted{};
  /// The header written last, and its octets: mostly the next delivery's too.
  amqp::message::header_view head_of{};
  amqp::octet_buffer head{};
};

}  // namespace whimbrel::broker::protocol
