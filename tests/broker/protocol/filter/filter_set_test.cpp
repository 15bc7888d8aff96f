// SPDX-License-Identifier: Apache-2.0
// Filter-sets as clients send them: which are applied, echoed, left out, refused. [3.5.8; filtex]
#include <string>

#include "broker/protocol/filter/limits.hpp"
#include "tests/broker/protocol/filter/messages.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using amqp::codec::described;
using amqp::codec::list;
using amqp::codec::map;

namespace {

constexpr std::uint64_t apache = 0x0000468c00000000;

value of(std::uint64_t code, const value& body) { return described(value(code), body); }
value of(const char* name, const value& body) { return described(value(symbol(name)), body); }
value text(const char* t) { return value(std::string(t)); }
value pair_map(const char* key, const value& v) { return map{{value(symbol(key)), v}}; }

filter::filter_set read(const map& asked, std::uint64_t connection = 0) {
  auto out = filter::read_filter_set(asked, connection);
  if (out.has_error()) FAIL(out.error().to_text());
  return *std::move(out);
}

/// Whether a single filter lets the sample pass.
bool passes(const value& one) {
  const auto set = read(map{{value(symbol("f")), one}});
  REQUIRE(set.selects != nullptr);
  CHECK(set.in_force.size() == 1);
  return set.selects->matches(*made(sample()));
}

std::string fault_of(const value& one) {
  const auto out = filter::read_filter_set(map{{value(symbol("f")), one}}, 0);
  return out.has_error() ? out.error().to_text() : "";
}

}  // namespace

TEST_CASE("filter set: every form in which clients send selectors is read") {
  const struct {
    const char* key;
    value filter;
  } rows[] = {
      {"jms-selector", of(apache | 4, text("color = 'red'"))},
      {"selector", of("apache.org:selector-filter:string", text("color = 'red'"))},
      {"x", of("apache.org:jms-selector-filter:string", text("color = 'red'"))},
      {"apache.org:selector-filter:string", text("color = 'red'")},
      {"sql-filter", of(0x120, text("a.color = 'red'"))},
      {"sql-filter", of("amqp:sql-filter", text("a.color = 'red'"))},
  };
  for (const auto& r : rows) {
    CAPTURE(r.key);
    const map asked{{value(symbol(r.key)), r.filter}};
    const auto set = read(asked);
    CHECK(set.in_force == asked);
    REQUIRE(set.selects != nullptr);
    CHECK(set.selects->matches(*made(sample())));
    amqp::message::message other = sample();
    other.application_properties.reset();
    CHECK_FALSE(set.selects->matches(*made(other)));
  }
}

TEST_CASE("filter set: what is not known is left out, and so is a null") {
  const value known = of(apache | 4, text("color = 'red'"));
  const map asked{{value(symbol("a")), of("com.example:filter", text("x"))},
                  {value(symbol("b")), known},
                  {value(symbol("c")), value()},
                  {value(symbol("d")), text("undescribed")}};
  const auto set = read(asked);
  CHECK(set.in_force == map{{value(symbol("b")), known}});
  CHECK(set.selects != nullptr);
  const auto none = read(map{{value(symbol("a")), of("com.example:filter", text("x"))}});
  CHECK(none.in_force.empty());
  CHECK(none.selects == nullptr);
}

TEST_CASE("filter set: all of several filters must pass") {
  const auto two = [](const char* a, const char* b) {
    const auto set = read(map{{value(symbol("a")), of(apache | 4, text(a))},
                              {value(symbol("b")), of(0x120, text(b))}});
    return set.selects->matches(*made(sample()));
  };
  CHECK(two("color = 'red'", "weight = 2500"));
  CHECK_FALSE(two("color = 'blue'", "weight = 2500"));
  CHECK_FALSE(two("color = 'red'", "weight = 2501"));
  CHECK(passes(of(apache | 4, text(" "))));  // an empty selector selects everything
}

TEST_CASE("filter set: no-local keeps what came over the same connection, in both forms") {
  for (const value& body : {value(list{}), text("NoLocalFilter{}")}) {
    for (const value& one : {of(apache | 3, body), of("apache.org:no-local-filter:list", body)}) {
      const map asked{{value(symbol("no-local")), one}};
      const auto set = read(asked, 17);
      CHECK(set.in_force == asked);
      CHECK_FALSE(set.selects->matches(*made(sample(), 17)));
      CHECK(set.selects->matches(*made(sample(), 18)));
      CHECK(set.selects->matches(*made(sample(), 0)));  // it is not known where it came from
    }
  }
}

