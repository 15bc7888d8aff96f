// SPDX-License-Identifier: Apache-2.0
// Windows and credit on the wire: when flows are sent, what they say, drains, echoes.
// [2.5.6, 2.6.7]
#include <doctest/doctest.h>

#include "tests/amqp/engine/raw_peer.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using engine::event_kind;

namespace {

std::size_t flows(const raw_peer& peer) { return peer.count<spec::flow>(); }

}  // namespace

TEST_CASE("flow: a grant says credit and the sender's count, and nothing new is not said") {
  raw_peer peer;
  peer.open();
  peer.begin(0, {.next_outgoing_id = 0xffff'ffff, .incoming_window = 9, .outgoing_window = 9});
  peer.attach_sender(0, "in", 0xffff'fffe);
  peer.receiver().grant(5);
  peer.receiver().grant(7);
  peer.listen();
  REQUIRE(flows(peer) == 1);  // one for both
  const auto f = *peer.last<spec::flow>();
  CHECK(f.handle == 0u);
  CHECK(f.link_credit == 7u);
  CHECK(f.delivery_count == 0xffff'fffeu);
  CHECK(f.next_incoming_id == 0xffff'ffffu);
  CHECK(f.incoming_window == 2048);
  CHECK(f.next_outgoing_id == 0xffff'fffcu);
  CHECK_FALSE(f.drain);
  CHECK_FALSE(f.echo);
  peer.receiver().grant(7);
  peer.listen();
  CHECK(flows(peer) == 1);
  for (std::uint32_t id = 0; id < 3; ++id) peer.say(raw_peer::transfer(0, id), "x");
  CHECK(peer.receiver().credit() == 4);
  peer.receiver().grant(4);
  peer.listen();
  CHECK(flows(peer) == 1);  // the same limit
  peer.receiver().grant(7);
  peer.listen();
  CHECK(flows(peer) == 2);
  CHECK(peer.last<spec::flow>()->delivery_count == 1u);
  CHECK(peer.last<spec::flow>()->link_credit == 7u);
  CHECK(peer.last<spec::flow>()->next_incoming_id == 2u);
}

TEST_CASE("flow: exactly as many deliveries as granted are admitted, over the wrap of the count") {
  for (const std::uint32_t initial : {0u, 0xffff'fffdu}) {
    raw_peer peer;
    peer.open();
    peer.begin();
    peer.attach_sender(0, "in", initial);
    peer.receiver().grant(5);
    peer.listen();
    for (std::uint32_t id = 0; id < 5; ++id) peer.say(raw_peer::transfer(0, id), "x");
    CHECK(peer.count<spec::detach>() == 0);
    peer.say(raw_peer::transfer(0, 5), "x");
    CHECK(peer.condition<spec::detach>() == "amqp:link:transfer-limit-exceeded");
    CHECK(peer.side.count(event_kind::transfer) == 5);
  }
}

TEST_CASE("flow: the session's window is opened again at half, exactly its frames are admitted") {
  engine::options o = server_options();
  o.incoming_window = 8;
  raw_peer peer(o);
  peer.open();
  peer.begin(0, {.next_outgoing_id = 0xffff'fffd, .incoming_window = 9, .outgoing_window = 9});
  peer.attach_sender(0);
  peer.receiver().grant(1000);
  peer.listen();
  peer.heard.clear();
  std::vector<std::byte> octets;
  const auto transfers = [&](std::uint32_t from, std::uint32_t n) {
    octets.clear();
    for (std::uint32_t id = from; id < from + n; ++id) {
      const auto f = raw_peer::encode(0, raw_peer::transfer(0, id), "x");
      octets.insert(octets.end(), f.begin(), f.end());
    }
    return std::span<const std::byte>(octets);
  };
  peer.say_octets(transfers(0, 3));
  CHECK(flows(peer) == 0);
  peer.say_octets(transfers(3, 1));
  REQUIRE(flows(peer) == 1);
  CHECK(peer.last<spec::flow>()->incoming_window == 8);
  CHECK(peer.last<spec::flow>()->next_incoming_id == 1u);
  CHECK_FALSE(peer.last<spec::flow>()->handle.has_value());
  peer.say_octets(transfers(4, 8));  // all at once, no flow in between
  CHECK(peer.count<spec::end>() == 0);
  CHECK(peer.side.count(event_kind::transfer) == 12);
  peer.say_octets(transfers(12, 9));
  CHECK(peer.condition<spec::end>() == "amqp:session:window-violation");
  CHECK(peer.side.count(event_kind::transfer) == 20);
}

TEST_CASE("flow: a smaller window is told at once, and a larger one") {
  raw_peer peer;
  peer.ready_to_send();
  peer.heard.clear();
  engine::session& s = peer.receiver().on();
  s.set_incoming_window(0);
  peer.listen();
  REQUIRE(flows(peer) == 1);
  CHECK(peer.last<spec::flow>()->incoming_window == 0);
  peer.say(raw_peer::transfer(0, 0), "x");  // under way already
  CHECK(peer.side.count(event_kind::transfer) == 1);
  CHECK(flows(peer) == 1);
  s.set_incoming_window(5);
  peer.listen();
  CHECK(flows(peer) == 2);
  CHECK(peer.last<spec::flow>()->incoming_window == 5);
}

TEST_CASE("flow: we never send beyond the peer's window or credit, over the wrap of transfer-ids") {
  raw_peer peer;
  peer.open();
  peer.begin(0, {.next_outgoing_id = 0, .incoming_window = 0, .outgoing_window = 9});
  peer.attach_receiver(0);
  const auto flow = [&](std::optional<std::uint32_t> seen, std::uint32_t window,
                        std::uint32_t count, std::uint32_t credit) {
    peer.say(spec::flow{.next_incoming_id = seen,
                        .incoming_window = window,
                        .next_outgoing_id = 0,
                        .outgoing_window = 9,
                        .handle = 0,
                        .delivery_count = count,
                        .link_credit = credit});
  };
  std::uint64_t n = 0;
  const auto send_all = [&] {
    std::size_t sent = 0;
    while (peer.sender().can_send()) {
      ++sent;
      send_text(peer.sender(), std::to_string(n++), "x");
    }
    peer.listen();
    return sent;
  };
  const std::uint32_t base = 0xffff'fffc;
  flow(base, 0, 0, 10);
  CHECK(send_all() == 0);
  flow(std::nullopt, 3, 0, 10);
  CHECK(send_all() == 3);
  flow(std::nullopt, 3, 0, 10);
  CHECK(send_all() == 0);  // still means our first id
  flow(base + 1, 3, 0, 10);
  CHECK(send_all() == 1);
  flow(base + 4, 2, 0, 5);
  CHECK(send_all() == 1);  // credit: 5 granted, 4 used
  flow(base + 5, 7, 5, 3);
  CHECK(send_all() == 3);
  flow(base + 8, 1, 8, 100);
  CHECK(send_all() == 1);  // the window again
  flow(base + 9, 0xffff'ffff, 9, 0xffff'ffff);
  CHECK(peer.sender().can_send());
  CHECK(peer.sender().credit() == 0xffff'ffff);
}

TEST_CASE("flow: every way in which credit comes is told as sender_ready") {
  raw_peer peer;
  peer.ready_to_receive(0);
  CHECK(peer.side.count(event_kind::sender_ready) == 1);  // also that there is none
  peer.flow_credit(0, 0, 3);
  CHECK(peer.side.count(event_kind::sender_ready) == 2);
  peer.say(spec::flow{.next_incoming_id = engine::first_outgoing_id.value(),
                      .incoming_window = 0,
                      .next_outgoing_id = 0,
                      .outgoing_window = 1});
  CHECK(peer.side.count(event_kind::sender_ready) == 2);
  CHECK_FALSE(peer.sender().can_send());
  peer.say(spec::flow{.next_incoming_id = engine::first_outgoing_id.value(),
                      .incoming_window = 1,
                      .next_outgoing_id = 0,
                      .outgoing_window = 1});
  CHECK(peer.side.count(event_kind::sender_ready) == 3);
  CHECK(peer.sender().can_send());
}

TEST_CASE("flow: credit that came before our attach is told after it") {
  raw_peer peer;
  peer.open();
  peer.begin();
  peer.side.on_event = {};
  peer.attach_receiver(0);
  peer.flow_credit(0, 0, 4);
  CHECK(peer.side.count(event_kind::sender_ready) == 0);
  peer.sender().attach({});
  peer.side.drain_events();
  CHECK(peer.side.count(event_kind::sender_ready) == 1);
  CHECK(peer.sender().credit() == 4);
}

TEST_CASE("flow: an echo is answered with the state it asks for, and not with an echo") {
  raw_peer peer;
  peer.ready_to_receive(5);
  peer.heard.clear();
  peer.sender().set_available(7);
  peer.say(spec::flow{.next_incoming_id = engine::first_outgoing_id.value(),
                      .incoming_window = 50,
                      .next_outgoing_id = 0,
                      .outgoing_window = 100,
                      .handle = 0,
                      .delivery_count = 0,
                      .link_credit = 5,
                      .echo = true});
  REQUIRE(flows(peer) == 1);
  auto f = *peer.last<spec::flow>();
  CHECK(f.handle == 0u);
  CHECK(f.link_credit == 5u);
  CHECK(f.delivery_count == 0u);
  CHECK(f.available == 7u);
  CHECK_FALSE(f.drain);
  CHECK_FALSE(f.echo);
  peer.say(spec::flow{.next_incoming_id = engine::first_outgoing_id.value(),
                      .incoming_window = 50,
                      .next_outgoing_id = 0,
                      .outgoing_window = 100,
                      .echo = true});
  REQUIRE(flows(peer) == 2);
  f = *peer.last<spec::flow>();
  CHECK_FALSE(f.handle.has_value());
  CHECK_FALSE(f.link_credit.has_value());
  CHECK_FALSE(f.delivery_count.has_value());
  CHECK_FALSE(f.available.has_value());
}

TEST_CASE("flow: a sender's properties are told at once, and stand in each flow from then on") {
  raw_peer peer;
  peer.ready_to_receive(5);
  peer.heard.clear();
  codec::map state;
  state.append(amqp::symbol("active"), true);
  amqp::octet_buffer encoded;
  codec::encode(encoded, state);
  peer.sender().tell_properties(encoded.octets());
  peer.say(spec::flow{.next_incoming_id = engine::first_outgoing_id.value(),
                      .incoming_window = 50,
                      .next_outgoing_id = 0,
                      .outgoing_window = 100});
  REQUIRE(flows(peer) == 1);
  auto f = *peer.last<spec::flow>();
  CHECK(f.handle == 0u);
  REQUIRE(f.properties.has_value());
  CHECK(*f.properties == state);
  peer.say(spec::flow{.next_incoming_id = engine::first_outgoing_id.value(),
                      .incoming_window = 50,
                      .next_outgoing_id = 0,
                      .outgoing_window = 100,
                      .handle = 0,
                      .delivery_count = 0,
                      .link_credit = 5,
                      .echo = true});
  REQUIRE(flows(peer) == 2);
  f = *peer.last<spec::flow>();
  CHECK(f.properties == state);
}

TEST_CASE("flow: a receiver's echo shows its credit, and what the sender said is available") {
  raw_peer peer;
  peer.ready_to_send(6);
  peer.heard.clear();
  peer.say(spec::flow{.next_incoming_id = engine::first_outgoing_id.value(),
                      .incoming_window = 50,
                      .next_outgoing_id = 0,
                      .outgoing_window = 100,
                      .handle = 0,
                      .delivery_count = 2,
                      .link_credit = 99,
                      .available = 3,
                      .echo = true});
  REQUIRE(flows(peer) == 1);
  CHECK(peer.last<spec::flow>()->link_credit == 4u);  // ours to say
  CHECK(peer.last<spec::flow>()->delivery_count == 2u);
  CHECK(peer.receiver().available() == 3);
  peer.say(raw_peer::transfer(0, 0), "x");
  CHECK(peer.receiver().available() == 2);
}

TEST_CASE("flow: a drain is answered with no credit left and the count moved there") {
  for (const int messages : {0, 4, 10}) {
    CAPTURE(messages);
    raw_peer peer;
    peer.ready_to_receive(0);
    peer.heard.clear();
    peer.flow_credit(0, 0, 10, true);
    CHECK(peer.sender().is_draining());
    for (int i = 0; i < messages; ++i) send_text(peer.sender(), std::to_string(i), "x");
    peer.sender().finish_drain();
    peer.listen();
    CHECK_FALSE(peer.sender().is_draining());
    REQUIRE(flows(peer) == 1);
    CHECK(peer.heard.back().code == spec::flow::type.code);  // behind the messages
    const auto f = *peer.last<spec::flow>();
    CHECK(f.link_credit == 0u);
    CHECK(f.delivery_count == 10u);
    CHECK(f.drain);
    peer.sender().finish_drain();
    peer.listen();
    CHECK(flows(peer) == 1);
    CHECK_FALSE(peer.sender().can_send());
    peer.flow_credit(0, 10, 2);
    CHECK(peer.sender().credit() == 2);
    CHECK_FALSE(peer.sender().is_draining());
  }
}

TEST_CASE("flow: a drain that ends in the middle of a message is told at the message's end") {
  engine::options of_server = server_options();
  of_server.max_frame_size = 512;
  of_server.incoming_window = 2;
  linked_pair p(client_options(), of_server);
  p.in->drain(5);
  p.run();
  CHECK(p.out->is_draining());
  const auto body = bytes(std::string(4000, 'x'));
  auto progress = p.out->send({.tag = bytes("t")}, {}, body);
  REQUIRE_FALSE(progress.complete);
  p.out->finish_drain();
  CHECK(p.out->credit() == 4);
  p.client.on_event = [&](const engine::event& e) {
    if (e.kind == event_kind::sender_ready && !progress.complete)
      progress = p.out->resume({}, body);
  };
  p.run();
  CHECK(progress.complete);
  CHECK(p.out->credit() == 0);
  CHECK(p.out->count().value() == 5);
  CHECK(p.server.count(event_kind::drained) == 1);
  CHECK(p.in->credit() == 0);
  CHECK(p.server.events.back().kind == event_kind::drained);
}

TEST_CASE("flow: drained is told when all credit is used or given back, behind the last message") {
  linked_pair p;
  p.in->drain(3);
  p.client.on_event = [&](const engine::event& e) {
    if (e.kind != event_kind::sender_ready) return;
    for (int i = 0; p.out->can_send() && i < 3; ++i) send_text(*p.out, std::to_string(i), "x");
    p.out->finish_drain();
  };
  p.run();
  CHECK(p.server.count(event_kind::transfer) == 3);
  CHECK(p.server.count(event_kind::drained) == 1);
  CHECK(p.server.events.back().kind == event_kind::drained);
  p.in->drain(0);
  p.server.drain_events();
  CHECK(p.server.count(event_kind::drained) == 2);  // there was nothing to wait for
  p.in->drain(4);
  p.in->grant(4);  // called off
  p.run();
  CHECK(p.server.count(event_kind::drained) == 2);
  CHECK(p.out->credit() <= 4);
}

TEST_CASE("flow: the bound on unsettled deliveries holds back credit until they are settled") {
  engine::options of_server = server_options();
  of_server.unsettled_in_max = 8;
  linked_pair p(client_options(), of_server);
  p.in->grant(1000);
  p.run();
  CHECK(p.out->credit() == 8);
  std::uint32_t sent = 0;
  while (p.out->can_send()) send_text(*p.out, std::to_string(sent++), "x");
  p.run();
  CHECK(sent == 8);
  CHECK(p.out->credit() == 0);
  p.in->settle(0, spec::fast::accepted_octets);
  p.run();
  CHECK(p.out->credit() == 1);
  p.in->settle_range(1, 7, spec::fast::accepted_octets);
  p.run();
  CHECK(p.out->credit() == 8);
  CHECK(p.in->unsettled() == 0);
  // Settled deliveries are not held back.
  for (int i = 0; i < 100; ++i) {
    REQUIRE(p.out->can_send());
    send_text(*p.out, "s", "x", true);
    p.run();
  }
}

TEST_CASE("flow: a sender pauses at its bound of unsettled deliveries and goes on below it") {
  engine::options of_client = client_options();
  of_client.unsettled_out_max = 3;
  linked_pair p(of_client);
  p.in->grant(10);
  p.run();
  std::uint32_t sent = 0;
  while (p.out->can_send()) send_text(*p.out, std::to_string(sent++), "x");
  CHECK(sent == 3);
  CHECK(p.out->credit() == 7);
  p.run();
  p.client.events.clear();
  p.in->settle(1, spec::fast::accepted_octets);
  p.run();
  CHECK(p.client.count(event_kind::sender_ready) == 1);
  CHECK(p.out->can_send());
}

TEST_CASE("flow: a client's flow leaves out what it cannot know before the begin is answered") {
  engine::options o = client_options();
  o.credentials.reset();
  raw_peer peer(o);
  peer.side.wire.open();
  peer.say_header(frame::protocol_header(frame::protocol::amqp));
  peer.say(spec::open{.container_id = "server"});
  engine::session* s = peer.side.wire.begin();
  REQUIRE(s != nullptr);
  engine::receiver* r = s->attach_receiver({.name = "r"});
  REQUIRE(r != nullptr);
  CHECK(s->attach_receiver({.name = "second"}) == nullptr);  // handle 0 is all that is known to fit
  r->grant(4);
  peer.listen();
  REQUIRE(flows(peer) == 1);
  CHECK_FALSE(peer.last<spec::flow>()->next_incoming_id.has_value());
  CHECK_FALSE(peer.last<spec::flow>()->delivery_count.has_value());
  CHECK(peer.last<spec::flow>()->link_credit == 4u);
  peer.say(spec::begin{
      .remote_channel = 0, .next_outgoing_id = 9, .incoming_window = 5, .outgoing_window = 5});
  peer.say(spec::attach{
      .name = "r", .handle = 3, .role = spec::role::sender, .initial_delivery_count = 0xffff'fffe});
  CHECK(r->credit() == 4);
  for (std::uint32_t id = 0; id < 4; ++id) peer.say(raw_peer::transfer(3, id), "x");
  CHECK(peer.side.count(event_kind::transfer) == 4);
  CHECK(peer.count<spec::detach>() == 0);
  peer.say(raw_peer::transfer(3, 4), "x");
  CHECK(peer.condition<spec::detach>() == "amqp:link:transfer-limit-exceeded");
}
