// SPDX-License-Identifier: Apache-2.0
// Every composite of the standard by its descriptor, and frames as text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "amqp/base/result.hpp"
#include "amqp/codec/reader.hpp"

namespace whimbrel::amqp::spec {

struct catalogue_field {
  std::string_view name = {};
  bool is_mandatory = false;
};

struct catalogue_entry {
  std::uint64_t code = 0;
  std::string_view symbolic = {};  // amqp:open:list
  std::string_view name = {};      // open
  std::span<const catalogue_field> fields = {};
  /// Decodes the list behind the descriptor, and appends the value as text.
  decoded<void> (*print_fields)(std::string& out, codec::reader& r) = nullptr;
};

/// In order of the codes.
std::span<const catalogue_entry> catalogue();

/// Null for a code that is no composite of the standard.
const catalogue_entry* find_composite(std::uint64_t code);

/// A frame body as one line for traces: the performative, and how many octets follow it. Never
/// fails: what cannot be decoded is named as such. Credentials are not shown.
std::string frame_text(std::span<const std::byte> body);

}  // namespace whimbrel::amqp::spec
