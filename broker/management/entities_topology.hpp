// SPDX-License-Identifier: Apache-2.0
// Exchanges and bindings as entities of `$management`.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/management/entities.hpp"

namespace whimbrel::broker::management {

inline constexpr std::string_view exchange_entity = "org.whimbrel.exchange";
inline constexpr std::string_view binding_entity = "org.whimbrel.binding";

[[nodiscard]] std::span<const std::string_view> exchange_attributes();
[[nodiscard]] std::span<const std::string_view> binding_attributes();

void handle_exchange(const operations& on, const entity_request& request, const answer& done);
/// A binding is named by its parts, in the body, also where it is deleted.
void handle_binding(const operations& on, const entity_request& request, const answer& done);

void query_exchanges(const operations& on, page which, const std::vector<std::string>& wanted,
                     const answer& done);
void query_bindings(const operations& on, page which, const std::vector<std::string>& wanted,
                    const answer& done);

/// The body of a QUERY's reply.
[[nodiscard]] reply query_reply(const std::vector<std::string>& names, amqp::codec::list results,
                                bool more);

}  // namespace whimbrel::broker::management
