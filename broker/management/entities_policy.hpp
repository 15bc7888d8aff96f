// SPDX-License-Identifier: Apache-2.0
// Policies as entities of `$management`.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/management/entities.hpp"

namespace whimbrel::broker::management {

inline constexpr std::string_view policy_entity = "org.whimbrel.policy";

[[nodiscard]] std::span<const std::string_view> policy_attributes();
void handle_policy(const operations& on, const entity_request& request, const answer& done);
void query_policies(const operations& on, page which, const std::vector<std::string>& wanted,
                    const answer& done);

}  // namespace whimbrel::broker::management
