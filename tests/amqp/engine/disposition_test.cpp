// SPDX-License-Identifier: Apache-2.0
// Outcomes and settlement: ranges both ways, settling first and second. [2.6.12, 2.7.6]
#include <doctest/doctest.h>

#include "tests/amqp/engine/raw_peer.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using engine::event_kind;
namespace fast = whimbrel::amqp::spec::fast;

namespace {

engine::options wrapping(engine::options o) {
  o.first_delivery_id = 0xffff'fffd;
  return o;
}

std::vector<spec::disposition> dispositions(const raw_peer& peer) {
  std::vector<spec::disposition> out;
  for (const auto& f : peer.heard) {
    if (f.code != spec::disposition::type.code) continue;
    codec::reader r(f.body);
    out.push_back(*codec::decode_as<spec::disposition>(r));
  }
  return out;
}

}  // namespace

TEST_CASE("disposition: outcomes of consecutive deliveries go out as one range") {
  raw_peer peer;
  peer.ready_to_send();
  for (std::uint32_t i = 0; i < 12; ++i) peer.say(raw_peer::transfer(0, 0xffff'fffau + i), "x");
  peer.heard.clear();
  auto& r = peer.receiver();
  for (std::uint32_t i = 0; i < 8; ++i) r.settle(0xffff'fffau + i, fast::accepted_octets);
  r.settle(2, fast::released_octets);
  r.settle(4, fast::released_octets);
  r.settle(3, fast::released_octets);
  peer.listen();
  const auto said = dispositions(peer);
  REQUIRE(said.size() == 4);
  CHECK(said[0].first == 0xffff'fffa);
  CHECK(said[0].last == 1u);
  CHECK(said[0].settled);
  CHECK(said[0].role == spec::role::receiver);
  CHECK(fast::classify_state(said[0].state.octets()) == fast::state_kind::accepted);
  CHECK(said[1].first == 2);
  CHECK(fast::classify_state(said[1].state.octets()) == fast::state_kind::released);
  CHECK(r.unsettled() == 1);
  r.settle(2, fast::accepted_octets);  // settled before: nothing
  peer.heard.clear();
  peer.listen();
  CHECK(peer.heard.empty());
}

TEST_CASE("disposition: a range over gaps says nothing of what is not there") {
  raw_peer peer;
  peer.ready_to_send();
  peer.attach_sender(1, "second");
  engine::receiver& second = peer.receiver();
  second.grant(10);
  peer.listen();
  for (const std::uint32_t id : {0u, 1u, 2u, 4u, 5u}) peer.say(raw_peer::transfer(1, id), "x");
  peer.say(raw_peer::transfer(0, 6), "x");
  peer.heard.clear();
  second.settle_range(0, 100, fast::accepted_octets);
  peer.listen();
  const auto said = dispositions(peer);
  REQUIRE(said.size() == 2);
  CHECK(said[0].first == 0);
  CHECK(said[0].last == 2u);
  CHECK(said[1].first == 4);
  CHECK(said[1].last == 5u);
  CHECK(second.unsettled() == 0);
}

TEST_CASE("disposition: a peer's range is told delivery by delivery, in order, over the wrap") {
  linked_pair p(wrapping(client_options()), wrapping(server_options()));
  p.in->grant(100);
  p.run();
  for (std::uint64_t i = 0; i < 10; ++i) send_text(*p.out, std::to_string(i), "x", false, 100 + i);
  p.run();
  CHECK(p.out->unsettled() == 10);
  p.in->settle_range(0xffff'ffff, 2, fast::accepted_octets);
  p.run();
  std::vector<std::uint64_t> tokens;
  for (const recorded& e : p.client.events)
    if (e.kind == event_kind::outcome) tokens.push_back(e.token);
  CHECK(tokens == std::vector<std::uint64_t>{102, 103, 104, 105});
  CHECK(p.out->unsettled() == 6);
  std::vector<std::uint64_t> left;
  p.out->each_unsettled(
      [](void* to, std::uint32_t, std::uint64_t token, bool whole) {
        CHECK(whole);
        static_cast<std::vector<std::uint64_t>*>(to)->push_back(token);
      },
      &left);
  CHECK(left == std::vector<std::uint64_t>{100, 101, 106, 107, 108, 109});
}

TEST_CASE("disposition: a range covers all links of its direction, and only that direction") {
  linked_pair p;
  engine::sender* second = p.at_client->attach_sender({.name = "second"});
  p.run();
  auto* second_in =
      static_cast<engine::receiver*>(p.server.last(event_kind::link_attached).on_link);
  p.in->grant(10);
  second_in->grant(10);
  p.back_in->grant(10);
  p.run();
  p.client.events.clear();
  for (std::uint64_t i = 0; i < 3; ++i) {
    send_text(*p.out, "a" + std::to_string(i), "x", false, i);
    send_text(*second, "b" + std::to_string(i), "x", false, 10 + i);
    send_text(*p.back_out, "c" + std::to_string(i), "x", false, 20 + i);  // the same ids
  }
  p.run();
  const auto octets = raw_peer::encode(
      0, spec::disposition{.role = spec::role::receiver,
                           .first = 0,
                           .last = 1000,
                           .settled = true,
                           .state = codec::raw(std::span<const std::byte>(fast::accepted_octets))});
  p.give(p.client, octets);
  CHECK(p.client.count(event_kind::outcome) == 6);
  CHECK(p.out->unsettled() == 0);
  CHECK(second->unsettled() == 0);
  CHECK(p.back_in->unsettled() == 3);
  CHECK(p.back_out->unsettled() == 3);
}

TEST_CASE("disposition: an outcome without settled leaves the delivery until we settle") {
  raw_peer peer;
  peer.ready_to_receive();
  engine::sender& s = peer.sender();
  for (std::uint64_t i = 0; i < 3; ++i) send_text(s, std::to_string(i), "x", false, i);
  peer.listen();
  peer.heard.clear();
  const auto accepted = codec::raw(std::span<const std::byte>(fast::accepted_octets));
  peer.say(
      spec::disposition{.role = spec::role::receiver, .first = 0, .last = 2, .state = accepted});
  CHECK(peer.side.count(event_kind::outcome) == 3);
  CHECK_FALSE(peer.side.last(event_kind::outcome).is_settled);
  CHECK(s.unsettled() == 3);
  for (std::uint32_t id = 0; id < 3; ++id) s.settle(id, fast::accepted_octets);
  peer.listen();
  const auto said = dispositions(peer);
  REQUIRE(said.size() == 1);
  CHECK(said[0].role == spec::role::sender);
  CHECK(said[0].first == 0);
  CHECK(said[0].last == 2u);
  CHECK(said[0].settled);
  CHECK(s.unsettled() == 0);
  // Again, and late: ignored.
  peer.say(spec::disposition{
      .role = spec::role::receiver, .first = 0, .last = 2, .settled = true, .state = accepted});
  CHECK(peer.side.count(event_kind::outcome) == 3);
}

TEST_CASE("disposition: a receiver that settles second waits for the sender, on the wire") {
  spec::attach how;
  how.rcv_settle_mode = spec::receiver_settle_mode::second;
  linked_pair p(client_options(), server_options(), how);
  p.in->grant(10);
  p.run();
  p.client.on_event = {};
  send_text(*p.out, "t", "x", false, 5);
  p.run();
  const std::uint32_t id = p.server.last(event_kind::transfer).delivery_id;
  p.in->remember(id, 4711);
  p.in->settle(id, fast::accepted_octets);
  p.run();
  CHECK(p.in->unsettled() == 1);
  REQUIRE(p.client.count(event_kind::outcome) == 1);
  CHECK_FALSE(p.client.last(event_kind::outcome).is_settled);
  CHECK(p.server.count(event_kind::settled) == 0);
  p.out->settle(id, fast::accepted_octets);
  p.run();
  REQUIRE(p.server.count(event_kind::settled) == 1);
  CHECK(p.server.last(event_kind::settled).token == 4711);
  CHECK(p.in->unsettled() == 0);
  CHECK(p.out->unsettled() == 0);
}

TEST_CASE("disposition: one delivery may settle first on a link that settles second") {
  raw_peer peer;
  peer.open();
  peer.begin();
  peer.say(spec::attach{.name = "l",
                        .handle = 0,
                        .role = spec::role::sender,
                        .rcv_settle_mode = spec::receiver_settle_mode::second,
                        .initial_delivery_count = 0});
  peer.receiver().grant(5);
  peer.listen();
  auto t = raw_peer::transfer(0, 0);
  t.rcv_settle_mode = spec::receiver_settle_mode::first;
  peer.say(t, "x");
  peer.say(raw_peer::transfer(0, 1), "x");
  peer.heard.clear();
  peer.receiver().settle_range(0, 1, fast::accepted_octets);
  peer.listen();
  const auto said = dispositions(peer);
  REQUIRE(said.size() == 2);
  CHECK(said[0].settled);
  CHECK_FALSE(said[1].settled);
  CHECK(peer.receiver().unsettled() == 1);
}

TEST_CASE("disposition: a sender that settles before our outcome is told as settled") {
  raw_peer peer;
  peer.ready_to_send();
  for (std::uint32_t i = 0; i < 3; ++i) peer.say(raw_peer::transfer(0, i), "x");
  peer.say(spec::disposition{.role = spec::role::sender, .first = 0, .last = 1});
  CHECK(peer.side.count(event_kind::settled) == 0);  // states without settling concern nobody
  peer.say(spec::disposition{.role = spec::role::sender, .first = 0, .last = 1, .settled = true});
  CHECK(peer.side.count(event_kind::settled) == 2);
  CHECK(peer.receiver().unsettled() == 1);
  peer.heard.clear();
  peer.receiver().settle_range(0, 2, fast::accepted_octets);
  peer.listen();
  REQUIRE(dispositions(peer).size() == 1);
  CHECK(dispositions(peer)[0].first == 2);
}

TEST_CASE("disposition: a provisional state leaves the delivery unsettled") {
  raw_peer peer;
  peer.ready_to_send();
  peer.say(raw_peer::transfer(0, 0), "x");
  peer.heard.clear();
  const auto received = codec::to_raw(spec::received{.section_number = 0, .section_offset = 1});
  peer.receiver().update(0, received.octets());
  peer.receiver().settle(0, fast::accepted_octets);
  peer.listen();
  const auto said = dispositions(peer);
  REQUIRE(said.size() == 2);
  CHECK_FALSE(said[0].settled);
  CHECK(said[1].settled);
}

TEST_CASE("disposition: outcomes go out before the detach, end or close of what they are about") {
  for (const int how : {0, 1, 2}) {
    CAPTURE(how);
    raw_peer peer;
    peer.ready_to_send();
    peer.say(raw_peer::transfer(0, 0), "x");
    peer.heard.clear();
    engine::receiver& r = peer.receiver();
    r.settle(0, fast::accepted_octets);
    if (how == 0) r.detach(true);
    if (how == 1) r.on().end();
    if (how == 2) peer.side.wire.close();
    peer.listen();
    REQUIRE(peer.heard.size() == 2);
    CHECK(peer.heard[0].code == spec::disposition::type.code);
  }
}

TEST_CASE("disposition: what takes effect in a transaction is not overtaken by a transfer") {
  linked_pair p;
  p.back_in->grant(10);
  p.in->grant(10);
  p.run();
  send_text(*p.back_out, "t", "x");
  p.run();
  p.server.events.clear();
  const std::uint32_t id = p.client.last(event_kind::transfer).delivery_id;
  const auto in_transaction = hex("00 53 34 c0 09 02 a0 02 01 02 00 53 24 45");
  p.back_in->settle(id, in_transaction);
  send_text(*p.out, "d", "discharge");
  p.run();
  REQUIRE(p.server.events.size() == 2);
  CHECK(p.server.events[0].kind == event_kind::outcome);
  CHECK(p.server.events[0].state_kind == fast::state_kind::transactional);
  CHECK(p.server.events[1].kind == event_kind::transfer);
}

TEST_CASE("disposition: a state that does not fit the peer's frames is shortened") {
  linked_pair p([] {
    auto o = client_options();
    o.max_frame_size = 512;
    return o;
  }());
  p.in->grant(10);
  p.run();
  for (int i = 0; i < 3; ++i) send_text(*p.out, std::to_string(i), "x");
  p.run();
  const std::string text(900, 'd');
  codec::map annotations;
  annotations.append(amqp::symbol("x-opt-k"), text);
  const auto rejected = codec::to_raw(
      spec::rejected{.error = spec::error{.condition = "amqp:not-allowed", .description = text}});
  const auto modified =
      codec::to_raw(spec::modified{.delivery_failed = true, .message_annotations = annotations});
  const auto unknown = codec::to_raw(amqp::binary(text));
  p.in->settle(0, rejected.octets());
  p.in->settle(1, modified.octets());
  p.in->settle(2, unknown.octets());
  p.run();
  REQUIRE(p.client.count(event_kind::outcome) == 3);
  const auto state = [&](std::size_t i) {
    std::size_t n = 0;
    for (const recorded& e : p.client.events)
      if (e.kind == event_kind::outcome && n++ == i) return bytes(e.state);
    return std::vector<std::byte>{};
  };
  const auto got = codec::decode<spec::rejected>(state(0));
  REQUIRE(got.has_value());
  CHECK(got->error->condition == "amqp:not-allowed");
  CHECK(got->error->description->size() >= 200);
  CHECK(codec::decode<spec::modified>(state(1))->delivery_failed == true);
  CHECK(fast::classify_state(state(2)) == fast::state_kind::released);
}

TEST_CASE("disposition: ranges of all numbers cost as little as what they find") {
  raw_peer peer;
  peer.ready_to_receive(1000);
  send_text(peer.sender(), "t", "x");
  peer.listen();
  const auto octets = raw_peer::encode(
      0,
      spec::disposition{.role = spec::role::receiver, .first = 0xc000'0000, .last = 0x3000'0000});
  std::vector<std::byte> many;
  for (int i = 0; i < 1000; ++i) many.insert(many.end(), octets.begin(), octets.end());
  const auto since = std::chrono::steady_clock::now();
  peer.say_octets(many);
  CHECK(std::chrono::steady_clock::now() - since < std::chrono::seconds(3));
  CHECK(peer.side.count(event_kind::outcome) == 1000);
}
