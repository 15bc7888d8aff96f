// SPDX-License-Identifier: Apache-2.0
// From the filter-set of a source to what the queue evaluates, and to what the attach reply may
// claim. [3.5.8; filtex 3 to 6]
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "amqp/codec/value.hpp"
#include "broker/core/predicate.hpp"
#include "broker/protocol/filter/error.hpp"
#include "broker/protocol/filter/parser.hpp"
#include "broker/protocol/filter/program.hpp"

namespace whimbrel::broker::protocol::filter {

/// A program as the queue sees it.
class compiled final : public core::predicate {
 public:
  explicit compiled(program p);

  [[nodiscard]] bool matches(const core::message& m) const override;
  [[nodiscard]] std::optional<equality> find_equality() const override;
  [[nodiscard]] key key_of(const core::message& m) const override;

 private:
  program program_;
  std::optional<program::equality> equality_;
};

struct filter_set {
  std::unique_ptr<const core::predicate> selects = {};  // null: everything passes
  amqp::codec::map in_force = {};                       // the entries of those that are applied
};

/// `connection` is that of the consumer, for no-local. A filter of a kind that is not known is left
/// out of `in_force`; one that is known and wrong is an error, for which the link is refused.
[[nodiscard]] checked<filter_set> read_filter_set(const amqp::codec::map& asked,
                                                  std::uint64_t connection);

/// One expression alone, for whoever else filters (bindings, management).
[[nodiscard]] checked<std::unique_ptr<const core::predicate>> compile(std::string_view expression,
                                                                      dialect d);

}  // namespace whimbrel::broker::protocol::filter
