// SPDX-License-Identifier: Apache-2.0
// Parsing of addresses, most specific form first.
#include "broker/core/address.hpp"

#include <array>
#include <utility>

#include "amqp/codec/skip.hpp"

namespace whimbrel::broker::core {

namespace {

struct prefix {
  std::string_view text;
  address_kind kind;
};

constexpr std::array paths{
    prefix{"/queues/", address_kind::queue},
    prefix{"/exchanges/", address_kind::exchange},
    prefix{"/topics/", address_kind::topic},
    prefix{"/streams/", address_kind::stream},
};
constexpr std::array prefixes{
    prefix{"queue://", address_kind::queue},
    prefix{"topic://", address_kind::topic},
    prefix{"queue:", address_kind::queue},
    prefix{"topic:", address_kind::topic},
};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Some clients write the whole URL; the node is what follows its authority.
std::string_view without_authority(std::string_view text) {
  for (const std::string_view scheme : {"amqp://", "amqps://"}) {
    if (!text.starts_with(scheme)) continue;
    const auto slash = text.find('/', scheme.size());
    if (slash == std::string_view::npos) return {};
    auto rest = text.substr(slash + 1);
    // amqps://host//node and amqps://host/node both name `node`; a canonical path keeps its slash.
    for (const prefix& p : paths) {
      if (text.substr(slash).starts_with(p.text)) return text.substr(slash);
    }
    if (rest.starts_with('/')) {
      for (const prefix& p : paths) {
        if (rest.starts_with(p.text)) return rest;
      }
      rest.remove_prefix(1);
    }
    return rest;
  }
  return text;
}

address invalid(std::string problem) {
  address out;
  out.problem = std::move(problem);
  return out;
}

address parse_path(const prefix& p, std::string_view rest) {
  // An exchange's path may have a second segment, its routing key.
  const auto slash = p.kind == address_kind::exchange ? rest.find('/') : std::string_view::npos;
  const auto segment = rest.substr(0, slash);
  if (segment.empty()) return invalid("nothing follows '" + std::string(p.text) + "'");
  if (segment.find('/') != std::string_view::npos) {
    return invalid("a '/' within a name is written %2F");
  }
  auto name = percent_decoded(segment);
  if (!name) return invalid("'%' is not followed by two hexadecimal digits");
  if (!amqp::codec::is_utf8(*name)) return invalid("the name is not UTF-8");
  address out{p.kind, *std::move(name), true, {}, {}};
  if (slash == std::string_view::npos) return out;
  const auto last = rest.substr(slash + 1);
  if (last.find('/') != std::string_view::npos) return invalid("a '/' within a key is written %2F");
  out.key = percent_decoded(last);
  if (!out.key) return invalid("'%' is not followed by two hexadecimal digits");
  if (!amqp::codec::is_utf8(*out.key)) return invalid("the key is not UTF-8");
  return out;
}

}  // namespace

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_digit(text[i + 1]);
    const int low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

std::string queue_path(std::string_view name) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out = "/queues/";
  for (const char c : name) {
    const auto octet = static_cast<unsigned char>(c);
    if (c != '%' && c != '/') {
      out += c;
      continue;
    }
    out += '%';
    out += digits[octet >> 4];
    out += digits[octet & 15];
  }
  return out;
}

address parse_address(std::string_view text) {
  text = without_authority(text);
  if (text.empty()) return invalid("it names no node");
  for (const prefix& p : paths) {
    if (text.starts_with(p.text)) return parse_path(p, text.substr(p.text.size()));
  }
  for (const prefix& p : prefixes) {
    if (!text.starts_with(p.text)) continue;
    const auto name = text.substr(p.text.size());
    if (name.empty()) return invalid("nothing follows '" + std::string(p.text) + "'");
    return {p.kind, std::string(name), false, {}, {}};
  }
  if (const auto at = text.rfind("::"); at != std::string_view::npos) {
    const auto name = text.substr(at + 2);
    if (name.empty()) return invalid("nothing follows '::'");
    return {address_kind::queue, std::string(name), false, {}, {}};
  }
  return {address_kind::bare, std::string(text), false, {}, {}};
}

}  // namespace whimbrel::broker::core
