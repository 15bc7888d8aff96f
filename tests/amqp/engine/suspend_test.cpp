// SPDX-License-Identifier: Apache-2.0
// Links that are detached without being closed: what was under way goes on. [2.6.4, 2.7.6]
#include <doctest/doctest.h>

#include "tests/amqp/engine/raw_peer.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using engine::event_kind;

namespace {

/// An engine that suspends whatever its peer detaches.
struct suspending_peer : raw_peer {
  explicit suspending_peer(engine::options settings = server_options())
      : raw_peer(std::move(settings)) {
    side.on_event = [this](const engine::event& e) {
      if (e.kind == event_kind::link_detached) return e.on_link->suspend();
      agree(side.wire, e);
    };
  }
  void detach() { say(spec::detach{.handle = 0, .closed = false}); }
  void dispose(spec::role ours, std::uint32_t first, std::uint32_t last, bool settled) {
    say(spec::disposition{.role = ours,
                          .first = first,
                          .last = last,
                          .settled = settled,
                          .state = codec::to_raw(spec::accepted{})});
  }
  /// Tokens of the outcomes told, `*` for those of that link.
  [[nodiscard]] std::string outcomes(const engine::link* marked) const {
    std::string out;
    for (const recorded& e : side.events) {
      if (e.kind != event_kind::outcome) continue;
      out += std::to_string(e.token) + (e.on_link == marked ? "* " : " ");
    }
    return out;
  }
};

/// The engine's sender "out" has sent three before its peer detached it.
struct suspended_sender : suspending_peer {
  engine::sender* link = nullptr;

  suspended_sender() {
    ready_to_receive();
    link = &sender();
    for (std::uint64_t i = 0; i < 3; ++i) {
      send_text(*link, "t" + std::to_string(i), "x", false, 40 + i);
    }
    listen();
    detach();
  }
};

}  // namespace

TEST_CASE("suspended sender: the detach is answered without closing, nothing can be sent") {
  suspended_sender s;
  const auto answer = s.last<spec::detach>();
  REQUIRE(answer.has_value());
  CHECK_FALSE(answer->closed);
  CHECK_FALSE(answer->error.has_value());
  CHECK(s.link->unsettled() == 3);
  CHECK_FALSE(s.link->can_send());
  s.flow_credit(0, 3, 10);
  CHECK(s.condition<spec::end>() == "amqp:session:unattached-handle");
}

TEST_CASE("suspended sender: what it has sent is settled by dispositions as before") {
  suspended_sender s;
  s.dispose(spec::role::receiver, 0, 0, true);
  CHECK(s.outcomes(s.link) == "40* ");
  CHECK(s.link->unsettled() == 2);
  s.dispose(spec::role::receiver, 1, 1, false);  // the outcome alone: we settle
  CHECK(s.outcomes(s.link) == "40* 41* ");
  CHECK(s.link->unsettled() == 2);
  s.heard.clear();
  s.link->settle(1, spec::fast::accepted_octets);
  s.listen();
  CHECK(s.count<spec::disposition>() == 1);
  CHECK(s.link->unsettled() == 1);
}

TEST_CASE("suspended sender: name and handle are free, the old deliveries stay its own") {
  suspended_sender s;
  s.attach_receiver(0, "out");
  REQUIRE(s.side.count(event_kind::link_attached) == 2);
  engine::sender& again = s.sender();
  CHECK(&again != s.link);
  CHECK(s.side.wire.link_count() == 2);
  CHECK(s.side.count(event_kind::link_detached) == 1);  // nobody was robbed
  s.flow_credit(0, 0, 5);
  send_text(again, "n", "y", false, 50);
  s.listen();
  s.dispose(spec::role::receiver, 0, 3, true);
  CHECK(s.outcomes(s.link) == "40* 41* 42* 50 ");
}

TEST_CASE("suspended sender: counts until it is forgotten, then its deliveries are nobody's") {
  suspended_sender s;
  CHECK(s.side.wire.link_count() == 1);
  s.link->forget();
  s.listen();
  CHECK(s.side.wire.link_count() == 0);
  s.dispose(spec::role::receiver, 0, 2, true);
  CHECK(s.outcomes(nullptr).empty());
  CHECK(s.count<spec::end>() == 0);
}

TEST_CASE("suspended sender: its session takes it along, whoever ends that") {
  for (const bool by_peer : {true, false}) {
    CAPTURE(by_peer);
    suspended_sender s;
    if (!by_peer) s.link->on().end(spec::error{.condition = "amqp:internal-error"});
    s.listen();
    s.say(spec::end{});
    CHECK(s.side.count(event_kind::session_ended) == 1);
    CHECK(s.side.wire.link_count() == 0);
    s.begin();
    s.attach_receiver(0, "out");
    CHECK(s.side.wire.link_count() == 1);
  }
}

