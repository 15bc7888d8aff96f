// SPDX-License-Identifier: Apache-2.0
#include "broker/config/complete.hpp"

#include <algorithm>

#include "broker/config/value.hpp"

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

std::vector<std::string> notices_of(const settings& what) {
  std::vector<std::string> out;
  for (const listener& each : what.listeners) {
    if (!*each.anonymous) {
      if (!is_loopback(each)) {
        out.push_back("listener " + print(each) + ": passwords cross the network unencrypted");
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
