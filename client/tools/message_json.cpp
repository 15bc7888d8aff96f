// SPDX-License-Identifier: Apache-2.0
#include "client/tools/message_json.hpp"

#include <limits>
#include <optional>
#include <tuple>
#include <variant>

#include "client/tools/json.hpp"
#include "client/tools/pairs.hpp"

namespace whimbrel::client {

namespace json = boost::json;
namespace spec = amqp::spec;
using amqp::binary;
using amqp::codec::list;
using amqp::codec::map;
using amqp::codec::value;
using amqp::message::message;

namespace {

constexpr std::string_view digits = "0123456789abcdef";

template <class Octets>
std::string hex(const Octets& octets) {
  std::string out;
  for (const std::byte octet : octets) {
    out += digits[static_cast<unsigned>(octet) >> 4];
    out += digits[static_cast<unsigned>(octet) & 15u];
  }
  return out;
}

std::vector<std::byte> unhex(const json::value& text) {
  const std::string_view from = text.as_string();
  if (from.size() % 2 != 0) throw usage_error("hexadecimal octets have two digits each");
  std::vector<std::byte> out;
  for (std::size_t i = 0; i < from.size(); i += 2) {
    const auto high = digits.find(from[i]);
    const auto low = digits.find(from[i + 1]);
    if (high == digits.npos || low == digits.npos) throw usage_error("not a hexadecimal digit");
    out.push_back(static_cast<std::byte>(high * 16 + low));
  }
  return out;
}

template <class T>
T number(const json::value& v) {
  json::error_code failed;
  const T out = v.to_number<T>(failed);
  if (failed) throw usage_error("a number is too large or none: " + json::serialize(v));
  return out;
}

// --- fields: out and in, by type -------------------------------------------------------------

json::value out(bool v) { return v; }
json::value out(std::uint8_t v) { return v; }
json::value out(std::uint32_t v) { return v; }
json::value out(const std::string& v) { return json::string(v); }
json::value out(const amqp::symbol& v) { return json::string(v.text); }
json::value out(const amqp::timestamp& v) { return v.ms; }
json::value out(const binary& v) { return json::object{{"hex", hex(v.octets)}}; }
json::value out(const spec::message_id& v) {
  if (const auto* n = std::get_if<std::uint64_t>(&v)) return *n;
  if (const auto* s = std::get_if<std::string>(&v)) return json::string(*s);
  if (const auto* u = std::get_if<amqp::uuid>(&v)) return json::object{{"uuid", hex(u->octets)}};
  return out(std::get<binary>(v));
}
template <class T>
json::value out(const std::optional<T>& v) {
  return out(*v);
}

void in(bool& to, const json::value& v) { to = v.as_bool(); }
void in(std::uint8_t& to, const json::value& v) { to = number<std::uint8_t>(v); }
void in(std::uint32_t& to, const json::value& v) { to = number<std::uint32_t>(v); }
void in(std::string& to, const json::value& v) { to = std::string(v.as_string()); }
void in(amqp::symbol& to, const json::value& v) { to = amqp::symbol(std::string(v.as_string())); }
void in(amqp::timestamp& to, const json::value& v) { to.ms = number<std::int64_t>(v); }
void in(binary& to, const json::value& v) {
  if (v.is_string()) to = binary(std::string_view(v.get_string()));
  else to.octets = unhex(v.as_object().at("hex"));
}
void in(spec::message_id& to, const json::value& v) {
  if (v.is_string()) {
    to = std::string(v.get_string());
  } else if (!v.is_object()) {
    to = number<std::uint64_t>(v);
  } else if (const auto* text = v.get_object().if_contains("uuid")) {
    const auto octets = unhex(*text);
    amqp::uuid id;
    if (octets.size() != id.octets.size()) throw usage_error("a uuid has 16 octets");
    std::copy(octets.begin(), octets.end(), id.octets.begin());
    to = id;
  } else {
    binary octets;
    in(octets, v);
    to = std::move(octets);
  }
}
template <class T>
void in(std::optional<T>& to, const json::value& v) {
  in(to.emplace(), v);
}

/// header and properties: what is not at its default.
template <class T>
json::object fields_out(const T& of) {
  static const T defaults{};
  json::object all;
  const auto one = [&](const auto& field) {
    const auto& held = of.*field.member;
    if (!(held == defaults.*field.member)) all[field.name] = out(held);
  };
  std::apply([&](const auto&... each) { (one(each), ...); }, T::fields);
  return all;
}

template <class T>
void fields_in(std::optional<T>& to, const json::value& from) {
  T& made = to.emplace();
  for (const auto& each : from.as_object()) {
    const std::string_view name(each.key().data(), each.key().size());
    bool known = false;
    const auto one = [&](const auto& field) {
      if (field.name != name) return;
      known = true;
      in(made.*field.member, each.value());
    };
    std::apply([&](const auto&... field) { (one(field), ...); }, T::fields);
    if (!known) throw usage_error("no such field: " + std::string(name));
  }
}

/// Keys of annotations are symbols, those of properties strings. [3.2.10, 3.2.5]
map map_in(const json::value& from, bool symbols) {
  map all;
  for (const auto& [key, given] : from.as_object()) {
    const std::string name(key.data(), key.size());
    all.set(symbols ? value(amqp::symbol(name)) : value(name), from_json(given));
  }
  return all;
}

bool is_text(std::string_view octets) {
  json::error_code failed;
  // Strict about UTF-8; a quote or a control character in it does not matter here.
  for (const char c : octets) {
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' && c != '\r') return false;
  }
  static_cast<void>(json::parse(json::serialize(json::string(octets)), failed));
  return !failed;
}

json::value body_out(const message& m) {
  if (const auto* v = std::get_if<value>(&m.body)) {
    if (const auto text = v->to<std::string>()) return json::string(*text);
    return json::object{{"value", to_json(*v)}};
  }
  if (std::holds_alternative<std::vector<binary>>(m.body)) {
    const std::string octets = m.body_text().value_or("");
    if (is_text(octets)) return json::object{{"data", octets}};
    return json::object{{"data-hex", hex(binary(std::string_view(octets)).octets)}};
  }
  if (const auto* sequences = std::get_if<std::vector<list>>(&m.body)) {
    json::array all;
    for (const list& each : *sequences) {
      for (const value& item : each) all.push_back(to_json(item));
    }
    return json::object{{"sequence", std::move(all)}};
  }
  return nullptr;
}

amqp::message::body body_in(const json::value& from) {
  if (from.is_null()) return {};
  if (!from.is_object()) return from_json(from);
  const json::object& all = from.get_object();
  if (all.size() != 1) throw usage_error("a body is a string, or one of value, data, ...");
  if (const auto* v = all.if_contains("value")) return from_json(*v);
  if (const auto* v = all.if_contains("data")) {
    return std::vector<binary>{binary(std::string_view(v->as_string()))};
  }
  if (const auto* v = all.if_contains("data-hex")) return std::vector<binary>{binary(unhex(*v))};
  if (const auto* v = all.if_contains("sequence")) {
    list items;
    for (const json::value& item : v->as_array()) items.push_back(from_json(item));
    return std::vector<list>{std::move(items)};
  }
  throw usage_error("a body is a string, or one of value, data, data-hex and sequence");
}

message message_in(const json::object& all) {
  message made;
  for (const auto& [key, given] : all) {
    if (key == "header") fields_in(made.header, given);
    else if (key == "properties") fields_in(made.properties, given);
    else if (key == "delivery-annotations") made.delivery_annotations = map_in(given, true);
    else if (key == "message-annotations") made.message_annotations = map_in(given, true);
    else if (key == "application-properties") made.application_properties = map_in(given, false);
    else if (key == "footer") made.footer = map_in(given, true);
    else if (key == "body") made.body = body_in(given);
    else throw usage_error("no such section: " + std::string(key.data(), key.size()));
  }
  return made;
}

}  // namespace

std::string to_json_line(const message& m) {
  json::object all;
  if (m.header) all["header"] = fields_out(*m.header);
  if (m.delivery_annotations) all["delivery-annotations"] = to_json(value(*m.delivery_annotations));
  if (m.message_annotations) all["message-annotations"] = to_json(value(*m.message_annotations));
  if (m.properties) all["properties"] = fields_out(*m.properties);
  if (m.application_properties) {
    all["application-properties"] = to_json(value(*m.application_properties));
  }
  all["body"] = body_out(m);
  if (m.footer) all["footer"] = to_json(value(*m.footer));
  return json::serialize(all);
}

message from_json_line(std::string_view line) {
  try {
    json::error_code failed;
    const json::value read = json::parse(line, failed);
    if (failed) throw usage_error("not JSON: " + failed.message());
    if (read.is_object()) return message_in(read.get_object());
    message made;
    made.body = body_in(read);
    return made;
  } catch (const boost::system::system_error&) {  // from as_string and the like
    throw usage_error("a field has a value of another type");
  } catch (const std::out_of_range&) {
    throw usage_error("octets are given as {\"hex\": \"...\"}");
  } catch (const std::invalid_argument&) {
    throw usage_error("a field has a value of another type");
  }
}

}  // namespace whimbrel::client