TEST_CASE("filter set: property filters match as filtex says") {
  const struct {
    bool expected;
    std::uint64_t code;
    value body;
  } rows[] = {
      {true, 0x173, pair_map("subject", text("new"))},
      {false, 0x173, pair_map("subject", text("old"))},
      {true, 0x173, pair_map("subject", text("&p:ne"))},
      {false, 0x173, pair_map("subject", text("&p:x"))},
      {true, 0x173, pair_map("subject", text("&s:ew"))},
      {false, 0x173, pair_map("subject", text("&&new"))},
      {true, 0x173, pair_map("subject", value(symbol("new")))},
      {false, 0x173, pair_map("subject", value(symbol("&p:ne")))},  // only strings have modifiers
      {true, 0x173, pair_map("subject", value())},
      {false, 0x173, pair_map("reply-to-group-id", text("x"))},
      {true, 0x173, pair_map("content-type", text("application/json"))},
      {true, 0x173, pair_map("message-id", value(std::uint64_t{77}))},
      {false, 0x173, pair_map("message-id", text("77"))},
      {true, 0x173, pair_map("creation-time", value(amqp::timestamp{1'700'000'000'000}))},
      {true, 0x173, pair_map("user-id", value(amqp::binary(std::string_view("guest"))))},
      {true, 0x173, map{{text("to"), text("orders")}, {text("subject"), text("new")}}},
      {false, 0x173, map{{text("to"), text("orders")}, {text("subject"), text("old")}}},
      {true, 0x173, map{}},
      {true, 0x174, pair_map("weight", value(std::int64_t{2500}))},
      {true, 0x174, pair_map("weight", value(2500.0))},
      {false, 0x174, pair_map("weight", text("2500"))},
      {true, 0x174, pair_map("color", text("&p:r"))},
      {false, 0x174, pair_map("missing", text("&p:"))},
      {true, 0x174, pair_map("missing", value())},
      {true, 0x174, pair_map("flag", value(true))},
      {false, 0x174, pair_map("when", value(std::int64_t{1'709'210'096'789}))},
      {true, 0x170, pair_map("priority", value(std::uint8_t{7}))},
      {true, 0x170, pair_map("delivery-count", value(std::uint32_t{0}))},
      {false, 0x170, pair_map("delivery-count", value(std::uint32_t{1}))},
      {true, 0x171, pair_map("hop", value(std::int32_t{3}))},
      {true, 0x172, pair_map("x-opt-offset", text("&s:42"))},
      {true, 0x172, pair_map("nested", pair_map("in", text("&p:si")))},
      {false, 0x172, pair_map("nested", pair_map("out", text("side")))},
      {true, 0x172, pair_map("nested", pair_map("items", list{value(std::int32_t{10})}))},
      {false, 0x172, pair_map("nested", pair_map("items", list{value(std::int32_t{11})}))},
      {true, 0x172,
       pair_map("numbers", amqp::codec::array::of(std::vector<std::int32_t>{7, 8, 9}))},
      {false, 0x172, pair_map("numbers", amqp::codec::array::of(std::vector<std::int64_t>{7, 8}))},
      {true, 0x178, pair_map("sum", value(std::int32_t{99}))},
  };
  for (std::size_t i = 0; i < std::size(rows); ++i) {
    CAPTURE(i);
    CAPTURE(to_text(rows[i].body));
    CHECK(passes(of(rows[i].code, rows[i].body)) == rows[i].expected);
  }
}

TEST_CASE("filter set: groups combine filters, and fail when a member does") {
  const value yes = of("amqp:true-filter", value(true));
  const value no = of(0x111, value(false));
  const value unknown = of(0x120, text("missing = 1"));
  const value red = of(0x174, pair_map("color", text("red")));
  CHECK(passes(of(0x100, list{yes, red})));
  CHECK_FALSE(passes(of("amqp:all-filter", list{yes, no})));
  CHECK(passes(of("amqp:any-filter", list{no, red})));
  CHECK_FALSE(passes(of(0x101, list{no, no})));
  CHECK_FALSE(passes(of(0x101, list{yes, unknown})));
  CHECK(passes(of(0x102, list{no, no})));
  CHECK_FALSE(passes(of(0x102, list{no, red})));
  CHECK_FALSE(passes(of("amqp:not-filter", list{no, unknown})));
  CHECK(passes(of(0x101, list{no, of(0x102, list{of(0x100, list{yes, no})})})));
}

