// SPDX-License-Identifier: Apache-2.0
// Attaching, refusing, stealing, detaching; begin and end. [2.5.1-2.5.5, 2.6.1-2.6.6]
#include <doctest/doctest.h>

#include "tests/amqp/engine/raw_peer.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using engine::event_kind;

TEST_CASE("session: any channel of the peer's is answered on the lowest free one of ours") {
  raw_peer peer;
  peer.open();
  for (const std::uint16_t channel : {std::uint16_t{7}, std::uint16_t{0}, std::uint16_t{255}})
    peer.begin(channel);
  REQUIRE(peer.count<spec::begin>() == 3);
  std::vector<std::pair<std::uint16_t, std::uint16_t>> answered;
  for (const auto& f : peer.heard) {
    if (f.code != spec::begin::type.code) continue;
    codec::reader r(f.body);
    answered.emplace_back(f.channel, *codec::decode_as<spec::begin>(r)->remote_channel);
  }
  CHECK(answered == std::vector<std::pair<std::uint16_t, std::uint16_t>>{{0, 7}, {1, 0}, {2, 255}});
  peer.say(spec::end{}, {}, 0);
  CHECK(peer.heard.back().channel == 1);
  peer.begin(9);
  CHECK(peer.heard.back().channel == 1);
}

TEST_CASE("session: a begin beyond the channels that the peer admits for us closes") {
  raw_peer peer;
  peer.open({.container_id = "x", .channel_max = 1});
  peer.begin(0);
  peer.begin(1);
  CHECK(peer.count<spec::begin>() == 2);
  peer.begin(2);
  CHECK(peer.count<spec::begin>() == 2);
  CHECK(peer.condition<spec::close>() == "amqp:resource-limit-exceeded");
}

TEST_CASE("session: a client gets no more sessions and links than the peer admits") {
  engine::options of_server = server_options();
  of_server.channel_max = 2;
  of_server.handle_max = 1;
  wire_pair p(client_options(), of_server);
  CHECK(p.client.wire.begin() == nullptr);
  p.open();
  for (int i = 0; i < 3; ++i) REQUIRE(p.client.wire.begin() != nullptr);
  CHECK(p.client.wire.begin() == nullptr);
  p.run();
  CHECK(p.server.wire.session_count() == 3);
  engine::session* s = p.client.last(event_kind::session_begun).on_session;
  CHECK(s->attach_sender({.name = "a"}) != nullptr);
  CHECK(s->attach_receiver({.name = "a"}) != nullptr);  // the other direction: another link
  CHECK(s->attach_sender({.name = "b"}) == nullptr);
  p.run();
  CHECK(p.server.wire.link_count() == 2);
}

TEST_CASE("session: ends told by either side, with and without an error, are told once") {
  for (const bool by_client : {true, false}) {
    for (const bool with_error : {true, false}) {
      CAPTURE(by_client);
      CAPTURE(with_error);
      linked_pair p;
      std::optional<spec::error> error;
      if (with_error) error = spec::error{.condition = "amqp:internal-error"};
      (by_client ? p.at_client : p.at_server)->end(error);
      p.run();
      CHECK(p.client.count(event_kind::session_ended) == 1);
      CHECK(p.server.count(event_kind::session_ended) == 1);
      CHECK(p.client.count(event_kind::link_detached) == 0);
      const auto& other = (by_client ? p.server : p.client).last(event_kind::session_ended);
      CHECK(other.condition == (with_error ? "amqp:internal-error" : ""));
      CHECK(p.client.wire.session_count() + p.server.wire.session_count() == 0);
      CHECK(p.client.wire.link_count() + p.server.wire.link_count() == 0);
      engine::session* again = p.client.wire.begin();
      REQUIRE(again != nullptr);
      p.run();
      CHECK(again->is_active());
      CHECK(again->channel() == 0);
    }
  }
}

TEST_CASE("session: both sides may end at the same time") {
  linked_pair p;
  p.at_client->end();
  p.at_server->end(spec::error{.condition = "amqp:internal-error"});
  p.run();
  CHECK(p.client.count(event_kind::session_ended) == 1);
  CHECK(p.server.count(event_kind::session_ended) == 1);
  CHECK(p.client.wire.session_count() + p.server.wire.session_count() == 0);
  CHECK(p.client.wire.is_open());
}

