// SPDX-License-Identifier: Apache-2.0
// One HTTP request, for what a broker's pages say.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace whimbrel::client {

/// http://host:port/path
struct http_place {
  std::string host = {};
  std::string port = "80";
  std::string path = "/";
};
/// Nothing if it is no such URL. A host in brackets is an IPv6 address.
[[nodiscard]] std::optional<http_place> parse_http_url(const std::string& url);

struct http_answer {
  unsigned status = 0;
  std::string body = {};
};

/// Blocks until the answer is there; throws connection_error if it does not come in time.
[[nodiscard]] http_answer http_get(const http_place& from, std::chrono::milliseconds time_out);

}  // namespace whimbrel::client
