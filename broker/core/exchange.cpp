// SPDX-License-Identifier: Apache-2.0
// Names, identities and records of exchanges and bindings.
#include "broker/core/exchange.hpp"

#include <array>
#include <utility>

#include "amqp/codec/codec.hpp"

namespace whimbrel::broker::core {

namespace {

using amqp::codec::map;
using amqp::codec::value;

constexpr std::array<std::string_view, 4> type_names{"direct", "topic", "fanout", "headers"};

storage::blob_ptr blob_of(const map& fields) {
  amqp::octet_buffer out;
  amqp::codec::encode(out, fields);
  return storage::make_blob(out.octets());
}

/// Each part behind its length, so that no two bindings share a text.
void append_part(std::string& to, std::string_view part) {
  to += std::to_string(part.size());
  to += ':';
  to += part;
}

}  // namespace

std::string_view name_of(exchange_type type) { return type_names[static_cast<std::size_t>(type)]; }

std::optional<exchange_type> exchange_type_of(std::string_view name) {
  for (std::size_t i = 0; i < type_names.size(); ++i) {
    if (type_names[i] == name) return static_cast<exchange_type>(i);
  }
  return std::nullopt;
}

std::string binding::id() const {
  std::string out;
  append_part(out, source);
  out += to_exchange ? 'e' : 'q';
  append_part(out, destination);
  append_part(out, key);
  if (arguments.empty()) return out;
  const auto octets = arguments.octets();
  out.append(reinterpret_cast<const char*>(octets.data()), octets.size());
  return out;
}

storage::blob_ptr encode_record(const exchange_settings& what) {
  map fields;
  fields.append(value("type"), value(name_of(what.type)));
  fields.append(value("auto-delete"), value(what.auto_delete));
  fields.append(value("internal"), value(what.internal));
  if (!what.alternate.empty()) fields.append(value("alternate"), value(what.alternate));
  return blob_of(fields);
}

storage::blob_ptr encode_record(const binding& what) {
  map fields;
  fields.append(value("source"), value(what.source));
  fields.append(value("destination"), value(what.destination));
  fields.append(value("to-exchange"), value(what.to_exchange));
  fields.append(value("key"), value(what.key));
  fields.append(value("arguments"), value(what.arguments));
  return blob_of(fields);
}

std::optional<exchange_settings> decode_exchange(std::string_view name,
                                                 std::span<const std::byte> octets) {
  const auto fields = amqp::codec::decode<map>(octets);
  if (fields.has_error()) return std::nullopt;
  const auto type = exchange_type_of(fields->get<std::string>("type").value_or(""));
  if (!type) return std::nullopt;
  exchange_settings out;
  out.name = name;
  out.type = *type;
  out.auto_delete = fields->get<bool>("auto-delete").value_or(false);
  out.internal = fields->get<bool>("internal").value_or(false);
  out.alternate = fields->get<std::string>("alternate").value_or("");
  return out;
}

std::optional<binding> decode_binding(std::span<const std::byte> octets) {
  const auto fields = amqp::codec::decode<map>(octets);
  if (fields.has_error()) return std::nullopt;
  auto source = fields->get<std::string>("source");
  auto destination = fields->get<std::string>("destination");
  if (!source || !destination) return std::nullopt;
  binding out;
  out.source = *std::move(source);
  out.destination = *std::move(destination);
  out.to_exchange = fields->get<bool>("to-exchange").value_or(false);
  out.key = fields->get<std::string>("key").value_or("");
  out.arguments = fields->get<map>("arguments").value_or(map{});
  return out;
}

}  // namespace whimbrel::broker::core
