// SPDX-License-Identifier: Apache-2.0
// Links in error, and what else ends a link. [2.6.5, 2.6.6, 2.7.3, 2.8.15]
#include "conformance/checks/family.hpp"

namespace whimbrel::conformance {

namespace {

/// Largest message that we are ready to exceed.
constexpr std::uint64_t exceeded_max = 4u << 20;

/// Makes the peer detach a link with an error: the second delivery inside an unfinished one.
std::optional<spec::detach> provoke(peer& p, link& out) {
  const bytes message = data_message("abcd");
  p.send(0, spec::transfer{.handle = out.handle, .delivery_id = 0, .delivery_tag = binary("a"),
                           .message_format = 0, .more = true},
         std::span(message).first(3));
  p.send(0, spec::transfer{.handle = out.handle, .delivery_id = 1, .delivery_tag = binary("b"),
                           .message_format = 0},
         message);
  return p.maybe<spec::detach>();
}

void detach_in_error(test& t) {
  peer p(t);
  p.start();
  link& out = p.producer(t.address());
  link& other = p.producer(t.address("other"));
  const auto d = provoke(p, out);
  if (!d) throw not_offered("interleaved deliveries do not make it detach the link");
  t.expect("T-2.6.5-a", d->error.has_value(), "detach(" + condition_of(d->error) + ")");
  t.expect("T-2.7.7-c", d->error && !d->error->condition.text.empty(), condition_of(d->error));
  p.forget_endings();
  const std::uint32_t id = p.transfer(other, data_message("x"), {.delivery_id = 2});
  t.expect("T-2.6.5-a", p.outcome(id).has_value(), "the session's other link lives");
  p.credit(out, 1);
  const reaction what = p.react_by_silence();
  t.judge("T-2.6.5-b", what, "end amqp:session:errant-link");
}

void return_after_error(test& t) {
  peer p(t);
  p.start();
  const std::string name = t.unique("errant");
  link& out = p.producer(t.address(), {.name = name});
  const auto d = provoke(p, out);
  if (!d) throw not_offered("interleaved deliveries do not make it detach the link");
  p.send(0, spec::detach{.handle = out.handle, .closed = d->closed});
  p.forget_endings();
  link& again = p.sender(t.address(), {.name = name, .unsettled = codec::raw(map_of({}))});
  t.expect("T-2.6.5-c", !again.reply.name.empty(), "a resuming attach was answered");
  if (d->closed) return t.skip("T-2.6.5-d", "it closed the link: a new attach is a new link");
  p.detach(again);
  p.forget_endings();
  link& third = p.producer(t.address(), {.name = t.unique("piped")});
  const bytes message = data_message("abcd");
  const spec::transfer a{.handle = third.handle, .delivery_id = 5, .delivery_tag = binary("a"),
                         .message_format = 0, .more = true};
  const spec::transfer b{.handle = third.handle, .delivery_id = 6, .delivery_tag = binary("b"),
                         .message_format = 0};
  const spec::attach re{.name = third.name, .handle = third.handle, .source = spec::source{},
                        .target = codec::to_raw(spec::target{.address = t.address()}),
                        .initial_delivery_count = 0};
  p.write(join({frame_with(0, a, message), frame_with(0, b, message),
                frame_with(0, spec::detach{.handle = third.handle}), frame_with(0, re)}));
  p.expect<spec::detach>();
  p.forget_endings();
  t.judge("T-2.6.5-d", p.react_by_silence(), "end amqp:session:errant-link");
}

void our_error(test& t) {
  peer p(t);
  p.start();
  link& out = p.producer(t.address());
  link& other = p.producer(t.address("other"));
  p.send(0, spec::detach{.handle = out.handle, .closed = true,
                         .error = spec::error{.condition = "amqp:internal-error"}});
  const auto d = p.expect<spec::detach>();
  p.forget_endings();
  const std::uint32_t id = p.transfer(other, data_message("x"));
  t.expect("T-2.6.5-e", d.closed && p.outcome(id), "answered, and the other link lives");
}

void frame_after_detach(test& t) {
  peer p(t);
  p.start();
  link& out = p.producer(t.address());
  p.detach(out);
  p.forget_endings();
  p.credit(out, 1);
  t.judge("T-2.6.4-e", p.react_by_silence(), "end ~amqp:session:unattached-handle");
}

/// We detach without closing while the peer closes: we come back and close.
void crossing_detaches(test& t) {
  peer p(t);
  p.start();
  const std::string name = t.unique("crossing");
  link& out = p.producer(t.address(), {.name = name});
  const bytes message = data_message("abcd");
  const spec::transfer a{.handle = out.handle, .delivery_id = 0, .delivery_tag = binary("a"),
                         .message_format = 0, .more = true};
  const spec::transfer b{.handle = out.handle, .delivery_id = 1, .delivery_tag = binary("b"),
                         .message_format = 0};
  p.write(join({frame_with(0, a, message), frame_with(0, b, message),
                frame_with(0, spec::detach{.handle = out.handle, .closed = false})}));
  const auto d = p.maybe<spec::detach>();
  if (!d) throw not_offered("interleaved deliveries do not make it detach the link");
  if (!d->closed) throw not_offered("it detaches a link in error without closing it");
  p.forget_endings();
  link& again = p.sender(t.address(), {.name = name});
  const auto last = p.detach(again);
  t.expect("T-2.6.6-b", last && last->closed, "attached again and closed");
}

void too_large(test& t) {
  peer p(t);
  p.start();
  link& out = p.producer(t.address());
  const std::uint64_t max = out.reply.max_message_size.value_or(0);
  if (max == 0) throw not_offered("it announces no max-message-size");
  if (max > exceeded_max) {
    throw not_offered("its max-message-size of " + std::to_string(max) + " is too large to exceed");
  }
  p.transfer(out, data_message(std::string(max + 1024, 'x')));
  t.judge("T-2.7.3-k", p.react_by_silence(), "detach amqp:link:message-size-exceeded");
}

void small_receiver(test& t) {
  const std::string address = t.address();
  {
    peer p(t);
    p.start();
    p.publish(p.producer(address), data_message(std::string(200, 'x')));
  }
  peer p(t);
  p.start();
  link& in = p.receiver(address, {.max_message_size = 100});
  p.credit(in, 1);
  const auto d = p.receive(in, t.peer().quiet * 2);
  const bool whole = d && !d->aborted;
  t.expect("T-2.7.3-l", !whole,
           whole ? "a message above our max-message-size came whole"
                 : "it did not come: " + (p.endings().empty() ? "skipped" : p.endings_text()));
  take(t, address, 1);
}

void long_terminus(test& t) {
  peer p(t);
  p.open({.max_frame_size = 512});
  p.begin();
  spec::source s{.address = t.address() + std::string(600, 'q')};
  const spec::attach a{.name = t.unique("long"), .handle = 0, .role = spec::role::receiver,
                       .source = s, .target = codec::to_raw(spec::target{})};
  p.send(0, a);
  const auto f = p.next();
  const bool fits = !f || f->octets.size() <= 512;
  const std::string did = p.endings().empty() ? "answered in a frame that fits" : p.endings_text();
  t.expect("T-2.8.15-j", fits, fits ? did : "a frame of " + std::to_string(f->octets.size()));
}

void wrong_way(test& t) {
  peer p(t);
  p.start();
  link& in = p.receiver(t.address());
  p.send(0, spec::transfer{.handle = in.handle, .delivery_id = 0, .delivery_tag = binary("a"),
                           .message_format = 0},
         data_message("x"));
  const reaction what = p.react();
  t.judge("T-2.7.5-ab", what, "~end|detach|close ~amqp:not-allowed");
  t.note("T-2.8.15-e", what.text());
  t.expect("T-2.7.5-ab", take(t, t.address(), 1).empty(), "nothing was stored; " + what.text());
}

}  // namespace

void add_transport_link_errors(checks& out) {
  out.push_back({"T-2.6.5-a T-2.6.5-b T-2.7.7-c", "a link in error", detach_in_error});
  out.push_back({"T-2.6.5-c T-2.6.5-d", "coming back to a link in error", return_after_error});
  out.push_back({"T-2.6.5-e", "our detach with an error", our_error});
  out.push_back({"T-2.6.4-e", "a flow behind our detach", frame_after_detach});
  out.push_back({"T-2.6.6-b", "detaches that cross", crossing_detaches});
  out.push_back({"T-2.7.3-k", "a message above its max-message-size", too_large});
  out.push_back({"T-2.7.3-l", "a message above our max-message-size", small_receiver});
  out.push_back({"T-2.8.15-j", "a reply that does not fit our frames", long_terminus});
  out.push_back({"T-2.7.5-ab T-2.8.15-e", "a transfer on a receiving link", wrong_way});
}

}  // namespace whimbrel::conformance
