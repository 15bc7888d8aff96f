// SPDX-License-Identifier: Apache-2.0
// Messages with a group-id, for the tests of message groups.
#pragma once

#include <cctype>
#include <string>
#include <string_view>

#include "amqp/message/message.hpp"
#include "tests/broker/core/world.hpp"

namespace whimbrel::test {

/// "A1" is of group A, "a1" of none; one that ends on "!" is the last of its group.
inline core::message_ptr grouped(std::string_view text, const message_shape& shape = {}) {
  amqp::message::message head;
  head.header.emplace();
  head.header->durable = shape.durable;
  head.header->priority = shape.priority;
  if (shape.ttl) head.header->ttl = *shape.ttl;
  const bool has_group = std::isupper(static_cast<unsigned char>(text.front())) != 0;
  if (has_group) head.props().group_id = std::string(text.substr(0, 1));
  if (text.ends_with('!')) head.props().group_sequence = 0xffff'ffff;
  amqp::octet_buffer out;
  amqp::message::encode(out, head);
  const auto body = make_text(text);
  out.append(body->octets().subspan(body->sections().application_properties_end));
  auto made = core::make_message(out.octets());
  AMQP_ASSERT(made.has_value());
  return *std::move(made);
}

inline core::queue_policy by_group() {
  core::queue_policy p;
  p.message_groups = true;
  return p;
}

/// "A1 B1 a1", put one by one.
inline void put_groups(world& w, test_producer& p, std::string_view texts,
                       const message_shape& shape = {}) {
  while (!texts.empty()) {
    const std::size_t end = texts.find(' ');
    p.put(grouped(texts.substr(0, end), shape));
    texts = end == std::string_view::npos ? std::string_view() : texts.substr(end + 1);
  }
  w.settle_down();
}

inline bool is_marked_first(const core::message& m) {
  const auto found =
      amqp::message::view(m.octets(), m.sections()).message_annotation("x-opt-group-first");
  return found.has_value() && !found->empty();
}

}  // namespace whimbrel::test
