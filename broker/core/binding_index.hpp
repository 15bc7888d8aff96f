// SPDX-License-Identifier: Apache-2.0
// The bindings of one exchange, filed so that those that do not match cost nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "amqp/codec/value.hpp"
#include "broker/core/exchange.hpp"
#include "broker/core/message.hpp"

namespace whimbrel::broker::core {

/// Where a binding leads: a position in the router's table.
using target = std::uint32_t;

/// One file for each type of exchange. A binding that is added twice must be removed twice.
class binding_index {
 public:
  virtual ~binding_index() = default;
  virtual void add(std::string_view key, const amqp::codec::map& arguments, target to) = 0;
  virtual void remove(std::string_view key, const amqp::codec::map& arguments, target to) = 0;
  /// Appends the targets of all that match; one may come several times.
  virtual void match(std::string_view key, const message& m, std::vector<target>& out) = 0;
  /// Look-ups and comparisons made by `match` so far: what tests hold against the number of
  /// bindings.
  [[nodiscard]] std::uint64_t steps() const { return steps_; }

 protected:
  std::uint64_t steps_ = 0;
};

[[nodiscard]] std::unique_ptr<binding_index> make_binding_index(exchange_type type);

}  // namespace whimbrel::broker::core
