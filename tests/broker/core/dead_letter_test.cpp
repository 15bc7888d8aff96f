// SPDX-License-Identifier: Apache-2.0
// The octets of dead letters.
#include "broker/core/dead_letter.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "amqp/codec/codec.hpp"
#include "amqp/spec/messaging.hpp"
#include "tests/broker/core/fakes.hpp"

using namespace whimbrel;
using namespace whimbrel::broker::core;
using amqp::symbol;
using amqp::timestamp;
using amqp::codec::map;
using amqp::codec::value;

namespace {

map annotations_of(const message& m) {
  const auto got = amqp::message::view(m.octets(), m.sections()).message_annotations();
  REQUIRE(got.has_value());
  return *got;
}

std::vector<map> deaths_of(const message& m) {
  const auto found = annotations_of(m).get<amqp::codec::array>("x-opt-deaths");
  REQUIRE(found);
  auto deaths = found->to_vector<map>();
  REQUIRE(deaths);
  return *deaths;
}

std::string text(const map& in, std::string_view name) {
  const auto found = in.find(name);
  return found ? found->text().value_or("?") : "-";
}

message_ptr annotated(std::string_view body, const map& changes) {
  return annotate(*test::make_text(body), changes);
}

}  // namespace

TEST_CASE("dead letter: the body stays, the time to live goes, the death is told") {
  const auto m = test::make_text("hello", {.durable = true, .ttl = 500, .format = 7});
  const auto d = make_dead_letter(*m, {"work", death_reason::expired, 1000, 1500});
  CHECK(test::text_of(*d) == "hello");
  CHECK(d->header().durable);
  CHECK_FALSE(d->header().ttl);
  CHECK(d->format() == 7);
  const map a = annotations_of(*d);
  CHECK(text(a, "x-first-death-queue") == "work");
  CHECK(text(a, "x-first-death-reason") == "expired");
  CHECK(text(a, "x-last-death-queue") == "work");
  CHECK(text(a, "x-opt-ORIG-QUEUE") == "work");
  CHECK(text(a, "x-opt-ORIG-ADDRESS") == "work");
  CHECK(a.get<std::int64_t>("x-opt-ACTUAL-EXPIRY") == 1500);
  const auto deaths = deaths_of(*d);
  REQUIRE(deaths.size() == 1);
  CHECK(text(deaths[0], "queue") == "work");
  CHECK(text(deaths[0], "reason") == "expired");
  CHECK(deaths[0].get<std::uint64_t>("count") == 1);
  CHECK(deaths[0].get<timestamp>("first-time") == timestamp{1000});
  CHECK(deaths[0].get<timestamp>("last-time") == timestamp{1000});
  CHECK(deaths[0].get<std::uint32_t>("ttl") == 500);
  const auto keys = deaths[0].get<amqp::codec::array>("routing-keys");
  REQUIRE(keys);
  CHECK(keys->to_vector<std::string>() == std::vector<std::string>{"work"});
}

TEST_CASE("dead letter: a second death of the same kind is counted, another one comes first") {
  const auto first =
      make_dead_letter(*test::make_text("m"), {"a", death_reason::rejected, 1, 0});
  const auto second = make_dead_letter(*first, {"b", death_reason::delivery_limit, 2, 0});
  const auto third = make_dead_letter(*second, {"a", death_reason::rejected, 3, 0});
  const auto deaths = deaths_of(*third);
  REQUIRE(deaths.size() == 2);
  CHECK(text(deaths[0], "queue") == "a");
  CHECK(deaths[0].get<std::uint64_t>("count") == 2);
  CHECK(deaths[0].get<timestamp>("first-time") == timestamp{1});
  CHECK(deaths[0].get<timestamp>("last-time") == timestamp{3});
  CHECK(text(deaths[1], "reason") == "delivery-limit");
  const map a = annotations_of(*third);
  CHECK(text(a, "x-first-death-queue") == "a");
  CHECK(text(a, "x-last-death-queue") == "a");
  CHECK(text(annotations_of(*second), "x-last-death-reason") == "delivery-limit");
  CHECK(text(a, "x-opt-ORIG-QUEUE") == "a");
  CHECK_FALSE(a.contains("x-opt-ACTUAL-EXPIRY"));
}

