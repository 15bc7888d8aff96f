// SPDX-License-Identifier: Apache-2.0
// Any text as a selector and as SQL, and any octets as a filter-set: nothing crashes, errors say
// where they are, and what compiles is evaluated over a message and says the same twice.
//
// The first octet chooses: 0 a selector, 1 sql, 2 a filter-set.
#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>

#include "amqp/base/assert.hpp"
#include "amqp/codec/codec.hpp"
#include "amqp/message/message.hpp"
#include "broker/protocol/filter/filter_set.hpp"
#include "broker/protocol/filter/text.hpp"

namespace {

using namespace whimbrel;
namespace filter = broker::protocol::filter;
using amqp::codec::value;

broker::core::message_ptr make_sample() {
  amqp::message::message m;
  m.header.emplace();
  m.message_annotations = amqp::codec::map{
      {value(amqp::symbol("m")), value(amqp::codec::list{value(std::int32_t{1}), value("b")})}};
  m.props().to = "to";
  m.props().message_id = std::uint64_t{1};
  m.application_properties = amqp::codec::map{{value("a"), value(std::int32_t{1})},
                                              {value("b"), value("text")},
                                              {value("c"), value(1.5)},
                                              {value("d"), value(true)},
                                              {value("t"), value(amqp::timestamp{5})}};
  m.body = value("body");
  amqp::octet_buffer octets;
  amqp::message::encode(octets, m);
  auto made = broker::core::make_message(octets.octets());
  AMQP_ASSERT(made.has_value());
  return *made;
}

void evaluate(const broker::core::predicate& p) {
  static const broker::core::message_ptr sample = make_sample();
  const bool first = p.matches(*sample);
  AMQP_ASSERT(first == p.matches(*sample));
  const auto equality = p.find_equality();
  if (!equality || !first) return;
  // What matches is met by its index.
  const auto key = p.key_of(*sample);
  using state = broker::core::predicate::key::state;
  AMQP_ASSERT(key.which == state::anything ||
              (key.which == state::only && key.hash == equality->hash));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto octets = std::as_bytes(std::span(data + 1, size - 1));
  if (data[0] % 4 < 2) {
    const std::string_view text(reinterpret_cast<const char*>(octets.data()), octets.size());
    const auto d = data[0] % 4 == 0 ? filter::dialect::selector : filter::dialect::sql;
    const auto made = filter::compile(text, d);
    if (made.has_value()) {
      evaluate(**made);
    } else {
      AMQP_ASSERT(made.error().position <= filter::count_characters(text) + 1);
      AMQP_ASSERT(!made.error().text.empty());
    }
    return 0;
  }
  const auto asked = amqp::codec::decode<amqp::codec::map>(octets);
  if (asked.has_error()) return 0;
  const auto set = filter::read_filter_set(*asked, 7);
  if (set.has_value() && set->selects != nullptr) evaluate(*set->selects);
  return 0;
}
