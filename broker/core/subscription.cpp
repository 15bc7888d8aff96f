// SPDX-License-Identifier: Apache-2.0
// Names and records of subscriptions.
#include "broker/core/subscription.hpp"

#include <algorithm>
#include <utility>

#include "amqp/codec/codec.hpp"

namespace whimbrel::broker::core {

namespace {

using amqp::codec::map;
using amqp::codec::value;

bool is_number(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool take(std::string_view& from, std::string_view what) {
  if (!from.starts_with(what)) return false;
  from.remove_prefix(what.size());
  return true;
}

/// So that the parts of an id cannot run into each other.
void append_escaped(std::string& to, std::string_view text) {
  for (const char c : text) {
    if (c == ':') to += "%3A";
    else if (c == '%') to += "%25";
    else if (c == '~') to += "%7E";
    else to += c;
  }
}

}  // namespace

subscription_name parse_subscription_name(std::string_view link) {
  const subscription_name whole{std::string(link), false, false};
  const auto bar = link.find('|');
  if (bar == std::string_view::npos || bar == 0) return whole;
  subscription_name out{std::string(link.substr(0, bar)), false, true};
  auto rest = link.substr(bar + 1);
  if (take(rest, "global")) {
    out.global = true;
    if (rest.empty()) return out;
    if (take(rest, "-volatile") || take(rest, "|")) return is_number(rest) ? out : whole;
    return whole;
  }
  take(rest, "volatile");
  return is_number(rest) ? out : whole;
}

std::string subscription_id(std::string_view container, std::string_view name, bool global,
                            bool lasting) {
  std::string out = lasting ? "" : "~";
  if (!global) append_escaped(out, container);
  out += global ? "::" : ":";
  append_escaped(out, name);
  return out;
}

storage::blob_ptr encode_record(const subscription& what) {
  map fields;
  fields.append(value("address"), value(what.address));
  fields.append(value("exchange"), value(what.exchange));
  fields.append(value("key"), value(what.key));
  fields.append(value("shared"), value(what.shared));
  fields.append(value("global"), value(what.global));
  const auto octets = std::as_bytes(std::span(what.filter));
  amqp::binary filter;
  filter.octets.assign(octets.begin(), octets.end());
  fields.append(value("filter"), value(std::move(filter)));
  amqp::octet_buffer out;
  amqp::codec::encode(out, fields);
  return storage::make_blob(out.octets());
}

std::optional<subscription> decode_subscription(std::string_view id,
                                                std::span<const std::byte> octets) {
  const auto fields = amqp::codec::decode<map>(octets);
  if (fields.has_error()) return std::nullopt;
  const auto exchange = fields->get<std::string>("exchange");
  if (!exchange) return std::nullopt;
  subscription out;
  out.id = id;
  out.exchange = *exchange;
  out.address = fields->get<std::string>("address").value_or("");
  out.key = fields->get<std::string>("key").value_or("");
  out.shared = fields->get<bool>("shared").value_or(false);
  out.global = fields->get<bool>("global").value_or(false);
  if (const auto filter = fields->get<amqp::binary>("filter")) {
    out.filter.assign(reinterpret_cast<const char*>(filter->octets.data()), filter->octets.size());
  }
  out.lasting = out.durable = out.ready = true;
  return out;
}

}  // namespace whimbrel::broker::core
