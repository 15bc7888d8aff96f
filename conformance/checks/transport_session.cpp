// SPDX-License-Identifier: Apache-2.0
// Sessions: begin, end, windows. [2.5, 2.7.2, 2.7.4, 2.7.8]
#include <array>

#include "conformance/checks/family.hpp"

namespace whimbrel::conformance {

namespace {

const std::array inputs = {
    input{"T-2.5.1-d", "begin that answers none of the peer's", stage::opened,
          [](const test&) {
            auto b = peer::usual_begin();
            b.remote_channel = 42;
            return frame_with(3, b);
          },
          "~close|end|ignored|silent ~amqp:not-allowed ~amqp:invalid-field ~amqp:not-found "
          "~amqp:illegal-state"},
    input{"T-2.5.1-e", "a second begin on a channel", stage::begun,
          [](const test&) { return frame_with(0, peer::usual_begin()); },
          "~close|end|ignored ~amqp:not-allowed ~amqp:illegal-state "
          "~amqp:connection:framing-error"},
    input{"T-2.5.1-f", "attach on a channel without session", stage::opened,
          [](const test& t) {
            return frame_with(
                static_cast<std::uint16_t>(std::min<unsigned>(9, t.peer().channel_max)),
                spec::attach{.name = "n", .initial_delivery_count = 0});
          },
          "~close|tcp|ignored ~amqp:not-allowed ~amqp:illegal-state ~amqp:not-found "
          "~amqp:connection:framing-error"},
    input{"T-2.7.2-a", "begin without next-outgoing-id", stage::opened,
          [](const test&) {
            return frame_of(3, composite(0x11, {nil(), nil(), hex("52 64"), hex("52 64")}));
          },
          "~close|end|tcp|ignored ~amqp:decode-error ~amqp:invalid-field"},
    input{"T-2.7.2-a", "begin without incoming-window", stage::opened,
          [](const test&) {
            return frame_of(3, composite(0x11, {nil(), hex("43"), nil(), hex("52 64")}));
          },
          "~close|end|tcp|ignored ~amqp:decode-error ~amqp:invalid-field"},
    input{"T-2.5.4-a", "transfer for a handle that is not attached", stage::begun,
          [](const test&) {
            return frame_with(0, spec::transfer{.handle = 99, .delivery_id = 0,
                                                .delivery_tag = binary("t"), .message_format = 0},
                              data_message("x"));
          },
          "end amqp:session:unattached-handle"},
    input{"T-2.5.6-m", "begin of incoming-window 2^32-1", stage::opened,
          [](const test&) {
            auto b = peer::usual_begin();
            b.incoming_window = 0xffffffff;
            return frame_with(3, b);
          },
          "ignored"},
    input{"T-2.7.4-a", "flow without windows", stage::begun,
          [](const test&) { return frame_of(0, composite(0x13, {nil(), nil(), nil(), nil()})); },
          "~close|end|tcp|ignored ~amqp:decode-error ~amqp:invalid-field"},
};

/// Flows that have to fit what the peer has sent so far, but for one field.
void odd_flow(test& t, const spec::flow& odd, const char* expected) {
  peer p(t);
  p.start();
  p.receiver(t.address());
  spec::flow f = odd;
  if (f.next_outgoing_id == 0) {
    p.flow(0, f);
  } else {
    f.next_incoming_id = p.next_incoming(0);
    f.incoming_window = 100;
    f.outgoing_window = 100;
    p.send(0, f);
  }
  t.judge_all(p.react(), expected);
}

/// What the peer's flow for a link says next; throws if it answers no echo.
spec::flow echoed(peer& p, const link& l) {
  p.flow(l.channel, {.handle = l.handle, .delivery_count = l.delivery_count,
                     .link_credit = l.is_sender ? std::nullopt : std::optional(0u),
                     .echo = true});
  const auto f = p.maybe<spec::flow>();
  if (!f) throw not_offered("it answers no echo on a link");
  return *f;
}

void end_is_answered(test& t) {
  peer p(t);
  p.start();
  p.send(0, spec::end{});
  const auto e = p.expect<spec::end>();
  t.expect("T-2.5.2-a", !e.error, "end was answered");
  p.forget_endings();
  p.begin();
  t.expect("T-2.5.2-a", p.sync(), "the channel carries a new session");
  p.send(0, spec::end{});
  p.expect<spec::end>();
  p.forget_endings();
  p.flow(0, {.echo = true});
  const reaction what = p.react_by_begin(2);
  t.judge("T-2.7.8-a", what,
          "~close|ignored ~amqp:not-allowed ~amqp:illegal-state ~amqp:not-found "
          "~amqp:connection:framing-error");
}

void errored_session(test& t) {
  peer p(t);
  p.open();
  p.begin(0);
  p.begin(1);
  p.send(0, spec::transfer{.handle = 99, .delivery_id = 0, .delivery_tag = binary("t"),
                           .message_format = 0}, data_message("x"));
  const auto e = p.expect<spec::end>();
  t.expect("T-2.5.4-a", e.error.has_value(), "end(" + condition_of(e.error) + ")");
  t.expect("T-2.7.8-b", e.error && !e.error->condition.text.empty(), condition_of(e.error));
  p.forget_endings();
  p.send(0, spec::attach{.name = t.unique("late"), .initial_delivery_count = 0});
  const auto a = p.maybe<spec::attach>(t.peer().quiet);
  t.expect("T-2.5.4-b", !a, a ? "an attach behind its end was answered" : "silence behind its end");
  t.expect("T-2.5.4-c", p.sync(1), "the other session " + p.endings_text());
  p.forget_endings();
  p.send(0, spec::end{});
  p.begin(0);
  t.expect("T-2.5.4-b", p.sync(0), "the channel carries a new session");
  t.note("T-2.5.3-a", "its end was answered by ours");
}

void many_sessions(test& t) {
  peer p(t);
  p.open();
  const unsigned most = std::min(t.peer().channel_max + 1u, 256u);
  std::set<unsigned> theirs;
  for (unsigned i = 0; i < most; ++i) {
    p.send(static_cast<std::uint16_t>(i), peer::usual_begin());
  }
  unsigned answered = 0;
  for (; answered < most; ++answered) {
    if (!p.maybe<spec::begin>()) break;
  }
  const bool refused = !p.endings().empty();
  t.expect("T-2.7.1-l", answered == most || refused,
           std::to_string(answered) + " of " + std::to_string(most) + " sessions " +
               p.endings_text());
}

/// A message of several frames counts them all, across the wrap of transfer-ids.
void transfer_ids(test& t) {
  peer p(t);
  p.open();
  auto b = peer::usual_begin();
  b.next_outgoing_id = 0xfffffffe;
  p.begin(0, b);
  link& out = p.producer(t.address());
  const bytes message = data_message("abcdefgh");
  p.send(0, spec::transfer{.handle = out.handle, .delivery_id = 0, .delivery_tag = binary("t"),
                           .message_format = 0, .more = true},
         std::span(message).first(4));
  for (std::size_t i = 4; i < 7; ++i) {
    p.send(0, spec::transfer{.handle = out.handle, .more = true},
           std::span(message).subspan(i, 1));
  }
  p.send(0, spec::transfer{.handle = out.handle}, std::span(message).subspan(7));
  ++out.delivery_count;
  const auto told = p.outcome(0);
  if (!told) throw no_answer("no outcome for a message in five frames");
  t.expect("T-2.6.14-a", code_of(told->state) == 0x24, "five frames: " + state_text(told->state));
  const std::uint32_t seen = echoed(p, out).next_incoming_id.value_or(0);
  const std::string text = "five frames from fffffffe on: next-incoming-id " + std::to_string(seen);
  for (const char* c : {"T-2.5.6-a", "T-2.5.6-b", "T-2.5.6-j", "T-2.8.10-a"}) {
    t.expect(c, seen == 3, text);
  }
}

std::size_t count_transfers(peer& p, milliseconds wait) {
  const std::size_t before = p.transfers_seen();
  p.listen(wait);
  return p.transfers_seen() - before;
}

void small_window(test& t) {
  fill(t, t.address(), 6);
  peer p(t);
  p.open();
  auto b = peer::usual_begin();
  b.incoming_window = 2;
  p.begin(0, b);
  link& in = p.receiver(t.address());
  p.credit(in, 10, {.incoming_window = 2});
  const auto wait = t.peer().quiet * 3;
  const std::size_t first = count_transfers(p, wait);
  t.expect("T-2.5.6-c", first <= 2, std::to_string(first) + " transfers into a window of 2");
  p.flow(0, {.next_incoming_id = p.next_incoming(0) - 1, .incoming_window = 2});
  const std::size_t stale = count_transfers(p, wait);
  t.expect("T-2.5.6-h", stale == 1, std::to_string(stale) + " transfers into what a flow with a "
                                                            "stale next-incoming-id leaves: 1");
  p.credit(in, 10, {.incoming_window = 2});
  const std::size_t more = count_transfers(p, wait);
  t.expect("T-2.7.4-k", more == 2, std::to_string(more) + " transfers when a link's flow opened "
                                                          "the window by 2");
  p.flow(0, {.incoming_window = 100});
  const std::size_t rest = count_transfers(p, wait);
  t.expect("T-2.5.6-g", rest == 1, std::to_string(rest) + " transfers after the window opened");
}

void closed_window(test& t) {
  const std::string address = t.address();
  fill(t, address, 2);
  peer p(t);
  p.open();
  auto b = peer::usual_begin();
  b.incoming_window = 0;
  p.begin(0, b);
  p.begin(1);
  link& in = p.receiver(address);
  p.credit(in, 10);
  const std::size_t none = count_transfers(p, t.peer().quiet * 2);
  link& out = p.producer(t.address("other"));
  const std::uint32_t id = p.transfer(out, data_message("x"));
  const bool answered = p.outcome(id).has_value();
  t.expect("T-2.5.6-d", none == 0 && answered,
           std::to_string(none) + " transfers into a window of 0; other frames " +
               (answered ? "flow" : "do not"));
  link& other = p.receiver(t.address("other"), {}, 1);
  p.credit(other, 1);
  const auto d = p.receive(other);
  t.expect("T-2.5.6-l", d.has_value(), d ? "the other session is not held up" : "nothing came");
}

void window_in_frames(test& t) {
  const std::string address = t.address();
  {
    peer p(t);
    p.start();
    p.publish(p.producer(address), data_message(std::string(2000, 'x')));
  }
  peer p(t);
  p.open({.max_frame_size = 512});
  auto b = peer::usual_begin();
  b.incoming_window = 2;
  p.begin(0, b);
  link& in = p.receiver(address);
  p.credit(in, 1, {.incoming_window = 2});
  const std::size_t first = count_transfers(p, t.peer().quiet * 2);
  p.flow(0, {.incoming_window = 100});
  const auto d = p.receive(in);
  t.expect("T-2.5.6-p", first <= 2 && d && d->frames > 2,
           std::to_string(first) + " frames into a window of 2, then " +
               (d ? std::to_string(d->frames) + " in all" : "no more"));
}

void window_reopens(test& t) {
  peer p(t);
  p.open();
  const auto b = p.begin();
  const std::uint32_t many = std::min(b.incoming_window, 5000u) + 20;
  link& out = p.producer(t.address());
  std::uint32_t sent = 0;
  std::uint32_t room = b.incoming_window;
  while (sent < many) {
    while (sent < many && room > 0 && out.credit() > 0) {
      p.transfer(out, data_message("x"), {.settled = true});
      ++sent;
      --room;
    }
    if (sent == many) break;
    if (out.flow) {
      room = out.flow->next_incoming_id.value_or(0) + out.flow->incoming_window -
             p.next_outgoing(0);
    }
    if (room > 0 && out.credit() > 0) continue;
    p.flow(0, {.echo = true});
    if (const auto f = p.maybe<spec::flow>()) {
      room = f->next_incoming_id.value_or(0) + f->incoming_window - p.next_outgoing(0);
    } else {
      break;
    }
  }
  t.expect("T-2.5.6-k", sent == many && p.sync(),
           std::to_string(sent) + " of " + std::to_string(many) + " messages through a window of " +
               std::to_string(b.incoming_window));
}

void burst_beyond_window(test& t) {
  peer p(t);
  p.open();
  const auto b = p.begin();
  if (b.incoming_window > 20'000) throw not_offered("its window is too large to overrun");
  link& out = p.producer(t.address());
  bytes burst;
  for (std::uint32_t i = 0; i < b.incoming_window + 50; ++i) {
    const bool first = i == 0;
    burst = std::move(burst) +
            frame_with(0, spec::transfer{.handle = out.handle,
                                         .delivery_id = first ? std::optional(0u) : std::nullopt,
                                         .delivery_tag = first ? std::optional(binary("t"))
                                                               : std::nullopt,
                                         .message_format = first ? std::optional(0u)
                                                                 : std::nullopt,
                                         .more = true},
                       bytes(1));
  }
  p.write(burst);
  t.judge("T-2.5.6-e", p.react(), "~end|ignored ~amqp:session:window-violation");
}

void channel_above_max(test& t) {
  if (t.peer().channel_max == 65535) throw not_offered("its channel-max admits every channel");
  peer p(t);
  p.open();
  p.send(static_cast<std::uint16_t>(t.peer().channel_max + 1), peer::usual_begin());
  t.judge("T-2.7.1-k", p.react_by_silence(), "close amqp:connection:framing-error");
}

void handle_above_max(test& t) {
  peer p(t);
  p.open();
  const auto b = p.begin();
  if (b.handle_max == 0xffffffff) {
    p.sender(t.address(), {.handle = 0xffffffff});
    t.expect("T-2.7.2-e", true, "handle 2^32-1 was attached");
    return t.skip("T-2.7.2-d", "its handle-max admits every handle");
  }
  t.skip("T-2.7.2-e", "it announces a handle-max of " + std::to_string(b.handle_max));
  p.send(0, spec::attach{.name = t.unique("high"), .handle = b.handle_max + 1,
                         .source = spec::source{}, .initial_delivery_count = 0});
  t.judge("T-2.7.2-d", p.react_by_silence(), "close amqp:connection:framing-error");
}

void oversized_frame(test& t) {
  const std::uint32_t max = t.peer().max_frame_size;
  if (max > (16u << 20)) throw not_offered("its max-frame-size is too large to exceed");
  peer p(t);
  p.start();
  link& out = p.producer(t.address());
  const bytes message = data_message(std::string(max, 'x'));
  const spec::transfer x{.handle = out.handle, .delivery_id = 0, .delivery_tag = binary("t"),
                         .message_format = 0};
  p.send(0, x, message);
  t.judge("T-2.7.1-f", p.react_by_silence(), "close amqp:connection:framing-error");
}

void echoes(test& t) {
  peer p(t);
  p.start();
  link& in = p.receiver(t.address());
  p.flow(0, {.echo = true});
  auto f = p.maybe<spec::flow>();
  t.expect("T-2.7.4-g", f.has_value(), f ? "a session's echo was answered" : "no answer");
  t.note("T-2.7.4-m", f && f->handle ? "answered for a link" : "answered for the session");
  p.credit(in, 0, {.echo = true});
  f = p.maybe<spec::flow>();
  t.expect("T-2.7.4-g", f && f->handle, f ? "a link's echo was answered" : "no answer for a link");
  if (!f) throw not_offered("it answers no echo");
  t.expect("T-2.7.4-i", !f->echo, "the answer to an echo asks for none");
  t.expect("T-2.7.4-j", !f->drain, "a flow by default does not drain");
  for (int i = 0; i < 10; ++i) p.credit(in, 0, {.echo = true});
  f = p.maybe<spec::flow>();
  t.expect("T-2.7.4-h", f.has_value(), "ten echoes were answered");
}

void next_outgoing_is_first(test& t) {
  fill(t, t.address(), 1);
  peer p(t);
  p.open();
  const auto b = p.begin();
  link& in = p.receiver(t.address());
  p.credit(in, 1);
  if (!p.receive(in)) throw no_answer("no message came");
  const spec::flow f = echoed(p, in);
  t.expect("T-2.7.2-b", f.next_outgoing_id == b.next_outgoing_id + 1,
           "next-outgoing-id went from " + std::to_string(b.next_outgoing_id) + " to " +
               std::to_string(f.next_outgoing_id));
  t.note("T-2.5.6-o", "it announces an outgoing-window of " + std::to_string(f.outgoing_window));
}

/// The end of a session, or of a connection, gives back what was not settled.
void loss_releases(test& t, bool by_end) {
  const std::string address = t.address();
  fill(t, address, 1);
  {
    peer p(t);
    p.start();
    link& in = p.receiver(address);
    p.credit(in, 1);
    if (!p.receive(in)) throw not_set_up("no message came");
    if (by_end) {
      p.send(0, spec::end{});
      p.expect<spec::end>();
    } else {
      p.drop();
    }
  }
  peer p(t);
  p.start();
  link& in = p.receiver(address);
  p.credit(in, 1);
  const auto d = p.receive(in);
  if (d) p.settle(d->id, accepted);
  t.expect_all(d.has_value(), d ? "the message came again" : "the message did not come again");
}

}  // namespace

void add_transport_session(checks& out) {
  add_inputs(out, inputs);
  out.push_back({"T-2.5.6-f", "flow whose next-outgoing-id is ahead", [](test& t) {
                   odd_flow(t, {.next_outgoing_id = 7},
                            "end|ignored ~amqp:session:window-violation");
                 }});
  out.push_back({"T-2.7.4-c", "flow for a handle that is not attached", [](test& t) {
                   odd_flow(t, {.handle = 99, .link_credit = 1},
                            "end amqp:session:unattached-handle");
                 }});
  out.push_back({"T-2.7.4-l", "flow with a property that is not known", [](test& t) {
                   const codec::map odd = map_with({{codec::value(symbol("x-unknown")),
                                                     codec::value(true)}});
                   odd_flow(t,
                            {.handle = 0, .delivery_count = 0, .link_credit = 0, .properties = odd},
                            "ignored");
                 }});
  out.push_back({"T-2.5.2-a T-2.7.8-a", "end is answered, and frees the channel", end_is_answered});
  out.push_back({"T-2.5.4-a T-2.5.4-b T-2.5.4-c T-2.5.3-a T-2.7.8-b", "a session in error",
                 errored_session});
  out.push_back({"T-2.7.1-l", "as many sessions as channel-max admits", many_sessions});
  out.push_back({"T-2.5.6-a T-2.5.6-b T-2.5.6-j T-2.8.10-a T-2.6.14-a",
                 "transfer-ids over the wrap", transfer_ids});
  out.push_back({"T-2.5.6-c T-2.5.6-h T-2.7.4-k T-2.5.6-g", "a window of two", small_window});
  out.push_back({"T-2.5.6-d T-2.5.6-l", "a window of none", closed_window});
  out.push_back({"T-2.5.6-p", "a window counts frames", window_in_frames});
  out.push_back({"T-2.5.6-k", "more messages than its window", window_reopens});
  out.push_back({"T-2.5.6-e", "a burst beyond its window", burst_beyond_window});
  out.push_back({"T-2.7.1-k", "a channel above its channel-max", channel_above_max});
  out.push_back({"T-2.7.2-d T-2.7.2-e", "a handle above its handle-max", handle_above_max});
  out.push_back({"T-2.7.1-f", "a frame above its max-frame-size", oversized_frame});
  out.push_back({"T-2.7.4-g T-2.7.4-h T-2.7.4-i T-2.7.4-j T-2.7.4-m", "echoes", echoes});
  out.push_back({"T-2.7.2-b T-2.5.6-o", "its first transfer-id", next_outgoing_is_first});
  out.push_back({"T-2.5.2-b", "the end of a session with unsettled deliveries",
                 [](test& t) { loss_releases(t, true); }});
  out.push_back({"T-2.4.3-h", "the loss of a connection with unsettled deliveries",
                 [](test& t) { loss_releases(t, false); }});
}

}  // namespace whimbrel::conformance
