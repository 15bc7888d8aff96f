// SPDX-License-Identifier: Apache-2.0
// Messages as octets: sections, their order, annotations. [3.2]
#include <array>

#include "conformance/checks/family.hpp"

namespace whimbrel::conformance {

namespace {

bytes body() { return data_message("x"); }
bytes app(const bytes& map) { return described(0x74, map) + body(); }
bytes props(std::initializer_list<bytes> fields) {
  return described(0x73, list_of(fields)) + body();
}

const std::array rows = {
    relay_row{"M-3.2-a O-0.2-k M-3.2-j O-0.1-a", "long forms of strings and numbers",
              [] {
                return described(0x73, list_of({hex("80 00 00 00 00 00 00 00 07"), nil(), nil(),
                                                hex("b1 00 00 00 01 73")})) +
                       app(map_of({hex("b1 00 00 00 01 6b"), hex("70 00 00 00 01")}));
              }},
    relay_row{"M-3.2-e", "three data sections", [] { return body() + body() + body(); }},
    relay_row{"M-3.2-e M-3.2.7-a", "three sequences",
              [] {
                const bytes one = described(0x76, list_of({enc("a"), list_of({hex("41")})}));
                return one + one + one;
              }},
    relay_row{"M-3.2-e M-3.2.8-a", "an amqp-value of null", [] { return value_message(nil()); }},
    relay_row{"M-3.2.6-a", "data of no octets", [] { return hex("00 53 75 a0 00"); }},
    relay_row{"M-3.2-h", "sections by their symbolic descriptors",
              [] {
                return described_by("amqp:properties:list", list_of({enc("id")})) +
                       described_by("amqp:data:binary", hex("a0 01 78"));
              }},
    relay_row{"M-3.2.4-a M-3.2.4-e M-3.2.4-j", "all properties but user-id",
              [] {
                return props({enc("m-1"), nil(), enc("somewhere"), enc("subject"), enc("back"),
                              enc("c-1"), sym("text/plain"), sym("gzip"),
                              hex("83 00 00 01 ff ff ff ff ff"), hex("83 00 00 01 8b cf e5 68 00"),
                              enc("group"), hex("70 ff ff ff ff"), enc("group-back")});
              }},
    relay_row{"M-3.2.4-b", "message-id of each type: string",
              [] { return props({enc("text-id")}); }},
    relay_row{"M-3.2.4-b", "message-id of each type: binary",
              [] { return props({hex("a0 02 00 ff")}); }},
    relay_row{"M-3.2.4-b", "message-id as an int", [] { return props({hex("54 05")}); }, true},
    relay_row{"M-3.2.4-d", "user-id of somebody else",
              [] {
                return props({nil(), enc(binary("somebody"))});
              },
              true},
    relay_row{"M-3.2.5-a", "application-properties with a symbol as key",
              [] {
                return app(map_of({sym("k"), hex("41")}));
              },
              true},
    relay_row{"M-3.2.5-b", "application-properties with a list as value",
              [] {
                return app(map_of({enc("k"), list_of({hex("41")})}));
              },
              true},
    relay_row{"M-3.2.5-c", "application-properties with a null value",
              [] {
                return app(map_of({enc("k"), nil()}));
              }},
    relay_row{"M-3.2-c", "properties behind the body",
              [] { return body() + described(0x73, list_of({enc("late")})); }, true},
    relay_row{"M-3.2-d", "two properties sections",
              [] {
                const bytes one = described(0x73, list_of({enc("id")}));
                return one + one + body();
              },
              true},
    relay_row{"M-3.2-f", "data and an amqp-value", [] { return body() + value_message(nil()); },
              true},
    relay_row{"M-3.2-f", "two amqp-values",
              [] { return value_message(nil()) + value_message(nil()); }, true},
    relay_row{"M-3.2-g", "properties without body",
              [] { return described(0x73, list_of({enc("id")})); }, true},
    relay_row{"M-3.2-i", "a section of descriptor 0x79",
              [] { return body() + described(0x79, list_of({})); }, true},
    relay_row{"M-3.2-l", "a data section that holds a string",
              [] { return described(0x75, enc("text")); }, true},
    relay_row{"M-3.2-l", "properties that are a map",
              [] { return described(0x73, map_of({})) + body(); }, true},
    relay_row{"M-3.2.10-a", "message-annotations with a string as key",
              [] {
                return described(0x72, map_of({enc("k"), hex("41")})) + body();
              },
              true},
    relay_row{"M-3.2.2-b", "delivery-annotation rejected that holds no error",
              [] {
                return described(0x71, map_of({sym("rejected"), enc("why")})) + body();
              },
              true},
    relay_row{"M-3.2.10-d", "message-annotation x-foo that is not understood",
              [] {
                return described(0x72, map_of({sym("x-foo-9d1c"), hex("41")})) + body();
              },
              true},
    relay_row{"M-3.2.10-c", "message-annotation x-opt-foo",
              [] {
                return described(0x72, map_of({sym("x-opt-foo"), hex("41")})) + body();
              }},
    relay_row{"M-3.2.2-c M-3.2.3-b", "annotations that are empty maps",
              [] { return described(0x71, map_of({})) + described(0x72, map_of({})) + body(); }},
};

relayed carried(test& t, const bytes& message) {
  relayed r = relay(t, message);
  if (r.is_refused) throw no_answer("refused: " + r.why.text());
  if (!r.came) throw no_answer("it never came back");
  return r;
}

bool has(const bytes& message, std::uint64_t code, const char* key) {
  return annotations_in(message, code).contains(key);
}

void nothing_added(test& t) {
  const auto r = carried(t, body());
  bool ordered = true;
  bool once = true;
  std::uint64_t last = 0;
  std::set<std::uint64_t> seen;
  for (const auto& [code, octets] : sections_of(r.came->message)) {
    ordered = ordered && code >= last;
    once = once && (seen.insert(code).second || (code >= 0x75 && code <= 0x77));
    last = code;
  }
  const bool bare = bare_of(r.came->message) == body();
  t.expect("M-3.2-b", bare, bare ? "no section was added to the bare message" : "sections added");
  t.expect("M-3.2-c", ordered, "sections of its own output in order");
  t.expect("M-3.2-d", once, "each section of its own output once");
  std::size_t bodies = 0;
  for (const auto& [code, octets] : sections_of(r.came->message)) {
    bodies += code >= 0x75 && code <= 0x77 ? 1u : 0u;
  }
  t.expect("M-3.2-f", bodies == 1, std::to_string(bodies) + " body sections of one sent");
  const spec::header h = header_in(r.came->message);
  // A node may have its own default of durable.
  const bool usual = h.priority == 4 && h.delivery_count == 0 && !h.ttl;
  t.expect("M-3.2.1-a", usual, usual ? "defaults" : to_hex(section(r.came->message, 0x70)));
  t.expect("M-3.2.1-m", h.delivery_count == 0,
           "delivery-count " + std::to_string(h.delivery_count) + " at the first delivery");
  t.note("M-3.2.1-n",
         section(r.came->message, 0x70).empty() ? "no header was added" : "a header was added");
}

void annotations_travel(test& t) {
  const bytes sent = described(0x71, map_of({sym("x-opt-d"), hex("54 01")})) +
                     described(0x72, map_of({sym("x-opt-m"), hex("54 01")})) + body() +
                     described(0x78, map_of({sym("x-opt-h"), hex("54 01")}));
  const auto r = carried(t, sent);
  const bytes& came = r.came->message;
  const bool kept = has(came, 0x72, "x-opt-m");
  t.expect("M-3.2.3-a", kept, kept ? "message-annotations came" : "message-annotations were lost");
  const bool passed = has(came, 0x71, "x-opt-d");
  t.expect("M-3.2.2-a", !passed,
           passed ? "delivery-annotations were passed on" : "delivery-annotations stayed");
  const bool footer = !section(came, 0x78).empty();
  t.note("M-3.2-k", footer ? "the footer came" : "the footer was dropped");
  bool registered = true;
  for (const std::uint64_t code : {std::uint64_t{0x71}, std::uint64_t{0x72}}) {
    for (const auto& [key, mapped] : annotations_in(came, code)) {
      const auto name = key.text().value_or("");
      registered = registered && key.is<symbol>() && name.starts_with("x-");
    }
  }
  for (const char* c : {"M-3.2.10-a", "M-3.2.10-e"}) {
    t.expect(c, registered, "keys of the annotations that came are symbols that begin with x-");
  }
}

void same_id_twice(test& t) {
  const std::string address = t.address();
  peer p(t);
  p.start();
  link& out = p.producer(address);
  for (int i = 0; i < 2; ++i) p.publish(out, props({enc("the-same-id")}));
  t.note("M-3.2.4-c", std::to_string(take(t, address, 2).size()) + " of 2 messages of one id");
}

void expired(test& t) {
  const std::string address = t.address();
  peer p(t);
  p.start();
  link& out = p.producer(address);
  const std::uint32_t id = p.transfer(out, props({nil(), nil(), nil(), nil(), nil(), nil(), nil(),
                                                  nil(), hex("83 00 00 00 00 00 00 00 01")}));
  const auto told = p.outcome(id);
  const std::size_t n = take(t, address, 1).size();
  t.note("M-3.2.4-i", std::string(told ? state_text(told->state) : "no outcome") + ", " +
                          (n == 1 ? "delivered" : "not delivered"));
}

}  // namespace

void add_messaging_format(checks& out) {
  add_relays(out, rows);
  out.push_back({"M-3.2-b M-3.2-c M-3.2-d M-3.2-f M-3.2.1-a M-3.2.1-m M-3.2.1-n",
                 "a message of a body alone", nothing_added});
  out.push_back({"M-3.2.3-a M-3.2.2-a M-3.2-k M-3.2.10-a M-3.2.10-e", "annotations and footer",
                 annotations_travel});
  out.push_back({"M-3.2.4-c", "a message-id twice", same_id_twice});
  out.push_back({"M-3.2.4-i", "an absolute-expiry-time in the past", expired});
}

}  // namespace whimbrel::conformance
