// SPDX-License-Identifier: Apache-2.0
// Who breaks which rule, what is ended for it, and with which condition.
#include <doctest/doctest.h>

#include "tests/amqp/engine/raw_peer.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using engine::event_kind;

namespace {

enum class ends { nothing, link, session, connection };

struct rule {
  const char* what;
  ends scope;
  const char* condition;
  void (*break_it)(raw_peer&);
};

spec::begin plain_begin() {
  return {.next_outgoing_id = 0, .incoming_window = 100, .outgoing_window = 100};
}

spec::attach sender_attach(const char* name, std::uint32_t handle) {
  return {.name = name,
          .handle = handle,
          .role = spec::role::sender,
          .target = codec::to_raw(spec::target{.address = "q"}),
          .initial_delivery_count = 0};
}

spec::flow session_flow(std::uint32_t next_outgoing = 0) {
  return {.next_incoming_id = engine::first_outgoing_id.value(),
          .incoming_window = 100,
          .next_outgoing_id = next_outgoing,
          .outgoing_window = 100};
}

spec::transfer piece(std::uint32_t id, bool more) {
  spec::transfer t = raw_peer::transfer(0, id);
  t.more = more;
  return t;
}

/// The peer has a session on channel 0; it sends on handle 0 and has 10 credits.
const rule rules[] = {
    // --- the connection ---
    {"a frame of an unknown type", ends::connection, "amqp:connection:framing-error",
     [](raw_peer& p) { p.say_octets(hex("00 00 00 08 02 02 00 00")); }},
    {"a SASL frame", ends::connection, "amqp:connection:framing-error",
     [](raw_peer& p) { p.say_sasl(spec::sasl_init{.mechanism = "PLAIN"}); }},
    {"a frame one octet above our limit", ends::connection, "amqp:connection:framing-error",
     [](raw_peer& p) { p.say_octets(hex("00 01 00 01 02 00 00 00")); }},
    {"a frame size below 8", ends::connection, "amqp:connection:framing-error",
     [](raw_peer& p) { p.say_octets(hex("00 00 00 07 02 00 00 00")); }},
    {"a data offset below 2", ends::connection, "amqp:connection:framing-error",
     [](raw_peer& p) { p.say_octets(hex("00 00 00 0a 01 00 00 00 40 40")); }},
    {"a data offset behind the frame", ends::connection, "amqp:connection:framing-error",
     [](raw_peer& p) { p.say_octets(hex("00 00 00 0a 03 00 00 00 40 40")); }},
    {"an extended header is passed over", ends::nothing, "",
     [](raw_peer& p) { p.say_octets(hex("00 00 00 0c 03 00 00 00 ff ff ff ff")); }},
    {"the largest channel", ends::nothing, "", [](raw_peer& p) { p.say(plain_begin(), {}, 255); }},
    {"a channel above channel-max", ends::connection, "amqp:connection:framing-error",
     [](raw_peer& p) { p.say(plain_begin(), {}, 256); }},
    {"an empty frame on the largest channel", ends::nothing, "",
     [](raw_peer& p) { p.say_octets(hex("00 00 00 08 02 00 00 ff")); }},
    {"an empty frame above channel-max", ends::connection, "amqp:connection:framing-error",
     [](raw_peer& p) { p.say_octets(hex("00 00 00 08 02 00 01 00")); }},
    {"a second open", ends::connection, "amqp:illegal-state",
     [](raw_peer& p) { p.say(spec::open{.container_id = "y"}); }},
    {"an open on another channel", ends::connection, "amqp:connection:framing-error",
     [](raw_peer& p) { p.say(spec::open{.container_id = "y"}, {}, 1); }},
    {"a begin on a channel in use", ends::connection, "amqp:not-allowed",
     [](raw_peer& p) { p.say(plain_begin()); }},
    {"a begin that answers none of ours", ends::connection, "amqp:not-allowed",
     [](raw_peer& p) {
       auto b = plain_begin();
       b.remote_channel = 3;
       p.say(b, {}, 1);
     }},
    {"a begin that answers a session that has its channel", ends::connection, "amqp:not-allowed",
     [](raw_peer& p) {
       auto b = plain_begin();
       b.remote_channel = 0;
       p.say(b, {}, 1);
     }},
    {"a frame on a channel without a session", ends::connection, "amqp:not-allowed",
     [](raw_peer& p) { p.say(session_flow(), {}, 7); }},
    {"an end on a channel without a session", ends::connection, "amqp:not-allowed",
     [](raw_peer& p) { p.say(spec::end{}, {}, 7); }},
    {"a described list that is no performative", ends::connection, "amqp:decode-error",
     [](raw_peer& p) { p.say_octets(hex("00 00 00 0c 02 00 00 00 00 53 19 45")); }},
    {"a body that is no described value", ends::connection, "amqp:decode-error",
     [](raw_peer& p) { p.say_octets(hex("00 00 00 09 02 00 00 00 40")); }},
    {"a flow without its mandatory fields", ends::connection, "amqp:decode-error",
     [](raw_peer& p) { p.say_octets(hex("00 00 00 0c 02 00 00 00 00 53 13 45")); }},
    {"an attach without a name", ends::connection, "amqp:decode-error",
     [](raw_peer& p) { p.say_octets(hex("00 00 00 0c 02 00 00 00 00 53 12 45")); }},
    {"a transfer without a handle", ends::connection, "amqp:decode-error",
     [](raw_peer& p) { p.say_octets(hex("00 00 00 0c 02 00 00 00 00 53 14 45")); }},
    {"a disposition that is cut off", ends::connection, "amqp:decode-error",
     [](raw_peer& p) { p.say_octets(hex("00 00 00 0e 02 00 00 00 00 53 15 c0 09 02")); }},
    {"the largest handle", ends::nothing, "",
     [](raw_peer& p) { p.say(sender_attach("big", 1023)); }},
    {"a handle above handle-max", ends::connection, "amqp:connection:framing-error",
     [](raw_peer& p) { p.say(sender_attach("big", 1024)); }},
    // --- the session ---
    {"a handle in use", ends::session, "amqp:session:handle-in-use",
     [](raw_peer& p) { p.say(sender_attach("other", 0)); }},
    {"a transfer on no link", ends::session, "amqp:session:unattached-handle",
     [](raw_peer& p) { p.say(raw_peer::transfer(9, 0), "x"); }},
    {"a flow on no link", ends::session, "amqp:session:unattached-handle",
     [](raw_peer& p) {
       auto f = session_flow();
       f.handle = 9;
       p.say(f);
     }},
    {"a detach of no link", ends::session, "amqp:session:unattached-handle",
     [](raw_peer& p) { p.say(spec::detach{.handle = 9}); }},
    {"a flow that takes transfers back", ends::session, "amqp:session:window-violation",
     [](raw_peer& p) { p.say(session_flow(0xffff'ffff)); }},
    {"a delivery-id that does not advance", ends::session, "amqp:invalid-field",
     [](raw_peer& p) {
       p.say(raw_peer::transfer(0, 5), "x");
       p.say(raw_peer::transfer(0, 5), "x");
     }},
    {"a delivery-id that goes back over the wrap", ends::session, "amqp:invalid-field",
     [](raw_peer& p) {
       p.say(raw_peer::transfer(0, 1), "x");
       p.say(raw_peer::transfer(0, 0xffff'ffff), "x");
     }},
    {"a delivery-id that jumps ahead", ends::nothing, "",
     [](raw_peer& p) {
       p.say(raw_peer::transfer(0, 5), "x");
       p.say(raw_peer::transfer(0, 500'000), "x");
     }},
    {"a disposition whose last is before its first", ends::session, "amqp:invalid-field",
     [](raw_peer& p) {
       p.say(spec::disposition{.role = spec::role::receiver, .first = 5, .last = 4});
     }},
    {"a disposition over half of all numbers", ends::nothing, "",
     [](raw_peer& p) {
       p.say(spec::disposition{
           .role = spec::role::receiver, .first = 0, .last = 0x7fff'ffff, .settled = true});
       p.say(spec::disposition{
           .role = spec::role::sender, .first = 0x9000'0000, .last = 0, .settled = true});
     }},
    // --- the link ---
    {"a delivery without credit", ends::link, "amqp:link:transfer-limit-exceeded",
     [](raw_peer& p) {
       for (std::uint32_t i = 0; i < 11; ++i) p.say(raw_peer::transfer(0, i), "x");
     }},
    {"a transfer from the receiver of the link", ends::link, "amqp:not-allowed",
     [](raw_peer& p) {
       p.attach_receiver(1);
       p.say(raw_peer::transfer(1, 0), "x");
     }},
    {"a first transfer without delivery-id", ends::link, "amqp:invalid-field",
     [](raw_peer& p) {
       auto t = piece(0, true);
       t.delivery_id.reset();
       p.say(t, "x");
     }},
    {"a first transfer without delivery-tag", ends::link, "amqp:invalid-field",
     [](raw_peer& p) {
       auto t = piece(0, false);
       t.delivery_tag.reset();
       p.say(t, "x");
     }},
    {"a delivery-tag of 32 octets", ends::nothing, "",
     [](raw_peer& p) {
       auto t = piece(0, false);
       t.delivery_tag = amqp::binary(std::string(32, 't'));
       p.say(t, "x");
     }},
    {"a delivery-tag of 33 octets", ends::link, "amqp:invalid-field",
     [](raw_peer& p) {
       auto t = piece(0, false);
       t.delivery_tag = amqp::binary(std::string(33, 't'));
       p.say(t, "x");
     }},
    {"an empty delivery-tag is one", ends::nothing, "",
     [](raw_peer& p) {
       auto t = piece(0, false);
       t.delivery_tag = amqp::binary();
       p.say(t, "x");
     }},
    {"a continuation that repeats everything", ends::nothing, "",
     [](raw_peer& p) {
       p.say(piece(0, true), "x");
       p.say(piece(0, false), "x");
     }},
    {"a continuation with another delivery-id", ends::link, "amqp:invalid-field",
     [](raw_peer& p) {
       p.say(piece(0, true), "x");
       p.say(piece(1, false), "x");
     }},
    {"a continuation with another delivery-tag", ends::link, "amqp:invalid-field",
     [](raw_peer& p) {
       p.say(piece(0, true), "x");
       auto t = piece(0, false);
       t.delivery_tag = amqp::binary(std::string_view("u"));
       p.say(t, "x");
     }},
    {"a continuation with a longer delivery-tag", ends::link, "amqp:invalid-field",
     [](raw_peer& p) {
       p.say(piece(0, true), "x");
       auto t = piece(0, false);
       t.delivery_tag = amqp::binary(std::string_view("t2"));
       p.say(t, "x");
     }},
    {"a continuation with another message-format", ends::link, "amqp:invalid-field",
     [](raw_peer& p) {
       p.say(piece(0, true), "x");
       auto t = piece(0, false);
       t.message_format = 1;
       p.say(t, "x");
     }},
    {"rcv-settle-mode second on a link that settles first", ends::link, "amqp:invalid-field",
     [](raw_peer& p) {
       auto t = piece(0, false);
       t.rcv_settle_mode = spec::receiver_settle_mode::second;
       p.say(t, "x");
     }},
    {"rcv-settle-mode means nothing on a settled delivery", ends::nothing, "",
     [](raw_peer& p) {
       auto t = piece(0, false);
       t.settled = true;
       t.rcv_settle_mode = spec::receiver_settle_mode::second;
       p.say(t, "x");
     }},
    {"a message of exactly the largest size", ends::nothing, "",
     [](raw_peer& p) {
       p.say(piece(0, true), std::string(600, 'x'));
       p.say(piece(0, false), std::string(400, 'x'));
     }},
    {"a message one octet larger, in one frame", ends::link, "amqp:link:message-size-exceeded",
     [](raw_peer& p) { p.say(piece(0, false), std::string(1001, 'x')); }},
    {"a message one octet larger, over three frames", ends::link, "amqp:link:message-size-exceeded",
     [](raw_peer& p) {
       p.say(piece(0, true), std::string(500, 'x'));
       p.say(piece(0, true), std::string(500, 'x'));
       p.say(piece(0, false), "x");
     }},
    {"too much in deliveries that are not complete", ends::link, "amqp:resource-limit-exceeded",
     [](raw_peer& p) {
       p.say(sender_attach("second", 1));
       p.receiver().grant(10);
       p.listen();
       p.say(piece(0, true), std::string(900, 'x'));
       auto t = piece(1, true);
       t.handle = 1;
       p.say(t, std::string(601, 'x'));
     }},
};

}  // namespace

TEST_CASE("violation: each ends exactly its scope, once, with its condition") {
  for (const rule& r : rules) {
    CAPTURE(std::string(r.what));
    engine::options o = server_options();
    o.max_message_size = 1000;
    o.partial_octets_max = 1500;
    raw_peer peer(o);
    peer.ready_to_send(10);
    peer.side.events.clear();
    peer.heard.clear();
    // Links attached by the rule itself need a link_attached on record.
    r.break_it(peer);
    CHECK(peer.condition<spec::detach>() == (r.scope == ends::link ? r.condition : ""));
    CHECK(peer.condition<spec::end>() == (r.scope == ends::session ? r.condition : ""));
    CHECK(peer.condition<spec::close>() == (r.scope == ends::connection ? r.condition : ""));
    const auto told = [&](event_kind kind) {
      std::size_t n = 0;
      for (const recorded& e : peer.side.events)
        n += e.kind == kind && e.by_us && e.condition == r.condition ? 1u : 0u;
      return n;
    };
    CHECK(told(event_kind::link_detached) == (r.scope == ends::link ? 1u : 0u));
    CHECK(told(event_kind::session_ended) == (r.scope == ends::session ? 1u : 0u));
    CHECK(told(event_kind::connection_closed) == (r.scope == ends::connection ? 1u : 0u));
    if (r.scope == ends::link) CHECK(peer.last<spec::detach>()->closed);
    // What is left goes on: the next wider scope still answers.
    peer.heard.clear();
    if (r.scope == ends::connection) {
      peer.say(spec::begin{.next_outgoing_id = 0, .incoming_window = 1, .outgoing_window = 1}, {},
               9);
      CHECK(peer.heard.empty());
    } else if (r.scope == ends::session) {
      peer.say(sender_attach("discarded", 5));
      CHECK(peer.heard.empty());
      peer.say(spec::end{});
      peer.say(plain_begin());
      CHECK(peer.count<spec::begin>() == 1);
    } else {
      peer.say(sender_attach("still fine", 77));
      CHECK(peer.count<spec::attach>() == 1);
    }
  }
}

TEST_CASE("violation: the peer's close is still found behind a frame that was too long") {
  raw_peer peer;
  peer.ready_to_send();
  std::vector<std::byte> octets(70'000, std::byte{0});
  frame::store_header(octets.data(), 70'000, frame::frame_type::amqp, 0);
  const auto close = raw_peer::encode(0, spec::close{});
  octets.insert(octets.end(), close.begin(), close.end());
  peer.say_octets(octets);
  CHECK(peer.condition<spec::close>() == "amqp:connection:framing-error");
  CHECK(peer.side.wire.is_finished());
}

TEST_CASE("violation: before the open it is answered with open and close") {
  for (const bool begin_first : {true, false}) {
    CAPTURE(begin_first);
    raw_peer peer;
    peer.exchange_headers();
    if (begin_first) {
      peer.begin();
    } else {
      peer.say(spec::close{});
    }
    REQUIRE(peer.heard.size() == 2);
    CHECK(peer.heard[0].code == spec::open::type.code);
    CHECK(peer.condition<spec::close>() == "amqp:illegal-state");
    CHECK(peer.side.wire.is_finished());
    CHECK(peer.side.count(event_kind::session_begun) == 0);
  }
}

TEST_CASE("violation: every performative in every state is answered or ignored") {
  using build = std::vector<std::byte> (*)();
  const build performatives[] = {
      [] { return raw_peer::encode(0, spec::open{.container_id = "x"}); },
      [] { return raw_peer::encode(0, plain_begin()); },
      [] { return raw_peer::encode(1, plain_begin()); },
      [] { return raw_peer::encode(0, sender_attach("in", 0)); },
      [] { return raw_peer::encode(0, sender_attach("new", 3)); },
      [] {
        auto a = sender_attach("out", 1);
        a.role = spec::role::receiver;
        return raw_peer::encode(0, a);
      },
      [] { return raw_peer::encode(0, session_flow()); },
      [] {
        auto f = session_flow();
        f.handle = 0;
        f.link_credit = 5;
        f.delivery_count = 0;
        f.drain = f.echo = true;
        return raw_peer::encode(0, f);
      },
      [] {
        auto f = session_flow();
        f.handle = 1;
        f.link_credit = 5;
        return raw_peer::encode(0, f);
      },
      [] { return raw_peer::encode(0, raw_peer::transfer(0, 50), "x"); },
      [] {
        auto t = raw_peer::transfer(0, 51);
        t.more = true;
        return raw_peer::encode(0, t, "x");
      },
      [] {
        return raw_peer::encode(
            0, spec::disposition{.role = spec::role::receiver, .first = 0, .last = 9});
      },
      [] {
        return raw_peer::encode(
            0,
            spec::disposition{.role = spec::role::sender, .first = 0, .last = 90, .settled = true});
      },
      [] { return raw_peer::encode(0, spec::detach{.handle = 0}); },
      [] { return raw_peer::encode(0, spec::detach{.handle = 1, .closed = true}); },
      [] { return raw_peer::encode(0, spec::end{}); },
      [] { return raw_peer::encode(0, spec::close{}); },
      [] { return hex("00 00 00 08 02 00 00 00"); },
  };
  // Each state is reached by a prefix of what an orderly peer does, and some disorderly turns.
  using reach = void (*)(raw_peer&);
  const reach states[] = {
      [](raw_peer&) {},
      [](raw_peer& p) { p.exchange_headers(); },
      [](raw_peer& p) { p.open(); },
      [](raw_peer& p) {
        p.side.on_event = {};  // open_rcvd: not answered
        p.open();
      },
      [](raw_peer& p) {
        p.open();
        p.begin();
      },
      [](raw_peer& p) { p.ready_to_send(); },
      [](raw_peer& p) {
        p.ready_to_send();
        p.attach_receiver(1);
        p.flow_credit(1, 0, 10);
        p.sender().send({.tag = {}}, {}, bytes("x"));
        p.listen();
      },
      [](raw_peer& p) {
        p.ready_to_send();
        auto t = raw_peer::transfer(0, 40);
        t.more = true;
        p.say(t, "half");
      },
      [](raw_peer& p) {
        p.open();
        p.begin();
        p.side.on_event = {};  // half attached: the attach is not answered
        p.attach_sender(0);
      },
      [](raw_peer& p) {
        p.ready_to_send();
        p.receiver().detach(true);
        p.listen();
      },
      [](raw_peer& p) {
        p.ready_to_send();
        p.receiver().detach(false, spec::error{.condition = "amqp:resource-deleted"});
        p.listen();
      },
      [](raw_peer& p) {
        p.ready_to_send();
        p.side.on_event = {};  // the peer's detach is not answered
        p.say(spec::detach{.handle = 0});
      },
      [](raw_peer& p) {
        p.ready_to_send();
        p.receiver().on().end();
        p.listen();
      },
      [](raw_peer& p) {
        p.ready_to_send();
        p.side.wire.close();
        p.listen();
      },
      [](raw_peer& p) {
        p.ready_to_send();
        p.side.wire.close(spec::error{.condition = "amqp:connection:forced"});
        p.listen();
      },
      [](raw_peer& p) {
        p.ready_to_send();
        p.say(spec::close{});
      },
  };
  int answered = 0;
  for (std::size_t s = 0; s < std::size(states); ++s) {
    for (std::size_t a = 0; a < std::size(performatives); ++a) {
      for (std::size_t b = 0; b < std::size(performatives); ++b) {
        CAPTURE(s);
        CAPTURE(a);
        CAPTURE(b);
        raw_peer peer;
        states[s](peer);
        peer.say_octets(performatives[a]());
        peer.say_octets(performatives[b]());
        answered += static_cast<int>(peer.heard.size());
        CHECK(peer.side.count(event_kind::connection_closed) <= 1);
        // Nothing follows our close.
        if (peer.count<spec::close>() > 0) CHECK(peer.heard.back().code == spec::close::type.code);
        CHECK(peer.count<spec::close>() <= 1);
        CHECK(peer.count<spec::open>() <= 1);
      }
    }
  }
  CHECK(answered > 1000);
}