TEST_CASE("session: a session ended before it was answered is gone when both ends are through") {
  wire_pair p;
  p.open();
  engine::session* s = p.client.wire.begin();
  s->end();
  p.run();
  CHECK(p.client.count(event_kind::session_begun) == 0);
  CHECK(p.client.count(event_kind::session_ended) == 1);
  CHECK(p.client.wire.session_count() + p.server.wire.session_count() == 0);
}

TEST_CASE("session: begin and end a thousand times on one channel, each is answered") {
  wire_pair p;
  p.open();
  for (int i = 0; i < 1000; ++i) {
    engine::session* s = p.client.wire.begin();
    REQUIRE(s != nullptr);
    CHECK(s->channel() == 0);
    if (i % 2 == 0) p.run();
    s->end();
    p.run();
  }
  CHECK(p.client.count(event_kind::session_ended) == 1000);
  CHECK(p.server.count(event_kind::session_begun) == 1000);
  CHECK(p.server.wire.session_count() == 0);
}

TEST_CASE("session: what an unsettled delivery held goes with its session") {
  linked_pair p;
  p.in->grant(5);
  p.run();
  send_text(*p.out, "t", "x");
  p.run();
  p.at_client->end();
  p.run();
  engine::session* again = p.client.wire.begin();
  p.run();
  CHECK(again->is_active());
  CHECK(p.server.count(event_kind::settled) == 0);
  CHECK(p.client.count(event_kind::outcome) == 0);
}

TEST_CASE("session: one that ends with something still to say leaves nothing behind") {
  linked_pair p;
  p.in->grant(5);
  p.at_server->end();
  p.run();
  CHECK(p.server.wire.session_count() == 0);
  CHECK_FALSE(p.server.wire.has_output());
  CHECK(p.server.wire.poll_octets().empty());
}

TEST_CASE("link: the reply carries what it was given, and name, role and handle of the link") {
  raw_peer peer;
  peer.open();
  peer.begin();
  peer.side.on_event = {};
  peer.attach_sender(5, "n1");
  CHECK(peer.count<spec::attach>() == 0);
  peer.receiver().attach({.rcv_settle_mode = spec::receiver_settle_mode::second,
                          .target = codec::to_raw(spec::target{.address = "real"}),
                          .max_message_size = 9});
  peer.listen();
  const auto reply = peer.last<spec::attach>();
  REQUIRE(reply.has_value());
  CHECK(reply->name == "n1");
  CHECK(reply->handle == 0);
  CHECK(reply->role == spec::role::receiver);
  CHECK(reply->rcv_settle_mode == spec::receiver_settle_mode::second);
  CHECK(reply->max_message_size == 9u);
  CHECK_FALSE(reply->initial_delivery_count.has_value());
  CHECK(codec::from_raw<spec::target>(reply->target)->address == "real");
  peer.attach_receiver(900, "n1");
  peer.sender().attach({});
  peer.listen();
  CHECK(peer.last<spec::attach>()->handle == 1);
  CHECK(peer.last<spec::attach>()->initial_delivery_count == 0u);
}

TEST_CASE("link: a refusal is an attach without our terminus and a closing detach") {
  for (const bool we_send : {true, false}) {
    CAPTURE(we_send);
    raw_peer peer;
    peer.open();
    peer.begin();
    peer.side.on_event = [](const engine::event& e) {
      if (e.kind == event_kind::link_attached)
        e.on_link->refuse({.condition = "amqp:not-found", .description = "no such node"});
    };
    we_send ? peer.attach_receiver(3) : peer.attach_sender(3);
    REQUIRE(peer.heard.size() >= 2);
    const auto attach = *peer.last<spec::attach>();
    CHECK(peer.heard[peer.heard.size() - 2].code == spec::attach::type.code);
    CHECK(attach.source.has_value() == !we_send);
    CHECK(attach.target.empty() == !we_send);
    CHECK(peer.last<spec::detach>()->closed);
    CHECK(peer.condition<spec::detach>() == "amqp:not-found");
    // What the peer sent before it knew is ignored.
    peer.heard.clear();
    peer.flow_credit(3, 0, 10);
    auto t = raw_peer::transfer(3, 0);
    peer.say(t, "x");
    CHECK(peer.heard.empty());
    CHECK(peer.side.count(event_kind::transfer) == 0);
    CHECK(peer.side.count(event_kind::link_detached) == 0);
    peer.say(spec::detach{.handle = 3, .closed = true});
    CHECK(peer.side.count(event_kind::link_detached) == 1);
    CHECK(peer.heard.empty());
    CHECK(peer.side.wire.link_count() == 0);
    // Handle and name are free again.
    we_send ? peer.attach_receiver(3) : peer.attach_sender(3);
    CHECK(peer.count<spec::attach>() == 1);
    CHECK(peer.count<spec::end>() == 0);
  }
}

