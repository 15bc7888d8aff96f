// SPDX-License-Identifier: Apache-2.0
// The crash test's messages: a header with durable, one data section whose octets follow from the
// message's id, so that a damaged one is noticed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tests/crash/ledger.hpp"

namespace whimbrel::crash {

std::string encode_message(message_id id, std::size_t padding);

struct seen_message {
  message_id id = 0;
  std::uint32_t delivery_count = 0;
};

/// Nothing when the octets are not a message that encode_message made.
std::optional<seen_message> decode_message(const std::string& octets);

}  // namespace whimbrel::crash
