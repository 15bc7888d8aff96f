// SPDX-License-Identifier: Apache-2.0
// Detaching without closing: what stays with the link, for how long, and who gets it then.
// [2.6.4, 2.7.6, 3.5.6]
#include <doctest/doctest.h>

#include <array>
#include <set>

#include "amqp/spec/conditions.hpp"
#include "tests/broker/protocol/guest.hpp"

using namespace whimbrel;
using namespace whimbrel::test;

namespace {

constexpr std::array<std::uint16_t, 2> towns = {1, 3};

void fill(house& h, const std::string& queue, std::uint32_t count) {
  guest producer(h, 0, "filler");
  producer.produce(0, "in", {.address = queue});
  for (std::uint32_t i = 0; i < count; ++i) {
    producer.tell(raw_peer::transfer(0, i), one_octet());
  }
  producer.detach(0, true);
  REQUIRE(h.queue(queue).depth() == count);
}

/// A consumer that holds three of the four messages of queue "q" and has detached.
struct absent_consumer {
  house h;
  guest one;

  explicit absent_consumer(std::uint16_t workers, const std::string& container = "c")
      : h(workers), one(h, 1, container) {
    fill(h, "q", 4);
    one.consume(0, "kept", {.address = "q"}, 3);
    REQUIRE(one.deliveries().size() == 3);
    one.detach(0, false);
    REQUIRE(one.condition<spec::detach>() == "none");
  }
  /// What one that consumes without end gets, as their failures so far.
  std::string others_get() {
    guest other(h, 2, "other");
    other.consume(0, "r", {.address = "q"});
    std::string out;
    for (const auto& d : other.deliveries()) out += std::to_string(d.failed) + " ";
    return out;
  }
};

}  // namespace

TEST_CASE("detach: what a consumer holds stays with it, and its word on that counts") {
  for (const auto workers : towns) {
    CAPTURE(workers);
    absent_consumer c(workers);
    CHECK_FALSE(c.one.last<spec::detach>()->closed);
    CHECK(c.h.queue("q").depth() == 4);
    CHECK(c.others_get() == "0 ");
    c.one.accept(0, 1);
    CHECK(c.h.queue("q").depth() == 2);
    CHECK(c.one.handler.links().size() == 1);
    c.one.tell(spec::disposition{.role = spec::role::receiver,
                                 .first = 2,
                                 .state = codec::to_raw(spec::accepted{})});
    CHECK(c.h.queue("q").depth() == 1);
    const auto answer = c.one.last<spec::disposition>();
    REQUIRE(answer.has_value());
    CHECK(answer->settled);
    CHECK(answer->first == 2);
    CHECK(c.one.count<spec::end>() == 0);
    c.h.queue("q").check_invariants();
  }
}

TEST_CASE("detach: a link whose last delivery is settled is no more") {
  absent_consumer c(3);
  c.one.accept(0, 2);
  CHECK(c.one.handler.links().empty());
  CHECK(c.one.side.wire.link_count() == 0);
}

TEST_CASE("detach: a consumer that holds nothing leaves nothing behind") {
  house h(3);
  fill(h, "q", 1);
  guest one(h, 1, "c");
  one.consume(0, "r", {.address = "q"}, 1);
  one.accept(0, 0);
  one.detach(0, false);
  CHECK(one.condition<spec::detach>() == "none");
  CHECK(one.handler.links().empty());
  CHECK(one.side.wire.link_count() == 0);
}

TEST_CASE("detach: what was held goes back when the session or the connection ends") {
  for (const auto workers : towns) {
    for (const bool session : {true, false}) {
      CAPTURE(workers);
      CAPTURE(session);
      absent_consumer c(workers);
      c.one.accept(0, 0);
      if (session) c.one.tell(spec::end{});
      else c.one.tell(spec::close{});
      CHECK(c.one.handler.links().empty());
      CHECK(c.others_get() == "1 1 0 ");
    }
  }
}

