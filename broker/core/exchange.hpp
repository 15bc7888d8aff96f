// SPDX-License-Identifier: Apache-2.0
// What defines an exchange and a binding, how the store keeps them, and names that cross workers.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "amqp/codec/value.hpp"
#include "storage/blob.hpp"

namespace whimbrel::broker::core {

enum class exchange_type : std::uint8_t { direct, topic, fanout, headers };

[[nodiscard]] std::string_view name_of(exchange_type type);
[[nodiscard]] std::optional<exchange_type> exchange_type_of(std::string_view name);

struct exchange_settings {
  std::string name = {};
  exchange_type type = exchange_type::direct;
  bool durable = true;       // its definition is kept, and its bindings to what is durable too
  bool auto_delete = false;  // goes with the last binding from it
  bool internal = false;     // takes messages from other exchanges alone
  std::string alternate = {};  // where messages go for which it has no binding

  bool operator==(const exchange_settings&) const = default;
};

/// An exchange, on whichever worker: all have the same table. Generation 0 names nothing.
struct exchange_ref {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;

  bool operator==(const exchange_ref&) const = default;
  explicit operator bool() const { return generation != 0; }
};

/// What an exchange of type headers looks at is in the arguments; the others look at the key. Two
/// bindings are the same when all of this is.
struct binding {
  std::string source = {};
  std::string destination = {};
  bool to_exchange = false;  // else to a queue
  std::string key = {};
  amqp::codec::map arguments = {};

  /// One text for one binding.
  [[nodiscard]] std::string id() const;
};

// Records are AMQP maps, so that later versions may add to them.
[[nodiscard]] storage::blob_ptr encode_record(const exchange_settings& what);
[[nodiscard]] storage::blob_ptr encode_record(const binding& what);
[[nodiscard]] std::optional<exchange_settings> decode_exchange(std::string_view name,
                                                               std::span<const std::byte> value);
[[nodiscard]] std::optional<binding> decode_binding(std::span<const std::byte> value);

}  // namespace whimbrel::broker::core
