// SPDX-License-Identifier: Apache-2.0
// What a connection keeps when it has nothing to do, and what the trace shows.
#include <doctest/doctest.h>

#include <malloc.h>

#include <memory>

#include "tests/support/wire_pair.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using namespace std::chrono_literals;
using engine::event_kind;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool can_measure = false;  // their allocators do not keep glibc's accounts
#else
constexpr bool can_measure = true;
#endif

namespace {

std::size_t in_use() { return mallinfo2().uordblks; }

/// A server's engine with one session and one link, as the test's memory sees it: the client's
/// side is thrown away.
struct idle_server {
  std::unique_ptr<engine::connection> wire;

  explicit idle_server(bool busy_before) {
    engine::options o = server_options();
    wire = std::make_unique<engine::connection>(o);
    wire_pair p;
    const auto pump = [&](endpoint& client) {
      for (bool moved = true; moved;) {
        moved = false;
        const auto to_server = client.wire.poll_octets();
        if (!to_server.empty()) {
          const std::vector<std::byte> octets(to_server.begin(), to_server.end());
          client.wire.on_written(octets.size());
          wire->on_octets(octets, p.now);
          while (const engine::event* e = wire->poll_event()) {
            agree(*wire, *e);
            if (e->kind == event_kind::link_attached) e->on_receiver->grant(1000);
            if (e->kind == event_kind::transfer)
              e->on_receiver->settle(e->delivery_id, spec::fast::accepted_octets);
          }
          moved = true;
        }
        const auto to_client = wire->poll_octets();
        if (!to_client.empty()) {
          const std::vector<std::byte> octets(to_client.begin(), to_client.end());
          wire->on_written(octets.size());
          client.wire.on_octets(octets, p.now);
          client.drain_events();
          moved = true;
        }
      }
    };
    wire->start(p.now);
    p.client.wire.start(p.now);
    p.client.wire.open();
    pump(p.client);
    engine::session* s = p.client.wire.begin();
    pump(p.client);
    engine::sender* out =
        s->attach_sender({.name = "a link of the usual length",
                          .source = spec::source{.address = "here"},
                          .target = amqp::codec::to_raw(spec::target{.address = "queues/orders"})});
    pump(p.client);
    if (busy_before) {
      for (int i = 0; i < 900; ++i) send_text(*out, std::to_string(i), std::string(100, 'x'));
      pump(p.client);
      CHECK(out->unsettled() == 0);
    }
    wire->on_timeout(p.now + 3s);
  }
};

}  // namespace

TEST_CASE("engine: an idle connection with a session and a link keeps less than 6 KiB") {
  if (!can_measure) return;
  for (const bool busy_before : {false, true}) {
    CAPTURE(busy_before);
    const idle_server warm_up(busy_before);
    const std::size_t before = in_use();
    std::vector<std::unique_ptr<idle_server>> idle;
    idle.reserve(50);
    for (int i = 0; i < 50; ++i) idle.push_back(std::make_unique<idle_server>(busy_before));
    const std::size_t each = (in_use() - before) / 50;
    MESSAGE("octets each: ", each);
    CHECK(each < 6 * 1024);
  }
}

TEST_CASE("engine: everything a connection held is given back with it, after churn of all kinds") {
  if (!can_measure) return;
  const auto churn = [] {
    linked_pair p;
    for (int round = 0; round < 50; ++round) {
      p.in->grant(100);
      p.run();
      for (int i = 0; i < 100; ++i) send_text(*p.out, std::to_string(i), "x");
      p.run();
      if (round % 2 == 0) p.in->settle_range(0, 1'000'000, spec::fast::accepted_octets);
      engine::session* s = p.client.wire.begin();
      p.run();
      s->attach_sender({.name = "brief"});
      p.run();
      s->end();
      p.run();
    }
    p.client.events.clear();
    p.server.events.clear();
  };
  churn();
  const std::size_t before = in_use();
  churn();
  CHECK(in_use() <= before + 1024);
}

TEST_CASE("engine: the trace shows both directions, each frame as one line, and no password") {
  std::vector<std::string> lines;
  engine::options of_server = server_options();
  of_server.mechanisms = {"PLAIN"};
  of_server.trace = [&](bool ours, std::uint16_t channel, std::string_view text) {
    lines.push_back((ours ? "-> " : "<- ") + std::to_string(channel) + ' ' + std::string(text));
  };
  engine::options of_client = client_options();
  of_client.credentials =
      engine::client_credentials{.mechanism = "PLAIN", .user = "ann", .password = "hunter2"};
  linked_pair p(of_client, of_server);
  p.in->grant(5);
  p.run();
  send_text(*p.out, "t", "seven77", false);
  p.run();
  p.in->settle(0, spec::fast::accepted_octets);
  p.run();
  const auto shows = [&](std::string_view start, std::string_view part) {
    return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
      CHECK(line.find('\n') == std::string::npos);
      CHECK(line.find("hunter2") == std::string::npos);
      return line.starts_with(start) && line.find(part) != std::string::npos;
    });
  };
  CHECK(shows("<- 0 ", "AMQP 3 1.0.0"));
  CHECK(shows("-> 0 ", "AMQP 3 1.0.0"));
  CHECK(shows("<- 0 ", "sasl-init"));
  CHECK(shows("-> 0 ", "open("));
  CHECK(shows("<- 0 ", "begin("));
  CHECK(shows("-> 0 ", "flow("));
  CHECK(shows("<- 0 ", "transfer("));
  CHECK(shows("<- 0 ", "7 octets"));
  CHECK(shows("-> 0 ", "disposition("));
}
