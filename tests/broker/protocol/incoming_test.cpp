// SPDX-License-Identifier: Apache-2.0
// What producers send that is no message. [3.2]
#include <doctest/doctest.h>

#include "amqp/spec/conditions.hpp"
#include "tests/broker/protocol/guest.hpp"

using namespace whimbrel;
using namespace whimbrel::test;

TEST_CASE("producer: empty messages turn up after Proton has reconnected") {
  // It sends the deliveries of the lost connection again, settled and without an octet.
  for (const std::uint16_t workers : {std::uint16_t{1}, std::uint16_t{3}}) {
    CAPTURE(workers);
    house h(workers);
    guest producer(h, 0, "c");
    producer.produce(0, "in", {.address = "q"});
    auto ghost = raw_peer::transfer(0, 0);
    ghost.settled = true;
    producer.tell(ghost);
    CHECK(h.queue("q").depth() == 0);
    producer.tell(raw_peer::transfer(0, 1), one_octet());
    CHECK(h.queue("q").depth() == 1);
    CHECK(producer.count<spec::detach>() == 0);
  }
}

TEST_CASE("producer: a message of no octets is rejected, and its producer is told why") {
  house h(1);
  guest producer(h, 0, "c");
  producer.produce(0, "in", {.address = "q"});
  producer.tell(raw_peer::transfer(0, 0));
  const auto answer = producer.last<spec::disposition>();
  REQUIRE(answer.has_value());
  CHECK(answer->settled);
  const auto state = codec::from_raw<spec::rejected>(answer->state);
  REQUIRE(state.has_value());
  REQUIRE(state->error.has_value());
  CHECK(state->error->condition == amqp::spec::conditions::decode_error);
  CHECK(state->error->description == "the message has no section");
  CHECK(h.queue("q").depth() == 0);
}