TEST_CASE("suspended sender: settling the last of too many does not offer it credit") {
  engine::options o = server_options();
  o.unsettled_out_max = 2;
  suspending_peer s(o);
  s.ready_to_receive();
  engine::sender& link = s.sender();
  for (const std::string_view tag : {"a", "b"}) send_text(link, tag, "x");
  s.listen();
  REQUIRE(link.credit() > 0);
  s.detach();
  const std::size_t before = s.side.count(event_kind::sender_ready);
  s.dispose(spec::role::receiver, 0, 0, true);
  CHECK(link.unsettled() == 1);
  CHECK(s.side.count(event_kind::sender_ready) == before);
}

TEST_CASE("suspended sender: a delivery half sent is aborted before the detach") {
  engine::options o = server_options();
  suspending_peer s(o);
  s.open();
  s.begin(0, {.next_outgoing_id = 0, .incoming_window = 2, .outgoing_window = 100});
  s.attach_receiver(0);
  s.say(spec::flow{.next_incoming_id = engine::first_outgoing_id.value(),
                   .incoming_window = 1,
                   .next_outgoing_id = 0,
                   .outgoing_window = 100,
                   .handle = 0,
                   .delivery_count = 0,
                   .link_credit = 10});
  engine::sender& link = s.sender();
  const std::vector<std::byte> body(200'000);
  REQUIRE_FALSE(link.send({.tag = bytes("t")}, {}, body).complete);
  s.listen();
  s.say(spec::flow{.next_incoming_id = engine::first_outgoing_id.value() + 1,
                   .incoming_window = 1,
                   .next_outgoing_id = 0,
                   .outgoing_window = 100});
  s.heard.clear();
  s.detach();
  REQUIRE(s.heard.size() == 2);
  CHECK(s.last<spec::transfer>()->aborted);
  CHECK(s.heard.back().code == spec::detach::type.code);
  CHECK(link.unsettled() == 0);
}

TEST_CASE("suspended receiver: outcomes of what it has received are still told") {
  for (const auto mode : {spec::receiver_settle_mode::first, spec::receiver_settle_mode::second}) {
    const bool second = mode == spec::receiver_settle_mode::second;
    CAPTURE(second);
    suspending_peer s;
    s.open();
    s.begin();
    s.say(spec::attach{.name = "in",
                       .handle = 0,
                       .role = spec::role::sender,
                       .rcv_settle_mode = mode,
                       .source = spec::source{.address = "a"},
                       .target = codec::to_raw(spec::target{.address = "q"}),
                       .initial_delivery_count = 0});
    engine::receiver& link = s.receiver();
    link.grant(10);
    s.listen();
    for (std::uint32_t i = 0; i < 3; ++i) s.say(raw_peer::transfer(0, i), "x");
    s.detach();
    CHECK(s.condition<spec::detach>() == "none");
    s.heard.clear();
    link.grant(10);
    link.settle_range(0, 1, spec::fast::accepted_octets);
    s.listen();
    const auto told = s.last<spec::disposition>();
    REQUIRE(told.has_value());
    CHECK(told->first == 0);
    CHECK(told->last == 1);
    CHECK(told->settled == !second);
    CHECK(s.count<spec::flow>() == 0);  // no credit for a link that is not there
    CHECK(link.unsettled() == (second ? 3 : 1));
    if (!second) continue;
    s.dispose(spec::role::sender, 0, 1, true);
    CHECK(s.side.count(event_kind::settled) == 2);
    CHECK(link.unsettled() == 1);
  }
}

TEST_CASE("suspended receiver: a delivery half received is released") {
  suspending_peer s;
  s.ready_to_send();
  spec::transfer half = raw_peer::transfer(0, 0);
  half.more = true;
  s.say(half, "x");
  engine::receiver& link = s.receiver();
  s.heard.clear();
  s.detach();
  const auto told = s.last<spec::disposition>();
  REQUIRE(told.has_value());
  CHECK(told->settled);
  const auto released = codec::to_raw(spec::released{});
  CHECK(text_of(told->state.octets()) == text_of(released.octets()));
  CHECK(s.heard.back().code == spec::detach::type.code);
  CHECK(link.unsettled() == 0);
}

TEST_CASE("suspended receiver: with restored credit owed it is forgotten without a trace") {
  engine::options o = server_options();
  o.unsettled_in_max = 1;
  suspending_peer s(o);
  s.ready_to_send(1);
  s.say(raw_peer::transfer(0, 0), "x");
  engine::receiver& link = s.receiver();
  s.detach();
  link.settle(0, spec::fast::accepted_octets);
  link.forget();
  s.listen();
  CHECK(s.count<spec::disposition>() == 1);
  CHECK(s.side.wire.link_count() == 0);
  s.attach_sender(0, "in");
  CHECK(s.side.wire.link_count() == 1);
}

TEST_CASE("suspend: a link that its peer has not detached stays as it is") {
  raw_peer peer;
  peer.ready_to_receive();
  peer.sender().suspend();
  peer.listen();
  CHECK(peer.count<spec::detach>() == 0);
  CHECK(peer.sender().can_send());
}
