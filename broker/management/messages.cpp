// SPDX-License-Identifier: Apache-2.0
// Dressing replies.
#include "broker/management/messages.hpp"

#include <utility>

namespace whimbrel::broker::management {

using amqp::codec::map;
using amqp::codec::value;

namespace {

/// What a code means when nothing better is known.
std::string_view phrase(int code) {
  switch (code) {
    case status::ok: return "OK";
    case status::created: return "Created";
    case status::no_content: return "No Content";
    case status::bad_request: return "Bad Request";
    case status::forbidden: return "Forbidden";
    case status::not_found: return "Not Found";
    case status::conflict: return "Conflict";
    case status::not_implemented: return "Not Implemented";
    default: return "Error";
  }
}

}  // namespace

std::optional<dialect> dialect_of(const std::optional<std::string>& address) {
  if (address == "/management") return dialect::http;
  if (address == "$management") return dialect::entity;
  return std::nullopt;
}

value body_of(const amqp::message::message& request) {
  if (const auto* v = std::get_if<value>(&request.body)) return *v;
  const auto text = request.body_text();
  if (text && !text->empty()) return value(amqp::binary(*text));
  return {};
}

amqp::message::message respond(dialect in, const amqp::message::message& request,
                               const reply& what) {
  amqp::message::message out;
  auto& p = out.props();
  if (request.properties) {
    const auto& asked = *request.properties;
    p.correlation_id = asked.correlation_id ? asked.correlation_id : asked.message_id;
    if (in == dialect::entity) p.to = asked.reply_to;
  }
  map properties;
  if (in == dialect::http) {
    p.subject = std::to_string(what.code);
    // The response answers the request's message-id, whatever correlation-id that had.
    if (request.properties && request.properties->message_id) {
      p.correlation_id = request.properties->message_id;
    }
    properties.append(value("http:response"), value("1.1"));
    out.body = what.body;
  } else {
    const auto code = static_cast<std::int32_t>(what.code);
    const std::string text = what.is_ok() ? std::string(phrase(what.code)) : what.text();
    // Azure's clients look for the second spelling.
    properties.append(value("statusCode"), value(code));
    properties.append(value("statusDescription"), value(text));
    properties.append(value("status-code"), value(code));
    properties.append(value("status-description"), value(text));
    if (const auto* body = what.body.get_if<map>()) {
      if (const auto rows = body->get<amqp::codec::list>("results")) {
        properties.append(value("count"), value(static_cast<std::uint32_t>(rows->size())));
      }
    }
    out.body = what.is_ok() ? what.body : value(map{});
  }
  out.application_properties = std::move(properties);
  return out;
}

}  // namespace whimbrel::broker::management