TEST_CASE("link: links beyond the bound are refused without a word to the application") {
  engine::options o = server_options();
  o.links_max = 2;
  raw_peer peer(o);
  peer.open();
  peer.begin();
  peer.attach_sender(0, "a");
  peer.attach_sender(1, "b");
  peer.attach_sender(2, "c");
  CHECK(peer.side.count(event_kind::link_attached) == 2);
  CHECK(peer.condition<spec::detach>() == "amqp:resource-limit-exceeded");
  peer.say(spec::detach{.handle = 2, .closed = true});
  CHECK(peer.side.count(event_kind::link_detached) == 0);
  peer.say(spec::detach{.handle = 0, .closed = true});
  peer.attach_sender(0, "d");
  CHECK(peer.side.count(event_kind::link_attached) == 3);
}

TEST_CASE("link: a name attached again on another handle steals it, the old one is told first") {
  raw_peer peer;
  peer.ready_to_send();
  engine::link* old = &peer.receiver();
  peer.side.events.clear();
  peer.heard.clear();
  peer.attach_sender(4, "in");
  REQUIRE(peer.side.events.size() == 2);
  CHECK(peer.side.events[0].kind == event_kind::link_detached);
  CHECK(peer.side.events[0].on_link == old);
  CHECK(peer.side.events[0].by_us);
  CHECK(peer.side.events[0].condition == "amqp:link:stolen");
  CHECK(peer.side.events[1].kind == event_kind::link_attached);
  CHECK(peer.side.events[1].link_name == "in");
  CHECK(peer.condition<spec::detach>() == "amqp:link:stolen");
  CHECK(peer.count<spec::attach>() == 1);
  peer.heard.clear();
  peer.say(raw_peer::transfer(0, 0), "to the old one");  // crossed the detach
  CHECK(peer.heard.empty());
  peer.say(spec::detach{.handle = 0, .closed = true});
  CHECK(peer.side.count(event_kind::link_detached) == 1);
  CHECK(peer.side.wire.link_count() == 1);
  // The same name in the other direction is another link.
  peer.attach_receiver(5, "in");
  CHECK(peer.side.count(event_kind::link_detached) == 1);
  CHECK(peer.side.wire.link_count() == 2);
}

TEST_CASE("link: detach with and without closing, and again, leaves no trace") {
  for (const bool closed : {true, false}) {
    for (const bool by_client : {true, false}) {
      CAPTURE(closed);
      CAPTURE(by_client);
      linked_pair p;
      engine::link* mine = by_client ? static_cast<engine::link*>(p.out) : p.in;
      mine->detach(closed);
      mine->detach(closed);  // nothing more happens
      p.run();
      const auto& there = (by_client ? p.server : p.client).last(event_kind::link_detached);
      const auto& here = (by_client ? p.client : p.server).last(event_kind::link_detached);
      CHECK(there.closed == closed);
      CHECK(here.closed == closed);
      CHECK_FALSE(there.by_us);
      CHECK(p.client.wire.link_count() == 1);
      CHECK(p.server.wire.link_count() == 1);
      engine::sender* again = p.at_client->attach_sender({.name = "out"});
      REQUIRE(again != nullptr);
      p.run();
      CHECK(again->is_attached());
      CHECK(p.at_server->is_active());
    }
  }
}

TEST_CASE("link: a detach with an error is a closing one") {
  linked_pair p;
  p.in->detach(false, spec::error{.condition = "amqp:resource-deleted"});
  p.run();
  CHECK(p.client.last(event_kind::link_detached).closed);
  CHECK(p.client.last(event_kind::link_detached).condition == "amqp:resource-deleted");
}

TEST_CASE("link: detached before the attach was answered, it still is attached first") {
  raw_peer peer;
  peer.open();
  peer.begin();
  peer.side.on_event = [](const engine::event& e) {
    if (e.kind == event_kind::link_detached) e.on_link->detach(true);
  };
  peer.attach_sender(0);
  peer.say(spec::detach{.handle = 0, .closed = true});
  REQUIRE(peer.heard.size() >= 2);
  CHECK(peer.heard[peer.heard.size() - 2].code == spec::attach::type.code);
  CHECK(peer.heard.back().code == spec::detach::type.code);
  CHECK(peer.side.wire.link_count() == 0);
}

