// SPDX-License-Identifier: Apache-2.0
// What the verbs have in common: URL, connection, exit codes.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "whimbrel/client.hpp"

namespace CLI {
class App;
}

namespace whimbrel::client {

enum class verb_result : int { done = 0, refused = 1, usage = 2, no_connection = 3 };
[[nodiscard]] verb_result result_of(error_scope scope);

struct common_arguments {
  std::string url = {};
  std::string address = {};
  std::vector<std::string> capabilities = {};
  std::string container_id = {};
  double timeout = 30;
  bool no_sasl = false;
  std::vector<std::string> mechanisms = {};
  bool trace = false;
  bool quiet = false;
  tls_options tls = {};

  [[nodiscard]] duration time_out() const {
    return duration(static_cast<std::int64_t>(timeout * 1000));
  }
  [[nodiscard]] std::vector<symbol> symbols() const {
    return {capabilities.begin(), capabilities.end()};
  }
};

void add_common(CLI::App& app, common_arguments& a);
/// --ca, --cert, --insecure, and the key of the certificate under a name that is free.
void add_tls(CLI::App& app, tls_options& t, const char* key_flag = "--key");
/// The URL; throws usage_error if there are flags for TLS and it is not amqps.
[[nodiscard]] broker_url url_of(const std::string& text, const tls_options& t);

/// Parses, then runs; says on the standard error what went wrong.
int run_verb(CLI::App& app, int argc, char** argv, const std::function<verb_result()>& run);

/// Connects; `address` becomes the one to use. Throws usage_error if there is none.
[[nodiscard]] connection connect(const common_arguments& a, std::string& address,
                                 bool may_be_empty);

}  // namespace whimbrel::client
