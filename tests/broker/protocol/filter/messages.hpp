// SPDX-License-Identifier: Apache-2.0
// Messages and expressions for the tests of filters.
#pragma once

#include <string>
#include <string_view>

#include <doctest/doctest.h>

#include "amqp/codec/codec.hpp"
#include "amqp/message/message.hpp"
#include "broker/core/message.hpp"
#include "broker/protocol/filter/filter_set.hpp"

namespace whimbrel::test {

namespace filter = broker::protocol::filter;
using amqp::symbol;
using amqp::codec::value;

inline broker::core::message_ptr made(const amqp::message::message& m, std::uint64_t origin = 0) {
  amqp::octet_buffer octets;
  amqp::message::encode(octets, m);
  broker::core::message_builder builder;
  builder.append(octets.octets(), false);
  auto out = builder.finish(0, origin);
  REQUIRE(out.has_value());
  return *std::move(out);
}

/// One message with something in every section.
inline amqp::message::message sample() {
  amqp::message::message m;
  m.header.emplace();
  m.header->durable = true;
  m.header->priority = 7;
  m.header->ttl = 5000u;
  m.message_annotations = amqp::codec::map{
      {value(symbol("x-opt-offset")), value(std::string("0042"))},
      {value(symbol("nested")),
       value(amqp::codec::map{
           {value(symbol("in")), value(std::string("side"))},
           {value(symbol("items")), value(amqp::codec::list{value(std::int32_t{10}),
                                                            value(std::string("eleven"))})}})},
      {value(symbol("numbers")),
       value(amqp::codec::array::of(std::vector<std::int64_t>{7, 8, 9}))},
  };
  m.delivery_annotations =
      amqp::codec::map{{value(symbol("hop")), value(std::int32_t{3})}};
  auto& p = m.props();
  p.message_id = std::uint64_t{77};
  p.user_id = amqp::binary(std::string_view("guest"));
  p.to = "orders";
  p.subject = "new";
  p.reply_to = "answers";
  p.correlation_id = std::string("ID:abc");
  p.content_type = symbol("application/json");
  p.creation_time = amqp::timestamp{1'700'000'000'000};
  p.group_id = "g1";
  p.group_sequence = 12u;
  m.application_properties = amqp::codec::map{
      {value(std::string("color")), value(std::string("red"))},
      {value(std::string("weight")), value(std::int32_t{2500})},
      {value(std::string("price")), value(19.5)},
      {value(std::string("tenth")), value(0.1)},
      {value(std::string("big")), value(std::uint64_t{18446744073709551615u})},
      {value(std::string("odd")), value(std::int64_t{9007199254740993})},
      {value(std::string("flag")), value(true)},
      {value(std::string("off")), value(false)},
      {value(std::string("city")), value(std::string("M\xc3\xbcnchen"))},
      {value(std::string("kind")), value(symbol("sym"))},
      {value(std::string("when")), value(amqp::timestamp{1'709'210'096'789})},
      {value(std::string("blob")), value(amqp::binary(std::string_view("\x01\xff")))},
      {value(std::string("nothing")), value()},
      {value(std::string("a.b")), value(std::int32_t{5})},
      {value(std::string("odd name")), value(std::int32_t{6})},
      {value(std::string("rate")), value(std::string("100%"))},
      {value(std::string("zero")), value(std::int32_t{0})},
  };
  m.footer = amqp::codec::map{{value(symbol("sum")), value(std::int32_t{99})}};
  m.body = value(std::string("body"));
  return m;
}

inline filter::checked<filter::program> program_of(std::string_view text, filter::dialect d) {
  filter::program p;
  AMQP_TRY(root, filter::parser(p, text, d).parse());
  p.set_root(root);
  return p;
}

/// 'y', 'n' or '?'; what is wrong with the expression is a failure.
inline char verdict(std::string_view text, filter::dialect d,
                    const amqp::message::message& m = sample()) {
  const auto p = program_of(text, d);
  if (p.has_error()) {
    FAIL_CHECK(std::string(text), ": ", p.error().to_text());
    return '!';
  }
  const auto octets = made(m);
  const filter::subject s{amqp::message::view(octets->octets(), octets->sections()), 0};
  const filter::truth t = p->evaluate(s);
  return t == filter::truth::yes ? 'y' : t == filter::truth::no ? 'n' : '?';
}

}  // namespace whimbrel::test
