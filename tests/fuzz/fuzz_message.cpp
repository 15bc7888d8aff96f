// SPDX-License-Identifier: Apache-2.0
// Any octets as a message: the lazy view and the owning message agree, and what decodes survives
// re-encoding.
#include <algorithm>
#include <cstdint>
#include <span>

#include "amqp/base/assert.hpp"
#include "amqp/codec/codec.hpp"
#include "amqp/message/message.hpp"
#include "amqp/message/view.hpp"

namespace {

using namespace whimbrel::amqp;

/// Every look-up, whatever the message holds.
void touch(const message::view& v) {
  static_cast<void>(v.header());
  static_cast<void>(v.message_id());
  static_cast<void>(v.correlation_id());
  static_cast<void>(v.user_id());
  static_cast<void>(v.to());
  static_cast<void>(v.subject());
  static_cast<void>(v.reply_to());
  static_cast<void>(v.content_type());
  static_cast<void>(v.content_encoding());
  static_cast<void>(v.absolute_expiry_time());
  static_cast<void>(v.creation_time());
  static_cast<void>(v.group_id());
  static_cast<void>(v.group_sequence());
  static_cast<void>(v.reply_to_group_id());
  static_cast<void>(v.delivery_annotation("a"));
  static_cast<void>(v.message_annotation("a"));
  static_cast<void>(v.application_property("a"));
  octet_buffer merged;
  const codec::map changes{{symbol("a"), true}};
  static_cast<void>(
      message::write_merged_annotations(merged, v.message_annotations_section(), changes));
}

void compare(const message::view& v, const message::message& m) {
  const spec::header h = m.header.value_or(spec::header{});
  const auto header = v.header();
  AMQP_ASSERT(header.has_value());
  AMQP_ASSERT(header->durable == h.durable);
  AMQP_ASSERT(header->priority == h.priority);
  AMQP_ASSERT(header->ttl == h.ttl);
  AMQP_ASSERT(header->delivery_count == h.delivery_count);
  const spec::properties p = m.properties.value_or(spec::properties{});
  const auto to = v.to();
  AMQP_ASSERT(to.has_value());
  AMQP_ASSERT(to->has_value() == p.to.has_value());
  AMQP_ASSERT(!p.to || **to == *p.to);
  const auto id = v.message_id();
  AMQP_ASSERT(id.has_value());
  AMQP_ASSERT(id->empty() == !p.message_id.has_value());
  const auto sequence = v.group_sequence();
  AMQP_ASSERT(sequence.has_value());
  AMQP_ASSERT(*sequence == p.group_sequence);
  const auto annotations = v.message_annotations();
  AMQP_ASSERT(annotations.has_value());
  AMQP_ASSERT(annotations->size() == m.message_annotations.value_or(codec::map{}).size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto octets = std::as_bytes(std::span(data, size));
  const auto where = message::scan(octets);
  const auto owned = message::decode(octets);
  if (where.has_error()) {
    AMQP_ASSERT(owned.has_error());
    return 0;
  }
  const message::view v(octets, *where);
  touch(v);
  if (owned.has_error()) return 0;
  compare(v, *owned);
  static_cast<void>(message::to_text(*owned));

  octet_buffer again;
  message::encode(again, *owned);
  const auto second = message::decode(again.octets());
  AMQP_ASSERT(second.has_value());
  octet_buffer third;
  message::encode(third, *second);
  AMQP_ASSERT(std::equal(again.octets().begin(), again.octets().end(), third.octets().begin(),
                         third.octets().end()));
  return 0;
}
