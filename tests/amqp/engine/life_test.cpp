// SPDX-License-Identifier: Apache-2.0
// Everything once, between two engines: open, begin, attach, transfer, outcome, detach, end, close.
#include <doctest/doctest.h>

#include "tests/support/wire_pair.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using engine::event_kind;

TEST_CASE("engine: a message travels, its outcome comes back, and everything is closed in order") {
  linked_pair p;
  REQUIRE(p.out != nullptr);
  REQUIRE(p.out->is_attached());
  CHECK(p.out->credit() == 0);

  p.in->grant(10);
  p.run();
  CHECK(p.client.count(event_kind::sender_ready) == 1);
  CHECK(p.out->credit() == 10);

  REQUIRE(p.out->can_send());
  const std::uint32_t id = send_text(*p.out, "t1", "hello", false, 77);
  p.run();
  const recorded& arrived = p.server.last(event_kind::transfer);
  CHECK(arrived.first);
  CHECK(arrived.last);
  CHECK_FALSE(arrived.is_settled);
  CHECK(arrived.tag == "t1");
  CHECK(arrived.payload == "hello");
  CHECK(arrived.delivery_id == id);
  CHECK(p.in->unsettled() == 1);
  CHECK(p.out->unsettled() == 1);

  p.in->settle(arrived.delivery_id, spec::fast::accepted_octets);
  p.run();
  const recorded& outcome = p.client.last(event_kind::outcome);
  CHECK(outcome.token == 77);
  CHECK(outcome.is_settled);
  CHECK(outcome.state_kind == spec::fast::state_kind::accepted);
  CHECK(p.in->unsettled() == 0);
  CHECK(p.out->unsettled() == 0);

  p.out->detach(true);
  p.run();
  CHECK(p.server.last(event_kind::link_detached).closed);
  CHECK(p.client.last(event_kind::link_detached).closed);
  CHECK(p.client.wire.link_count() == 1);
  CHECK(p.server.wire.link_count() == 1);

  p.at_client->end();
  p.run();
  CHECK(p.server.count(event_kind::session_ended) == 1);
  CHECK(p.client.count(event_kind::session_ended) == 1);
  CHECK(p.client.wire.session_count() == 0);
  CHECK(p.server.wire.link_count() == 0);

  p.client.wire.close();
  p.run();
  CHECK(p.server.count(event_kind::connection_closed) == 1);
  CHECK(p.client.count(event_kind::connection_closed) == 1);
  CHECK(p.server.last(event_kind::connection_closed).condition.empty());
  CHECK(p.client.wire.is_finished());
  CHECK(p.server.wire.is_finished());
}
