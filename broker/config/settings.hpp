// SPDX-License-Identifier: Apache-2.0
// The broker's settings, declared once: a member with its default, and one row of the table with
// its name, unit, range and help. Flags, WHIMBREL_* variables, the configuration file, --help and
// --check-config are all derived from the table. Adding a setting is those two lines.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "broker/core/policy_table.hpp"
#include "broker/log.hpp"
#include "broker/security/tls_files.hpp"
#include "broker/security/users.hpp"

namespace whimbrel::broker::config {

/// [[listener]], or --listen.
struct listener {
  std::string address = {};   // numeric, without brackets: "127.0.0.1", "::1"
  std::uint16_t port = 5672;  // 0 lets the system pick one
  bool required = true;       // false: the machine may lack it (::1 among the defaults)

  /// May peers without a name come in here? As written; once loaded it always has a value.
  std::optional<bool> anonymous = {};

  /// As written; once loaded, what is not is taken from the settings of these names.
  std::optional<security::tls_use> tls = {};
  std::string tls_certificate = {};
  std::string tls_key = {};
  std::string tls_client_ca = {};
  std::optional<security::client_check> tls_verify_client = {};

  [[nodiscard]] bool speaks_tls() const { return tls && *tls != security::tls_use::none; }

  bool operator==(const listener&) const = default;
};

/// [[queue]]: exists from the start.
struct queue {
  std::string name = {};
  bool durable = true;
  amqp::codec::map arguments = {};  // that `core::set_arguments` takes

  bool operator==(const queue&) const = default;
};

/// One of [[exchange]]'s `bindings`: to a queue or to an exchange.
struct exchange_binding {
  using argument = std::variant<bool, std::int64_t, std::string>;
  std::string queue = {};
  std::string exchange = {};
  std::string key = {};
  std::vector<std::pair<std::string, argument>> arguments = {};

  bool operator==(const exchange_binding&) const = default;
};

/// [[exchange]]: exists from the start.
struct exchange {
  std::string name = {};
  std::string type = "direct";  // or topic, fanout, headers
  bool durable = true;
  bool auto_delete = false;
  bool internal = false;
  std::string alternate = {};
  std::vector<exchange_binding> bindings = {};

  bool operator==(const exchange&) const = default;
};

/// [[auto-create]]: the first rule whose pattern matches an unknown name decides.
struct auto_create {
  std::string pattern = "*";
  bool create = true;  // false: such names are not created
  bool durable = true;

  bool operator==(const auto_create&) const = default;
};

struct settings {
  std::string data = "./.data";
  std::string container_id = "whimbrel";
  std::string rabbitmq_identity = "none";
  std::uint32_t workers = 0;
  std::optional<bool> anonymous = {};
  std::string http = "none";

  security::tls_use tls = security::tls_use::none;
  std::string tls_certificate = "none";
  std::string tls_key = "none";
  std::string tls_client_ca = "none";
  security::client_check tls_verify_client = security::client_check::none;

