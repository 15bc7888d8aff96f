// SPDX-License-Identifier: Apache-2.0
// Requests in the form of the older drafts of AMQP management, as they are put to `$management`:
// operation, type and name in the application-properties.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "amqp/codec/value.hpp"
#include "broker/management/operations.hpp"
#include "broker/management/reply.hpp"

namespace whimbrel::broker::management {

struct entity_request {
  std::string operation = {};
  std::string type = {};         // of the entity
  std::string name = {};         // or identity, which is the same here
  std::string entity_type = {};  // node operations: which entities
  std::string after = {};        // QUERY: the name before the first
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> count = {};
  amqp::codec::value body = {};
};

/// The text says what is wrong with the application-properties.
struct read_entity_request {
  entity_request request = {};
  std::optional<std::string> wrong = {};
};
[[nodiscard]] read_entity_request entity_request_from(const amqp::codec::map& properties,
                                                      amqp::codec::value body);

/// The body of a QUERY's reply has `attributeNames`, `results`, and `more` if there are further
/// ones.
void handle(const operations& on, const entity_request& request, const answer& done);

}  // namespace whimbrel::broker::management
