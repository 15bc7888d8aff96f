// SPDX-License-Identifier: Apache-2.0
// What a user may do, as lists of anchored globs: `orders.*` matches the whole name or not at all.
// There is one check, and attach, the `to` of a message, dynamic nodes and auto-create all ask it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace whimbrel::broker::security {

enum class action : std::uint8_t { configure, send, receive, manage };

std::string_view to_text(action what);

/// Empty lists permit nothing, which is what a named user starts with.
struct permissions {
  std::vector<std::string> configure = {};
  std::vector<std::string> send = {};
  std::vector<std::string> receive = {};
  std::vector<std::string> manage = {};

  bool operator==(const permissions&) const = default;

  /// Everything on every name: what an anonymous peer has where no users are declared.
  static permissions all();
};

[[nodiscard]] bool is_permitted(const permissions& who, action what, std::string_view name);

/// `*` is any run of octets, also none; `?` is exactly one; everything else is itself. The whole
/// name must match. At most pattern x name steps, whatever the pattern.
[[nodiscard]] bool glob_matches(std::string_view pattern, std::string_view name);

}  // namespace whimbrel::broker::security
