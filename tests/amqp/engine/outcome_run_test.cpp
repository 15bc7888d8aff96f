// SPDX-License-Identifier: Apache-2.0
// Outcomes told by runs of deliveries, and settled by ranges. [2.7.6]
#include <doctest/doctest.h>

#include "tests/amqp/engine/raw_peer.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using engine::event_kind;
namespace fast = whimbrel::amqp::spec::fast;

namespace {

engine::options with_runs() {
  engine::options o = client_options();
  o.outcome_runs = true;
  o.first_delivery_id = 0xffff'fffd;
  return o;
}

struct run {
  std::uint32_t id = 0;
  std::uint64_t token = 0;
  std::uint32_t count = 0;
  bool operator==(const run&) const = default;
};

std::vector<run> runs(const linked_pair& p) {
  std::vector<run> out;
  for (const recorded& e : p.client.events) {
    if (e.kind == event_kind::outcome) out.push_back({e.delivery_id, e.token, e.count});
  }
  return out;
}

void send(linked_pair& p, std::initializer_list<std::uint64_t> tokens) {
  for (const std::uint64_t t : tokens) send_text(*p.out, std::to_string(t), "x", false, t);
  p.run();
}

constexpr std::uint32_t first_id = 0xffff'fffd;

}  // namespace

TEST_CASE("outcome runs: consecutive tokens come as one event, over the wrap") {
  linked_pair p(with_runs());
  p.in->grant(100);
  p.run();
  send(p, {7, 8, 9, 10, 11, 20, 21, 5});
  p.in->settle_range(first_id + 1, first_id + 7, fast::accepted_octets);
  p.run();
  CHECK(runs(p) == std::vector<run>{{first_id + 1, 8, 4}, {first_id + 5, 20, 2},
                                    {first_id + 7, 5, 1}});
  CHECK(p.out->unsettled() == 1);
  CHECK(p.client.last(event_kind::outcome).is_settled);
}

TEST_CASE("outcome runs: what is settled already parts a run") {
  linked_pair p(with_runs());
  p.in->grant(100);
  p.run();
  send(p, {1, 2, 3, 4, 5});
  p.in->settle(first_id + 2, fast::released_octets);
  p.run();
  p.client.events.clear();
  p.in->settle_range(first_id, first_id + 4, fast::accepted_octets);
  p.run();
  CHECK(runs(p) == std::vector<run>{{first_id, 1, 2}, {first_id + 3, 4, 2}});
  CHECK(p.out->unsettled() == 0);
}

TEST_CASE("outcome runs: without the option each delivery is told by itself") {
  linked_pair p;
  p.in->grant(100);
  p.run();
  send(p, {1, 2, 3});
  p.in->settle_range(0, 2, fast::accepted_octets);
  p.run();
  CHECK(runs(p) == std::vector<run>{{0, 1, 1}, {1, 2, 1}, {2, 3, 1}});
}

TEST_CASE("outcome runs: a sender settles a range of what it was told, and only its own") {
  linked_pair p(with_runs());
  p.in->grant(100);
  p.run();
  send(p, {1, 2, 3, 4});
  for (std::uint32_t i = 0; i < 4; ++i) p.in->update(first_id + i, fast::accepted_octets);
  p.run();
  CHECK(runs(p) == std::vector<run>{{first_id, 1, 4}});
  CHECK(p.out->unsettled() == 4);
  p.out->settle_range(first_id + 1, first_id + 9, fast::accepted_octets);
  p.run();
  CHECK(p.out->unsettled() == 1);
  CHECK(p.in->unsettled() == 1);
  p.out->settle_range(first_id, first_id + 9, fast::accepted_octets);
  p.run();
  CHECK(p.out->unsettled() == 0);
  CHECK(p.in->unsettled() == 0);
}
