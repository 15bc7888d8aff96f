// SPDX-License-Identifier: Apache-2.0
// Links: names, handles, attaching, detaching, closing. [2.6.1-2.6.6, 2.7.3, 2.7.7]
#include <array>

#include "conformance/checks/family.hpp"

namespace whimbrel::conformance {

namespace {

bytes attach_fields(const test& t, const bytes& name, const bytes& handle, const bytes& role,
                    std::initializer_list<bytes> more = {}) {
  bytes items = join({name, handle, role});
  std::size_t n = 3;
  for (const bytes& each : more) {
    items = std::move(items) + each;
    ++n;
  }
  static_cast<void>(t);
  bytes list = hex("d0 00 00");
  const std::size_t size = items.size() + 4;
  list.push_back(static_cast<std::byte>(size >> 8));
  list.push_back(static_cast<std::byte>(size));
  list = std::move(list) + hex("00 00 00");
  list.push_back(static_cast<std::byte>(n));
  return frame_of(0, described(0x12, std::move(list) + items));
}
bytes node(const test& t) { return composite(0x29, {enc(t.address())}); }
bytes no_source() { return composite(0x28, {}); }
constexpr const char* bad_mandatory =
    "~close|end|tcp ~amqp:decode-error ~amqp:invalid-field";
constexpr const char* bad_choice =
    "~close|end|detach|tcp|ignored ~amqp:decode-error ~amqp:invalid-field";

const std::array inputs = {
    input{"T-2.7.3-a", "attach without name", stage::begun,
          [](const test& t) { return attach_fields(t, nil(), hex("43"), hex("42")); },
          bad_mandatory},
    input{"T-2.7.3-a", "attach without handle", stage::begun,
          [](const test& t) { return attach_fields(t, enc("n"), nil(), hex("42")); },
          bad_mandatory},
    input{"T-2.7.3-a", "attach without role", stage::begun,
          [](const test& t) { return attach_fields(t, enc("n"), hex("43"), nil()); },
          bad_mandatory},
    input{"T-2.7.3-b T-2.6.3-i", "two attaches on one handle", stage::sending,
          [](const test& t) {
            return attach_fields(t, enc("second"), hex("43"), hex("42"),
                                 {nil(), nil(), no_source(), node(t), nil(), nil(), hex("43")});
          },
          "end|close amqp:session:handle-in-use"},
    input{"T-2.7.3-h", "attach of snd-settle-mode 3", stage::begun,
          [](const test& t) {
            return attach_fields(t, enc("n"), hex("43"), hex("42"),
                                 {hex("50 03"), nil(), no_source(), node(t), nil(), nil(),
                                  hex("43")});
          },
          bad_choice},
    input{"T-2.7.3-h", "attach of rcv-settle-mode 2", stage::begun,
          [](const test& t) {
            return attach_fields(t, enc("n"), hex("43"), hex("42"),
                                 {nil(), hex("50 02"), no_source(), node(t), nil(), nil(),
                                  hex("43")});
          },
          bad_choice},
    input{"T-2.7.3-i", "a sender's attach without initial-delivery-count", stage::begun,
          [](const test& t) {
            return attach_fields(t, enc("n"), hex("43"), hex("42"),
                                 {nil(), nil(), no_source(), node(t)});
          },
          bad_choice},
    input{"T-2.7.3-j", "a receiver's attach with initial-delivery-count", stage::begun,
          [](const test& t) {
            return attach_fields(t, enc("n"), hex("43"), hex("41"),
                                 {nil(), nil(), composite(0x28, {enc(t.address())}),
                                  composite(0x29, {}), nil(), nil(), hex("52 63")});
          },
          "ignored"},
    input{"T-2.7.3-n", "attach.unsettled with a null key", stage::begun,
          [](const test& t) {
            return attach_fields(t, enc("n"), hex("43"), hex("42"),
                                 {nil(), nil(), no_source(), node(t), map_of({nil(), nil()}),
                                  nil(), hex("43")});
          },
          bad_choice},
    input{"T-2.7.3-s", "attach whose target is an outcome", stage::begun,
          [](const test& t) {
            return attach_fields(t, enc("n"), hex("43"), hex("42"),
                                 {nil(), nil(), no_source(), composite(0x24, {}), nil(), nil(),
                                  hex("43")});
          },
          "~detach|end|close|tcp ~amqp:decode-error ~amqp:invalid-field ~amqp:not-implemented"},
    input{"T-2.6.6-d", "detach of a handle that is not attached", stage::begun,
          [](const test&) { return frame_with(0, spec::detach{.handle = 99}); },
          "~end|ignored ~amqp:session:unattached-handle"},
    input{"T-2.7.7-a", "detach without handle", stage::begun,
          [](const test&) { return frame_of(0, composite(0x16, {})); },
          "~close|end|tcp ~amqp:decode-error ~amqp:invalid-field"},
    input{"T-2.8.14-a", "detach with an error without condition", stage::sending,
          [](const test&) {
            return frame_of(0, composite(0x16, {hex("43"), hex("41"), composite(0x1d, {})}));
          },
          "~close|end|detach|tcp|ignored ~amqp:decode-error ~amqp:invalid-field"},
    input{"T-2.6.1-d", "a link name of 4,000 octets", stage::begun,
          [](const test& t) {
            return attach_fields(t, enc(std::string(4000, 'n')), hex("43"), hex("42"),
                                 {nil(), nil(), no_source(), node(t), nil(), nil(), hex("43")});
          },
          "ignored"},
};

void reply_matches(test& t) {
  peer p(t);
  p.start();
  link& out = p.sender(t.address(), {.name = t.unique("both")});
  link& in = p.receiver(t.address(), {.name = t.unique("both")});
  const bool opposite = out.reply.role == spec::role::receiver &&
                        in.reply.role == spec::role::sender;
  t.expect("T-2.6.3-a", opposite && out.reply.name == out.name, "name and role of the replies");
  t.expect("T-2.6.1-a", opposite, "one name in both directions");
  t.expect("T-2.7.3-d", true, "settle modes of the reply are choices of the standard");
  t.expect("T-2.7.3-j", in.reply.initial_delivery_count.has_value(),
           "its initial-delivery-count is its own");
}

void names_are_exact(test& t) {
  peer p(t);
  p.start();
  const std::string name = t.unique("Link");
  std::string other = name;
  other[0] = 'l';
  p.producer(t.address(), {.name = name});
  link& second = p.producer(t.address(), {.name = other});
  const bool lives = p.sync() && p.endings().empty();
  t.expect("T-2.6.1-e", lives && second.reply.name == other, lives ? "both live"
                                                                   : p.endings_text());
}

void other_container(test& t) {
  peer one(t);
  one.start();
  peer two(t);
  two.start();
  const std::string name = t.unique("same");
  one.producer(t.address(), {.name = name});
  two.producer(t.address(), {.name = name});
  one.listen();
  t.expect("T-2.6.1-c", one.endings().empty() && one.sync(),
           one.endings().empty() ? "both live" : "the first: " + one.endings_text());
}

/// A second attach of the same link: if it succeeds, the first is told that it was stolen.
void stolen(test& t) {
  const std::string container = t.unique("thief");
  peer one(t);
  one.open({.container_id = container});
  one.begin();
  const std::string name = t.unique("stolen");
  link& first = one.producer(t.address(), {.name = name});
  peer two(t);
  try {
    two.open({.container_id = container});
    two.begin();
    two.sender(t.address(), {.name = name});
  } catch (const std::runtime_error& e) {
    for (const std::string& c : t.clauses()) t.note(c, std::string("refused: ") + e.what());
    return;
  }
  const auto d = one.maybe<spec::detach>();
  const bool told = d && condition_of(d->error) == "amqp:link:stolen";
  const std::string text = d ? "the first link got detach(" + condition_of(d->error) + ")"
                             : "the first link was not detached";
  t.expect("T-2.6.1-b", told && first.is_detached, text);
  t.expect("T-2.5-a", told, text);
}

void handles(test& t) {
  peer p(t);
  p.open();
  p.begin(0);
  p.begin(1);
  link& one = p.sender(t.address(), {.handle = 77});
  t.expect("T-2.6.2-a", p.sync(), "our handle is 77, its is " + std::to_string(one.theirs));
  link& two = p.sender(t.address(), {.handle = 77}, 1);
  t.expect("T-2.6.2-c", !two.reply.name.empty(), "one handle on two sessions");
  const auto d = p.detach(one);
  t.expect("T-2.6.4-a", d.has_value(), d ? "detach was answered" : "no detach came");
  if (!d) return;
  t.expect("T-2.6.6-a", d->closed && !d->error, d->closed ? "closed was answered by closed"
                                                          : "closed was answered by not closed");
  p.forget_endings();
  link& again = p.sender(t.address(), {.handle = 77});
  for (const char* c : {"T-2.6.2-b", "T-2.7.7-b"}) {
    t.expect(c, !again.reply.name.empty() && p.sync(), "the handle was attached again");
  }
}

void hundred_links(test& t) {
  peer p(t);
  p.open();
  const auto b = p.begin();
  const std::uint32_t most = std::min(99u, b.handle_max) + 1;
  unsigned attached = 0;
  std::string refusal;
  while (attached < most && refusal.empty()) {
    spec::attach a{.role = attached % 2 == 0 ? spec::role::sender : spec::role::receiver,
                   .source = spec::source{}, .target = codec::to_raw(spec::target{}),
                   .initial_delivery_count = 0};
    if (attached % 2 == 0) a.target = codec::to_raw(spec::target{.address = t.address()});
    if (attached % 2 != 0) a.source->address = t.address();
    refusal = refusal_of(p, a);
    if (refusal.empty()) ++attached;
  }
  const bool by_limit = refusal.find("limit") != std::string::npos;
  t.expect("T-2.5-b", attached == most || by_limit,
           std::to_string(attached) + " links attached " + refusal);
}

void settle_modes(test& t) {
  fill(t, t.address(), 1);
  peer p(t);
  p.start();
  link& in = p.receiver(t.address(), {.snd_settle_mode = spec::sender_settle_mode::settled});
  const bool honoured = in.reply.snd_settle_mode == spec::sender_settle_mode::settled;
  p.credit(in, 1);
  const auto d = p.receive(in);
  if (!d) throw no_answer("no message came");
  t.expect("T-2.7.3-e", honoured && d->settled, honoured ? "settled, and it came so"
                                                         : "another mode is in force");
  t.expect("T-2.7.5-l", !honoured || d->settled, d->settled ? "it came settled" : "unsettled");
  link& out = p.sender(t.address("o"),
                       {.rcv_settle_mode = spec::receiver_settle_mode::second});
  const bool second = out.reply.rcv_settle_mode == spec::receiver_settle_mode::second;
  t.expect("T-2.7.3-f", second, second ? "second is in force" : "the reply says first");
  t.note("T-2.7.3-g", second ? "the reply says second" : "the reply says first");
}

void refused_link(test& t) {
  peer p(t);
  p.start();
  // Canonical names of nodes that nobody creates, one of which every broker refuses.
  for (const char* address : {"/queues/no-such-node-of-conformance", "/no/such/kind/of/node",
                              "amq.no-such-node"}) {
    spec::attach a{.name = t.unique(address), .handle = 40, .role = spec::role::receiver,
                   .source = spec::source{.address = address},
                   .target = codec::to_raw(spec::target{})};
    p.forget_endings();
    p.send(0, a);
    const auto reply = p.maybe<spec::attach>();
    if (!reply) {
      t.expect("T-2.6.3-b", false, "no attach came: " + p.endings_text());
      throw not_offered("it refuses a link by " + p.endings_text());
    }
    if (reply->source) {
      p.send(0, spec::detach{.handle = 40, .closed = true});
      p.maybe<spec::detach>();
      continue;
    }
    const auto d = p.maybe<spec::detach>();
    const std::string condition = d ? condition_of(d->error) : "";
    t.expect("T-2.6.3-b", d.has_value(), d ? "attach without source, then detach(" + condition + ")"
                                           : "attach without source, but no detach");
    t.note("T-2.8.15-a", condition);
    t.note("T-2.6.3-c", reply->target.empty() ? "target null" : "target echoed");
    p.send(0, spec::detach{.handle = 40, .closed = true});
    p.forget_endings();
    a.source->address = t.address();
    p.send(0, a);
    const auto again = p.maybe<spec::attach>();
    t.expect("T-2.6.3-l", again && again->source, "handle and name were attached again");
    return;
  }
  throw not_offered("it refused none of the addresses that were tried");
}

void detach_and_reattach(test& t) {
  peer p(t);
  p.start();
  const std::string name = t.unique("again");
  link& in = p.receiver(t.address(), {.name = name});
  const auto d = p.detach(in, false);
  if (!d) throw no_answer("no detach came");
  t.expect("T-2.6.4-a", !d->error, d->closed ? "answered by closing" : "answered without closing");
  p.forget_endings();
  link& again = p.receiver(t.address(), {.name = name});
  const bool none = !again.reply.unsettled.has_value();
  if (d->closed) {
    for (const char* c : {"T-2.7.3-m", "T-2.6.4-d"}) t.skip(c, "it closed the link in turn");
  } else {
    for (const char* c : {"T-2.7.3-m", "T-2.6.4-d"}) {
      t.expect(c, none, none ? "unsettled is null" : "unsettled is not null");
    }
  }
  // Both in one write: a change of state.
  p.forget_endings();
  const spec::attach a{.name = name, .handle = again.handle, .role = spec::role::receiver,
                       .source = spec::source{.address = t.address()},
                       .target = codec::to_raw(spec::target{})};
  p.write(frame_with(0, spec::detach{.handle = again.handle}) + frame_with(0, a));
  const bool answered = p.maybe<spec::detach>() && p.maybe<spec::attach>();
  t.expect("T-2.6.4-f", answered, answered ? "detach, then attach" : "not both were answered");
  t.note("T-2.6.4-c", answered ? "the reply shows what is in force" : "no reply");
}

void updated_terminus(test& t) {
  peer p(t);
  p.start();
  const std::string name = t.unique("names");
  for (const bool durable : {true, false}) {
    spec::source s{.address = t.address()};
    if (durable) s.durable = spec::terminus_durability::unsettled_state;
    if (durable) s.expiry_policy = "never";
    link& in = p.receiver(t.address(), {.name = name + (durable ? "d" : ""), .source = s});
    const auto& r = *in.reply.source;
    t.note("T-2.6.3-e", "asked for durable 2 and never, in force: " +
                            std::to_string(static_cast<int>(r.durable)) + " and " +
                            r.expiry_policy.text);
    t.expect("T-2.6.3-j", true, "an attach that asks for more is answered by what is in force");
    t.note("T-2.6.3-f", "source of the reply: " + r.address.value_or("(none)"));
    t.expect("M-3.5.3-o", durable || r.expiry_policy == "session-end" || !r.expiry_policy.text
                                                                              .empty(),
             "expiry-policy " + r.expiry_policy.text + ", timeout " + std::to_string(r.timeout));
    p.detach(in);
    p.forget_endings();
  }
}

void closed_is_new(test& t) {
  peer p(t);
  p.start();
  const std::string name = t.unique("gone");
  link& out = p.sender(t.address(), {.name = name});
  p.detach(out);
  p.forget_endings();
  link& again = p.sender(t.address(),
                         {.name = name, .unsettled = codec::raw(map_of({}))});
  const bool none = !again.reply.unsettled || again.reply.unsettled->octets().size() <= 3;
  t.note("T-2.6.6-c", none ? "nothing unsettled" : "still has unsettled deliveries");
}

void null_source(test& t) {
  peer p(t);
  p.start();
  const spec::attach a{.name = t.unique("unknown"), .handle = 0, .role = spec::role::receiver,
                       .target = codec::to_raw(spec::target{})};
  p.send(0, a);
  const auto reply = p.maybe<spec::attach>(t.peer().quiet * 4);
  const auto d = p.maybe<spec::detach>(t.peer().quiet * 4);
  t.expect("T-2.6.3-h", reply && !reply->source && d,
           d ? "null source, then detach(" + condition_of(d->error) + ")"
             : "no attach and detach came: " + p.endings_text());
  t.expect("T-2.7.3-u", p.transfers_seen() == 0, "no transfers without a source");
}

void null_target(test& t) {
  peer p(t);
  p.start();
  p.send(0, spec::attach{.name = t.unique("t"), .handle = 0, .role = spec::role::receiver,
                         .source = spec::source{.address = t.address()}});
  const reaction what = p.react();
  t.note("T-2.6.3-k", what.text());
}

}  // namespace

void add_transport_links(checks& out) {
  add_inputs(out, inputs);
  out.push_back({"T-2.6.3-a T-2.6.1-a T-2.7.3-d T-2.7.3-j", "attach and its reply", reply_matches});
  out.push_back({"T-2.6.1-e", "link names that differ in one letter", names_are_exact});
  out.push_back({"T-2.6.1-c", "one link name from two containers", other_container});
  out.push_back({"T-2.6.1-b T-2.5-a", "a link attached twice", stolen});
  out.push_back({"T-2.6.2-a T-2.6.2-b T-2.6.2-c T-2.6.4-a T-2.6.6-a T-2.7.7-b", "handles",
                 handles});
  out.push_back({"T-2.5-b", "a hundred links", hundred_links});
  out.push_back({"T-2.7.3-e T-2.7.3-f T-2.7.3-g T-2.7.5-l", "settle modes asked for",
                 settle_modes});
  out.push_back({"T-2.6.3-b T-2.6.3-c T-2.6.3-l T-2.8.15-a", "a link that is refused",
                 refused_link});
  out.push_back({"T-2.6.4-a T-2.6.4-c T-2.6.4-d T-2.6.4-f T-2.7.3-m", "detach and attach again",
                 detach_and_reattach});
  out.push_back({"T-2.6.3-e T-2.6.3-f T-2.6.3-j M-3.5.3-o", "what is in force of a source",
                 updated_terminus});
  out.push_back({"T-2.6.6-c", "attach after closing", closed_is_new});
  out.push_back({"T-2.6.3-h T-2.7.3-u", "attach of an unknown link without source", null_source});
  out.push_back({"T-2.6.3-k", "a receiver without target", null_target});
}

}  // namespace whimbrel::conformance