TEST_CASE("link: a client may detach a link before its attach is answered") {
  linked_pair p;
  engine::sender* s = p.at_client->attach_sender({.name = "brief"});
  s->detach(true);
  p.run();
  CHECK(p.client.count(event_kind::link_detached) == 1);
  CHECK(p.client.count(event_kind::link_attached) == 0);
  CHECK(p.client.wire.link_count() == 2);
  CHECK(p.server.wire.link_count() == 2);
}

TEST_CASE("link: input sent in the knowledge of our detach is an error, crossing it is not") {
  for (const bool with_error : {true, false}) {
    CAPTURE(with_error);
    engine::options o = server_options();
    o.incoming_window = 4;
    raw_peer peer(o);
    peer.ready_to_send();
    std::optional<spec::error> error;
    if (with_error) error = spec::error{.condition = "amqp:resource-deleted"};
    peer.receiver().detach(true, error);
    peer.listen();
    peer.heard.clear();
    // Four were admitted before the detach; the fifth needs a flow that came behind it.
    for (std::uint32_t i = 0; i < 4; ++i) peer.say(raw_peer::transfer(0, i), "x");
    CHECK(peer.count<spec::end>() == 0);
    CHECK(peer.count<spec::flow>() > 0);
    peer.say(raw_peer::transfer(0, 4), "x");
    CHECK(peer.condition<spec::end>() ==
          (with_error ? "amqp:session:errant-link" : "amqp:session:unattached-handle"));
  }
}

TEST_CASE("link: a flow that knows of transfers behind our detach is an error") {
  raw_peer peer;
  peer.ready_to_receive();
  engine::sender& old = peer.sender();
  peer.attach_receiver(1, "other");
  engine::sender& other = peer.sender();
  peer.flow_credit(1, 0, 10);
  old.detach(true, spec::error{.condition = "amqp:resource-deleted"});
  send_text(other, "t", "x");
  peer.listen();
  const auto flow = [&](std::uint32_t seen) {
    peer.say(spec::flow{.next_incoming_id = engine::first_outgoing_id.value() + seen,
                        .incoming_window = 100,
                        .next_outgoing_id = 0,
                        .outgoing_window = 100,
                        .handle = 0,
                        .link_credit = 10});
  };
  flow(0);
  CHECK(peer.count<spec::end>() == 0);
  flow(1);
  CHECK(peer.condition<spec::end>() == "amqp:session:errant-link");
}

TEST_CASE("link: behind an error of its peer's making any input for it ends the session") {
  for (const bool by_flow : {true, false}) {
    CAPTURE(by_flow);
    raw_peer peer;
    peer.ready_to_send();
    spec::transfer unfinished = raw_peer::transfer(0, 0);
    unfinished.more = true;
    peer.say(unfinished, "x");
    peer.say(raw_peer::transfer(0, 1), "y");  // inside of the other
    REQUIRE(peer.condition<spec::detach>() == "amqp:invalid-field");
    CHECK(peer.count<spec::end>() == 0);
    if (by_flow) {
      peer.say(spec::flow{.next_incoming_id = engine::first_outgoing_id.value(),
                          .incoming_window = 100,
                          .next_outgoing_id = 2,
                          .outgoing_window = 100,
                          .handle = 0,
                          .link_credit = 1});
    } else {
      peer.say(raw_peer::transfer(0, 2), "z");
    }
    CHECK(peer.condition<spec::end>() == "amqp:session:errant-link");
  }
}

TEST_CASE("link: fe2o3-amqp loses its connection when its end crosses our detach") {
  // It answers the detach behind its end, which nobody may [2.5.5]. That ends no other session;
  // anything else there is an error as before, and so is that detach on a new session.
  raw_peer peer;
  peer.ready_to_send();
  peer.side.last(event_kind::link_attached).on_link->detach(true);
  peer.say(spec::end{});
  REQUIRE(peer.count<spec::detach>() == 1);
  REQUIRE(peer.count<spec::end>() == 1);
  peer.say(spec::detach{.handle = 0, .closed = true});
  CHECK(peer.count<spec::close>() == 0);
  SUBCASE("a flow there closes the connection") {
    peer.say(spec::flow{.incoming_window = 1, .next_outgoing_id = 0, .outgoing_window = 1});
    CHECK(peer.condition<spec::close>() == "amqp:not-allowed");
  }
  SUBCASE("the channel's next session knows nothing of it") {
    peer.begin();
    peer.say(spec::detach{.handle = 0, .closed = true});
    CHECK(peer.condition<spec::end>() == "amqp:session:unattached-handle");
    peer.say(spec::end{});
    peer.say(spec::detach{.handle = 0, .closed = true});
    CHECK(peer.condition<spec::close>() == "amqp:not-allowed");
  }
}

