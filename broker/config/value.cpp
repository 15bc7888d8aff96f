// SPDX-License-Identifier: Apache-2.0
#include "broker/config/value.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace whimbrel::broker::config {
namespace {

struct suffix {
  std::string_view name = {};
  std::uint64_t factor = 1;
};

// Smallest first: print takes the last that divides.
constexpr std::array octet_suffixes = {suffix{"", 1}, suffix{"KiB", kib}, suffix{"MiB", mib},
                                       suffix{"GiB", 1'024 * mib}};
constexpr std::array time_suffixes = {suffix{"", 1}, suffix{"ms", 1}, suffix{"s", second},
                                      suffix{"min", 60 * second}, suffix{"h", 3'600 * second}};
constexpr std::array no_suffixes = {suffix{"", 1}};

std::span<const suffix> suffixes_of(unit in) {
  switch (in) {
    case unit::octets:
      return octet_suffixes;
    case unit::milliseconds:
      return time_suffixes;
    case unit::none:
      break;
  }
  return no_suffixes;
}

std::string print_number(std::uint64_t value, unit in) {
  suffix best = {};
  for (const suffix& s : suffixes_of(in)) {
    const bool divides = value != 0 && value % s.factor == 0;
    if (divides || s.name == "ms") best = s;
  }
  return std::to_string(value / best.factor) + std::string(best.name);
}

std::string quoted(std::string_view text) { return '"' + std::string(text) + '"'; }

std::uint64_t parse_number(std::string_view text, const setting& which) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  const std::string_view given(rest, static_cast<std::size_t>(end - rest));
  const auto known = suffixes_of(which.in);
  const auto found =
      std::find_if(known.begin(), known.end(), [&](const suffix& s) { return s.name == given; });
  if (error == std::errc::invalid_argument || found == known.end()) {
    switch (which.in) {
      case unit::octets:
        throw invalid(quoted(text) +
                      " is not a size; write 65536, \"64KiB\", \"128MiB\", \"2GiB\"");
      case unit::milliseconds:
        throw invalid(quoted(text) + " is not a time; write 30000 or \"30s\" (ms, s, min, h)");
      case unit::none:
        throw invalid(quoted(text) + " is not a whole number");
    }
  }
  const bool overflows = error == std::errc::result_out_of_range ||
                         value > std::numeric_limits<std::uint64_t>::max() / found->factor;
  if (overflows || value * found->factor < which.least || value * found->factor > which.most) {
    throw invalid(std::string(text) + " is out of range, which is " +
                  print_number(which.least, which.in) + " to " +
                  print_number(which.most, which.in));
  }
  return value * found->factor;
}

bool parse_boolean(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  throw invalid(quoted(text) + " is neither true nor false");
}

/// Turns text into a T, as `which` wants it.
template <class T>
T parse(std::string_view text, const setting& which) {
  if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::optional<bool>>) {
    return parse_boolean(text);
  } else if constexpr (std::is_same_v<T, std::chrono::milliseconds>) {
    return T(parse_number(text, which));
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (text.empty()) throw invalid("must not be empty");
    return std::string(text);
  } else if constexpr (std::is_same_v<T, log_level>) {
    if (const auto level = log_level_of(text)) return *level;
    throw invalid(quoted(text) + " is none of trace, debug, info, warning, error, off");
  } else if constexpr (std::is_same_v<T, log_format>) {
    if (const auto format = log_format_of(text)) return *format;
    throw invalid(quoted(text) + " is neither text nor json");
  } else if constexpr (std::is_same_v<T, security::tls_use>) {
    return parse_tls_use(text);
  } else if constexpr (std::is_same_v<T, security::client_check>) {
    return parse_client_check(text);
  } else {
    return static_cast<T>(parse_number(text, which));
  }
}

std::uint16_t parse_port(std::string_view text, std::string_view whole) {
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, port);
  if (text.empty() || error != std::errc{} || rest != end) {
    throw invalid(quoted(whole) + " has no port from 0 to 65535 behind the last colon");
  }
  return port;
}

}  // namespace

security::tls_use parse_tls_use(std::string_view text) {
  if (const auto use = security::tls_use_of(text)) return *use;
  throw invalid(quoted(text) + " is none of none, allowed, required");
}

security::client_check parse_client_check(std::string_view text) {
  if (const auto check = security::client_check_of(text)) return *check;
  throw invalid(quoted(text) + " is none of none, optional, required");
}

void assign(settings& to, const setting& which, std::string_view text) {
  std::visit(
      [&](auto member) {
        using value = std::remove_reference_t<decltype(to.*member)>;
        to.*member = parse<value>(text, which);
      },
      which.member);
}

std::string print(const settings& from, const setting& which) {
  return std::visit(
      [&](auto member) -> std::string {
        const auto& value = from.*member;
        using type = std::remove_cvref_t<decltype(value)>;
        if constexpr (std::is_same_v<type, bool>) {
          return value ? "true" : "false";
        } else if constexpr (std::is_same_v<type, std::optional<bool>>) {
          return !value ? "unset" : *value ? "true" : "false";
        } else if constexpr (std::is_same_v<type, std::chrono::milliseconds>) {
          return print_number(static_cast<std::uint64_t>(value.count()), which.in);
        } else if constexpr (std::is_same_v<type, std::string>) {
          return value;
        } else if constexpr (std::is_enum_v<type>) {
          return std::string(to_text(value));
        } else {
          return print_number(value, which.in);
        }
      },
      which.member);
}

bool is_boolean(const setting& which) {
  return std::holds_alternative<bool settings::*>(which.member) ||
         std::holds_alternative<std::optional<bool> settings::*>(which.member);
}

bool is_number(const setting& which) {
  return std::holds_alternative<std::uint16_t settings::*>(which.member) ||
         std::holds_alternative<std::uint32_t settings::*>(which.member) ||
         std::holds_alternative<std::uint64_t settings::*>(which.member) ||
         std::holds_alternative<std::chrono::milliseconds settings::*>(which.member);
}

listener parse_listener(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    throw invalid(quoted(text) + " is not ADDRESS:PORT, such as 127.0.0.1:5672 or [::1]:5672");
  }
  std::string address(text.substr(0, colon));
  const bool bracketed = address.size() > 2 && address.front() == '[' && address.back() == ']';
  if (bracketed) address = address.substr(1, address.size() - 2);
  std::array<unsigned char, 16> octets = {};
  if (inet_pton(bracketed ? AF_INET6 : AF_INET, address.c_str(), octets.data()) != 1) {
    throw invalid(quoted(text) +
                  " has no numeric address; write 127.0.0.1:5672, 0.0.0.0:5672 or [::]:5672");
  }
  return {.address = std::move(address), .port = parse_port(text.substr(colon + 1), text)};
}

std::string print(const listener& from) {
  const bool v6 = from.address.find(':') != std::string::npos;
  return (v6 ? '[' + from.address + ']' : from.address) + ':' + std::to_string(from.port);
}

bool is_loopback(const listener& which) {
  in_addr v4 = {};
  if (inet_pton(AF_INET, which.address.c_str(), &v4) == 1) {
    return (ntohl(v4.s_addr) >> 24) == 127;
  }
  in6_addr v6 = {};
  if (inet_pton(AF_INET6, which.address.c_str(), &v6) != 1) return false;
  const bool mapped = IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127;
  return IN6_IS_ADDR_LOOPBACK(&v6) || mapped;
}

const setting* find_setting(std::string_view name) {
  for (const setting& row : setting_table) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace whimbrel::broker::config