TEST_CASE("dead letter: message-id, address, exchange and key of the original are kept") {
  amqp::octet_buffer out;
  amqp::spec::properties p;
  p.message_id = std::uint64_t{42};
  p.to = "/queues/work";
  amqp::codec::encode(out, p);
  const auto bare = test::make_text("x");
  out.append(bare->octets().subspan(bare->sections().application_properties_end));
  const auto plain = make_message(out.octets());
  REQUIRE(plain.has_value());
  const auto m = annotate(**plain, {{value(symbol("x-exchange")), value("ex")},
                                    {value(symbol("x-routing-key")), value("k.1")},
                                    {value(symbol("x-opt-mine")), value(true)}});
  const auto d = make_dead_letter(*m, {"work", death_reason::maxlen, 1, 0});
  const map a = annotations_of(*d);
  CHECK(a.get<std::uint64_t>("x-opt-ORIG-MESSAGE-ID") == 42);
  CHECK(text(a, "x-opt-ORIG-ADDRESS") == "/queues/work");
  CHECK(text(a, "x-first-death-exchange") == "ex");
  CHECK(a.get<bool>("x-opt-mine") == true);
  const auto deaths = deaths_of(*d);
  const auto keys = deaths[0].get<amqp::codec::array>("routing-keys");
  REQUIRE(keys);
  CHECK(keys->to_vector<std::string>() == std::vector<std::string>{"k.1"});
  CHECK(test::text_of(*d) == "x");
}

TEST_CASE("dead letter: what a peer puts under our names does no harm") {
  const value rows[] = {value("text"), value(map{}), value(amqp::codec::array{}),
                        value(amqp::codec::array::of(std::vector<std::uint32_t>{1, 2})),
                        value(amqp::codec::list{value(map{})})};
  for (const value& row : rows) {
    CAPTURE(amqp::codec::to_text(row));
    const auto m = annotated("m", {{value(symbol("x-opt-deaths")), row}});
    CHECK_FALSE(goes_in_circles(*m, "q", death_reason::expired));
    const auto d = make_dead_letter(*m, {"q", death_reason::expired, 1, 1});
    CHECK(deaths_of(*d).size() == 1);
    CHECK(test::text_of(*d) == "m");
  }
}

TEST_CASE("dead letter: the history is bounded") {
  message_ptr m = test::make_text("m");
  for (int i = 0; i < 100; ++i) {
    m = make_dead_letter(*m, {"q" + std::to_string(i), death_reason::expired, i, 0});
  }
  const auto deaths = deaths_of(*m);
  CHECK(deaths.size() == 64);
  CHECK(text(deaths[0], "queue") == "q99");
}

TEST_CASE("circles: a second death in a queue ends it, unless a consumer had a say") {
  struct {
    std::vector<std::pair<std::string, death_reason>> before;
    death_reason now;
    bool circles;
  } const rows[] = {
      {{}, death_reason::expired, false},
      {{{"b", death_reason::expired}}, death_reason::expired, false},
      {{{"a", death_reason::expired}}, death_reason::expired, true},
      {{{"a", death_reason::maxlen}, {"b", death_reason::expired}}, death_reason::expired, true},
      {{{"a", death_reason::expired}, {"b", death_reason::maxlen}}, death_reason::maxlen, true},
      {{{"a", death_reason::rejected}, {"b", death_reason::expired}}, death_reason::expired, false},
      {{{"a", death_reason::expired}}, death_reason::rejected, false},
      {{{"a", death_reason::delivery_limit}}, death_reason::maxlen, false},
      {{{"a", death_reason::undeliverable_here}}, death_reason::maxlen, false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.before.size());
    CAPTURE(name_of(row.now));
    message_ptr m = test::make_text("m");
    for (const auto& [queue, why] : row.before) m = make_dead_letter(*m, {queue, why, 1, 0});
    CHECK(goes_in_circles(*m, "a", row.now) == row.circles);
  }
}
