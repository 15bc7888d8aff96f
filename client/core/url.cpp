// SPDX-License-Identifier: Apache-2.0
// URLs of brokers. [RFC 3986]
#include <optional>
#include <string>
#include <string_view>

#include "whimbrel/client/error.hpp"
#include "whimbrel/client/options.hpp"

namespace whimbrel::client {

namespace {

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
  // What stands before an @ may be a password, and errors end up in logs.
  const auto at = text.rfind('@');
  const std::string shown(at == std::string_view::npos ? text : text.substr(at));
  throw error({error_scope::usage, {}, "not a URL that can be used (" + shown + "): " + why});
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size() || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0) return {};
    out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
    i += 2;
  }
  return out;
}

/// HOST, HOST:PORT, [V6], [V6]:PORT, :PORT; false if it is none.
bool read_host(std::string_view rest, broker_url& out) {
  std::size_t colon = rest.rfind(':');
  if (rest.starts_with('[')) {
    const auto bracket = rest.find(']');
    if (bracket == std::string_view::npos) return false;
    out.host = rest.substr(1, bracket - 1);
    colon = bracket + 1 < rest.size() ? bracket + 1 : std::string_view::npos;
    if (colon != std::string_view::npos && rest[colon] != ':') return false;
  } else if (const auto host = rest.substr(0, colon); !host.empty()) {
    if (host.find(':') != std::string_view::npos) return false;  // IPv6 wants brackets
    const auto decoded = percent_decoded(host);
    if (!decoded) return false;
    out.host = *decoded;
  }
  if (colon == std::string_view::npos) return !out.host.empty();
  out.port = rest.substr(colon + 1);
  if (out.port.empty() || out.port.size() > 5) return false;
  if (out.port.find_first_not_of("0123456789") != std::string::npos) return false;
  const unsigned long number = std::stoul(out.port);
  return number > 0 && number <= 65'535;
}

}  // namespace

broker_url parse_broker_url(std::string_view text) {
  broker_url out;
  std::string_view rest = text;
  if (const auto end = rest.find("://"); end != std::string_view::npos) {
    const std::string_view scheme = rest.substr(0, end);
    out.tls = scheme == "amqps";
    if (out.tls) out.port = "5671";
    if (!out.tls && scheme != "amqp") refuse(text, "the scheme must be amqp or amqps");
    rest.remove_prefix(end + 3);
  }
  if (const auto slash = rest.find('/'); slash != std::string_view::npos) {
    out.address = rest.substr(slash + 1);
    rest = rest.substr(0, slash);
  }
  if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
    const auto login = rest.substr(0, at);
    const auto colon = login.find(':');
    const auto user = percent_decoded(login.substr(0, colon));
    const auto password = percent_decoded(
        colon == std::string_view::npos ? std::string_view{} : login.substr(colon + 1));
    if (!user || !password) refuse(text, "a % must be followed by two hexadecimal digits");
    out.user = *user;
    out.password = *password;
    rest.remove_prefix(at + 1);
  }
  if (!rest.empty() && !read_host(rest, out)) {
    refuse(text, "amqp://USER:PASSWORD@HOST:PORT/ADDRESS is expected");
  }
  return out;
}

}  // namespace whimbrel::client