TEST_CASE("detach: attached again on its session, a consumer keeps what it held before") {
  for (const auto workers : towns) {
    CAPTURE(workers);
    absent_consumer c(workers);
    c.one.consume(0, "kept", {.address = "q"});
    CHECK_FALSE(c.one.last<spec::attach>()->unsettled.has_value());
    const auto more = c.one.deliveries();
    REQUIRE(more.size() == 1);  // not those that it has
    CHECK(more[0].id == 3);
    CHECK(more[0].tag != "00 00 00 00");  // tags are the link's, and that of the first is in use
    c.one.accept(0, 3);
    CHECK(c.h.queue("q").depth() == 0);
    CHECK(c.one.count<spec::end>() == 0);
    CHECK(c.one.handler.links().size() == 1);
  }
}

TEST_CASE("detach: tags of a link that comes and goes are never used twice") {
  house h(3);
  fill(h, "q", 12);
  guest one(h, 1, "c");
  std::set<std::string> tags;
  for (int round = 0; round < 4; ++round) {
    one.consume(0, "kept", {.address = "q"}, 3);
    for (const auto& d : one.deliveries()) CHECK(tags.insert(d.tag).second);
    one.detach(0, false);
  }
  CHECK(tags.size() == 12);
  CHECK(one.handler.links().size() == 4);
  one.accept(3, 8);
  CHECK(one.handler.links().size() == 2);
  one.accept(0, 11);
  CHECK(h.queue("q").depth() == 0);
  CHECK(one.handler.links().empty());
}

TEST_CASE("detach: a name attached elsewhere finds also what the link held before the last time") {
  absent_consumer c(3);
  c.one.consume(0, "kept", {.address = "q"}, 0);
  c.one.detach(0, false);
  CHECK(c.one.handler.links().size() == 2);
  guest thief(c.h, 2, "c");
  thief.consume(0, "kept", {.address = "q"});
  CHECK(thief.deliveries().size() == 4);
  c.one.settle();
  CHECK(c.one.handler.links().empty());
}

TEST_CASE("detach: a link that is attached again with expiry-policy link-detach is the last") {
  absent_consumer c(3);
  c.one.consume(0, "kept", {.address = "q", .expiry_policy = "link-detach"}, 0);
  CHECK(c.one.handler.links().size() == 2);
  c.one.detach(0, false);
  CHECK(c.one.handler.links().empty());
  CHECK(c.others_get() == "1 1 1 0 ");
}

TEST_CASE("detach: closing a link that is attached again ends what it held before, too") {
  absent_consumer c(3);
  c.one.consume(0, "kept", {.address = "q"}, 0);
  c.one.detach(0, true);
  CHECK(c.one.last<spec::detach>()->closed);
  CHECK(c.one.handler.links().empty());
  CHECK(c.others_get() == "1 1 1 0 ");
}

TEST_CASE("detach: a consumer that resumes by its unsettled map finds all of it in the queue") {
  for (const auto workers : towns) {
    CAPTURE(workers);
    absent_consumer c(workers);
    codec::map mine;
    mine.append(amqp::binary(std::string_view("\0\0\0\0", 4)), codec::null{});
    c.one.tell(spec::attach{.name = "kept",
                            .handle = 0,
                            .role = spec::role::receiver,
                            .source = spec::source{.address = "q"},
                            .target = codec::to_raw(spec::target{}),
                            .unsettled = codec::to_raw(mine)});
    // We claim to know of none, and do not.
    CHECK_FALSE(c.one.last<spec::attach>()->unsettled.has_value());
    c.one.give_credit(0, 10);
    const auto again = c.one.deliveries();
    REQUIRE(again.size() == 4);
    CHECK(again[0].failed == 1);
    CHECK(again[3].failed == 0);
  }
}

TEST_CASE("detach: without a source a link attached again has the one it had") {
  for (const bool other_name : {true, false}) {
    CAPTURE(other_name);
    absent_consumer c(3);
    c.one.tell(spec::attach{.name = other_name ? "unknown" : "kept",
                            .handle = 0,
                            .role = spec::role::receiver,
                            .target = codec::to_raw(spec::target{})});
    const auto reply = c.one.last<spec::attach>();
    CHECK(reply->source.has_value() == !other_name);
    if (other_name) continue;
    CHECK(reply->source->address == "q");
    c.one.give_credit(0, 10);
    CHECK(c.one.deliveries().size() == 1);
  }
}

