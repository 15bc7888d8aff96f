// SPDX-License-Identifier: Apache-2.0
// PLAIN, both ways.
#include "amqp/sasl/plain.hpp"

#include "amqp/codec/skip.hpp"

namespace whimbrel::amqp::sasl {

std::optional<plain_message> parse_plain(std::span<const std::byte> octets) {
  const std::string_view text(reinterpret_cast<const char*>(octets.data()), octets.size());
  const std::size_t first = text.find('\0');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = text.find('\0', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  if (text.find('\0', second + 1) != std::string_view::npos) return std::nullopt;
  const plain_message out{.authzid = text.substr(0, first),
                          .authcid = text.substr(first + 1, second - first - 1),
                          .passwd = text.substr(second + 1)};
  if (out.authcid.empty() || out.passwd.empty()) return std::nullopt;
  if (!codec::is_utf8(text)) return std::nullopt;
  return out;
}

std::vector<std::byte> encode_plain(const plain_message& message) {
  std::vector<std::byte> out;
  const auto add = [&](std::string_view part) {
    for (const char c : part) out.push_back(static_cast<std::byte>(c));
  };
  add(message.authzid);
  out.push_back(std::byte{0});
  add(message.authcid);
  out.push_back(std::byte{0});
  add(message.passwd);
  return out;
}

}  // namespace whimbrel::amqp::sasl
