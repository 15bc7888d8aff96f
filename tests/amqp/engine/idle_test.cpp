// SPDX-License-Identifier: Apache-2.0
// Time-outs of a connection that is open. [2.4.5]
#include <doctest/doctest.h>

#include "tests/amqp/engine/raw_peer.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using namespace std::chrono_literals;
using engine::event_kind;

namespace {

engine::options idle_server(std::optional<std::chrono::milliseconds> idle) {
  engine::options o = server_options();
  o.idle_time_out = idle;
  return o;
}

}  // namespace

TEST_CASE("idle: a silent peer is closed at twice our idle-time-out, not before") {
  raw_peer peer(idle_server(1000ms));
  peer.open();
  CHECK(peer.last<spec::open>()->idle_time_out == 1000u);
  peer.side.wire.on_timeout(peer.now + 2000ms - 1ns);
  peer.listen();
  CHECK(peer.count<spec::close>() == 0);
  peer.side.wire.on_timeout(peer.now + 2000ms);
  peer.side.drain_events();
  peer.listen();
  CHECK(peer.condition<spec::close>() == "amqp:resource-limit-exceeded");
  CHECK(peer.side.last(event_kind::connection_closed).by_us);
  CHECK_FALSE(peer.side.wire.is_finished());  // the peer may still answer
}

TEST_CASE("idle: any frame is a sign of life, half a frame is none") {
  raw_peer peer(idle_server(1000ms));
  peer.open();
  const auto empty_frame = hex("00 00 00 08 02 00 00 00");
  peer.now += 1900ms;
  peer.say_octets(empty_frame);
  peer.side.wire.on_timeout(peer.now + 1999ms);
  peer.listen();
  CHECK(peer.count<spec::close>() == 0);
  peer.now += 1900ms;
  peer.say_octets(std::span(empty_frame).first(4));
  peer.now += 100ms;
  peer.side.wire.on_timeout(peer.now);
  peer.listen();
  CHECK(peer.condition<spec::close>() == "amqp:resource-limit-exceeded");
}

TEST_CASE("idle: without an idle-time-out of ours silence is no fault") {
  raw_peer peer(idle_server(std::nullopt));
  peer.open();
  CHECK_FALSE(peer.last<spec::open>()->idle_time_out.has_value());
  peer.side.wire.on_timeout(peer.now + 1000h);
  peer.listen();
  CHECK(peer.count<spec::close>() == 0);
}

TEST_CASE("idle: an empty frame goes out when nothing else did for half of the peer's time") {
  raw_peer peer(idle_server(std::nullopt));
  peer.open({.container_id = "x", .idle_time_out = 1000});
  peer.heard.clear();
  peer.side.wire.on_timeout(peer.now + 500ms - 1ns);
  peer.listen();
  CHECK(peer.heard.empty());
  peer.now += 500ms;
  CHECK(peer.side.wire.next_timeout() == peer.now);
  peer.side.wire.on_timeout(peer.now);
  peer.listen();
  REQUIRE(peer.heard.size() == 1);
  CHECK(peer.heard[0].size == 8);
  CHECK(peer.heard[0].channel == 0);
  CHECK(peer.heard[0].type == 0);
  peer.now += 400ms;
  peer.begin();  // our begin is traffic too
  peer.heard.clear();
  peer.side.wire.on_timeout(peer.now + 499ms);
  peer.listen();
  CHECK(peer.heard.empty());
  peer.side.wire.on_timeout(peer.now + 500ms);
  peer.listen();
  CHECK(peer.heard.size() == 1);
}

TEST_CASE("idle: no empty frame goes out after our close") {
  raw_peer peer(idle_server(std::nullopt));
  peer.open({.container_id = "x", .idle_time_out = 1000});
  peer.side.wire.close();
  peer.listen();
  peer.heard.clear();
  peer.side.wire.on_timeout(peer.now + 600ms);
  peer.listen();
  CHECK(peer.heard.empty());
}

TEST_CASE("idle: two engines keep each other awake for an hour") {
  engine::options of_client = client_options();
  of_client.idle_time_out = 700ms;
  engine::options of_server = server_options();
  of_server.idle_time_out = 3000ms;
  wire_pair p(of_client, of_server);
  p.open();
  const auto before = p.server.octets_out;
  p.advance(1h);
  CHECK(p.client.wire.is_open());
  CHECK(p.server.wire.is_open());
  CHECK((p.server.octets_out - before) / 8 >= 3600 * 1000 / 350 - 2);
  CHECK((p.server.octets_out - before) / 8 <= 3600 * 1000 / 350 + 2);
}