TEST_CASE("filter set: what is known and wrong is an error that says where") {
  const struct {
    value filter;
    const char* says;
  } rows[] = {
      {of(apache | 4, text("color = ")), "filter 'f': at character 9: "},
      {of(apache | 4, value(std::int32_t{5})), "must be a string"},
      {of(0x120, text("p.nothing = 1")), "at character 3: "},
      {of(0x120, text("")), "at character 1: "},
      {of(0x173, pair_map("colour", text("x"))), "'colour' is no field of properties"},
      {of(0x173, pair_map("subject", value(std::int32_t{5}))), "cannot have the value 5"},
      {of(0x170, pair_map("durable", text("yes"))), "cannot have the value"},
      {of(0x173, text("x")), "must be a map"},
      {of(0x174, map{{value(std::int32_t{1}), text("x")}}), "symbols or strings"},
      {of(0x100, list{}), "at least one"},
      {of(0x100, list{text("x")}), "no filter known here"},
      {of(0x100, list{of("com.example:filter", text("x"))}), "no filter known here"},
      {of(apache | 4, value(std::string(9000, 'a'))), "at most 8192 octets"},
  };
  for (const auto& r : rows) {
    CAPTURE(to_text(r.filter));
    CAPTURE(fault_of(r.filter));
    CHECK(fault_of(r.filter).find(r.says) != std::string::npos);
  }
  value deep = of("amqp:true-filter", value(true));
  for (std::size_t i = 0; i <= filter::limits::group_depth_max; ++i) deep = of(0x100, list{deep});
  CHECK(fault_of(deep).find("deeper") != std::string::npos);
  list many;
  for (std::size_t i = 0; i < filter::limits::filters_max; ++i) {
    many.push_back(of("amqp:true-filter", value(true)));
  }
  CHECK(fault_of(of(0x100, many)).find("more than 32 filters") != std::string::npos);
}

TEST_CASE("filter set: an equality is found where the whole cannot be true without it") {
  const auto equality = [](const char* selector) {
    const auto made_of = filter::compile(selector, filter::dialect::selector);
    REQUIRE(made_of.has_value());
    return (*made_of)->find_equality();
  };
  const auto red = equality("color = 'red'");
  REQUIRE(red.has_value());
  CHECK(equality("weight > 5 AND 'red' = color")->hash == red->hash);
  CHECK(equality("weight > 5 AND 'red' = color")->field == red->field);
  CHECK(equality("color = 'blue'")->hash != red->hash);
  CHECK(equality("kind = 'red'")->field != red->field);
  CHECK(equality("weight = 5").has_value());
  for (const char* none : {"color = 'red' OR weight = 5", "NOT color = 'red'", "color <> 'red'",
                           "weight = 5.5", "color = kind", "color LIKE 'red'", "TRUE"}) {
    CAPTURE(none);
    CHECK_FALSE(equality(none).has_value());
  }
}

TEST_CASE("filter set: the key of a message tells which equalities it may meet") {
  using state = broker::core::predicate::key::state;
  const auto message = made(sample());
  const auto look = [&](const char* selector) {
    const auto p = filter::compile(selector, filter::dialect::selector);
    const auto e = (*p)->find_equality();
    REQUIRE(e.has_value());
    const auto k = (*p)->key_of(*message);
    if (k.which == state::only) return k.hash == e->hash ? '=' : '!';
    return k.which == state::nothing ? '0' : '*';
  };
  CHECK(look("color = 'red'") == '=');
  CHECK(look("color = 'blue'") == '!');
  CHECK(look("kind = 'sym'") == '=');  // a symbol equals a string
  CHECK(look("weight = 2500") == '=');
  CHECK(look("missing = 'x'") == '0');
  CHECK(look("price = 19") == '*');
  CHECK(look("when = '2024-02-29'") == '*');
}
