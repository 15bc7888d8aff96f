// SPDX-License-Identifier: Apache-2.0
// TLS from the client's side: whom to believe, who we are, and whom we mean to reach.
#pragma once

#include <string>

#include "amqp/io/tls_stream.hpp"
#include "whimbrel/client/options.hpp"

namespace whimbrel::client::core {

/// For one connection to `host`, whose name or address the certificate must have. Throws error
/// (scope usage) that names the file which cannot be used.
[[nodiscard]] amqp::io::ssl_handle make_ssl(const tls_options& how, const std::string& host);

}  // namespace whimbrel::client::core
