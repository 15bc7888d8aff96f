// SPDX-License-Identifier: Apache-2.0
// Deliveries in one frame and in many, settled and not, whole and aborted. [2.6.12-2.6.14, 2.7.5]
#include <doctest/doctest.h>

#include "tests/amqp/engine/raw_peer.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using engine::event_kind;

namespace {

std::string pattern(std::size_t n) {
  std::string out(n, '\0');
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<char>('a' + i % 23);
  return out;
}

/// Payloads of the delivery's pieces joined; checks first and last on the way.
std::string joined(const std::vector<recorded>& events) {
  std::string out;
  bool expects_first = true;
  for (const recorded& e : events) {
    if (e.kind != event_kind::transfer) continue;
    CHECK(e.first == expects_first);
    expects_first = e.last;
    out += e.payload;
  }
  CHECK(expects_first);
  return out;
}

engine::options with_frames(engine::options o, std::uint32_t size) {
  o.max_frame_size = size;
  return o;
}

}  // namespace

TEST_CASE("transfer: a message of any length arrives whole, in frames that fit") {
  for (const std::uint32_t frame_size : {512u, 600u, 65'536u}) {
    linked_pair p(client_options(), with_frames(server_options(), frame_size));
    CHECK(p.client.wire.frame_size_max_out() == frame_size);
    p.in->grant(1000);
    p.run();
    std::size_t longest = 0;
    const std::vector<std::size_t> lengths{0,   1,   2,   440, 460, 470, 475, 476,  477,   478, 479,
                                           480, 481, 482, 483, 484, 485, 486, 487,  488,   489, 490,
                                           491, 500, 511, 512, 513, 967, 968, 5000, 70'000};
    for (const std::size_t length : lengths) {
      CAPTURE(frame_size);
      CAPTURE(length);
      p.server.events.clear();
      const std::string body = pattern(length);
      for (const std::size_t head : {std::size_t{0}, length / 3, length}) {
        const auto octets = bytes(body);
        const auto whole = std::span<const std::byte>(octets);
        const auto progress =
            p.out->send({.tag = bytes("tg")}, whole.first(head), whole.subspan(head));
        CHECK(progress.complete);
        CHECK(progress.taken == length);
        const auto out = p.client.wire.poll_octets();
        for (std::span<const std::byte> rest = out; !rest.empty();) {
          const auto size = codec::load_big_endian<std::uint32_t>(rest.data());
          CHECK(size <= frame_size);
          longest = std::max<std::size_t>(longest, size);
          rest = rest.subspan(size);
        }
        p.run();
      }
      CHECK(joined(p.server.events) == body + body + body);
    }
    CHECK(longest == frame_size);  // frames are filled to the last octet
  }
}

TEST_CASE("transfer: the window stops a message in its middle and a flow lets it go on") {
  engine::options of_server = with_frames(server_options(), 512);
  of_server.incoming_window = 3;
  linked_pair p(client_options(), of_server);
  p.in->grant(10);
  p.run();
  const auto body = bytes(pattern(5000));
  engine::progress progress = p.out->send({.tag = bytes("t")}, {}, body);
  CHECK_FALSE(progress.complete);
  CHECK(p.at_client->outgoing_room() == 0);
  CHECK_FALSE(p.out->can_send());
  int turns = 0;
  p.client.on_event = [&](const engine::event& e) {
    if (e.kind != event_kind::sender_ready || progress.complete) return;
    const auto before = progress.taken;
    progress = p.out->resume({}, body);
    CHECK(progress.taken >= before);
    ++turns;
  };
  p.run();
  CHECK(progress.complete);
  CHECK(turns >= 3);
  CHECK(joined(p.server.events) == pattern(5000));
  CHECK(p.out->credit() == 9);
  CHECK(p.in->credit() == 9);
}

TEST_CASE("transfer: a full output stops a message in its middle and room lets it go on") {
  engine::options of_client = client_options();
  of_client.output_octets_max = 4096;
  linked_pair p(of_client, with_frames(server_options(), 512));
  p.in->grant(10);
  p.run();
  const auto body = bytes(pattern(20'000));
  engine::progress progress = p.out->send({.tag = bytes("t")}, {}, body);
  CHECK_FALSE(progress.complete);
  CHECK(p.client.wire.output_size() >= 4096);
  CHECK(p.client.wire.output_size() < 4096 + 512);
  CHECK_FALSE(p.client.wire.output_has_room());
  p.client.events.clear();
  p.client.wire.on_written(p.client.wire.output_size() - 2049);
  p.client.drain_events();
  CHECK(p.client.events.empty());  // not yet drained to half
  p.client.wire.on_written(1);
  p.client.drain_events();
  CHECK(p.client.count(event_kind::sender_ready) == 1);
  CHECK(p.client.events[0].on_link == p.out);
}

TEST_CASE("transfer: room in the output is not told behind the end of the connection") {
  engine::options o = server_options();
  o.output_octets_max = 600;
  raw_peer peer(o);
  peer.ready_to_receive(10);
  const auto body = bytes(pattern(3000));
  peer.sender().send({.tag = bytes("t")}, {}, body);
  peer.side.events.clear();
  const auto junk = hex("00 00 00 07 02 00 00 00");
  peer.side.wire.on_octets(junk, peer.now);
  peer.side.drain_events();
  peer.listen();
  REQUIRE(peer.side.events.size() == 1);
  CHECK(peer.side.events[0].kind == event_kind::connection_closed);
}

TEST_CASE("transfer: an echo in the middle of a delivery is answered at its end") {
  engine::options of_server = with_frames(server_options(), 512);
  of_server.incoming_window = 2;
  linked_pair p(client_options(), of_server);
  p.in->grant(10);
  p.run();
  const auto body = bytes(pattern(3000));
  auto progress = p.out->send({.tag = bytes("t")}, {}, body);
  REQUIRE_FALSE(progress.complete);
  p.client.on_event = [&](const engine::event& e) {
    if (e.kind == event_kind::sender_ready && !progress.complete)
      progress = p.out->resume({}, body);
  };
  p.out->set_available(40);
  const auto echo = raw_peer::encode(
      p.at_server->channel(), spec::flow{.next_incoming_id = engine::first_outgoing_id.value(),
                                         .incoming_window = 2,
                                         .next_outgoing_id = engine::first_outgoing_id.value(),
                                         .outgoing_window = 1,
                                         .handle = p.in->is_attached() ? 0u : 1u,
                                         .delivery_count = 0,
                                         .link_credit = 10,
                                         .echo = true});
  p.give(p.client, echo);
  CHECK(p.in->available() == 0);
  p.run();
  CHECK(progress.complete);
  CHECK(p.in->available() == 40);
}

TEST_CASE("transfer: deliveries of two links interleave, those of one do not") {
  raw_peer peer;
  peer.ready_to_send();
  peer.attach_sender(1, "second");
  peer.receiver().grant(10);
  peer.listen();
  auto a = raw_peer::transfer(0, 0);
  auto b = raw_peer::transfer(1, 1);
  a.more = b.more = true;
  peer.say(a, "a1");
  peer.say(b, "b1");
  peer.say(spec::transfer{.handle = 0, .more = true}, "a2");
  peer.say(spec::transfer{.handle = 1}, "b2");
  peer.say(spec::transfer{.handle = 0}, "a3");
  std::string of_a;
  std::string of_b;
  for (const recorded& e : peer.side.events)
    if (e.kind == event_kind::transfer) (e.link_name == "in" ? of_a : of_b) += e.payload;
  CHECK(of_a == "a1a2a3");
  CHECK(of_b == "b1b2");
  CHECK(peer.count<spec::end>() + peer.count<spec::detach>() == 0);
}

TEST_CASE("transfer: settled on any frame means settled, and stays so") {
  struct {
    const char* what;
    std::vector<std::optional<bool>> frames;
    bool settled;
  } const rows[] = {
      {"never", {std::nullopt, std::nullopt}, false},
      {"said false", {false, false}, false},
      {"at first", {true, std::nullopt}, true},
      {"at first, then taken back", {true, false}, true},
      {"at last", {std::nullopt, true}, true},
      {"in the middle", {std::nullopt, true, std::nullopt}, true},
      {"one frame, yes", {true}, true},
      {"one frame, no", {std::nullopt}, false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    raw_peer peer;
    peer.ready_to_send();
    for (std::size_t i = 0; i < row.frames.size(); ++i) {
      auto t = i == 0 ? raw_peer::transfer(0, 7) : spec::transfer{.handle = 0};
      t.more = i + 1 < row.frames.size();
      t.settled = row.frames[i];
      peer.say(t, "x");
    }
    CHECK(peer.side.last(event_kind::transfer).is_settled == row.settled);
    CHECK(peer.receiver().unsettled() == (row.settled ? 0u : 1u));
    peer.heard.clear();
    peer.receiver().settle(7, spec::fast::accepted_octets);
    peer.listen();
    CHECK(peer.count<spec::disposition>() == (row.settled ? 0u : 1u));
  }
}

TEST_CASE("transfer: the sender's settle mode binds each of its deliveries") {
  struct {
    const char* what;
    spec::sender_settle_mode mode;
    std::vector<std::optional<bool>> frames;
    const char* condition;
  } const rows[] = {
      {"settled, is", spec::sender_settle_mode::settled, {true}, ""},
      {"settled, is not", spec::sender_settle_mode::settled, {false}, "amqp:not-allowed"},
      {"settled, at last", spec::sender_settle_mode::settled, {std::nullopt, true}, ""},
      {"settled, never",
       spec::sender_settle_mode::settled,
       {std::nullopt, std::nullopt},
       "amqp:not-allowed"},
      {"unsettled, is", spec::sender_settle_mode::unsettled, {std::nullopt}, ""},
      {"unsettled, is not", spec::sender_settle_mode::unsettled, {true}, "amqp:not-allowed"},
      {"unsettled, at last not",
       spec::sender_settle_mode::unsettled,
       {std::nullopt, true},
       "amqp:not-allowed"},
      {"mixed, either", spec::sender_settle_mode::mixed, {true}, ""},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    raw_peer peer;
    peer.open();
    peer.begin();
    peer.say(spec::attach{.name = "l",
                          .handle = 0,
                          .role = spec::role::sender,
                          .snd_settle_mode = row.mode,
                          .initial_delivery_count = 0});
    peer.receiver().grant(10);
    peer.listen();
    for (std::size_t i = 0; i < row.frames.size(); ++i) {
      auto t = i == 0 ? raw_peer::transfer(0, 7) : spec::transfer{.handle = 0};
      t.more = i + 1 < row.frames.size();
      t.settled = row.frames[i];
      peer.say(t, "x");
    }
    CHECK(peer.condition<spec::detach>() == row.condition);
  }
}

TEST_CASE("transfer: on a link that we announced as settled everything goes out settled") {
  raw_peer peer;
  peer.open();
  peer.begin();
  peer.side.on_event = {};
  peer.attach_receiver(0);
  peer.sender().attach({.snd_settle_mode = spec::sender_settle_mode::settled});
  peer.flow_credit(0, 0, 10);
  send_text(peer.sender(), "t", "x", false);
  peer.listen();
  CHECK(peer.last<spec::transfer>()->settled == true);
  CHECK(peer.sender().unsettled() == 0);
}

TEST_CASE("transfer: an aborted delivery is void, whatever the more flag says") {
  raw_peer peer;
  peer.ready_to_send(3);
  auto t = raw_peer::transfer(0, 0);
  t.more = true;
  peer.say(t, "aaa");
  CHECK(peer.receiver().unsettled() == 1);
  peer.say(spec::transfer{.handle = 0, .more = true, .aborted = true}, "ignored");
  const recorded& e = peer.side.last(event_kind::transfer);
  CHECK(e.aborted);
  CHECK(e.last);
  CHECK_FALSE(e.first);
  CHECK(e.payload.empty());
  CHECK(peer.receiver().unsettled() == 0);
  peer.heard.clear();
  peer.receiver().settle(0, spec::fast::accepted_octets);
  peer.listen();
  CHECK(peer.count<spec::disposition>() == 0);
  peer.say(raw_peer::transfer(0, 1), "next");
  CHECK(peer.side.last(event_kind::transfer).payload == "next");
  CHECK(peer.receiver().credit() == 1);
}

TEST_CASE("transfer: a delivery of ours can be aborted, at once or when the window opens") {
  for (const bool window_is_shut : {false, true}) {
    CAPTURE(window_is_shut);
    engine::options of_server = with_frames(server_options(), 512);
    of_server.incoming_window = 2;
    engine::options of_client = client_options();
    if (!window_is_shut) of_client.output_octets_max = 100;  // stops after the first frame
    linked_pair p(of_client, of_server);
    p.in->grant(10);
    p.run();
    const auto body = bytes(pattern(5000));
    const auto progress = p.out->send({.tag = bytes("t")}, {}, body);
    REQUIRE_FALSE(progress.complete);
    CHECK((p.at_client->outgoing_room() == 0) == window_is_shut);
    p.out->abort();
    p.out->abort();
    CHECK(p.out->unsettled() == 0);
    if (window_is_shut) CHECK_FALSE(p.out->can_send());
    p.run();
    CHECK(p.server.last(event_kind::transfer).aborted);
    CHECK(p.in->unsettled() == 0);
    REQUIRE(p.out->can_send());
    send_text(*p.out, "t2", "after");
    p.run();
    CHECK(p.server.last(event_kind::transfer).payload == "after");
    CHECK(p.in->credit() == 8);
    CHECK(p.out->credit() == 8);
  }
}

TEST_CASE("transfer: deliveries resumed that nobody remembers are ignored, frame by frame") {
  raw_peer peer;
  peer.ready_to_send(10);
  auto t = raw_peer::transfer(0, 0);
  t.resume = true;
  t.more = true;
  peer.say(t, "old");
  peer.say(spec::transfer{.handle = 0}, "old");
  CHECK(peer.side.count(event_kind::transfer) == 0);
  CHECK(peer.receiver().unsettled() == 0);
  peer.say(raw_peer::transfer(0, 1), "new");
  CHECK(peer.side.count(event_kind::transfer) == 1);
  CHECK(peer.side.last(event_kind::transfer).first);
  CHECK(peer.count<spec::detach>() == 0);
}

TEST_CASE("transfer: deliveries resumed on a link whose unsettled map we sent are told as such") {
  raw_peer peer;
  peer.open();
  peer.begin();
  peer.side.on_event = {};
  peer.attach_sender(0);
  peer.receiver().attach({.unsettled = codec::to_raw(codec::map{})});
  peer.receiver().grant(5);
  peer.listen();
  auto t = raw_peer::transfer(0, 0);
  t.resume = true;
  peer.say(t, "");
  REQUIRE(peer.side.count(event_kind::transfer) == 1);
  CHECK(peer.side.last(event_kind::transfer).resumed);
}

TEST_CASE("transfer: format, tag and state are shown, and a missing format is 0") {
  raw_peer peer;
  peer.ready_to_send(10);
  auto t = raw_peer::transfer(0, 0);
  t.message_format = 0x8001'3700;
  t.state = amqp::codec::raw(std::span<const std::byte>(spec::fast::accepted_octets));
  peer.say(t, "x");
  CHECK(peer.side.last(event_kind::transfer).message_format == 0x8001'3700);
  CHECK(peer.side.last(event_kind::transfer).state_kind == spec::fast::state_kind::accepted);
  t = raw_peer::transfer(0, 1);
  t.message_format.reset();
  peer.say(t, "x");
  CHECK(peer.side.last(event_kind::transfer).message_format == 0);
  CHECK(peer.side.last(event_kind::transfer).state.empty());
}

TEST_CASE("transfer: half deliveries count against the connection until they end, in any way") {
  engine::options o = server_options();
  o.partial_octets_max = 100;
  using finish = void (*)(raw_peer&);
  const finish ways[] = {
      [](raw_peer& p) { p.say(spec::transfer{.handle = 0}, "z"); },
      [](raw_peer& p) { p.say(spec::transfer{.handle = 0, .aborted = true}); },
      [](raw_peer& p) { p.say(spec::detach{.handle = 0, .closed = true}); },
      [](raw_peer& p) {
        p.say(spec::end{});
        p.begin();
        p.attach_sender(1, "second");
        p.receiver().grant(5);
        p.listen();
      },
  };
  for (std::size_t way = 0; way < std::size(ways); ++way) {
    CAPTURE(way);
    raw_peer peer(o);
    peer.ready_to_send(10);
    peer.attach_sender(1, "second");
    peer.receiver().grant(5);
    peer.listen();
    auto t = raw_peer::transfer(0, 0);
    t.more = true;
    peer.say(t, std::string(100, 'x'));
    ways[way](peer);
    t = raw_peer::transfer(1, 1);
    t.more = true;
    peer.say(t, std::string(100, 'x'));
    CHECK(peer.condition<spec::detach>() != "amqp:resource-limit-exceeded");
    CHECK(peer.side.last(event_kind::transfer).payload.size() == 100);
    peer.say(spec::transfer{.handle = 1, .more = true}, "x");
    CHECK(peer.condition<spec::detach>() == "amqp:resource-limit-exceeded");
  }
}
