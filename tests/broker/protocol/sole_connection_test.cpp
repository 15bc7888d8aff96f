// SPDX-License-Identifier: Apache-2.0
// Containers that want to have one connection, and who is let in beside them. [soleconn CS01]
#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <string>

#include "amqp/spec/conditions.hpp"
#include "tests/broker/protocol/guest.hpp"

using namespace whimbrel;
using namespace whimbrel::test;

namespace conditions = amqp::spec::conditions;

namespace {

constexpr std::string_view enforcement = "sole-connection-enforcement-policy";

enum class wants : std::uint8_t { nothing, refusal, closing, the_default };

spec::open opening(wants what, const std::string& container = "c") {
  spec::open out{.container_id = container};
  if (what == wants::nothing) return out;
  out.desired_capabilities =
      codec::multiple<amqp::symbol>({amqp::symbol("sole-connection-for-container")});
  if (what == wants::the_default) return out;
  const std::uint32_t policy = what == wants::closing ? 1 : 0;
  out.properties = codec::map{{codec::value(amqp::symbol(enforcement)), codec::value(policy)}};
  return out;
}

/// What the guest was told: "in", or why it is not.
std::string fate(guest& g) {
  g.settle();
  const std::string closed = g.condition<spec::close>();
  return closed.empty() ? "in" : closed;
}

}  // namespace

TEST_CASE("sole connection: who is there and who comes decide between them") {
  const std::string in = "in";
  const std::string locked(conditions::resource_locked);
  const std::string refused(conditions::invalid_field);
  struct {
    wants first = wants::nothing;
    wants second = wants::nothing;
    std::string fate_of_first = {};
    std::string fate_of_second = {};
  } const rows[] = {
      {wants::nothing, wants::nothing, in, in},
      {wants::nothing, wants::refusal, in, refused},
      {wants::nothing, wants::closing, locked, in},
      {wants::refusal, wants::nothing, in, refused},
      {wants::refusal, wants::refusal, in, refused},
      {wants::refusal, wants::closing, in, refused},
      {wants::refusal, wants::the_default, in, refused},
      {wants::the_default, wants::closing, in, refused},
      {wants::closing, wants::nothing, locked, in},
      {wants::closing, wants::refusal, locked, in},
      {wants::closing, wants::closing, locked, in},
  };
  for (const std::uint16_t workers : {std::uint16_t{1}, std::uint16_t{3}}) {
    for (const auto& row : rows) {
      CAPTURE(workers);
      CAPTURE(static_cast<int>(row.first));
      CAPTURE(static_cast<int>(row.second));
      house h(workers);
      guest first(h, 1, opening(row.first));
      guest second(h, 2, opening(row.second));
      CHECK(fate(first) == row.fate_of_first);
      CHECK(fate(second) == row.fate_of_second);
      CHECK(second.count<spec::open>() == 1);
    }
  }
}

TEST_CASE("sole connection: a refusal says so in its open, and names the field in its close") {
  house h(3);
  guest first(h, 1, opening(wants::refusal));
  guest second(h, 0, opening(wants::refusal));
  const auto open = second.last<spec::open>();
  REQUIRE(open.has_value());
  REQUIRE(open->properties.has_value());
  CHECK(open->properties->get<bool>("amqp:connection-establishment-failed") == true);
  const auto close = second.last<spec::close>();
  REQUIRE(close.has_value());
  REQUIRE(close->error.has_value());
  REQUIRE(close->error->info.has_value());
  CHECK(close->error->info->get<amqp::symbol>("invalid-field") == amqp::symbol("container-id"));
}

TEST_CASE("sole connection: the policies in force are told to who has asked, and to nobody else") {
  house h(1);
  guest asks(h, 0, opening(wants::closing, "a"));
  const auto told = asks.last<spec::open>();
  REQUIRE(told.has_value());
  REQUIRE(told->properties.has_value());
  CHECK(told->properties->get<std::uint32_t>(enforcement) == 1);
  CHECK(told->properties->get<std::uint32_t>("sole-connection-detection-policy") == 0);
  guest asks_nothing(h, 0, opening(wants::nothing, "b"));
  const auto plain = asks_nothing.last<spec::open>();
  REQUIRE(plain.has_value());
  CHECK_FALSE(plain->properties.has_value());
}

TEST_CASE("sole connection: a container is free again when its connection closes or is lost") {
  for (const std::uint16_t workers : {std::uint16_t{1}, std::uint16_t{3}}) {
    for (const bool closes : {true, false}) {
      CAPTURE(workers);
      CAPTURE(closes);
      house h(workers);
      for (std::size_t round = 0; round < 3; ++round) {
        guest one(h, round, opening(wants::refusal));
        CHECK(fate(one) == "in");
        if (closes) {
          one.say(spec::close{});  // hears our close while its transport is still there
          one.settle();
          guest next(h, round + 1, opening(wants::refusal));
          CHECK(fate(next) == "in");
          next.tell(spec::close{});
        }
      }
      h.w.settle_down();
      CHECK(h.t.nodes.present().size() == 0);
    }
  }
}

TEST_CASE("sole connection: others of another name, and of none, are not its business") {
  house h(3);
  guest first(h, 0, opening(wants::refusal, "a"));
  guest second(h, 1, opening(wants::refusal, "b"));
  guest third(h, 2, opening(wants::refusal, ""));
  guest fourth(h, 0, opening(wants::refusal, ""));
  CHECK(fate(first) + fate(second) + fate(third) + fate(fourth) == "inininin");
}

TEST_CASE("sole connection: a closed one makes room before the next comes in") {
  house h(3);
  guest old(h, 1, opening(wants::nothing));
  old.consume(0, "r", {.address = "q"});
  guest fresh(h, 2, opening(wants::closing));
  CHECK(fate(old) == conditions::resource_locked);
  const auto close = old.last<spec::close>();
  REQUIRE(close->error->info.has_value());
  CHECK(close->error->info->get<bool>("sole-connection-enforcement") == true);
  CHECK(old.handler.links().empty());
  fresh.consume(0, "r", {.address = "q"});
  CHECK(fate(fresh) == "in");
}
