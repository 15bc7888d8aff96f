// SPDX-License-Identifier: Apache-2.0
// However the octets are cut, the engine tells and answers the same.
#include <doctest/doctest.h>

#include "tests/support/wire_pair.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using engine::event_kind;

namespace {

std::string line_of(const recorded& e) {
  return std::to_string(static_cast<int>(e.kind)) + ' ' + e.link_name + ' ' +
         std::to_string(e.delivery_id) + ' ' + e.tag + ' ' + e.payload + ' ' + e.state + ' ' +
         std::to_string(e.first) + std::to_string(e.last) + std::to_string(e.is_settled) +
         std::to_string(e.closed) + e.condition;
}

/// A server that grants credit and settles every other delivery.
void serve(endpoint& server, const engine::event& e) {
  agree(server.wire, e);
  if (e.kind == event_kind::link_attached && e.on_receiver != nullptr) e.on_receiver->grant(500);
  if (e.kind == event_kind::transfer && e.last && e.delivery_id % 2 == 0)
    e.on_receiver->settle(e.delivery_id, spec::fast::accepted_octets);
}

/// What a client has to say in a lifetime with a little of everything.
std::vector<std::byte> client_octets() {
  std::vector<std::byte> said;
  engine::options of_server = server_options();
  of_server.max_frame_size = 600;
  wire_pair p(client_options(), of_server);
  p.server.on_event = [&](const engine::event& e) { serve(p.server, e); };
  p.client.tap = &said;
  p.open();
  engine::session* s = p.client.wire.begin();
  p.run();
  engine::sender* out = s->attach_sender({.name = "out"});
  engine::receiver* in = s->attach_receiver({.name = "in"});
  p.run();
  in->grant(7);
  for (int i = 0; i < 40; ++i) {
    const std::string text(static_cast<std::size_t>(i * i * 3), static_cast<char>('a' + i % 26));
    send_text(*out, "t" + std::to_string(i), text, i % 3 == 0);
    if (i % 7 == 0) p.run();
  }
  in->drain(3);
  p.run();
  out->detach(true);
  p.run();
  s->end();
  p.run();
  p.client.wire.close();
  p.run();
  return said;
}

struct replay {
  std::vector<std::string> told = {};
};

replay play(std::span<const std::byte> octets, std::size_t chunk_max, random_source* dice) {
  replay out;
  engine::options of_server = server_options();
  of_server.max_frame_size = 600;
  wire_pair p(client_options(), of_server);
  p.server.on_event = [&](const engine::event& e) {
    serve(p.server, e);
    // Written at once, for these octets were sent in answer to it.
    p.server.wire.on_written(p.server.wire.poll_octets().size());
  };
  p.chunk_max = chunk_max;
  p.dice = dice;
  p.server.wire.start(p.now);
  p.give(p.server, octets);
  for (const recorded& e : p.server.events) out.told.push_back(line_of(e));
  CHECK(p.server.wire.is_finished());
  return out;
}

}  // namespace

TEST_CASE("engine: the same octets in any chunks give the same events") {
  const std::uint64_t seed = 7;
  CAPTURE(seed);
  random_source dice(seed);
  const auto octets = client_octets();
  const replay whole = play(octets, 0, nullptr);
  CHECK(whole.told.size() > 80);
  for (const std::size_t chunk :
       {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{8}, std::size_t{13},
        std::size_t{599}, std::size_t{600}, std::size_t{601}, std::size_t{5000}}) {
    CAPTURE(chunk);
    CHECK(play(octets, chunk, nullptr).told == whole.told);
    CHECK(play(octets, chunk, &dice).told == whole.told);
  }
}

TEST_CASE("engine: cut off after any octet, a connection is lost and nothing else happens") {
  const auto octets = client_octets();
  for (std::size_t n = 0; n < octets.size(); n += n < 3000 ? 1 : 97) {
    CAPTURE(n);
    engine::options of_server = server_options();
    of_server.max_frame_size = 600;
    wire_pair p(client_options(), of_server);
    p.server.on_event = [&](const engine::event& e) { serve(p.server, e); };
    p.server.wire.start(p.now);
    p.give(p.server, std::span(octets).first(n));
    p.server.wire.on_lost();
    p.server.drain_events();
    REQUIRE(p.server.count(event_kind::connection_closed) == 1);
    REQUIRE_FALSE(p.server.last(event_kind::connection_closed).by_us);
  }
}
