// SPDX-License-Identifier: Apache-2.0
// How a listener uses TLS, as its settings say.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace whimbrel::broker::security {

/// Whether a listener speaks TLS: never, if the peer begins it, or with everybody.
enum class tls_use : std::uint8_t { none, allowed, required };
/// Whether clients are asked for a certificate, and whether they may have none.
enum class client_check : std::uint8_t { none, optional, required };

std::string_view to_text(tls_use use);
std::string_view to_text(client_check check);
std::optional<tls_use> tls_use_of(std::string_view text);
std::optional<client_check> client_check_of(std::string_view text);

struct tls_files {
  std::string certificate = {};  // the server's, then those that lead to a root
  std::string key = {};          // without a passphrase
  std::string client_ca = {};    // needed if clients are checked
  client_check check = client_check::none;
};

}  // namespace whimbrel::broker::security