TEST_CASE("link: what is under way behind a message that is too large ends the link alone") {
  engine::options o = server_options();
  o.max_message_size = 10;
  raw_peer peer(o);
  peer.ready_to_send();
  peer.say(raw_peer::transfer(0, 0), "more than ten octets");
  REQUIRE(peer.condition<spec::detach>() == "amqp:link:message-size-exceeded");
  peer.say(raw_peer::transfer(0, 1), "x");
  CHECK(peer.count<spec::end>() == 0);
  peer.say(spec::detach{.handle = 0, .closed = true});
  CHECK(peer.side.wire.link_count() == 0);
}

TEST_CASE("link: the unsettled map is shown with the event and not kept") {
  raw_peer peer;
  peer.open();
  peer.begin();
  bool seen = false;
  peer.side.on_event = [&](const engine::event& e) {
    if (e.kind == event_kind::link_attached) seen = e.attach->unsettled.has_value();
  };
  codec::map unsettled;
  unsettled.append(amqp::binary(std::string_view("t")), codec::null{});
  peer.say(spec::attach{.name = "r",
                        .handle = 0,
                        .role = spec::role::sender,
                        .unsettled = codec::to_raw(unsettled),
                        .initial_delivery_count = 0});
  CHECK(seen);
  CHECK_FALSE(peer.receiver().remote_attach().unsettled.has_value());
  CHECK(peer.receiver().remote_attach().name == "r");
}

TEST_CASE("link: what does not fit small frames is cut, and the link refused if need be") {
  raw_peer peer;
  peer.open({.container_id = "x", .max_frame_size = 512});
  peer.begin();
  peer.side.on_event = {};
  const std::string long_text(1000, 'y');
  peer.attach_sender(0, "a");
  codec::map properties;
  properties.append(amqp::symbol("k"), long_text);
  peer.receiver().attach(
      {.target = codec::to_raw(spec::target{.address = "q"}), .properties = properties});
  peer.listen();
  CHECK_FALSE(peer.last<spec::attach>()->properties.has_value());
  CHECK(peer.receiver().is_attached());

  peer.attach_sender(1, "b");
  peer.receiver().attach({.source = spec::source{.address = long_text}});
  peer.side.drain_events();
  peer.listen();
  CHECK(peer.condition<spec::detach>() == "amqp:frame-size-too-small");
  CHECK(peer.side.last(event_kind::link_detached).by_us);

  peer.attach_sender(2, "c");
  peer.receiver().refuse({.condition = "amqp:not-found", .description = long_text});
  peer.listen();
  CHECK(peer.condition<spec::detach>() == "amqp:not-found");
  CHECK(peer.last<spec::detach>()->error->description->size() >= 200);

  peer.attach_sender(3, std::string(600, 'n'));
  peer.receiver().refuse({.condition = "amqp:not-found"});
  peer.side.drain_events();
  peer.listen();
  CHECK(peer.condition<spec::end>() == "amqp:frame-size-too-small");
  for (const auto& f : peer.heard) CHECK(f.size <= 512);
}

TEST_CASE("link: errors are cut between characters, and lose their info first") {
  raw_peer peer;
  peer.open({.container_id = "x", .max_frame_size = 512});
  codec::map info;
  info.append(amqp::symbol("k"), std::string(600, 'i'));
  std::string text;
  for (int i = 0; i < 150; ++i) text += "\xe2\x82\xac";  // 450 octets in characters of three
  peer.side.wire.close(
      spec::error{.condition = "amqp:internal-error", .description = text, .info = info});
  peer.listen();
  const auto close = peer.last<spec::close>();
  REQUIRE(close.has_value());
  CHECK(close->error->description == text);
  CHECK_FALSE(close->error->info.has_value());
  raw_peer other;
  other.open({.container_id = "x", .max_frame_size = 512});
  other.side.wire.close(
      spec::error{.condition = "amqp:internal-error", .description = text + text});
  other.listen();
  const auto cut = other.last<spec::close>()->error->description;
  REQUIRE(cut.has_value());
  CHECK(cut->size() % 3 == 0);
  CHECK(cut->size() >= 200);
}
