// SPDX-License-Identifier: Apache-2.0
// What producers send that is no message. [3.2]
#include <doctest/doctest.h>

#include "amqp/spec/conditions.hpp"
#include "tests/broker/protocol/guest.hpp"

using namespace whimbrel;
using namespace whimbrel::test;

namespace conditions = amqp::spec::conditions;

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
  CHECK(state->error->condition == conditions::decode_error);
  CHECK(state->error->description == "the message has no section");
  CHECK(h.queue("q").depth() == 0);
}

namespace {

/// A producer at one of three workers, whose attach is under way.
struct arrival {
  explicit arrival(spec::target to, std::size_t worker = 0) : producer(h, worker, "c") {
    producer.say(spec::attach{.name = "in",
                              .handle = 0,
                              .role = spec::role::sender,
                              .source = spec::source{},
                              .target = codec::to_raw(to),
                              .initial_delivery_count = 0});
  }
  /// One worker goes on, and the producer hears what there is.
  void step() {
    h.w.store.pump();
    h.w.turn(turns_++ % 3);
    producer.listen();
  }
  house h{3};
  core::queue_ref queue = h.t.reply(ask("q")).queue;
  guest producer;

 private:
  std::size_t turns_ = 0;
};

}  // namespace

TEST_CASE("producer: fe2o3-amqp, having attached again, sends before it has credit") {
  // It takes the credit from before for its own. By the time that it sees our attach there is some.
  for (const char* address : {"q", "/exchanges/amq.direct", ""}) {
    for (std::size_t worker = 0; worker < 3; ++worker) {
      CAPTURE(address);
      CAPTURE(worker);
      spec::target target;
      if (*address != '\0') target.address = address;
      arrival a(target, worker);
      for (int n = 0; n < 100 && a.producer.count<spec::attach>() == 0; ++n) a.step();
      REQUIRE(a.producer.count<spec::attach>() == 1);
      const auto flow = a.producer.last<spec::flow>();
      REQUIRE(flow.has_value());
      CHECK(flow->handle == 0);
      CHECK(flow->link_credit.value_or(0) > 0);
    }
  }
}

TEST_CASE("producer: at whatever moment its queue is deleted, it is told") {
  std::size_t refused = 0;
  for (int moment = 0; moment < 20; ++moment) {
    CAPTURE(moment);
    arrival a({.address = "q"}, 1);
    for (int n = 0; n < moment; ++n) a.step();
    core::shard& home = *a.h.w.shards[static_cast<std::size_t>(a.queue.worker)];
    home.delete_queue(a.queue, conditions::resource_deleted, "it is gone");
    a.producer.settle();
    const auto attach = a.producer.last<spec::attach>();
    REQUIRE(attach.has_value());
    refused += attach->target.empty() ? 1 : 0;
    CHECK(a.producer.count<spec::attach>() == 1);
    CHECK(a.producer.condition<spec::detach>() == conditions::resource_deleted);
  }
  CHECK(refused > 0);
  CHECK(refused < 20);
}
