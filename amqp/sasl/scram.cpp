// SPDX-License-Identifier: Apache-2.0
// The messages of SCRAM.
#include "amqp/sasl/scram.hpp"

#include <algorithm>
#include <charconv>
#include <span>
#include <system_error>

#include "amqp/codec/skip.hpp"
#include "amqp/sasl/base64.hpp"

namespace whimbrel::amqp::sasl {

namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// The names that have a meaning of their own: they are no extensions.
bool is_known(char name) { return std::string_view("anmrcsipve").find(name) != std::string::npos; }

bool is_message(std::string_view text) {
  return !text.empty() && text.size() <= scram_message_max &&
         text.find('\0') == std::string_view::npos && codec::is_utf8(text);
}

bool is_nonce(std::string_view text) {
  return !text.empty() && text.size() <= scram_nonce_max &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

/// name=value, with commas between; values have no comma.
class attributes {
 public:
  explicit attributes(std::string_view text) : rest_(text) {}

  /// The value of the next attribute, which must have this name. Never empty.
  std::optional<std::string_view> take(char name) {
    const auto next = take_any();
    if (!next || next->front() != name) return std::nullopt;
    return next->substr(2);
  }
  /// Whether nothing is left but extensions that need not be understood.
  bool end() {
    while (rest_) {
      const auto next = take_any();
      if (!next || is_known(next->front())) return false;
    }
    return true;
  }

 private:
  std::optional<std::string_view> take_any() {
    if (!rest_) return std::nullopt;
    const std::size_t comma = rest_->find(',');
    const std::string_view out = rest_->substr(0, comma);
    if (comma == std::string_view::npos) rest_.reset();
    else rest_->remove_prefix(comma + 1);
    if (out.size() < 3 || !is_letter(out[0]) || out[1] != '=') return std::nullopt;
    return out;
  }

  std::optional<std::string_view> rest_;  // nothing: the last has been taken
};

/// saslname: a comma is =2C there and an equals sign =3D.
std::optional<std::string> decode_name(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    if (text.front() != '=') {
      out += text.front();
      text.remove_prefix(1);
      continue;
    }
    const std::string_view escape = text.substr(0, 3);
    if (escape != "=2C" && escape != "=3D") return std::nullopt;
    out += escape == "=2C" ? ',' : '=';
    text.remove_prefix(3);
  }
  return out;
}

std::string encode_name(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == ',') out += "=2C";
    else if (c == '=') out += "=3D";
    else out += c;
  }
  return out;
}

std::optional<std::uint32_t> parse_count(std::string_view text) {
  std::uint32_t out = 0;
  if (text.empty() || text.front() == '0') return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return out;
}

/// Cuts the gs2 header off `text`, which keeps the bare message.
std::optional<scram_client_first> take_gs2_header(std::string_view& text) {
  if (!text.starts_with("n,") && !text.starts_with("y,")) return std::nullopt;
  const std::size_t end = text.find(',', 2);
  if (end == std::string_view::npos) return std::nullopt;
  scram_client_first out{.gs2_header = std::string(text.substr(0, end + 1))};
  std::string_view authzid = text.substr(2, end - 2);
  text.remove_prefix(end + 1);
  if (authzid.empty()) return out;
  if (!authzid.starts_with("a=") || authzid.size() == 2) return std::nullopt;
  const auto name = decode_name(authzid.substr(2));
  if (!name) return std::nullopt;
  out.authzid = *name;
  return out;
}

}  // namespace

std::string scram_auth_message(std::string_view client_first_bare, std::string_view server_first,
                               std::string_view client_final_without_proof) {
  std::string out(client_first_bare);
  out += ',';
  out += server_first;
  out += ',';
  out += client_final_without_proof;
  return out;
}

std::optional<scram_client_first> parse_client_first(std::string_view text) {
  if (!is_message(text)) return std::nullopt;
  auto out = take_gs2_header(text);
  if (!out) return std::nullopt;
  attributes from(text);
  const auto user = from.take('n');
  const auto nonce = from.take('r');
  if (!user || !nonce || !is_nonce(*nonce) || !from.end()) return std::nullopt;
  const auto name = decode_name(*user);
  if (!name) return std::nullopt;
  out->bare = text;
  out->user = *name;
  out->nonce = *nonce;
  return out;
}

std::string encode_client_first_bare(std::string_view user, std::string_view nonce) {
  return "n=" + encode_name(user) + ",r=" + std::string(nonce);
}

std::optional<scram_server_first> parse_server_first(std::string_view text) {
  if (!is_message(text)) return std::nullopt;
  attributes from(text);
  const auto nonce = from.take('r');
  const auto salt = from.take('s');
  const auto count = from.take('i');
  if (!nonce || !salt || !count || !is_nonce(*nonce) || !from.end()) return std::nullopt;
  auto octets = from_base64(*salt);
  const auto iterations = parse_count(*count);
  if (!octets || !iterations) return std::nullopt;
  return scram_server_first{
      .nonce = std::string(*nonce), .salt = *std::move(octets), .iterations = *iterations};
}

std::string encode(const scram_server_first& message) {
  return "r=" + message.nonce + ",s=" + to_base64(message.salt) +
         ",i=" + std::to_string(message.iterations);
}

std::optional<scram_client_final> parse_client_final(std::string_view text) {
  if (!is_message(text)) return std::nullopt;
  const std::size_t end = text.rfind(",p=");  // the proof is the last, behind the extensions
  if (end == std::string_view::npos) return std::nullopt;
  scram_client_final out{.without_proof = std::string(text.substr(0, end))};
  auto proof = from_base64(text.substr(end + 3));
  attributes from(out.without_proof);
  const auto binding = from.take('c');
  const auto nonce = from.take('r');
  if (!proof || proof->empty() || !binding || !nonce || !is_nonce(*nonce) || !from.end()) {
    return std::nullopt;
  }
  const auto header = from_base64(*binding);
  if (!header) return std::nullopt;
  out.channel_binding.assign(header->begin(), header->end());
  out.nonce = *nonce;
  out.proof = *std::move(proof);
  return out;
}

std::string encode_client_final_without_proof(std::string_view gs2_header, std::string_view nonce) {
  const std::vector<std::uint8_t> header(gs2_header.begin(), gs2_header.end());
  return "c=" + to_base64(header) + ",r=" + std::string(nonce);
}

std::string encode_client_final(std::string_view without_proof,
                                const std::vector<std::uint8_t>& proof) {
  return std::string(without_proof) + ",p=" + to_base64(proof);
}

std::optional<scram_server_final> parse_server_final(std::string_view text) {
  if (!is_message(text)) return std::nullopt;
  attributes from(text);
  const bool is_error = text.front() == 'e';
  const auto value = from.take(is_error ? 'e' : 'v');
  if (!value || !from.end()) return std::nullopt;
  if (is_error) return scram_server_final{.error = std::string(*value)};
  auto signature = from_base64(*value);
  if (!signature || signature->empty()) return std::nullopt;
  return scram_server_final{.signature = *std::move(signature)};
}

std::string encode_server_final(const std::vector<std::uint8_t>& signature) {
  return "v=" + to_base64(signature);
}

}  // namespace whimbrel::amqp::sasl
