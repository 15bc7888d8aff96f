// SPDX-License-Identifier: Apache-2.0
// Part 1 by what a peer makes of encodings, legal and not. What it emits itself is judged over all
// frames, see wire/strict.cpp. [1.2-1.6]
#include <array>

#include "conformance/checks/family.hpp"

namespace whimbrel::conformance {

namespace {

bytes open_of(std::initializer_list<bytes> fields) { return frame_of(0, composite(0x10, fields)); }
bytes id() { return enc("types"); }
bytes open_with_properties(const bytes& map) {
  return open_of({id(), nil(), nil(), nil(), nil(), nil(), nil(), nil(), nil(), map});
}
bytes open_with_offered(const bytes& value) {
  return open_of({id(), nil(), nil(), nil(), nil(), nil(), nil(), value});
}
bytes open_with_desired(const bytes& value) {
  return open_of({id(), nil(), nil(), nil(), nil(), nil(), nil(), nil(), value});
}
/// An attach of a sender on handle 0 with single fields replaced.
bytes attach_of(const test& t, const bytes& name, const bytes& handle, const bytes& role,
                const bytes& source = composite(0x28, {})) {
  return frame_of(0, composite(0x12, {name, handle, role, nil(), nil(), source,
                                      composite(0x29, {enc(t.address())}), nil(), nil(),
                                      enc(std::uint32_t{0})}));
}
bytes zero() { return enc(std::uint32_t{0}); }
bytes sender() { return hex("42"); }
bytes name() { return enc("n"); }

constexpr const char* bad_open = "~close|tcp|ignored ~amqp:decode-error ~amqp:invalid-field";
constexpr const char* bad_in_session =
    "~close|end|tcp|ignored ~amqp:decode-error ~amqp:invalid-field ~amqp:not-implemented";

const std::array legal_opens = {
    input{"Y-1.1.2-a", "unknown descriptor in open.properties", stage::header,
          [](const test&) {
            return open_with_properties(
                map_of({sym("x-thing"), described_by("acme:x", enc("text"))}));
          },
          "ignored"},
    input{"Y-1.4-b", "open of one element", stage::header,
          [](const test&) { return open_of({id()}); }, "ignored"},
    input{"Y-1.4-c", "open with nulls between", stage::header,
          [](const test&) {
            return open_of({id(), nil(), nil(), hex("60 00 0a")});
          },
          "ignored"},
    input{"Y-1.4-e", "open.offered-capabilities as one bare symbol", stage::header,
          [](const test&) { return open_with_offered(sym("x")); }, "ignored"},
    input{"Y-1.4-e Y-1.2.4-a", "open.offered-capabilities as an array", stage::header,
          [](const test&) { return open_with_offered(hex("e0 06 02 a3 01 78 01 79")); }, "ignored"},
    input{"Y-1.4-f Y-1.2.4-f", "open.desired-capabilities as an array of none", stage::header,
          [](const test&) { return open_with_desired(hex("e0 02 00 a3")); }, "ignored"},
    input{"Y-1.4-f", "open.desired-capabilities as null", stage::header,
          [](const test&) { return open_with_desired(nil()); }, "ignored"},
    input{"Y-1.5-a", "open by its symbolic descriptor", stage::header,
          [](const test&) { return frame_of(0, described_by("amqp:open:list", list_of({id()}))); },
          "ignored"},
    input{"Y-1.5-b", "open by its descriptor as a ulong of eight octets", stage::header,
          [](const test&) {
            return frame_of(0, join({hex("00 80 00 00 00 00 00 00 00 10"), list_of({id()})}));
          },
          "ignored"},
    input{"Y-1.2.2-c", "open.container-id as str32", stage::header,
          [](const test&) { return open_of({hex("b1 00 00 00 03 61 62 63")}); }, "ignored"},
    input{"Y-1.2.4-g", "open as list32 with map32, array32 and sym32", stage::header,
          [](const test&) {
            const bytes array = hex("f0 00 00 00 0a 00 00 00 01 b3 00 00 00 01 78");
            const bytes map = hex("d1 00 00 00 0b 00 00 00 02 b3 00 00 00 01 78 41");
            const bytes items =
                join({id(), nil(), nil(), nil(), nil(), nil(), nil(), array, nil(), map});
            bytes list = hex("d0 00 00 00");
            list.push_back(static_cast<std::byte>(items.size() + 4));
            return frame_of(0, described(0x10, join({list, hex("00 00 00 0a"), items})));
          },
          "ignored"},
    input{"Y-1.6.20-a", "open.container-id of characters of four octets", stage::header,
          [](const test&) { return open_of({enc("\xf0\x9f\x90\xa6\xf0\x90\x8d\x88")}); },
          "ignored"},
    input{"Y-1.6.4-a", "open.channel-max of 0", stage::header,
          [](const test&) {
            return open_of({id(), nil(), nil(), hex("60 00 00")});
          },
          "ignored"},
    input{"Y-1.6.4-a", "open.channel-max of 65535", stage::header,
          [](const test&) {
            return open_of({id(), nil(), nil(), hex("60 ff ff")});
          },
          "ignored"},
    input{"Y-1.6.1-a", "a null in open.properties", stage::header,
          [](const test&) {
            return open_with_properties(map_of({sym("a"), hex("40")}));
          },
          "ignored"},
    input{"Y-1.6.5-a", "begin with its windows in three widths", stage::opened,
          [](const test&) {
            return frame_of(
                3, composite(0x11, {nil(), hex("43"), hex("52 64"), hex("70 00 00 00 64")}));
          },
          "ignored"},
    input{"Y-1.2.3-a", "attach whose source is a list8 of size one", stage::begun,
          [](const test& t) {
            return attach_of(t, name(), zero(), sender(), hex("00 53 28 c0 01 00"));
          },
          "ignored"},
    input{"Y-1.6.22-a", "attach whose source is a list32 of no items", stage::begun,
          [](const test& t) {
            return attach_of(t, name(), zero(), sender(),
                             hex("00 53 28 d0 00 00 00 04 00 00 00 00"));
          },
          "ignored"},
    input{"Y-1.6.24-a", "source.outcomes as an array of four symbols", stage::begun,
          [](const test& t) {
            const bytes outcomes =
                enc(codec::multiple<symbol>{"amqp:accepted:list", "amqp:rejected:list",
                                            "amqp:released:list", "amqp:modified:list"});
            return attach_of(t, name(), zero(), sender(),
                             composite(0x28, {nil(), nil(), nil(), nil(), nil(), nil(), nil(),
                                              nil(), nil(), outcomes}));
          },
          "ignored"},
};

const std::array bad_opens = {
    input{"Y-1.4-d", "open of no elements", stage::header, [](const test&) { return open_of({}); },
          bad_open},
    input{"Y-1.4-h", "open.max-frame-size as a string", stage::header,
          [](const test&) {
            return open_of({id(), nil(), enc("512")});
          },
          bad_open},
    input{"Y-1.4-h", "open.offered-capabilities as an array of strings", stage::header,
          [](const test&) { return open_with_offered(hex("e0 04 01 a1 01 78")); }, bad_open},
    input{"Y-1.2.3-b", "open whose list claims one octet too many", stage::header,
          [](const test&) { return frame_of(0, hex("00 53 10 c0 05 01 a1 01 78")); }, bad_open},
    input{"Y-1.2.3-b", "open whose list claims one octet too few", stage::header,
          [](const test&) { return frame_of(0, hex("00 53 10 c0 03 01 a1 02 78 79")); }, bad_open},
    input{"Y-1.2.3-c", "open of a list that counts nine items and has one", stage::header,
          [](const test&) { return frame_of(0, hex("00 53 10 c0 04 09 a1 01 78")); }, bad_open},
    input{"Y-1.2.4-f", "open.desired-capabilities as an array without constructor", stage::header,
          [](const test&) { return open_with_desired(hex("e0 01 00")); }, bad_open},
    input{"Y-1.2-c", "open.container-id under the format code a2", stage::header,
          [](const test&) { return open_of({hex("a2 01 78")}); },
          "~close|tcp ~amqp:decode-error ~amqp:invalid-field"},
    input{"Y-1.6.20-b", "open.container-id that is not UTF-8", stage::header,
          [](const test&) { return open_of({hex("a1 02 c0 80")}); }, bad_open},
    input{"Y-1.6.21-a", "open.desired-capabilities that is not ASCII", stage::header,
          [](const test&) { return open_with_desired(hex("a3 02 c3 a4")); }, bad_open},
    input{"Y-1.6.23-a", "open.properties of three items", stage::header,
          [](const test&) {
            return open_with_properties(map_of({sym("a"), hex("41"), sym("b")}));
          },
          bad_open},
    input{"Y-1.6.23-b", "open.properties with a key twice", stage::header,
          [](const test&) {
            return open_with_properties(map_of({sym("a"), hex("54 01"), sym("a"), hex("54 02")}));
          },
          bad_open},
    input{"Y-1.5-d", "a frame of the descriptor 0x19", stage::opened,
          [](const test&) { return frame_of(0, composite(0x19, {})); },
          "~close|tcp ~amqp:decode-error ~amqp:not-implemented ~amqp:not-allowed "
          "~amqp:connection:framing-error"},
    input{"Y-1.4-i", "close of two elements", stage::opened,
          [](const test&) {
            return frame_of(0, composite(0x18, {nil(), enc("more")}));
          },
          "~close|tcp|ignored"},
    input{"Y-1.4-d", "begin of no elements", stage::opened,
          [](const test&) { return frame_of(3, composite(0x11, {})); },
          "~close|end|tcp|ignored ~amqp:decode-error ~amqp:invalid-field"},
};

const std::array bad_in_sessions = {
    input{"Y-1.4-d", "attach of no elements", stage::begun,
          [](const test&) { return frame_of(0, composite(0x12, {})); }, bad_in_session},
    input{"Y-1.4-d", "flow of no elements", stage::begun,
          [](const test&) { return frame_of(0, composite(0x13, {})); }, bad_in_session},
    input{"Y-1.3.4-b", "attach.target as an outcome", stage::begun,
          [](const test&) {
            return frame_of(
                0, composite(0x12, {name(), zero(), sender(), nil(), nil(), composite(0x28, {}),
                                    composite(0x24, {}), nil(), nil(), zero()}));
          },
          "~detach|end|close|tcp|ignored ~amqp:decode-error ~amqp:invalid-field "
          "~amqp:not-implemented"},
    input{"Y-1.2.2-b", "attach.name that runs past the frame", stage::begun,
          [](const test&) {
            return frame_of(0, join({hex("00 53 12 c0 06 03"), hex("a1 ff 61 62 63")}));
          },
          "~end|close|tcp ~amqp:decode-error ~amqp:invalid-field"},
    input{"Y-1.2-c", "attach.handle under the format code 62", stage::begun,
          [](const test& t) { return attach_of(t, name(), hex("62 00 01"), sender()); },
          "~end|close|tcp ~amqp:decode-error ~amqp:invalid-field"},
    input{"Y-1.2-c", "attach.handle under the format code 57", stage::begun,
          [](const test& t) { return attach_of(t, name(), hex("57 00"), sender()); },
          "~end|close|tcp ~amqp:decode-error ~amqp:invalid-field"},
    input{"Y-1.2-c", "attach.name under the format code c2", stage::begun,
          [](const test& t) { return attach_of(t, hex("c2 01 00"), zero(), sender()); },
          "~end|close|tcp ~amqp:decode-error ~amqp:invalid-field"},
    input{"Y-1.6.2-b", "attach.role as the boolean 56 02", stage::begun,
          [](const test& t) { return attach_of(t, name(), zero(), hex("56 02")); }, bad_in_session},
    input{"Y-1.6.23-a", "source.filter of one item", stage::begun,
          [](const test& t) {
            return attach_of(t, name(), zero(), sender(),
                             composite(0x28, {nil(), nil(), nil(), nil(), nil(), nil(), nil(),
                                              map_of({sym("f")})}));
          },
          "~detach|close|end|tcp|ignored ~amqp:decode-error ~amqp:invalid-field"},
    input{"Y-1.4-h", "attach.name as a symbol", stage::begun,
          [](const test& t) { return attach_of(t, sym("n"), zero(), sender()); }, bad_in_session},
};

/// attach.role in each encoding of a boolean: the reply has the opposite role.
void role_forms(test& t) {
  peer p(t);
  p.start();
  const std::array forms = {hex("42"), hex("56 00"), hex("41"), hex("56 01")};
  for (std::size_t i = 0; i < forms.size(); ++i) {
    const bool sends = i < 2;
    const std::string link_name = "role-" + std::to_string(i);
    const bytes ours = composite(0x28, {enc(t.address())});
    const bytes node = composite(0x29, {enc(t.address())});
    p.write(frame_of(
        0, composite(0x12, {enc(link_name), enc(static_cast<std::uint32_t>(i)), forms[i], nil(),
                            nil(), ours, node, nil(), nil(), sends ? zero() : nil()})));
    const auto reply = p.expect<spec::attach>();
    const bool opposite = (reply.role == spec::role::receiver) == sends;
    t.expect("Y-1.6.2-a", opposite && reply.name == link_name,
             "role " + to_hex(forms[i]) + (opposite ? " was understood" : " was mistaken"));
  }
}

/// begin.next-outgoing-id in network order comes back in a flow.
void byte_order(test& t) {
  peer p(t);
  p.open();
  auto b = peer::usual_begin();
  b.next_outgoing_id = 0x01020304;
  p.begin(0, b);
  const link& out = p.producer(t.address());
  const spec::flow f = out.flow.value_or(spec::flow{});
  const bool same = f.next_incoming_id == 0x01020304u;
  t.expect_all(same,
               same ? "01 02 03 04 came back as the same number"
                    : "01 02 03 04 came back as " + std::to_string(f.next_incoming_id.value_or(0)));
}

/// Fields by their place, defaults for those left out: a small max-frame-size is kept.
void fields_by_place(test& t) {
  const std::string address = t.address();
  {
    peer p(t);
    p.start();
    p.publish(p.producer(address), data_message(std::string(2000, 'x')));
  }
  peer p(t);
  p.open({.max_frame_size = 512});
  p.begin();
  link& in = p.receiver(address);
  p.credit(in, 1);
  const auto d = p.receive(in);
  if (!d) throw no_answer("the message did not come");
  const std::string text =
      "a message of 2,000 octets came in " + std::to_string(d->frames) + " frames";
  const bool well = d->frames >= 4 && d->message.size() > 2000;
  for (const char* clause : {"Y-1.4-a", "T-2.6.14-e", "T-2.4.1-e"}) t.expect(clause, well, text);
}

/// Each carrier of an outcome's empty list settles.
void list_carriers(test& t) {
  const std::string address = t.address();
  fill(t, address, 3);
  const std::array forms = {hex("00 53 24 45"), hex("00 53 24 c0 01 00"),
                            hex("00 53 24 d0 00 00 00 04 00 00 00 00")};
  {
    peer p(t);
    p.start();
    link& in = p.receiver(address);
    p.credit(in, 3);
    const auto all = p.receive_all(in, 3);
    if (all.size() != 3) throw not_set_up("not all messages came");
    for (std::size_t i = 0; i < 3; ++i) p.settle(all[i].id, codec::raw(forms[i]));
    if (!p.sync()) throw no_answer("no answer after the dispositions " + p.endings_text());
  }
  const auto left = take(t, address, 3);
  t.expect_all(left.empty(), std::to_string(left.size()) + " of 3 messages came again");
}

/// A detach with closed left out, null or false is answered alike.
void closed_default(test& t) {
  std::vector<std::string> answers;
  for (const bytes& closed : {bytes{}, hex("40"), hex("42"), hex("56 00")}) {
    peer p(t);
    p.start();
    p.sender(t.address());
    p.write(frame_of(
        0, closed.empty() ? composite(0x16, {zero()}) : composite(0x16, {zero(), closed})));
    const auto reply = p.expect<spec::detach>();
    answers.push_back(std::string(reply.closed ? "closed" : "not closed") + " " +
                      condition_of(reply.error));
  }
  bool same = true;
  for (const std::string& a : answers) same = same && a == answers.front();
  t.expect_all(same, same ? "all were answered " + answers.front() : "answers differ");
}

}  // namespace

void add_types(checks& out) {
  add_inputs(out, legal_opens);
  add_inputs(out, bad_opens);
  add_inputs(out, bad_in_sessions);
  out.push_back({"Y-1.6.2-a", "attach.role in each form of a boolean", role_forms});
  out.push_back({"Y-1.2.1-b", "octets of a number in network order", byte_order});
  out.push_back(
      {"Y-1.4-a T-2.6.14-e T-2.4.1-e", "a client of frames of 512 octets", fields_by_place});
  out.push_back({"Y-1.4-j", "an outcome as list0, list8 and list32", list_carriers});
  out.push_back({"Y-1.3.4-a", "detach.closed by default", closed_default});
}

}  // namespace whimbrel::conformance
