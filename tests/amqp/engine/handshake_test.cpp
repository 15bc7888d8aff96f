// SPDX-License-Identifier: Apache-2.0
// From the first octet to both opens: headers, SASL, pipelining, limits on strangers, close.
#include <doctest/doctest.h>

#include "tests/amqp/engine/raw_peer.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using namespace std::chrono_literals;
using engine::event_kind;
using engine::sasl_policy;
using frame::protocol;
using frame::protocol_header;

namespace {

engine::options server_with(sasl_policy policy) {
  engine::options o = server_options();
  o.sasl = policy;
  o.mechanisms = {"PLAIN", "ANONYMOUS"};
  return o;
}

spec::sasl_init plain(const char* password) {
  return {.mechanism = "PLAIN", .initial_response = amqp::binary(std::string_view(password))};
}

}  // namespace

TEST_CASE("handshake: each header is answered as the policy says, and refusal is the end") {
  const protocol_header amqp_header(protocol::amqp);
  const protocol_header sasl_header(protocol::sasl);
  struct {
    const char* what;
    sasl_policy policy;
    protocol_header sent;
    protocol_header answer;
    bool goes_on;
  } const rows[] = {
      {"bare, optional", sasl_policy::optional, amqp_header, amqp_header, true},
      {"bare, none", sasl_policy::none, amqp_header, amqp_header, true},
      {"bare, required", sasl_policy::required, amqp_header, sasl_header, false},
      {"sasl, optional", sasl_policy::optional, sasl_header, sasl_header, true},
      {"sasl, required", sasl_policy::required, sasl_header, sasl_header, true},
      {"sasl, none", sasl_policy::none, sasl_header, amqp_header, false},
      {"tls", sasl_policy::required, protocol_header(protocol::tls), sasl_header, false},
      {"tls, none", sasl_policy::none, protocol_header(protocol::tls), amqp_header, false},
      {"1.1.0", sasl_policy::none, {0, 1, 1, 0}, amqp_header, false},
      {"1.0.1", sasl_policy::none, {0, 1, 0, 1}, amqp_header, false},
      {"0.9.1", sasl_policy::optional, {0, 0, 9, 1}, sasl_header, false},
      {"sasl 2.0.0", sasl_policy::optional, {3, 2, 0, 0}, sasl_header, false},
      {"id 4", sasl_policy::none, {4, 1, 0, 0}, amqp_header, false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    raw_peer peer(server_with(row.policy));
    CHECK(peer.headers.empty());  // a server waits
    peer.say_header(row.sent);
    REQUIRE(peer.headers.size() == 1);
    CHECK(peer.headers[0] == row.answer);
    CHECK(peer.side.wire.is_finished() == !row.goes_on);
    CHECK(peer.side.count(event_kind::connection_closed) == (row.goes_on ? 0u : 1u));
  }
}

TEST_CASE("handshake: what is no header at all is answered with a header, then the end") {
  for (const char* junk : {"GET / HTTP/1.1\r\n\r\n", "amqp\0\1\0\0 and more", "xxxxxxxxxxxxxxxx"}) {
    CAPTURE(junk);
    raw_peer peer(server_with(sasl_policy::none));
    peer.say_octets(bytes(std::string_view(junk, 16)));
    REQUIRE(peer.headers.size() == 1);
    CHECK(peer.headers[0] == protocol_header(protocol::amqp));
    CHECK(peer.side.wire.is_finished());
  }
}

TEST_CASE("handshake: a header in two pieces is waited for") {
  raw_peer peer(server_with(sasl_policy::none));
  const auto header = frame::encode(protocol_header(protocol::amqp));
  peer.say_octets(std::span(header).first(7));
  CHECK(peer.headers.empty());
  peer.say_octets(std::span(header).last(1));
  CHECK(peer.headers.size() == 1);
}

TEST_CASE("handshake: the verdict on a login comes when it comes, and nothing overtakes it") {
  raw_peer peer(server_with(sasl_policy::required));
  peer.side.on_event = {};
  peer.say_header(protocol_header(protocol::sasl));
  REQUIRE(peer.count<spec::sasl_mechanisms>() == 1);
  CHECK(peer.last<spec::sasl_mechanisms>()->sasl_server_mechanisms.values ==
        std::vector<amqp::symbol>{"PLAIN", "ANONYMOUS"});
  CHECK(peer.heard.back().type == 1);
  CHECK(peer.heard.back().size <= 512);
  // Everything at once, as an impatient client would.
  auto octets = raw_peer::encode(0, plain("secret"), {}, frame::frame_type::sasl);
  const auto more = [&](auto&& piece) { octets.insert(octets.end(), piece.begin(), piece.end()); };
  more(frame::encode(protocol_header(protocol::amqp)));
  more(raw_peer::encode(0, spec::open{.container_id = "x"}));
  peer.say_octets(octets);
  CHECK(peer.side.events.size() == 1);
  CHECK(peer.side.events[0].kind == event_kind::sasl_init);
  CHECK(peer.count<spec::sasl_outcome>() == 0);
  CHECK(peer.headers.size() == 1);

  peer.side.wire.sasl_outcome(spec::sasl_code::ok);
  peer.side.drain_events();
  peer.listen();
  CHECK(peer.last<spec::sasl_outcome>()->code == spec::sasl_code::ok);
  CHECK(peer.headers.size() == 2);
  REQUIRE(peer.side.events.size() == 2);
  CHECK(peer.side.events[1].kind == event_kind::opened);
  CHECK(peer.count<spec::open>() == 0);
  peer.side.wire.open();
  peer.listen();
  CHECK(peer.count<spec::open>() == 1);
  CHECK(peer.side.wire.is_open());
}

TEST_CASE("handshake: a failed login is told, and what is behind it is not looked at") {
  raw_peer peer(server_with(sasl_policy::required));
  peer.side.on_event = {};
  peer.say_header(protocol_header(protocol::sasl));
  auto octets = raw_peer::encode(0, plain("wrong"), {}, frame::frame_type::sasl);
  const auto header = frame::encode(protocol_header(protocol::amqp));
  octets.insert(octets.end(), header.begin(), header.end());
  const auto open = raw_peer::encode(0, spec::open{.container_id = "x"});
  octets.insert(octets.end(), open.begin(), open.end());
  peer.say_octets(octets);
  peer.side.wire.sasl_outcome(spec::sasl_code::auth);
  peer.side.drain_events();
  peer.listen();
  CHECK(peer.last<spec::sasl_outcome>()->code == spec::sasl_code::auth);
  CHECK(peer.headers.size() == 1);
  CHECK(peer.count<spec::open>() == 0);
  CHECK(peer.side.wire.is_finished());
  CHECK(peer.side.last(event_kind::connection_closed).condition == "amqp:unauthorized-access");
  CHECK_FALSE(peer.side.last(event_kind::connection_closed).by_us);
}

TEST_CASE("handshake: challenge and response go back and forth until the outcome") {
  raw_peer peer(server_with(sasl_policy::required));
  peer.side.on_event = {};
  peer.say_header(protocol_header(protocol::sasl));
  peer.say_sasl(spec::sasl_init{.mechanism = "PLAIN"});
  peer.side.wire.sasl_challenge(bytes("c1"));
  peer.listen();
  CHECK(peer.last<spec::sasl_challenge>()->challenge.text() == "c1");
  std::string response;
  peer.side.on_event = [&](const engine::event& e) {
    if (e.kind == event_kind::sasl_response) response = text_of(e.sasl_octets);
  };
  peer.say_sasl(spec::sasl_response{.response = amqp::binary(std::string_view("r1"))});
  CHECK(response == "r1");
  peer.side.wire.sasl_outcome(spec::sasl_code::ok, bytes("v=1"));
  peer.listen();
  CHECK(peer.last<spec::sasl_outcome>()->additional_data->text() == "v=1");
}

TEST_CASE("handshake: what has no place in the SASL layer ends it") {
  struct {
    const char* what;
    std::vector<std::byte> octets;
  } const rows[] = {
      {"an AMQP frame", raw_peer::encode(0, spec::open{.container_id = "x"})},
      {"an empty frame", hex("00 00 00 08 02 01 00 00")},
      {"a mechanism not offered",
       raw_peer::encode(0, spec::sasl_init{.mechanism = "X"}, {}, frame::frame_type::sasl)},
      {"a response first", raw_peer::encode(0, spec::sasl_response{}, {}, frame::frame_type::sasl)},
      {"a frame that is too long", hex("00 00 20 01 02 01 00 00")},
      {"size 3", hex("00 00 00 03 02 01 00 00")},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    raw_peer peer(server_with(sasl_policy::required));
    peer.say_header(protocol_header(protocol::sasl));
    peer.say_octets(row.octets);
    CHECK(peer.side.wire.is_finished());
    CHECK(peer.side.count(event_kind::connection_closed) == 1);
    CHECK(peer.side.count(event_kind::sasl_init) == 0);
    if (const auto outcome = peer.last<spec::sasl_outcome>())
      CHECK(outcome->code == spec::sasl_code::auth);
  }
}

TEST_CASE("handshake: a SASL frame of exactly the stranger's limit is read") {
  engine::options o = server_with(sasl_policy::required);
  raw_peer peer(o);
  peer.side.on_event = {};
  peer.say_header(protocol_header(protocol::sasl));
  const auto frame_of = [&](std::size_t password) {
    return raw_peer::encode(0, plain(std::string(password, 'x').c_str()), {},
                            frame::frame_type::sasl);
  };
  const std::size_t rest = frame_of(1000).size() - 1000;
  REQUIRE(frame_of(8192 - rest).size() == 8192);
  peer.say_octets(frame_of(8192 - rest));
  CHECK(peer.side.count(event_kind::sasl_init) == 1);
  raw_peer other(o);
  other.say_header(protocol_header(protocol::sasl));
  other.say_octets(frame_of(8193 - rest));
  CHECK(other.side.count(event_kind::sasl_init) == 0);
  CHECK(other.side.wire.is_finished());
}

TEST_CASE("handshake: a slow stranger is cut off at the deadline, not before") {
  for (const bool has_header : {false, true}) {
    CAPTURE(has_header);
    raw_peer peer(server_with(sasl_policy::none));
    if (has_header) peer.exchange_headers();
    REQUIRE(peer.side.wire.next_timeout().has_value());
    CHECK(*peer.side.wire.next_timeout() <= peer.now + 10s);
    peer.side.wire.on_timeout(peer.now + 10s - 1ns);
    peer.side.drain_events();
    CHECK(peer.side.events.empty());
    peer.side.wire.on_timeout(peer.now + 10s);
    peer.side.drain_events();
    peer.listen();
    CHECK(peer.side.count(event_kind::connection_closed) == 1);
    CHECK(peer.side.last(event_kind::connection_closed).by_us);
    CHECK(peer.side.wire.is_finished());
    CHECK(peer.condition<spec::close>() == (has_header ? "amqp:resource-limit-exceeded" : ""));
    CHECK(peer.count<spec::open>() == (has_header ? 1u : 0u));
  }
}

TEST_CASE("handshake: no more than sixteen frames may come before the open is through") {
  for (const int empty_frames : {15, 16}) {
    CAPTURE(empty_frames);
    raw_peer peer(server_with(sasl_policy::none));
    peer.exchange_headers();
    for (int i = 0; i < empty_frames; ++i) peer.say_octets(hex("00 00 00 08 02 00 00 00"));
    CHECK(peer.side.events.empty());
    peer.say(spec::open{.container_id = "x"});
    CHECK(peer.side.count(event_kind::opened) == (empty_frames == 15 ? 1u : 0u));
    CHECK(peer.condition<spec::close>() ==
          (empty_frames == 15 ? "" : "amqp:resource-limit-exceeded"));
  }
}

TEST_CASE("handshake: octets behind an unanswered question are kept up to a bound") {
  for (const bool too_much : {false, true}) {
    CAPTURE(too_much);
    raw_peer peer(server_with(sasl_policy::none));
    peer.side.on_event = {};
    peer.open();
    REQUIRE(peer.side.count(event_kind::opened) == 1);
    const auto empty_frame = hex("00 00 00 08 02 00 00 00");
    std::vector<std::byte> many;
    while (many.size() < 65'536) many.insert(many.end(), empty_frame.begin(), empty_frame.end());
    peer.say_octets(many);
    CHECK(peer.side.count(event_kind::connection_closed) == 0);
    if (too_much) peer.say_octets(empty_frame);
    CHECK(peer.side.count(event_kind::connection_closed) == (too_much ? 1u : 0u));
    peer.side.wire.open();
    peer.side.drain_events();
    CHECK(peer.side.wire.is_open() == !too_much);
  }
}

TEST_CASE("handshake: header, open, begin, attach and flow in one write are all answered") {
  raw_peer peer(server_with(sasl_policy::optional));
  std::vector<std::byte> octets;
  const auto add = [&](auto&& piece) { octets.insert(octets.end(), piece.begin(), piece.end()); };
  add(frame::encode(protocol_header(protocol::amqp)));
  add(raw_peer::encode(0, spec::open{.container_id = "x"}));
  add(raw_peer::encode(
      0, spec::begin{.next_outgoing_id = 0, .incoming_window = 10, .outgoing_window = 10}));
  add(raw_peer::encode(0, spec::attach{.name = "l",
                                       .handle = 0,
                                       .role = spec::role::receiver,
                                       .source = spec::source{.address = "q"}}));
  add(raw_peer::encode(0, spec::flow{.incoming_window = 10,
                                     .next_outgoing_id = 0,
                                     .outgoing_window = 10,
                                     .handle = 0,
                                     .link_credit = 5}));
  peer.say_octets(octets);
  REQUIRE(peer.heard.size() >= 3);
  CHECK(peer.heard[0].code == spec::open::type.code);
  CHECK(peer.heard[1].code == spec::begin::type.code);
  CHECK(peer.heard[2].code == spec::attach::type.code);
  CHECK(peer.last<spec::begin>()->remote_channel == std::uint16_t{0});
  CHECK(peer.last<spec::begin>()->next_outgoing_id == 0xffff'fffc);
  CHECK(peer.last<spec::attach>()->initial_delivery_count == 0u);
  CHECK(peer.sender().credit() == 5);
  CHECK(peer.sender().can_send());
}

TEST_CASE("handshake: header, open and close in one write give header, open and close") {
  raw_peer peer(server_with(sasl_policy::optional));
  std::vector<std::byte> octets;
  const auto add = [&](auto&& piece) { octets.insert(octets.end(), piece.begin(), piece.end()); };
  add(frame::encode(protocol_header(protocol::amqp)));
  add(raw_peer::encode(0, spec::open{.container_id = "x"}));
  add(raw_peer::encode(0, spec::close{}));
  peer.say_octets(octets);
  REQUIRE(peer.heard.size() == 2);
  CHECK(peer.heard[0].code == spec::open::type.code);
  CHECK(peer.condition<spec::close>() == "none");
  CHECK(peer.side.wire.is_finished());
}

TEST_CASE("handshake: an application may refuse the open it was told of: open, then close") {
  raw_peer peer(server_with(sasl_policy::none));
  peer.side.on_event = [&](const engine::event& e) {
    if (e.kind == event_kind::opened)
      peer.side.wire.close(spec::error{.condition = "amqp:not-found"});
  };
  peer.open();
  CHECK(peer.count<spec::open>() == 1);
  CHECK(peer.condition<spec::close>() == "amqp:not-found");
  peer.say(spec::begin{.next_outgoing_id = 0, .incoming_window = 1, .outgoing_window = 1});
  CHECK(peer.count<spec::begin>() == 0);
  peer.say(spec::close{});
  CHECK(peer.side.wire.is_finished());
  CHECK(peer.side.count(event_kind::connection_closed) == 1);
  CHECK(peer.side.count(event_kind::session_begun) == 0);
}

TEST_CASE("handshake: what an open may say is checked") {
  struct {
    const char* what;
    spec::open open;
    const char* condition;
  } const rows[] = {
      {"the smallest frames", {.container_id = "x", .max_frame_size = 512}, ""},
      {"smaller than that", {.container_id = "x", .max_frame_size = 511}, "amqp:invalid-field"},
      {"idle-time-out 0 is none", {.container_id = "x", .idle_time_out = 0}, ""},
      {"idle-time-out 100", {.container_id = "x", .idle_time_out = 100}, ""},
      {"idle-time-out 99", {.container_id = "x", .idle_time_out = 99}, "amqp:invalid-field"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    raw_peer peer(server_with(sasl_policy::none));
    peer.open(row.open);
    CHECK(peer.condition<spec::close>() == row.condition);
    CHECK(peer.count<spec::open>() == 1);
    const bool fine = row.condition[0] == '\0';
    CHECK(peer.side.count(event_kind::opened) == (fine ? 1u : 0u));
    CHECK(peer.side.count(event_kind::connection_closed) == (fine ? 0u : 1u));
  }
}

TEST_CASE("handshake: our open fits 512 octets until the peer has said that it takes more") {
  engine::options o = client_options();
  o.credentials.reset();
  codec::map properties;
  for (int i = 0; i < 60; ++i)
    properties.append(amqp::symbol("key" + std::to_string(i)), std::string(20, 'v'));
  o.properties = properties;
  o.desired_capabilities = {"A", "B"};
  raw_peer peer(o);
  peer.side.wire.open();
  peer.listen();
  REQUIRE(peer.last<spec::open>().has_value());
  CHECK(peer.heard.back().size <= 512);
  CHECK_FALSE(peer.last<spec::open>()->properties.has_value());
  CHECK(peer.last<spec::open>()->desired_capabilities.size() == 2);
}

TEST_CASE("handshake: two engines agree through PLAIN, ANONYMOUS and no SASL") {
  for (const char* how : {"PLAIN", "ANONYMOUS", ""}) {
    CAPTURE(how);
    engine::options of_client = client_options();
    of_client.credentials =
        engine::client_credentials{.mechanism = how, .user = "ann", .password = "pw"};
    if (*how == '\0') of_client.credentials.reset();
    engine::options of_server = server_options();
    of_server.mechanisms = {"PLAIN", "ANONYMOUS"};
    wire_pair p(of_client, of_server);
    p.open();
    CHECK(p.client.wire.is_open());
    CHECK(p.server.wire.is_open());
    CHECK(p.client.count(event_kind::authenticated) == (*how == '\0' ? 0u : 1u));
    CHECK(p.server.wire.remote_open()->container_id == "client");
  }
}

TEST_CASE("handshake: a client tells a refused login as the end of the connection") {
  wire_pair p;
  p.server.on_event = [&](const engine::event& e) {
    if (e.kind == event_kind::sasl_init) p.server.wire.sasl_outcome(spec::sasl_code::auth);
  };
  p.open();
  CHECK(p.client.last(event_kind::connection_closed).condition == "amqp:unauthorized-access");
  CHECK(p.client.wire.is_finished());
  CHECK(p.server.wire.is_finished());
}

TEST_CASE("handshake: a client that wants no SASL from a server that insists ends at the header") {
  engine::options of_client = client_options();
  of_client.credentials.reset();
  engine::options of_server = server_options();
  of_server.sasl = sasl_policy::required;
  wire_pair p(of_client, of_server);
  p.open();
  CHECK(p.client.wire.is_finished());
  CHECK(p.server.wire.is_finished());
  CHECK(p.client.count(event_kind::connection_closed) == 1);
}

TEST_CASE("handshake: the loss of the transport is told once, whenever it happens") {
  for (const int stage : {0, 1, 2}) {
    CAPTURE(stage);
    raw_peer peer(server_with(sasl_policy::none));
    if (stage > 0) peer.open();
    if (stage > 1) peer.say(spec::close{});
    peer.side.wire.on_lost();
    peer.side.drain_events();
    peer.side.wire.on_lost();
    peer.side.drain_events();
    CHECK(peer.side.count(event_kind::connection_closed) == 1);
    CHECK(peer.side.wire.is_finished());
    CHECK_FALSE(peer.side.wire.next_timeout().has_value());
  }
}

TEST_CASE("handshake: both sides may close at the same time") {
  wire_pair p;
  p.open();
  p.client.wire.close();
  p.server.wire.close(spec::error{.condition = "amqp:connection:forced"});
  p.run();
  CHECK(p.client.wire.is_finished());
  CHECK(p.server.wire.is_finished());
  CHECK(p.client.count(event_kind::connection_closed) == 1);
  CHECK(p.server.count(event_kind::connection_closed) == 1);
  CHECK(p.client.last(event_kind::connection_closed).condition == "amqp:connection:forced");
}

TEST_CASE("handshake: nothing is written after close, and its answer is waited for so long only") {
  raw_peer peer(server_with(sasl_policy::none));
  peer.ready_to_send();
  peer.heard.clear();
  peer.side.wire.close(spec::error{.condition = "amqp:connection:forced"});
  peer.receiver().grant(500);
  peer.listen();
  peer.say(spec::begin{.next_outgoing_id = 0, .incoming_window = 1, .outgoing_window = 1}, {}, 1);
  peer.say(raw_peer::transfer(0, 0), "late");
  REQUIRE(peer.heard.size() == 1);
  CHECK(peer.condition<spec::close>() == "amqp:connection:forced");
  CHECK_FALSE(peer.side.wire.is_finished());
  peer.side.wire.on_timeout(peer.now + 5s - 1ns);
  CHECK_FALSE(peer.side.wire.is_finished());
  peer.side.wire.on_timeout(peer.now + 5s);
  peer.side.drain_events();
  CHECK(peer.side.wire.is_finished());
  CHECK(peer.side.count(event_kind::connection_closed) == 1);
  CHECK(peer.side.count(event_kind::transfer) == 0);
}
