// SPDX-License-Identifier: Apache-2.0
// Requests with the semantics of HTTP, as the RabbitMQ clients put them to `/management`: method
// and path in the properties, a map as body.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "amqp/codec/value.hpp"
#include "broker/management/operations.hpp"
#include "broker/management/reply.hpp"

namespace whimbrel::broker::management {

struct http_request {
  std::string method = {};  // properties.subject
  std::string target = {};  // properties.to: path and query
  amqp::codec::value body = {};
};

/// A request's target taken apart; every part is percent-decoded.
struct http_target {
  std::vector<std::string> segments = {};
  std::map<std::string, std::string> query = {};
};

/// Nothing if a '%' is not followed by two hexadecimal digits, or what comes out is not UTF-8.
[[nodiscard]] std::optional<http_target> parse_target(std::string_view text);

/// What is written as `a=b` and parted by `separator`: queries, and the names of bindings.
[[nodiscard]] std::optional<std::map<std::string, std::string>> parse_pairs(std::string_view text,
                                                                            char separator);

void handle(const operations& on, const http_request& request, const answer& done);

}  // namespace whimbrel::broker::management
