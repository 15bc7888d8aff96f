// SPDX-License-Identifier: Apache-2.0
// Restricted types shared by the composites, and `error`. [2.8, 3.5.5-3.5.7]
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>

#include "amqp/codec/composite.hpp"

namespace whimbrel::amqp::spec {

using codec::field;
using enum codec::presence;
using enum codec::privacy;

/// The local endpoint's end of a link. [2.8.1]
enum class role : bool { sender = false, receiver = true };

constexpr auto choices_of(role) {
  return std::array{codec::choice{role::sender, "sender"},
                    codec::choice{role::receiver, "receiver"}};
}

/// How a sender settles what it sends. [2.8.2]
enum class sender_settle_mode : std::uint8_t { unsettled = 0, settled = 1, mixed = 2 };

constexpr auto choices_of(sender_settle_mode) {
  using enum sender_settle_mode;
  return std::array{codec::choice{unsettled, "unsettled"}, codec::choice{settled, "settled"},
                    codec::choice{mixed, "mixed"}};
}

/// When a receiver settles: at once, or after the sender has. [2.8.3]
enum class receiver_settle_mode : std::uint8_t { first = 0, second = 1 };

constexpr auto choices_of(receiver_settle_mode) {
  return std::array{codec::choice{receiver_settle_mode::first, "first"},
                    codec::choice{receiver_settle_mode::second, "second"}};
}

/// What of a terminus survives the loss of its container. [3.5.5]
enum class terminus_durability : std::uint32_t { none = 0, configuration = 1, unsettled_state = 2 };

constexpr auto choices_of(terminus_durability) {
  using enum terminus_durability;
  return std::array{codec::choice{none, "none"}, codec::choice{configuration, "configuration"},
                    codec::choice{unsettled_state, "unsettled-state"}};
}

/// The choices of terminus-expiry-policy [3.5.6]. A field of that type is a plain symbol here:
/// clients send others (`LINK_DETACH`), and a link is not refused for that.
namespace expiry_policy {
inline constexpr std::string_view link_detach = "link-detach";
inline constexpr std::string_view session_end = "session-end";
inline constexpr std::string_view connection_close = "connection-close";
inline constexpr std::string_view never = "never";
}  // namespace expiry_policy

/// The choices of std-dist-mode. [3.5.7]
namespace distribution_mode {
inline constexpr std::string_view move = "move";
inline constexpr std::string_view copy = "copy";
}  // namespace distribution_mode

/// The four types that a message-id may have. [3.2.11-3.2.14]
using message_id = std::variant<std::uint64_t, uuid, binary, std::string>;

/// What went wrong, for programs and for people. [2.8.14]
struct error {
  symbol condition = {};
  std::optional<std::string> description = {};
  std::optional<codec::map> info = {};

  bool operator==(const error&) const = default;

  static constexpr codec::descriptor type{0x1d, "amqp:error:list"};
  static constexpr auto fields = std::tuple{
      field{"condition", &error::condition, mandatory},
      field{"description", &error::description},
      field{"info", &error::info},
  };
};

}  // namespace whimbrel::amqp::spec

namespace whimbrel::amqp::codec {

void encode(writer& w, const spec::message_id& v);
void print(std::string& out, const spec::message_id& v);
template <>
decoded<spec::message_id> decode_as(reader& r);

}  // namespace whimbrel::amqp::codec
