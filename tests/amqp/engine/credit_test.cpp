// SPDX-License-Identifier: Apache-2.0
#include "amqp/engine/credit.hpp"

#include <doctest/doctest.h>

using namespace whimbrel::amqp;
using namespace whimbrel::amqp::engine;

namespace {

constexpr std::uint32_t unbounded = 0xffff'ffff;

/// A receiver whose sender began at `initial`, with `credit` announced.
receiver_credit granted(std::uint32_t initial, std::uint32_t credit) {
  receiver_credit c;
  c.on_attach(delivery_count(initial));
  static_cast<void>(c.want(credit, false, unbounded));
  c.announce();
  return c;
}

}  // namespace

TEST_CASE("sender_credit: is what the receiver granted less what it has not seen") {
  struct {
    const char* what;
    int sent;
    std::optional<std::uint32_t> seen;
    std::uint32_t granted;
    std::uint32_t credit;
  } const rows[] = {
      {"all seen", 3, 3, 10, 10},   {"some under way", 3, 1, 10, 8},
      {"just used up", 3, 0, 3, 0}, {"one left", 3, 0, 4, 1},
      {"shrunk below", 3, 0, 2, 0}, {"unset means the initial count", 3, std::nullopt, 10, 7},
      {"none", 3, 3, 0, 0},         {"the most", 3, 1, 0xffff'ffff, 0xffff'fffd},
      {"ahead of us", 3, 9, 4, 4},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    sender_credit c;
    c.on_flow(0, 100, false);
    for (int i = 0; i < row.sent; ++i) c.on_sent();
    CHECK(c.credit() == 97);
    c.on_flow(row.seen, row.granted, false);
    CHECK(c.credit() == row.credit);
    CHECK(c.count() == delivery_count(3));
  }
}

TEST_CASE("sender_credit: two pipelined flows without delivery-count do not add up") {
  sender_credit c;
  c.on_flow(std::nullopt, 10, false);
  for (int i = 0; i < 3; ++i) c.on_sent();
  c.on_flow(std::nullopt, 10, false);
  CHECK(c.credit() == 7);
}

TEST_CASE("sender_credit: a drain uses up the rest and moves the count there") {
  sender_credit c;
  c.on_flow(0, 10, true);
  CHECK(c.owes_drain());
  for (int i = 0; i < 4; ++i) c.on_sent();
  c.finish_drain();
  CHECK(c.credit() == 0);
  CHECK(c.count() == delivery_count(10));
  CHECK_FALSE(c.owes_drain());
  CHECK(c.drain());  // as the receiver last said
  c.on_flow(10, 5, false);
  CHECK(c.credit() == 5);
  CHECK_FALSE(c.drain());
}