TEST_CASE("detach: a name attached elsewhere takes along what its link held") {
  for (const auto workers : towns) {
    for (const bool attached_again : {true, false}) {
      CAPTURE(workers);
      CAPTURE(attached_again);
      absent_consumer c(workers);
      if (attached_again) c.one.consume(0, "kept", {.address = "q"}, 0);
      guest thief(c.h, 2, "c");
      thief.consume(0, "kept", {.address = "q"});
      CHECK(thief.deliveries().size() == 4);
      c.one.settle();
      CHECK(c.one.condition<spec::detach>() == (attached_again ? "amqp:link:stolen" : "none"));
      c.one.accept(0, 2);  // late, and nobody's
      CHECK(c.h.queue("q").depth() == 4);
      thief.accept(0, 3);
      CHECK(c.h.queue("q").depth() == 0);
    }
  }
}

TEST_CASE("detach: without a container-id what was held stays until the session ends") {
  absent_consumer c(3, "");
  guest other(c.h, 2, "");
  other.consume(0, "kept", {.address = "q"});
  CHECK(other.deliveries().size() == 1);
  c.one.tell(spec::end{});
  other.settle();
  CHECK(other.deliveries().size() == 3);
}

TEST_CASE("detach: a consumer that says goodbye with an error holds nothing") {
  absent_consumer c(3);
  c.one.consume(0, "kept", {.address = "q"}, 1);
  c.one.tell(spec::detach{
      .handle = 0, .closed = false, .error = spec::error{.condition = "amqp:internal-error"}});
  CHECK(c.one.handler.links().empty());
  CHECK(c.others_get() == "1 1 1 1 ");
}

TEST_CASE("detach: a queue that is deleted meanwhile does not stop the settling") {
  for (const auto workers : towns) {
    CAPTURE(workers);
    absent_consumer c(workers);
    c.h.t.nodes.remove(*c.h.w.shards[0], "q");
    c.one.settle();
    c.one.tell(spec::disposition{.role = spec::role::receiver,
                                 .first = 0,
                                 .last = 2,
                                 .state = codec::to_raw(spec::accepted{})});
    REQUIRE(c.one.last<spec::disposition>().has_value());
    CHECK(c.one.last<spec::disposition>()->settled);
    c.one.tell(spec::flow{
        .incoming_window = 1000, .next_outgoing_id = 0, .outgoing_window = 100});
    CHECK(c.one.handler.links().empty());
  }
}

TEST_CASE("detach: consumers whose sources go with their links give all back") {
  struct row {
    const char* what = "";
    spec::source source = {};
    bool settled = false;
  };
  const std::array rows = {
      row{"expiry-policy link-detach", {.address = "q", .expiry_policy = "link-detach"}},
      row{"an expiry-policy that nobody knows", {.address = "q", .expiry_policy = "LINK_DETACH"}},
      row{"a browser", {.address = "q", .distribution_mode = amqp::symbol("copy")}},
  };
  for (const row& r : rows) {
    CAPTURE(r.what);
    house h(3);
    fill(h, "q", 2);
    guest one(h, 1, "c");
    CHECK(one.consume(0, "r", r.source, 1).expiry_policy == "link-detach");
    CHECK(one.deliveries().size() == 1);
    one.detach(0, false);
    CHECK(one.handler.links().empty());
    guest other(h, 2, "other");
    other.consume(0, "r", {.address = "q"});
    CHECK(other.deliveries().size() == 2);
  }
}