  std::uint32_t max_frame_size = 65'536;
  std::uint16_t channel_max = 255;
  std::uint32_t handle_max = 1'023;
  std::uint32_t links_max = 4'096;
  std::uint32_t session_window = 2'048;
  std::uint32_t link_credit = 1'000;
  std::chrono::milliseconds idle_time_out{30'000};
  std::uint64_t max_message_size = 128U << 20;
  std::uint32_t unsettled_in_max = 2'048;
  std::uint32_t unsettled_out_max = 65'536;
  std::uint64_t output_buffer = 1U << 20;

  std::chrono::milliseconds handshake_timeout{10'000};
  std::chrono::milliseconds failed_login_delay{1'000};
  std::uint32_t connections_max = 16'384;
  std::uint32_t queues_max = 100'000;
  std::uint64_t memory = 0;
  std::chrono::milliseconds store_stall_max{30'000};

  log_level log_least = log_level::info;
  log_format log_as = log_format::text;
  bool trace_frames = false;

  std::vector<listener> listeners = {};
  std::vector<queue> queues = {};
  std::vector<exchange> exchanges = {};
  std::vector<security::user> users = {};
  std::vector<core::named_policy> policies = {};  // [[policy]]
  std::vector<auto_create> auto_creates = {auto_create{}};
};

enum class unit : std::uint8_t { none, octets, milliseconds };

struct setting {
  using target =
      std::variant<bool settings::*, std::optional<bool> settings::*, std::uint16_t settings::*,
                   std::uint32_t settings::*, std::uint64_t settings::*,
                   std::chrono::milliseconds settings::*, std::string settings::*,
                   log_level settings::*, log_format settings::*,
                   security::tls_use settings::*, security::client_check settings::*>;
  std::string_view name = {};
  target member = {};
  unit in = unit::none;
  std::uint64_t least = 0;  // of numbers; in octets or milliseconds where that is the unit
  std::uint64_t most = 0;
  std::string_view help = {};
};

inline constexpr std::uint64_t kib = 1U << 10;
inline constexpr std::uint64_t mib = 1U << 20;
inline constexpr std::uint64_t tib = std::uint64_t{1} << 40;
inline constexpr std::uint64_t second = 1'000;
inline constexpr std::uint64_t day = 86'400 * second;

inline constexpr auto setting_table = std::array{
    setting{"data", &settings::data, unit::none, 0, 0,
            "directory of the store; created if missing, used by one broker at a time"},
    setting{"container-id", &settings::container_id, unit::none, 0, 0,
            "name of this container in `open` [2.7.1]"},
    setting{"rabbitmq-identity", &settings::rabbitmq_identity, unit::none, 0, 0,
            "version of RabbitMQ to claim in `open`, e.g. 4.0.0, for its clients, which check; "
            "or none"},
    setting{"workers", &settings::workers, unit::none, 0, 256,
            "threads that own connections and queues; 0 takes the processors there are"},
    setting{"anonymous", &settings::anonymous, unit::none, 0, 0,
            "whether peers may come without a login; unset: only while no user is declared, and "
            "only on loopback"},
    setting{"http", &settings::http, unit::none, 0, 0,
            "ADDRESS:PORT of the pages /live, /ready and /metrics, for everybody who reaches it; "
            "or none"},
    setting{"tls", &settings::tls, unit::none, 0, 0,
            "whether listeners speak TLS, unless they say otherwise: none; allowed, with plain "
            "AMQP on the same port; or required"},
    setting{"tls-certificate", &settings::tls_certificate, unit::none, 0, 0,
            "PEM file with the certificate for TLS and those that lead to its root; or none"},
    setting{"tls-key", &settings::tls_key, unit::none, 0, 0,
            "PEM file with the private key of tls-certificate, without a passphrase; or none"},
    setting{"tls-client-ca", &settings::tls_client_ca, unit::none, 0, 0,
            "PEM file with the roots of clients' certificates; or none"},
    setting{"tls-verify-client", &settings::tls_verify_client, unit::none, 0, 0,
            "whether clients show a certificate: none, not asked; optional, checked if there is "
            "one; or required"},
    setting{"max-frame-size", &settings::max_frame_size, unit::octets, 512, 16 * mib,
            "largest frame accepted [2.7.1]"},
    setting{"channel-max", &settings::channel_max, unit::none, 0, 65'535,
            "highest channel number, one less than the sessions of a connection [2.7.1]"},
    setting{"handle-max", &settings::handle_max, unit::none, 0, 1'048'575,
            "highest handle, one less than the links of a session [2.7.2]"},
    setting{"links-max", &settings::links_max, unit::none, 1, 1'048'576,
            "links a connection, over all its sessions"},
    setting{"session-window", &settings::session_window, unit::none, 1, 1'048'576,
            "incoming window of a session, in transfer frames [2.5.6]"},
    setting{"link-credit", &settings::link_credit, unit::none, 1, 65'535,
            "credit granted to a producer, topped up at half [2.6.7]"},
    setting{"idle-time-out", &settings::idle_time_out, unit::milliseconds, 0, day,
            "silence that we ask peers not to exceed; closed at twice this; 0 is never [2.4.5]"},
    setting{"max-message-size", &settings::max_message_size, unit::octets, kib, 1'024 * mib,
            "largest message accepted [2.7.3]"},
    setting{"unsettled-in-max", &settings::unsettled_in_max, unit::none, 1, 1'048'576,
            "deliveries a producer's link may have unsettled"},
    setting{"unsettled-out-max", &settings::unsettled_out_max, unit::none, 1, 16'777'216,
            "deliveries a consumer's link may have unsettled"},
    setting{"output-buffer", &settings::output_buffer, unit::octets, 16 * kib, 1'024 * mib,
            "octets waiting to be written to one connection before its consumers wait"},
    setting{"handshake-timeout", &settings::handshake_timeout, unit::milliseconds, 100, day,
            "time from accept to `open`"},
    setting{"failed-login-delay", &settings::failed_login_delay, unit::milliseconds, 0, 60 * second,
            "how long a refused login waits for its answer"},
    setting{"connections-max", &settings::connections_max, unit::none, 1, 1'048'576,
            "connections at a time, those not yet logged in included"},
    setting{"queues-max", &settings::queues_max, unit::none, 1, 16'777'216,
            "queues at a time; nothing is created beyond"},
    setting{"memory", &settings::memory, unit::octets, 0, tib,
            "budget for messages; 0 takes half of what the cgroup or the machine has"},
    setting{"store-stall-max", &settings::store_stall_max, unit::milliseconds, 0, day,
            "how long producers wait for a full disk before they are refused"},
    setting{"log-level", &settings::log_least, unit::none, 0, 0,
            "trace, debug, info, warning, error or off"},
    setting{"log-format", &settings::log_as, unit::none, 0, 0, "text or json"},
    setting{"trace-frames", &settings::trace_frames, unit::none, 0, 0,
            "print every frame, ours `->`, theirs `<-`"},
};

}  // namespace whimbrel::broker::config
