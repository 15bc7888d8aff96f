// SPDX-License-Identifier: Apache-2.0
#include "amqp/engine/window.hpp"

#include <doctest/doctest.h>

using namespace whimbrel::amqp;
using namespace whimbrel::amqp::engine;

TEST_CASE("outgoing_window: room is what the peer admits less what it has not seen") {
  struct {
    const char* what;
    std::uint32_t sent;
    std::uint32_t seen;  // how many of them the flow knows of
    std::uint32_t window;
    std::uint32_t room;
  } const rows[] = {
      {"nothing sent", 0, 0, 7, 7},
      {"all seen", 6, 6, 7, 7},
      {"some under way", 6, 4, 7, 5},
      {"all of the window under way", 7, 0, 7, 0},
      {"more under way than a window that shrank", 6, 0, 3, 0},
      {"one left", 6, 0, 7, 1},
      {"closed", 2, 2, 0, 0},
      {"the widest window", 6, 2, 0xffff'ffff, 0xffff'fffb},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    outgoing_window w;
    w.on_begin(100);
    CHECK(w.next().value() == 0xffff'fffc);  // six transfers from there cross the wrap
    for (std::uint32_t i = 0; i < row.sent; ++i) w.on_sent();
    CHECK(w.room() == 100 - row.sent);
    w.on_flow(0xffff'fffcu + row.seen, row.window);
    CHECK(w.room() == row.room);
    CHECK(w.next().value() == 0xffff'fffcu + row.sent);
  }
}

TEST_CASE("outgoing_window: a flow without next-incoming-id means our first id") {
  outgoing_window w;
  w.on_begin(10);
  for (int i = 0; i < 6; ++i) w.on_sent();
  w.on_flow(std::nullopt, 10);
  CHECK(w.room() == 4);
  w.on_flow(std::nullopt, 10);  // and two of them do not add up
  CHECK(w.room() == 4);
}

TEST_CASE("outgoing_window: a peer that claims more than was sent gains nothing") {
  outgoing_window w;
  w.on_begin(10);
  w.on_sent();
  w.on_flow(0xffff'fffcu + 5, 10);
  CHECK(w.room() == 10);
}

TEST_CASE("incoming_window: admits exactly the frames announced, across the wrap") {
  for (const std::uint32_t first : {0u, 0xffff'fffeu, 0x7fff'fffeu}) {
    CAPTURE(first);
    incoming_window w(4);
    w.on_begin(first);
    for (int i = 0; i < 4; ++i) CHECK(w.on_transfer());
    CHECK_FALSE(w.on_transfer());
    CHECK(w.next().value() == first + 4);
    CHECK(w.announce() == 4);
    for (int i = 0; i < 4; ++i) CHECK(w.on_transfer());
    CHECK_FALSE(w.on_transfer());
  }
}

TEST_CASE("incoming_window: wants a flow when half is used, not before") {
  struct {
    std::uint32_t size;
    int used_before_flow;
  } const rows[] = {{1, 1}, {2, 1}, {3, 2}, {4, 2}, {5, 3}, {2048, 1024}};
  for (const auto& row : rows) {
    CAPTURE(row.size);
    incoming_window w(row.size);
    w.on_begin(0xffff'ffff);
    for (int i = 0; i < row.used_before_flow; ++i) {
      CHECK_FALSE(w.wants_flow());
      CHECK(w.on_transfer());
    }
    CHECK(w.wants_flow());
    w.announce();
    CHECK_FALSE(w.wants_flow());
  }
}

TEST_CASE("incoming_window: what was announced before it shrank is still admitted") {
  incoming_window w(4);
  w.on_begin(0xffff'fffe);
  w.resize(1);
  CHECK(w.announce() == 1);
  for (int i = 0; i < 4; ++i) CHECK(w.on_transfer());
  CHECK_FALSE(w.on_transfer());
  w.resize(0);
  CHECK_FALSE(w.wants_flow());
  CHECK(w.announce() == 0);
  CHECK_FALSE(w.on_transfer());
  w.resize(2);
  CHECK(w.wants_flow());
  CHECK(w.announce() == 2);
  CHECK(w.on_transfer());
  CHECK(w.on_transfer());
  CHECK_FALSE(w.on_transfer());
}

TEST_CASE("incoming_window: the sender's next-outgoing-id is taken over, but never back") {
  incoming_window w(10);
  w.on_begin(0xffff'fffe);
  CHECK(w.on_transfer());
  CHECK(w.on_flow(0xffff'ffff));
  CHECK(w.next().value() == 0xffff'ffff);
  CHECK_FALSE(w.on_flow(0xffff'fffe));
  CHECK(w.on_flow(1));
  CHECK(w.next().value() == 1);
}

TEST_CASE("incoming_window: a jump beyond what was announced leaves no room, whatever its size") {
  for (const std::uint32_t jump : {11u, 1000u, 0x7fff'fff0u}) {
    CAPTURE(jump);
    incoming_window w(10);
    w.on_begin(0);
    CHECK(w.on_flow(jump));
    CHECK_FALSE(w.on_transfer());
    CHECK(w.wants_flow());
  }
}

TEST_CASE("incoming_window: a window too wide for serial arithmetic is narrowed") {
  incoming_window w(0xffff'ffff);
  w.on_begin(5);
  CHECK(w.announce() == incoming_window::frames_max);
  CHECK(w.on_transfer());
  CHECK_FALSE(w.wants_flow());
}