TEST_CASE("sender_credit: what is under way counts across the wrap") {
  sender_credit c;
  for (const std::uint32_t seen : {0U, 0x7fff'ffffU}) {  // drains bring the count close to it
    c.on_flow(seen, 0x7fff'ffff, true);
    c.finish_drain();
  }
  c.on_flow(0xffff'fffe, 4, false);
  for (int i = 0; i < 4; ++i) c.on_sent();
  CHECK(c.count() == delivery_count(2));
  c.on_flow(0xffff'ffff, 5, false);
  CHECK(c.credit() == 2);
}

TEST_CASE("receiver_credit: admits exactly what was announced, across the wrap") {
  for (const std::uint32_t initial : {0u, 0xffff'fffcu, 0x7fff'fffcu}) {
    CAPTURE(initial);
    receiver_credit c = granted(initial, 10);
    for (std::uint32_t i = 0; i < 10; ++i) {
      CHECK(c.credit() == 10 - i);
      CHECK(c.on_delivery());
    }
    CHECK(c.credit() == 0);
    CHECK_FALSE(c.on_delivery());
    CHECK(c.count() == delivery_count(initial + 10));
  }
}

TEST_CASE("receiver_credit: a wish that is not announced admits nothing") {
  receiver_credit c;
  c.on_attach(delivery_count(0));
  CHECK(c.want(5, false, unbounded));
  CHECK(c.credit() == 5);
  CHECK_FALSE(c.on_delivery());
  CHECK(c.announce() == 5);
  CHECK(c.on_delivery());
}

TEST_CASE("receiver_credit: what was announced before it was taken back is still admitted") {
  receiver_credit c = granted(0xffff'ffff, 4);
  CHECK(c.want(1, false, unbounded));
  CHECK(c.announce() == 1);
  for (int i = 0; i < 4; ++i) CHECK(c.on_delivery());
  CHECK_FALSE(c.on_delivery());
  CHECK(c.credit() == 0);
}

TEST_CASE("receiver_credit: the same wish again is nothing new") {
  receiver_credit c = granted(7, 4);
  CHECK_FALSE(c.want(4, false, unbounded));
  CHECK(c.on_delivery());
  CHECK(c.want(4, false, unbounded));
  c.announce();
  CHECK(c.want(4, true, unbounded));  // a drain always is
  c.announce();
  CHECK(c.want(4, false, unbounded));  // and so is its end
}

TEST_CASE("receiver_credit: credit granted before the sender's attach means its initial count") {
  receiver_credit c;
  CHECK(c.want(3, false, unbounded));
  CHECK_FALSE(c.knows_count());
  CHECK(c.announce() == 3);
  c.on_attach(delivery_count(0xffff'fffe));
  CHECK(c.knows_count());
  CHECK(c.credit() == 3);
  for (int i = 0; i < 3; ++i) CHECK(c.on_delivery());
  CHECK_FALSE(c.on_delivery());
  CHECK(c.count() == delivery_count(1));
}

TEST_CASE("receiver_credit: the bound on unsettled deliveries cuts, settling restores in steps") {
  receiver_credit c;
  c.on_attach(delivery_count(0));
  CHECK(c.want(100, false, 8));
  CHECK(c.announce() == 8);
  for (std::uint32_t i = 1; i <= 8; ++i) {
    CHECK(c.on_delivery());
    CHECK_FALSE(c.restore(8 - i, 2));
  }
  CHECK(c.credit() == 0);
  CHECK(c.restore(1, 2));  // nothing is left: even one is worth a flow
  CHECK(c.announce() == 1);
  CHECK_FALSE(c.restore(2, 2));
  CHECK(c.restore(3, 2));
  CHECK(c.announce() == 3);
}

TEST_CASE("receiver_credit: restoring never exceeds the wish") {
  receiver_credit c;
  c.on_attach(delivery_count(0));
  CHECK(c.want(3, false, 2));
  CHECK(c.announce() == 2);
  CHECK(c.restore(50, 1));
  CHECK(c.credit() == 3);
  CHECK_FALSE(c.restore(60, 1));
}

TEST_CASE("receiver_credit: a drain ends when the count reaches the limit, by either way, once") {
  receiver_credit by_messages = granted(0xffff'ffff, 2);
  static_cast<void>(by_messages.want(2, true, unbounded));
  by_messages.announce();
  CHECK(by_messages.on_delivery());
  CHECK_FALSE(by_messages.finish_drain());
  CHECK(by_messages.on_delivery());
  CHECK(by_messages.finish_drain());
  CHECK_FALSE(by_messages.finish_drain());

  receiver_credit by_flow = granted(0xffff'ffff, 2);
  static_cast<void>(by_flow.want(2, true, unbounded));
  by_flow.on_sender_count(delivery_count(0));
  CHECK_FALSE(by_flow.finish_drain());
  by_flow.on_sender_count(delivery_count(1));
  CHECK(by_flow.finish_drain());
  CHECK_FALSE(by_flow.on_delivery());
}

TEST_CASE("receiver_credit: the sender's count is taken over, but never back") {
  receiver_credit c = granted(0xffff'fffe, 10);
  CHECK(c.on_delivery());
  c.on_sender_count(delivery_count(0xffff'fffe));  // counted at the delivery's end
  CHECK(c.count() == delivery_count(0xffff'ffff));
  CHECK(c.credit() == 9);
  c.on_sender_count(delivery_count(4));
  CHECK(c.credit() == 4);
}

TEST_CASE("receiver_credit: a count driven round the circle yields no credit") {
  receiver_credit c = granted(0, 10);
  for (int i = 0; i < 5; ++i) {
    c.on_sender_count(c.count() + 0x4000'0000);
    CHECK(c.credit() == 0);
    CHECK_FALSE(c.on_delivery());
  }
}
