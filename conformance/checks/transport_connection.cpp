// SPDX-License-Identifier: Apache-2.0
// Protocol headers, frames, opening and closing. [2.2-2.4, 2.7.1, 2.7.9]
#include <array>

#include "conformance/checks/family.hpp"

namespace whimbrel::conformance {

namespace {

struct header_row {
  const char* clauses = "";
  const char* title = "";
  const char* octets = "";  // eight or more, in hex
};

/// Headers that the peer cannot go on with: a header of one that it can, then the end.
const std::array refused_headers = {
    header_row{"T-2.2-e T-2.2-i", "version 1.1.0", "414d5150 00010100"},
    header_row{"T-2.2-e", "version 2.0.0", "414d5150 00020000"},
    header_row{"T-2.2-e", "version 255.0.0", "414d5150 00ff0000"},
    header_row{"T-2.2-e", "version 1.0.9", "414d5150 00010009"},
    header_row{"T-2.2-g", "eight zeros", "00000000 00000000"},
    header_row{"T-2.2-g", "amqp in small letters", "616d7170 00010000"},
    header_row{"T-2.2-g", "octets of no protocol", "deadbeef 01020304"},
    header_row{"T-2.2-h", "protocol id 4", "414d5150 04010000"},
    header_row{"T-2.2-h", "protocol id 255", "414d5150 ff010000"},
    header_row{"S-5.3-b", "SASL of version 2.0.0", "414d5150 03020000"},
    header_row{"S-5.3-b", "SASL of version 1.1.0", "414d5150 03010100"},
    header_row{"S-5.2-g", "TLS of version 2.0.0", "414d5150 02020000"},
};

void refuse_header(test& t, const header_row& row) {
  peer p(t);
  p.write(hex(row.octets));
  const auto answer = p.read_header();
  if (!answer) return t.expect_all(false, "no protocol header came back");
  const bool is_header = std::equal(answer->begin(), answer->begin() + 4,
                                    header_of(0).begin()) &&
                         *answer != hex(row.octets);
  const bool ended = p.ends();
  const bool silent = p.transfers_seen() == 0;
  t.expect_all(is_header && ended && silent,
               to_hex(*answer) + (ended ? ", then the end" : ", but no end of the stream"));
}

void advise_version(test& t) {
  for (const auto& [asked, title] : {std::pair{"414d5150 00000001", "0.0.1"},
                                     std::pair{"414d5150 00090909", "9.9.9"}}) {
    peer p(t);
    p.write(hex(asked));
    const auto answer = p.read_header();
    const bool fits = answer && (*answer == header_of(0) || *answer == header_of(3) ||
                                 *answer == header_of(2));
    t.expect_all(fits, std::string("asked for ") + title + ", got " +
                           (answer ? to_hex(*answer) : "nothing"));
  }
}

void bare_header(test& t) {
  if (!t.peer().takes_bare_amqp) throw not_offered("the peer demands a security layer");
  peer p(t);
  p.header();
  const auto answer = p.read_header();
  const bool same = answer && *answer == header_of(0);
  for (const char* c : {"T-2.2-a", "T-2.2-d", "O-0.2-j"}) {
    t.expect(c, same, same ? "the same header came back" : "another header came back");
  }
}

void header_in_pieces(test& t) {
  peer p(t);
  const bool bare = t.peer().takes_bare_amqp && t.peer().user.empty();
  const bytes whole = header_of(bare ? 0 : 3);
  for (const std::byte octet : whole) p.write(bytes{octet});
  const auto answer = p.read_header();
  t.expect_all(answer && *answer == whole, answer ? "answered " + to_hex(*answer) : "no answer");
}

/// The server may speak first; whatever comes is a header.
void server_first(test& t) {
  peer p(t);
  const auto answer = p.read_header(t.peer().quiet);
  if (answer) p.header(0, 1, 1, 0);
  const bool well = !answer || (p.ends() && (*answer)[0] == std::byte{'A'});
  t.expect("T-2.2-o", well, answer ? "its header came first" : "it waits for ours");
  t.note("T-2.2-c", answer ? "its header came first" : "it waits for ours");
}

void read_on(test& t) {
  peer p(t);
  p.header(0, 1, 1, 0);
  const bool answered = p.read_header().has_value();
  p.write(hex("00 00 00 08 02 00 00 00"));
  p.ends();
  t.note("T-2.2-j", answered ? "the header could be read to its end" : "no header was read");
}

bytes one_write(std::initializer_list<bytes> frames) {
  bytes out;
  for (const bytes& f : frames) out = out + f;
  return out;
}

bytes plain_open(const test& t) {
  return frame_with(0, spec::open{.container_id = t.unique("piped")});
}

void pipelined(test& t) {
  if (!t.peer().takes_bare_amqp) throw not_offered("the peer demands a security layer");
  if (!t.peer().has_node) throw not_offered(t.peer().no_node);
  fill(t, t.address(), 1);
  peer p(t);
  const spec::attach a{.name = t.unique("link"), .role = spec::role::receiver,
                       .source = spec::source{.address = t.address()},
                       .target = codec::to_raw(spec::target{})};
  const spec::flow f{.incoming_window = 100, .next_outgoing_id = 0, .outgoing_window = 100,
                     .handle = 0, .link_credit = 1};
  p.write(one_write({header_of(0), plain_open(t), frame_with(0, peer::usual_begin()),
                     frame_with(0, a), frame_with(0, f)}));
  const auto h = p.read_header();
  if (!h || *h != header_of(0)) throw no_answer("no header came back");
  p.expect<spec::open>();
  p.expect<spec::begin>();
  const auto reply = p.expect<spec::attach>();
  const std::string came = "open, begin and attach were answered in order";
  for (const char* c : {"T-2.4.2-a", "T-2.2-m", "T-2.4.6-d"}) {
    t.expect(c, reply.source.has_value(), came);
  }
  const auto x = p.maybe<spec::transfer>();
  t.expect("T-2.6.7-d", x.has_value(), x ? "a flow without delivery-count gave credit"
                                         : "a flow without delivery-count gave no credit");
  t.expect("T-2.5.6-i", x.has_value(), x ? "a flow without next-incoming-id opened the window"
                                         : "nothing came");
}

void open_and_close(test& t) {
  if (!t.peer().takes_bare_amqp) throw not_offered("the peer demands a security layer");
  peer p(t);
  p.write(one_write({header_of(0), plain_open(t), frame_with(0, spec::close{})}));
  const auto h = p.read_header();
  if (!h) throw no_answer("no header came back");
  p.expect<spec::open>();
  const auto c = p.expect<spec::close>();
  t.expect_all(!c.error, c.error ? "closed with " + condition_of(c.error) : "open, then close");
}

void piped_through_sasl(test& t) {
  if (!t.peer().has_sasl) throw not_offered("the peer speaks no SASL");
  peer p(t);
  const spec::sasl_init init{.mechanism = symbol("ANONYMOUS"), .initial_response = binary("x")};
  p.write(one_write({header_of(3), frame_of(0, enc(init), {.type = 1}), header_of(0),
                     plain_open(t)}));
  const bool answered = p.read_header().has_value();
  t.note("T-2.4.2-c", answered && p.maybe<spec::sasl_outcome>() ? "the login went through"
                                                                : "the peer dropped it");
}

void close_is_answered(test& t) {
  peer p(t);
  p.open();
  p.send(0, spec::close{});
  const auto c = p.expect<spec::close>();
  t.expect("T-2.4.3-a", !c.error, c.error ? condition_of(c.error) : "close was answered");
  p.write(frame_with(0, peer::usual_begin()));
  const auto b = p.maybe<spec::begin>(t.peer().quiet);
  t.expect("T-2.4.3-g", !b, b ? "a begin behind the close was answered" : "silence behind it");
  t.expect("T-2.7.9-a", !b, b ? "frames behind its close" : "nothing behind its close");
}

void close_on_channel(test& t) {
  if (t.peer().channel_max < 3) throw not_offered("its channel-max is below 3");
  peer p(t);
  p.open();
  p.send(3, spec::close{});
  const auto c = p.expect<spec::close>();
  t.expect_all(!c.error, c.error ? condition_of(c.error) : "close on channel 3 was answered");
}

/// Both close at a time: we close while its close for our error is on the way.
void crossing_closes(test& t) {
  peer p(t);
  p.open();
  p.write(one_write({frame_of(0, composite(0x19, {})), frame_with(0, spec::close{})}));
  p.listen();
  std::size_t closes = 0;
  for (const ending& e : p.endings()) closes += e.is == scope::close ? 1 : 0;
  t.expect_all(closes <= 1 && (closes == 1 || p.ends()),
               std::to_string(closes) + " closes came, then " +
                   (p.ends() ? "the end" : "an open stream"));
}

void discards_after_error(test& t) {
  peer p(t);
  p.open();
  p.write(hex("00 00 00 04 02 00 00 00"));
  const auto c = p.maybe<spec::close>();
  if (!c) throw not_offered("it answers a malformed frame without a close");
  p.write(frame_with(0, peer::usual_begin()));
  const auto b = p.maybe<spec::begin>(t.peer().quiet);
  for (const char* id : {"T-2.4.6-a", "T-2.4.6-b"}) {
    t.expect(id, !b, b ? "a begin behind its close was answered" : "silence behind its close");
  }
}

void unanswered_close(test& t) {
  peer p(t);
  p.open();
  p.write(hex("00 00 00 04 02 00 00 00"));
  if (!p.maybe<spec::close>()) throw not_offered("it answers a malformed frame without a close");
  const bool ended = p.ends(milliseconds(20'000));
  t.expect_all(ended, ended ? "it dropped the connection"
                            : "it held the connection for 20 s without our close");
}

void second_open(test& t) {
  peer p(t);
  p.open({.max_frame_size = 4096});
  p.send(0, spec::open{.container_id = t.unique("again"), .max_frame_size = 512});
  const reaction what = p.react_by_begin();
  t.judge("T-2.4.1-f", what,
          "~close|tcp|ignored ~amqp:illegal-state ~amqp:not-allowed "
          "~amqp:connection:framing-error");
  t.note("T-2.8.15-i", what.text());
}

void channels_are_independent(test& t) {
  const auto max = t.peer().channel_max;
  peer p(t);
  p.open();
  for (const std::uint16_t channel : {std::uint16_t{0}, std::uint16_t{5}, max}) {
    if (channel > max) continue;
    const auto b = p.begin(channel);
    const bool same = b.remote_channel == channel;
    const std::string text = "begin on channel " + std::to_string(channel) +
                             (same ? " was answered for it" : " was answered for another");
    t.expect("T-2.4-a", same, text);
    t.expect("T-2.5.1-b", same, text);
    if (channel > 255 || max < 258) continue;
    p.begin(0x0102);
  }
  if (max < 258) return t.note("T-2.3.2-d", "its channel-max is below 258");
  const auto b = p.begin(0x0102);
  t.expect("T-2.3.2-d", b.remote_channel == 0x0102, "begin on channel 0x0102");
}

void long_open(test& t) {
  // An open of exactly 512 octets must pass; one octet more may not.
  for (const std::size_t size : {std::size_t{512}, std::size_t{513}}) {
    peer p(t);
    p.login();
    const std::size_t overhead = 8 + 3 + 9 + 5;  // frame, descriptor, list32, str32
    const bytes id = hex("b1 00 00") +
                     bytes{static_cast<std::byte>((size - overhead) >> 8),
                           static_cast<std::byte>((size - overhead) & 255)} +
                     bytes(size - overhead, std::byte{'o'});
    const auto byte_of = [](std::size_t v, int s) { return static_cast<std::byte>(v >> s); };
    const std::size_t inside = id.size() + 4;
    const bytes list = hex("d0 00 00") + bytes{byte_of(inside, 8), byte_of(inside, 0)} +
                       hex("00 00 00 01") + id;
    p.write(frame_of(0, described(0x10, list)));
    const reaction what = p.react_by_begin();
    if (size == 512) {
      for (const char* c : {"T-2.4.1-d", "T-2.7.1-g"}) t.judge(c, what, "ignored");
    } else {
      t.judge("T-2.4.1-c", what, "~close|tcp|ignored ~amqp:connection:framing-error");
    }
  }
}

const std::array inputs = {
    input{"T-2.2-k", "a frame of size 0 behind the header", stage::header,
          [](const test&) { return hex("00 00 00 00 00 00 00 00"); },
          "close|tcp ~amqp:connection:framing-error ~amqp:decode-error"},
    input{"T-2.3.1-b", "SIZE 0", stage::opened,
          [](const test&) { return hex("00 00 00 00 02 00 00 00"); },
          "~close ~amqp:connection:framing-error"},
    input{"T-2.3.1-b", "SIZE 1", stage::opened,
          [](const test&) { return hex("00 00 00 01 02 00 00 00"); },
          "~close ~amqp:connection:framing-error"},
    input{"T-2.3.1-b", "SIZE 7", stage::opened,
          [](const test&) { return hex("00 00 00 07 02 00 00 00"); },
          "~close ~amqp:connection:framing-error"},
    input{"T-2.3.1-c", "DOFF 0", stage::opened,
          [](const test& t) {
            static_cast<void>(t);
            return frame_of(0, enc(peer::usual_begin()), {.doff = 0});
          },
          "~close ~amqp:connection:framing-error"},
    input{"T-2.3.1-c", "DOFF 1", stage::opened,
          [](const test&) { return frame_of(0, enc(peer::usual_begin()), {.doff = 1}); },
          "~close ~amqp:connection:framing-error"},
    input{"T-2.3.1-d", "DOFF 255 in a frame of 16 octets", stage::opened,
          [](const test&) { return hex("00 00 00 10 ff 00 00 00 00 00 00 00 00 00 00 00"); },
          "~close ~amqp:connection:framing-error"},
    input{"T-2.3.1-e", "open with an extended header", stage::header,
          [](const test& t) {
            return frame_of(0, enc(spec::open{.container_id = t.unique("x")}), {.doff = 4});
          },
          "ignored"},
    input{"T-2.3.1-f", "frame type 2", stage::opened,
          [](const test&) { return frame_of(0, hex("00 53 18 45"), {.type = 2}); },
          "~close|tcp|ignored ~amqp:connection:framing-error ~amqp:not-implemented "
          "~amqp:decode-error"},
    input{"T-2.3.1-f", "frame type 255", stage::opened,
          [](const test&) { return frame_of(0, hex("00 53 18 45"), {.type = 255}); },
          "~close|tcp|ignored ~amqp:connection:framing-error ~amqp:not-implemented "
          "~amqp:decode-error"},
    input{"T-2.3.1-g", "SASL frame behind the open", stage::opened,
          [](const test&) { return frame_of(0, hex("00 53 44 c0 03 01 50 00"), {.type = 1}); },
          "~close|tcp|ignored ~amqp:connection:framing-error ~amqp:not-allowed"},
    input{"T-2.3.2-a", "body of null", stage::opened,
          [](const test&) { return frame_of(0, hex("40")); }, "~close|tcp ~amqp:decode-error"},
    input{"T-2.3.2-a T-2.8.15-c", "body of a string", stage::opened,
          [](const test&) { return frame_of(0, hex("a1 01 78")); },
          "~close|tcp ~amqp:decode-error"},
    input{"T-2.3.2-a", "body of a message section", stage::opened,
          [](const test&) { return frame_of(0, hex("00 53 70 45")); },
          "~close|tcp ~amqp:decode-error ~amqp:not-allowed ~amqp:not-implemented "
          "~amqp:connection:framing-error"},
    input{"T-2.3.2-b", "octets behind a begin", stage::opened,
          [](const test&) { return frame_with(5, peer::usual_begin(), hex("01 02 03")); },
          "~close|end|tcp|ignored"},
    input{"T-2.3.2-c T-2.4.5-f", "empty frame behind the open", stage::opened,
          [](const test&) { return hex("00 00 00 08 02 00 00 00"); }, "ignored"},
    input{"T-2.4.5-f", "empty frame on a mapped channel", stage::begun,
          [](const test&) { return hex("00 00 00 08 02 00 00 00"); }, "ignored"},
    input{"T-2.4.1-a", "begin before open", stage::header,
          [](const test&) { return frame_with(0, peer::usual_begin()); },
          "close|tcp ~amqp:not-allowed ~amqp:illegal-state ~amqp:connection:framing-error"},
    input{"T-2.4.1-b", "open on channel 1", stage::header,
          [](const test& t) { return frame_with(1, spec::open{.container_id = t.unique("x")}); },
          "~close|tcp ~amqp:connection:framing-error ~amqp:not-allowed"},
    input{"T-2.7.1-a", "open without container-id", stage::header,
          [](const test&) { return frame_of(0, hex("00 53 10 c0 02 01 40")); },
          "~close|tcp ~amqp:decode-error ~amqp:invalid-field"},
    input{"T-2.7.1-b", "open without hostname", stage::header,
          [](const test& t) { return frame_with(0, spec::open{.container_id = t.unique("x")}); },
          "ignored"},
    input{"T-2.7.1-c T-2.7.1-t", "open for a host that is not served", stage::header,
          [](const test& t) {
            return frame_with(0, spec::open{.container_id = t.unique("x"),
                                            .hostname = "no.such.host.invalid"});
          },
          "~close|ignored ~amqp:not-found"},
    input{"T-2.7.1-h", "open of max-frame-size 511", stage::header,
          [](const test& t) {
            return frame_with(0, spec::open{.container_id = t.unique("x"), .max_frame_size = 511});
          },
          "~close|tcp|ignored ~amqp:connection:framing-error ~amqp:invalid-field"},
    input{"T-2.7.1-n T-2.7.1-o", "open with locales", stage::header,
          [](const test& t) {
            return frame_with(0, spec::open{.container_id = t.unique("x"),
                                            .incoming_locales = {"xx-YY", "en-US"}});
          },
          "ignored"},
    input{"T-2.7.1-s T-2.8.13-a", "open.properties with a string as key", stage::header,
          [](const test& t) {
            return frame_of(0, composite(0x10, {enc(t.unique("x")), nil(), nil(), nil(), nil(),
                                                nil(), nil(), nil(), nil(),
                                                map_of({enc("x"), hex("41")})}));
          },
          "~close|tcp|ignored ~amqp:decode-error ~amqp:invalid-field"},
};

}  // namespace

void add_transport_connection(checks& out) {
  for (const header_row& row : refused_headers) {
    out.push_back({row.clauses, row.title, [row](test& t) { refuse_header(t, row); }});
  }
  add_inputs(out, inputs);
  out.push_back({"T-2.2-f", "which version is advised", advise_version});
  out.push_back({"T-2.2-a T-2.2-d O-0.2-j", "AMQP without a security layer", bare_header});
  out.push_back({"T-2.2-l", "the header octet by octet", header_in_pieces});
  out.push_back({"T-2.2-c T-2.2-o", "who sends its header first", server_first});
  out.push_back({"T-2.2-j", "reading on after a mismatch", read_on});
  out.push_back({"T-2.4.2-a T-2.2-m T-2.4.6-d T-2.6.7-d T-2.5.6-i", "everything in one write",
                 pipelined});
  out.push_back({"T-2.4.2-b", "header, open and close in one write", open_and_close});
  out.push_back({"T-2.4.2-c", "a pipeline through SASL", piped_through_sasl});
  out.push_back({"T-2.4.3-a T-2.4.3-g T-2.7.9-a", "close is answered", close_is_answered});
  out.push_back({"T-2.4.3-e", "close on channel 3", close_on_channel});
  out.push_back({"T-2.4.4-a", "closes that cross", crossing_closes});
  out.push_back({"T-2.4.6-a T-2.4.6-b", "a begin behind a close with error", discards_after_error});
  out.push_back({"T-2.4.3-d", "a close that is never answered", unanswered_close, true});
  out.push_back({"T-2.4.1-f T-2.8.15-i", "a second open", second_open});
  out.push_back({"T-2.4-a T-2.5.1-b T-2.3.2-d", "sessions on several channels",
                 channels_are_independent});
  out.push_back({"T-2.4.1-d T-2.7.1-g T-2.4.1-c", "an open of 512 octets, and of 513", long_open});
}

}  // namespace whimbrel::conformance