TEST_CASE("detach: the attach reply says how long a terminus stays") {
  struct row {
    const char* asked = "";
    const char* in_force = "";
  };
  const std::array rows = {row{"link-detach", "link-detach"}, row{"session-end", "session-end"},
                           row{"connection-close", "session-end"}, row{"never", "session-end"},
                           row{"x", "link-detach"}};
  house h(3);
  guest one(h, 1, "c");
  std::uint32_t handle = 0;
  for (const row& r : rows) {
    CAPTURE(r.asked);
    const auto name = "l" + std::to_string(handle);
    const auto source = one.consume(
        handle++, name, {.address = "q", .expiry_policy = r.asked, .timeout = 30}, 0);
    CHECK(source.expiry_policy == r.in_force);
    CHECK(source.timeout == 0);
    const auto target =
        one.produce(handle++, name, {.address = "q", .expiry_policy = r.asked, .timeout = 30});
    CHECK(target.expiry_policy == r.in_force);
    CHECK(target.timeout == 0);
  }
  CHECK(one.produce(handle++, "any", {}).expiry_policy == "link-detach");
  CHECK(one.produce(handle++, "made", {.dynamic = true}).expiry_policy == "link-detach");
  CHECK(one.consume(handle++, "made", {.dynamic = true}, 0).expiry_policy == "link-detach");
  const auto topic = one.consume(handle++, "news", {.address = "topic://t"}, 0);
  CHECK(topic.expiry_policy == "link-detach");
  CHECK(one.produce(handle++, "news", {.address = "topic://t"}).expiry_policy == "session-end");
}

TEST_CASE("detach: a subscription's consumer leaves what it held to the next, at once") {
  for (const auto workers : towns) {
    CAPTURE(workers);
    house h(workers);
    guest one(h, 1, "reader");
    const spec::source news{.address = "topic://t",
                            .durable = spec::terminus_durability::unsettled_state,
                            .expiry_policy = "never"};
    CHECK(one.consume(0, "news", news).expiry_policy == "never");
    one.produce(1, "in", {.address = "topic://t"});
    one.tell(raw_peer::transfer(1, 0), one_octet());
    CHECK(one.deliveries().size() == 1);
    one.detach(0, false);
    CHECK(one.handler.links().size() == 1);
    guest two(h, 2, "reader");
    two.consume(0, "news", news);
    CHECK(two.deliveries().size() == 1);
  }
}

TEST_CASE("detach: a producer hears of messages that it sent before") {
  for (const auto workers : towns) {
    for (const char* to : {"q", "topic://t"}) {
      CAPTURE(workers);
      CAPTURE(to);
      house h(workers);
      guest reader(h, 2, "reader");
      const spec::source from{.address = to,
                              .durable = spec::terminus_durability::unsettled_state,
                              .expiry_policy = "never"};
      reader.consume(0, "r", from, 0);
      guest one(h, 1, "c");
      one.produce(0, "in", {.address = to});
      one.say(raw_peer::transfer(0, 0), one_octet(true));
      one.say(spec::detach{.handle = 0});
      CHECK(one.condition<spec::detach>() == "none");
      CHECK(one.count<spec::disposition>() == 0);  // the disk has not said so
      one.settle();
      const auto told = one.last<spec::disposition>();
      REQUIRE(told.has_value());
      CHECK(told->role == spec::role::receiver);
      CHECK(told->settled);
      CHECK(to_hex(told->state.octets()) == to_hex(spec::fast::accepted_octets));
      one.tell(spec::flow{
          .incoming_window = 1000, .next_outgoing_id = 0, .outgoing_window = 100});
      CHECK(one.handler.links().empty());
    }
  }
}

TEST_CASE("detach: a producer attached again hears of old messages and new ones") {
  for (const auto workers : towns) {
    for (const bool names_target : {true, false}) {
      CAPTURE(workers);
      CAPTURE(names_target);
      house h(workers);
      guest one(h, 1, "c");
      one.produce(0, "in", {.address = "q"});
      one.say(raw_peer::transfer(0, 0), one_octet(true));
      one.say(spec::detach{.handle = 0});
      spec::attach again{.name = "in",
                         .handle = 0,
                         .role = spec::role::sender,
                         .source = spec::source{},
                         .initial_delivery_count = 1};
      if (names_target) again.target = codec::to_raw(spec::target{.address = "q"});
      one.tell(again);
      const auto reply = one.last<spec::attach>();
      const auto target = codec::from_raw<spec::target>(reply->target);
      REQUIRE(target.has_value());
      CHECK(target->address == "q");
      CHECK(one.count<spec::disposition>() == 1);
      one.tell(raw_peer::transfer(0, 1), one_octet(true));
      CHECK(one.count<spec::disposition>() == 2);
      CHECK(h.queue("q").depth() == 2);
      CHECK(one.handler.links().size() == 1);
      CHECK(one.count<spec::end>() == 0);
    }
  }
}
