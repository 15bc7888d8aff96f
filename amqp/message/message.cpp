// SPDX-License-Identifier: Apache-2.0
// Whole messages, encoded and decoded section by section. [3.2]
#include "amqp/message/message.hpp"

#include "amqp/codec/codec.hpp"
#include "amqp/codec/skip.hpp"
#include "amqp/message/view.hpp"

namespace whimbrel::amqp::message {

namespace {

using codec::reader;
using codec::writer;
using octet_span = std::span<const std::byte>;

template <class T>
void write_section(writer& w, std::uint64_t descriptor, const T& content) {
  w.descriptor(descriptor);
  codec::encode(w, content);
}

/// The content of the next section, whose descriptor `scan` has seen.
template <class T>
decoded<T> read_section(reader& r) {
  AMQP_TRY(descriptor, codec::read_descriptor(r));
  static_cast<void>(descriptor);
  return codec::decode_as<T>(r);
}

template <class T>
decoded<void> read_optional(std::optional<T>& out, octet_span section) {
  if (section.empty()) return {};
  reader r(section);
  if constexpr (codec::composite<T>) {
    AMQP_TRY(content, codec::decode_as<T>(r));
    out = std::move(content);
  } else {
    AMQP_TRY(content, read_section<T>(r));
    out = std::move(content);
  }
  return {};
}

template <class T>
decoded<body> read_repeated(octet_span sections, std::size_t count) {
  std::vector<T> out;
  out.reserve(count);
  reader r(sections);
  while (r.remaining() > 0) {
    AMQP_TRY(content, read_section<T>(r));
    out.push_back(std::move(content));
  }
  return body(std::move(out));
}

decoded<body> read_body(const view& v) {
  const std::size_t count = v.where().body_sections;
  switch (v.where().body) {
    case body_kind::none:
      break;
    case body_kind::data:
      return read_repeated<binary>(v.body_sections(), count);
    case body_kind::sequence:
      return read_repeated<codec::list>(v.body_sections(), count);
    case body_kind::value: {
      reader r(v.body_sections());
      AMQP_TRY(content, read_section<codec::value>(r));
      return body(std::move(content));
    }
  }
  return body{};
}

void write_body(writer& w, const body& content) {
  if (const auto* data = std::get_if<std::vector<binary>>(&content)) {
    for (const binary& section : *data) write_section(w, 0x75, section);
  } else if (const auto* sequences = std::get_if<std::vector<codec::list>>(&content)) {
    for (const codec::list& section : *sequences) write_section(w, 0x76, section);
  } else if (const auto* value = std::get_if<codec::value>(&content)) {
    write_section(w, 0x77, *value);
  }
}

void print_map(std::string& out, std::string_view name, const std::optional<codec::map>& map) {
  if (!map) return;
  out += name;
  codec::print(out, *map);
  out += ' ';
}

}  // namespace

spec::properties& message::props() {
  if (!properties) properties.emplace();
  return *properties;
}

std::optional<std::string> message::body_text() const {
  if (const auto* value = std::get_if<codec::value>(&body)) return value->to<std::string>();
  if (const auto* data = std::get_if<std::vector<binary>>(&body)) {
    std::string out;
    for (const binary& section : *data) out += section.text();
    return out;
  }
  return std::nullopt;
}

message text_message(std::string_view text) {
  message out;
  out.body = codec::value(text);
  return out;
}

message data_message(std::span<const std::byte> octets) {
  message out;
  out.body = std::vector<binary>{binary(octets)};
  return out;
}

void encode(octet_buffer& out, const message& m) {
  writer w(out);
  if (m.header) codec::encode(w, *m.header);
  if (m.delivery_annotations) write_section(w, 0x71, *m.delivery_annotations);
  if (m.message_annotations) write_section(w, 0x72, *m.message_annotations);
  if (m.properties) codec::encode(w, *m.properties);
  if (m.application_properties) write_section(w, 0x74, *m.application_properties);
  write_body(w, m.body);
  if (m.footer) write_section(w, 0x78, *m.footer);
}

decoded<message> decode(std::span<const std::byte> octets) {
  AMQP_TRY(where, scan(octets));
  const view v(octets, where);
  message out;
  if (auto r = read_optional(out.header, v.header_section()); r.has_error()) return r.error();
  if (auto r = read_optional(out.delivery_annotations, v.delivery_annotations_section());
      r.has_error()) {
    return r.error();
  }
  if (auto r = read_optional(out.message_annotations, v.message_annotations_section());
      r.has_error()) {
    return r.error();
  }
  if (auto r = read_optional(out.properties, v.properties_section()); r.has_error()) {
    return r.error();
  }
  if (auto r = read_optional(out.application_properties, v.application_properties_section());
      r.has_error()) {
    return r.error();
  }
  AMQP_TRY(content, read_body(v));
  out.body = std::move(content);
  if (auto r = read_optional(out.footer, v.footer_section()); r.has_error()) return r.error();
  return out;
}

std::string to_text(const message& m) {
  std::string out;
  if (m.header) out += codec::to_text(*m.header) + ' ';
  print_map(out, "delivery-annotations", m.delivery_annotations);
  print_map(out, "message-annotations", m.message_annotations);
  if (m.properties) out += codec::to_text(*m.properties) + ' ';
  print_map(out, "application-properties", m.application_properties);
  if (const auto* data = std::get_if<std::vector<binary>>(&m.body)) {
    out += "data";
    for (const binary& section : *data) codec::print(out += ' ', section);
  } else if (const auto* sequences = std::get_if<std::vector<codec::list>>(&m.body)) {
    out += "sequence";
    for (const codec::list& section : *sequences) codec::print(out += ' ', section);
  } else if (const auto* value = std::get_if<codec::value>(&m.body)) {
    codec::print(out += "value ", *value);
  } else {
    out += "no body";
  }
  print_map(out += ' ', "footer", m.footer);
  if (out.back() == ' ') out.pop_back();
  return out;
}

}  // namespace whimbrel::amqp::message
