// SPDX-License-Identifier: Apache-2.0
#include "broker/config/complete.hpp"

#include <algorithm>

#include "broker/config/value.hpp"
#include "broker/security/tls_context.hpp"

namespace whimbrel::broker::config {
namespace {

constexpr std::uint64_t memory_least = 16 * mib;  // below this a few large messages fill it

bool can_log_in(const security::user& who) { return !who.passwords.empty(); }

/// Who may come in: as the listener says, else as `anonymous` says, else everyone while there are
/// no users; that last only where nobody but this machine can reach it.
void decide_anonymous(settings& what, bool has_logins) {
  for (listener& each : what.listeners) {
    if (!each.anonymous) each.anonymous = what.anonymous;
    if (!each.anonymous && !has_logins && !is_loopback(each)) {
      throw invalid(
          "listener " + print(each) +
          ": reachable from other machines while no [[user]] is declared; declare one, or "
          "let everybody in with `anonymous = true`");
    }
    if (!each.anonymous) each.anonymous = !has_logins;
    if (!*each.anonymous && !has_logins) {
      throw invalid("listener " + print(each) +
                    ": nobody can log in: `anonymous` is false and no [[user]] is declared");
    }
  }
}

/// What a listener does not say itself, the settings say.
void decide_tls(listener& which, const settings& what) {
  const auto fill = [](std::string& to, const std::string& from) {
    if (to.empty() && from != "none") to = from;
  };
  const bool asks_nobody = which.tls_verify_client == security::client_check::none;
  if (!which.tls) which.tls = what.tls;
  if (!which.tls_verify_client) which.tls_verify_client = what.tls_verify_client;
  fill(which.tls_certificate, what.tls_certificate);
  fill(which.tls_key, what.tls_key);
  if (!asks_nobody) fill(which.tls_client_ca, what.tls_client_ca);
}

/// The files are there, and belong together.
void check_tls(const listener& which) {
  if (!which.speaks_tls()) return;
  const auto refuse = [&](const std::string& why) {
    throw invalid("listener " + print(which) + ": " + why);
  };
  if (which.tls_certificate.empty() || which.tls_key.empty()) {
    refuse("tls is " + std::string(to_text(*which.tls)) +
           ", which needs `tls-certificate` and `tls-key`");
  }
  if (*which.tls_verify_client == security::client_check::none) {
    // Whoever names roots believes that clients are checked.
    if (!which.tls_client_ca.empty()) {
      refuse("`tls-client-ca` needs `tls-verify-client`: optional or required");
    }
  } else if (which.tls_client_ca.empty()) {
    refuse("`tls-verify-client` needs `tls-client-ca`");
  } else if (*which.tls_verify_client == security::client_check::required &&
             *which.tls == security::tls_use::allowed) {
    refuse("`tls-verify-client` required needs `tls` required: who comes without TLS shows none");
  }
  try {
    const security::tls_context checked(tls_files_of(which));
  } catch (const security::tls_error& e) {
    refuse(e.what());
  }
}

std::vector<std::string> notices_of(const settings& what) {
  std::vector<std::string> out;
  const bool any_tls = std::any_of(what.listeners.begin(), what.listeners.end(),
                                   [](const listener& each) { return each.speaks_tls(); });
  if (what.tls_certificate != "none" && !any_tls) {
    out.push_back("tls-certificate: no listener uses it, for none says `tls`");
  }
  for (const listener& each : what.listeners) {
    if (!*each.anonymous) {
      if (!is_loopback(each) && *each.tls != security::tls_use::required) {
        out.push_back("listener " + print(each) + ": passwords " +
                      (each.speaks_tls() ? "of who comes without TLS " : "") +
                      "cross the network unencrypted");
      }
      continue;
    }
    out.push_back("listener " + print(each) + ": anonymous, whoever " +
                  (is_loopback(each) ? "is on this machine" : "reaches it over the network") +
                  " may connect");
  }
  return out;
}

void check_http(const std::string& text, std::vector<std::string>& notices) {
  try {
    const listener where = parse_listener(text);
    if (is_loopback(where)) return;
    notices.push_back("http " + print(where) + ": whoever reaches it over the network may read");
  } catch (const invalid& e) {
    throw invalid(std::string("http: ") + e.what());
  }
}

}  // namespace

security::tls_files tls_files_of(const listener& which) {
  return {.certificate = which.tls_certificate,
          .key = which.tls_key,
          .client_ca = which.tls_client_ca,
          .check = which.tls_verify_client.value_or(security::client_check::none)};
}

std::vector<std::string> complete(settings& what, const machine& here) {
  if (what.listeners.empty()) {
    what.listeners = {listener{.address = "127.0.0.1"},
                      listener{.address = "::1", .required = false}};
  }
  if (what.workers == 0) what.workers = std::min(here.processors, 256U);
  if (what.memory == 0) what.memory = std::max(here.memory / 2, memory_least);
  if (what.memory < memory_least) {
    throw invalid("memory: less than 16MiB leaves no room for messages");
  }
  if (what.queues.size() > what.queues_max) {
    throw invalid("queues-max: less than the " + std::to_string(what.queues.size()) +
                  " queues declared");
  }
  decide_anonymous(what, std::any_of(what.users.begin(), what.users.end(), can_log_in));
  for (listener& each : what.listeners) {
    decide_tls(each, what);
    check_tls(each);
  }
  auto notices = notices_of(what);
  if (what.http != "none") check_http(what.http, notices);
  if (what.max_message_size > what.memory) {
    what.max_message_size = what.memory;
    notices.push_back("max-message-size: lowered to `memory`, which is " +
                      std::to_string(what.memory) + " octets");
  }
  return notices;
}

}  // namespace whimbrel::broker::config
