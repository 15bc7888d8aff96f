// SPDX-License-Identifier: Apache-2.0
// Sources and targets: fields, filters, dynamic nodes. [3.5]
#include <array>

#include "conformance/checks/family.hpp"

namespace whimbrel::conformance {

namespace {

bytes receiver_of(const bytes& source) {
  return frame_of(0, composite(0x12, {enc("n"), hex("43"), hex("41"), nil(), nil(), source,
                                      composite(0x29, {})}));
}
bytes sender_to(const bytes& target) {
  return frame_of(0, composite(0x12, {enc("n"), hex("43"), hex("42"), nil(), nil(),
                                      composite(0x28, {}), target, nil(), nil(), hex("43")}));
}
/// A source by position: address, durable, expiry, timeout, dynamic, properties, mode, filter,
/// default-outcome, outcomes.
bytes source(const test& t, std::initializer_list<bytes> more) {
  bytes items = enc(t.address());
  std::size_t n = 1;
  for (const bytes& each : more) {
    items = std::move(items) + each;
    ++n;
  }
  bytes list = hex("c0");
  list.push_back(static_cast<std::byte>(items.size() + 1));
  list.push_back(static_cast<std::byte>(n));
  return described(0x28, std::move(list) + items);
}

constexpr const char* bad = "~detach|end|close|tcp|ignored ~amqp:invalid-field ~amqp:decode-error "
                            "~amqp:not-implemented ~amqp:not-allowed";

const std::array inputs = {
    input{"M-3.5.7-a", "distribution-mode bogus", stage::begun,
          [](const test& t) {
            return receiver_of(source(t, {nil(), nil(), nil(), nil(), nil(), sym("bogus")}));
          },
          bad},
    input{"M-3.5.8-a", "a filter that is not described", stage::begun,
          [](const test& t) {
            return receiver_of(source(t, {nil(), nil(), nil(), nil(), nil(), nil(),
                                          map_of({sym("f"), enc("x")})}));
          },
          bad},
    input{"M-3.5.8-c", "a filter of null", stage::begun,
          [](const test& t) {
            return receiver_of(source(t, {nil(), nil(), nil(), nil(), nil(), nil(),
                                          map_of({sym("f"), nil()})}));
          },
          "ignored"},
    input{"M-3.5.3-a", "a dynamic source with an address", stage::begun,
          [](const test& t) { return receiver_of(source(t, {nil(), nil(), nil(), hex("41")})); },
          bad},
    input{"M-3.5.3-d", "dynamic-node-properties of a source that is not dynamic", stage::begun,
          [](const test& t) {
            return receiver_of(source(t, {nil(), nil(), nil(), nil(),
                                          map_of({sym("lifetime-policy"), composite(0x2b, {})})}));
          },
          bad},
    input{"M-3.5.3-k", "a default-outcome that is no outcome", stage::begun,
          [](const test& t) {
            return receiver_of(source(t, {nil(), nil(), nil(), nil(), nil(), nil(), nil(),
                                          composite(0x23, {hex("43"), hex("44")})}));
          },
          bad},
    input{"M-3.5.3-l", "outcomes that lists no outcome", stage::begun,
          [](const test& t) {
            return receiver_of(source(t, {nil(), nil(), nil(), nil(), nil(), nil(), nil(), nil(),
                                          sym("accepted")}));
          },
          bad},
    input{"M-3.5.3-p", "a default-outcome without outcomes", stage::begun,
          [](const test& t) {
            return receiver_of(source(t, {nil(), nil(), nil(), nil(), nil(), nil(), nil(),
                                          composite(0x26, {})}));
          },
          "ignored"},
    input{"M-3.5.3-n", "a sender with a source of no fields", stage::begun,
          [](const test& t) { return sender_to(composite(0x29, {enc(t.address())})); }, "ignored"},
    input{"M-3.5.5-b", "durable 3", stage::begun,
          [](const test& t) { return receiver_of(source(t, {hex("52 03")})); }, bad},
    input{"M-3.5.6-f", "expiry-policy x", stage::begun,
          [](const test& t) { return receiver_of(source(t, {nil(), sym("x")})); }, bad},
    input{"M-3.5.4-a", "a dynamic target with an address", stage::begun,
          [](const test& t) {
            return sender_to(composite(0x29, {enc(t.address()), nil(), nil(), nil(), hex("41")}));
          },
          bad},
    input{"M-3.5.4-c", "dynamic-node-properties of a target that is not dynamic", stage::begun,
          [](const test& t) {
            return sender_to(composite(
                0x29, {enc(t.address()), nil(), nil(), nil(), nil(),
                       map_of({sym("lifetime-policy"), composite(0x2b, {})})}));
          },
          bad},
    input{"M-3.5.4-d", "a target without address", stage::begun,
          [](const test&) { return sender_to(composite(0x29, {})); },
          "~detach|ignored ~amqp:not-found ~amqp:invalid-field ~amqp:not-implemented "
          "~amqp:not-allowed"},
    input{"M-3.5.9-a", "a lifetime-policy that is a symbol", stage::begun,
          [](const test&) {
            return receiver_of(composite(0x28, {nil(), nil(), nil(), nil(), hex("41"),
                                                map_of({sym("lifetime-policy"), sym("x")})}));
          },
          bad},
    input{"M-3.5.9-b", "supported-dist-modes that is a number", stage::begun,
          [](const test&) {
            return receiver_of(
                composite(0x28, {nil(), nil(), nil(), nil(), hex("41"),
                                 map_of({sym("supported-dist-modes"), hex("52 01")})}));
          },
          bad},
};

codec::map selector(const char* text) {
  return map_with({{codec::value(symbol("apache.org:selector-filter:string")),
                    codec::value(codec::described(codec::value(std::uint64_t{0x0000468c00000004}),
                                                  codec::value(std::string(text))))}});
}

void filters(test& t) {
  const std::string address = t.address();
  peer p(t);
  p.start();
  const codec::map unknown = map_with(
      {{codec::value(symbol("x:unknown")),
        codec::value(codec::described(codec::value(symbol("x:unknown-filter")),
                                      codec::value(std::string("x"))))}});
  const std::string refused = refusal_of(
      p, {.name = t.unique("unknown"), .role = spec::role::receiver,
          .source = spec::source{.address = address, .filter = unknown},
          .target = codec::to_raw(spec::target{})});
  for (const char* c : {"M-3.5.8-e", "M-3.5.3-h"}) {
    t.expect(c, true, refused.empty() ? "the link was made" : refused);
  }
  p.forget_endings();
  if (refused.empty()) {
    link& in = p.receiver(address, {.source = spec::source{.address = address,
                                                           .filter = unknown}});
    const auto& f = in.reply.source->filter;
    const bool claimed = f && f->contains("x:unknown");
    const std::string text = claimed ? "it claims a filter that nobody knows" : "it left it out";
    for (const char* c : {"M-3.5.8-e", "M-3.5.3-h"}) t.expect(c, !claimed, text);
    t.note("M-3.5.8-d", "capabilities of the source: " +
                            std::to_string(in.reply.source->capabilities.size()));
    p.detach(in);
    p.forget_endings();
  }
  link& in = p.receiver(address, {.source = spec::source{.address = address,
                                                         .filter = selector("kind = 'a'")}});
  const auto& applied = in.reply.source->filter;
  if (!applied || !applied->contains("apache.org:selector-filter:string")) {
    throw not_offered("it applies no selector");
  }
  link& out = p.producer(address);
  for (std::size_t i = 0; i < 6; ++i) {
    p.publish(out, described(0x74, map_of({enc("kind"), enc(i % 2 == 0 ? "a" : "b")})) +
                       numbered("f", i));
  }
  p.credit(in, 10);
  const auto came = p.receive_all(in, 10);
  bool right = came.size() == 3;
  for (const delivery& d : came) {
    const bool is_a = annotations_in(d.message, 0x74).get<std::string>("kind") == "a";
    right = right && is_a;
    p.settle(d.id, accepted);
  }
  t.expect("M-3.5.1-b", right, std::to_string(came.size()) + " of 3 that match came");
  p.credit(in, 10);
  const std::size_t more = p.receive_all(in, 10, t.peer().quiet).size();
  t.expect("M-3.5.1-a", more == 0, std::to_string(more) + " more came later");
}

void capabilities(test& t) {
  peer p(t);
  p.start();
  link& in = p.receiver(t.address(), {.source = spec::source{.address = t.address(),
                                                             .capabilities = {"x-unknown"}}});
  t.note("M-3.5.4-e", in.reply.source->capabilities.contains("x-unknown")
                          ? "an unknown capability was echoed"
                          : "an unknown capability was left out");
}

}  // namespace

void add_messaging_termini(checks& out) {
  add_inputs(out, inputs);
  out.push_back({"M-3.5.8-e M-3.5.3-h M-3.5.8-d M-3.5.1-a M-3.5.1-b", "filters", filters});
  out.push_back({"M-3.5.4-e", "capabilities of a source", capabilities});
}

}  // namespace whimbrel::conformance
