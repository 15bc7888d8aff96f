// SPDX-License-Identifier: Apache-2.0
// Many groups and a deep backlog: how often messages are looked at until all are given out.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/broker/core/grouped.hpp"

using namespace whimbrel;
using namespace whimbrel::test;

namespace {

constexpr std::size_t groups = 1000;
constexpr std::size_t consumers = 100;
constexpr std::size_t messages = 10'000;

core::message_ptr numbered(std::size_t n) {
  amqp::message::message m;
  m.header.emplace();
  m.props().group_id = "group-" + std::to_string(n % groups);
  amqp::octet_buffer out;
  amqp::message::encode(out, m);
  const auto body = make_text(std::to_string(n));
  out.append(body->octets().subspan(body->sections().application_properties_end));
  return *core::make_message(out.octets());
}

class backlog {
 public:
  explicit backlog(world& w) : w_(w), q_(w.make_queue(by_group())), from_(w, q_) {
    for (std::size_t i = 0; i < consumers; ++i) {
      all.push_back(std::make_unique<test_consumer>(w, q_));
    }
  }

  void put_all() {
    for (std::size_t n = 0; n < messages; ++n) from_.put(numbered(n));
    w_.settle_down();
  }
  /// One credit. False: there is nothing for this consumer. What it gets must be the next of a
  /// group that nobody else has had.
  bool take_one(test_consumer& c) {
    const std::size_t before = c.deliveries.size();
    c.grant(static_cast<std::uint32_t>(before) + 1);
    if (c.deliveries.size() == before) return false;
    const auto& got = c.deliveries.back();
    const std::size_t n = std::stoul(got.text);
    const auto [known, is_new] = seen_.try_emplace(n % groups, standing{&c, n});
    if (!is_new) {
      REQUIRE(known->second.owner == &c);
      REQUIRE(known->second.last < n);
      known->second.last = n;
    }
    c.settle(got.at, got.at, outcome::accepted);
    return true;
  }
  [[nodiscard]] core::queue& queue() { return w_.at(q_); }
  [[nodiscard]] std::uint64_t steps() { return queue().counters().group_steps; }
  [[nodiscard]] std::size_t groups_seen() const { return seen_.size(); }

  std::vector<std::unique_ptr<test_consumer>> all;

 private:
  struct standing {
    const test_consumer* owner = nullptr;
    std::size_t last = 0;
  };

  world& w_;
  core::queue_ref q_;
  test_producer from_;
  std::map<std::size_t, standing> seen_ = {};
};

}  // namespace

TEST_CASE("groups: a deep backlog of many groups is looked at a few times a message") {
  world w({});
  w.start();
  backlog b(w);
  b.put_all();
  // One credit at a time, so that nearly all is somebody else's whenever a consumer asks.
  std::size_t delivered = 0;
  for (bool moved = true; moved;) {
    moved = false;
    for (auto& c : b.all) {
      if (!b.take_one(*c)) continue;
      moved = true;
      ++delivered;
    }
  }
  CHECK(delivered == messages);
  CHECK(b.groups_seen() == groups);
  b.queue().check_invariants();
  CHECK(b.steps() >= messages);
  CHECK(b.steps() <= 6 * messages);
}

TEST_CASE("groups: what consumers leave behind is not walked over when they go one by one") {
  world w({});
  w.start();
  backlog b(w);
  b.put_all();
  for (auto& c : b.all) REQUIRE(b.take_one(*c));
  const std::size_t left = b.queue().depth();
  CHECK(left == messages - consumers);
  while (b.all.size() > 1) {
    b.all.back()->unsubscribe();
    b.all.pop_back();
  }
  test_consumer& last = *b.all.front();
  last.grant(2 * messages);
  w.settle_down();
  CHECK(last.deliveries.size() == 1 + left);
  b.queue().check_invariants();
  CHECK(b.steps() <= 6 * messages);
}
