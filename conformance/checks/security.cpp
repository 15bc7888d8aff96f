// SPDX-License-Identifier: Apache-2.0
// Security layers: TLS by protocol header, SASL. [5]
#include <array>

#include "amqp/sasl/plain.hpp"
#include "conformance/checks/family.hpp"

namespace whimbrel::conformance {

namespace {

bytes sasl_frame(const bytes& body) { return frame_of(0, body, {.type = 1}); }
bytes anonymous_init() {
  return enc(spec::sasl_init{.mechanism = symbol("ANONYMOUS"), .initial_response = binary("x")});
}

bool offers(const test& t, std::string_view mechanism) {
  const auto& all = t.peer().mechanisms;
  return std::find(all.begin(), all.end(), mechanism) != all.end();
}

void need_sasl(const test& t) {
  if (!t.peer().has_sasl) throw not_offered("the peer speaks no SASL");
}

/// A login that works by the mechanism of the run, as octets to change.
spec::sasl_init good_init(const test& t) {
  spec::sasl_init init{.mechanism = symbol("ANONYMOUS"), .initial_response = binary("x")};
  if (!t.peer().user.empty()) {
    init.mechanism = symbol("PLAIN");
    init.initial_response = binary(amqp::sasl::encode_plain(
        {.authzid = "", .authcid = t.peer().user, .passwd = t.peer().password}));
  } else if (!offers(t, "ANONYMOUS")) {
    throw not_offered("no ANONYMOUS, and no user was given");
  }
  return init;
}

void negotiate(peer& p) {
  p.header(3);
  const auto h = p.read_header();
  if (!h || *h != header_of(3)) throw no_answer("no SASL header came back");
  if (!p.maybe<spec::sasl_mechanisms>()) throw no_answer("no sasl-mechanisms came");
}

void offer(test& t) {
  need_sasl(t);
  peer p(t);
  p.header(3);
  const auto h = p.read_header();
  t.expect("S-5.3-a", h && *h == header_of(3), h ? to_hex(*h) : "no header came back");
  const auto m = p.maybe<spec::sasl_mechanisms>();
  t.expect("S-5.3.2-a", m.has_value(), m ? "mechanisms came unasked" : "no mechanisms came");
  if (!m) return;
  std::string names;
  for (const symbol& each : m->sasl_server_mechanisms) names += each.text + " ";
  for (const char* c : {"S-5.3.3.1-a", "Y-1.4-g"}) t.expect(c, !names.empty(), names);
  t.note("S-5.3.3.1-c", names);
  const bool anonymous = m->sasl_server_mechanisms.contains("ANONYMOUS");
  if (t.peer().takes_bare_amqp) t.expect("S-5.3.3.1-b", anonymous, names);
  if (!t.peer().takes_bare_amqp) t.skip("S-5.3.3.1-b", "it demands authentication");
  const bool both = m->sasl_server_mechanisms.contains("PLAIN") &&
                    m->sasl_server_mechanisms.contains("SCRAM-SHA-1");
  t.note("O-0.2-h", both ? "PLAIN and SCRAM-SHA-1 are offered" : "offered: " + names);
  t.note("O-0.2-e", "SASL is offered");
}

void login(test& t) {
  need_sasl(t);
  for (const bool with_host : {true, false}) {
    peer p(t);
    negotiate(p);
    auto init = good_init(t);
    if (with_host) init.hostname = t.peer().host;
    p.send_sasl(init);
    const auto o = p.maybe<spec::sasl_outcome>();
    const bool ok = o && o->code == spec::sasl_code::ok;
    if (!ok) return t.expect_all(false, "the login was refused");
    if (!with_host) t.expect("S-5.3.3.2-e", ok, "init without hostname");
    p.header();
    const auto h = p.read_header();
    t.expect("S-5.3.3.5-a", h && *h == header_of(0), "protocol header behind the outcome");
    p.send(0, spec::open{.container_id = t.unique("sasl")});
    t.expect("S-5.3.2-d", p.maybe<spec::open>().has_value(), "open behind the login");
  }
}

/// The header of the frame says things that are ignored.
void odd_frames(test& t) {
  need_sasl(t);
  const auto init = enc(good_init(t));
  peer channel(t);
  negotiate(channel);
  channel.write(frame_of(0x1234, init, {.type = 1}));
  auto o = channel.maybe<spec::sasl_outcome>();
  t.expect("S-5.3.1-a", o && o->code == spec::sasl_code::ok, "octets 6-7 of 0x1234");
  peer extended(t);
  negotiate(extended);
  extended.write(frame_of(0, init, {.type = 1, .doff = 4}));
  o = extended.maybe<spec::sasl_outcome>();
  t.expect("S-5.3.1-b", o && o->code == spec::sasl_code::ok, "DOFF 4");
}

/// Whether the peer lets us in after these octets: it must not.
void refused(test& t, const bytes& octets) {
  need_sasl(t);
  peer p(t);
  negotiate(p);
  p.write(octets);
  const auto o = p.maybe<spec::sasl_outcome>();
  if (o && o->code == spec::sasl_code::ok) return t.expect_all(false, "authenticated by it");
  const bool ended = p.ends(t.peer().timeout);
  if (o)
    return t.expect_all(
        ended, ended ? "sasl-outcome(failure), then the end" : "sasl-outcome(failure), but no end");
  t.expect_all(ended, ended ? "dropped the connection" : "neither answered nor ended anything");
}

struct refused_row {
  const char* clauses = "";
  const char* title = "";
  bytes (*make)(const test& t) = nullptr;
};

const std::array refused_rows = {
    refused_row{"S-5.3.1-e", "an empty SASL frame",
                [](const test&) { return hex("00 00 00 08 02 01 00 00"); }},
    refused_row{"S-5.3.1-d", "an open in a SASL frame",
                [](const test&) { return sasl_frame(enc(spec::open{.container_id = "x"})); }},
    refused_row{"S-5.3.1-f", "an AMQP frame during SASL",
                [](const test&) { return frame_with(0, spec::open{.container_id = "x"}); }},
    refused_row{"S-5.3.2-c", "sasl-outcome from the client",
                [](const test&) { return sasl_frame(enc(spec::sasl_outcome{})); }},
    refused_row{"S-5.3.2-c", "sasl-mechanisms from the client",
                [](const test&) { return sasl_frame(enc(spec::sasl_mechanisms{{"ANONYMOUS"}})); }},
    refused_row{"S-5.3.2-d", "sasl-response before init",
                [](const test&) { return sasl_frame(enc(spec::sasl_response{binary("x")})); }},
    refused_row{
        "S-5.3.3.2-a", "a mechanism that is not offered",
        [](const test&) { return sasl_frame(enc(spec::sasl_init{.mechanism = symbol("BOGUS")})); }},
    refused_row{"S-5.3.3.2-c", "init without mechanism",
                [](const test&) { return sasl_frame(composite(0x41, {})); }},
};

void two_in_one(test& t) {
  need_sasl(t);
  peer p(t);
  negotiate(p);
  p.write(sasl_frame(anonymous_init() + anonymous_init()));
  const auto o = p.maybe<spec::sasl_outcome>();
  const bool in = o && o->code == spec::sasl_code::ok;
  t.expect("S-5.3.1-d", !in, in ? "authenticated by a frame of two values" : "refused");
}

void wrong_password(test& t) {
  if (!offers(t, "PLAIN")) throw not_offered("PLAIN is not offered");
  peer p(t);
  negotiate(p);
  const spec::sasl_init init{
      .mechanism = symbol("PLAIN"),
      .initial_response = binary(amqp::sasl::encode_plain(
          {.authzid = "", .authcid = "no-such-user", .passwd = "no such password"}))};
  p.write(sasl_frame(enc(init)) + header_of(0) +
          frame_with(0, spec::open{.container_id = "never"}));
  const auto o = p.maybe<spec::sasl_outcome>();
  const bool failed = o && o->code != spec::sasl_code::ok;
  const bool ended = p.ends();
  t.expect("S-5.3.3.5-b", failed && ended && !o->additional_data,
           !o      ? "no outcome came"
           : ended ? "outcome, then the end"
                   : "outcome, but no end");
  t.expect("S-5.1-a", failed && ended, ended ? "the stream ended behind the outcome" : "no end");
  t.expect("S-5.3.2-f", p.theirs().container_id.empty(), "the open behind it was not answered");
}

void bad_plain(test& t) {
  if (!offers(t, "PLAIN")) throw not_offered("PLAIN is not offered");
  const spec::sasl_init init{.mechanism = symbol("PLAIN"), .initial_response = binary("xyz")};
  refused(t, sasl_frame(enc(init)));
}

void long_init(test& t) {
  if (!offers(t, "PLAIN")) throw not_offered("PLAIN is not offered");
  peer p(t);
  negotiate(p);
  spec::sasl_init init{.mechanism = symbol("PLAIN")};
  std::string password(380, 'p');
  bytes frame;
  while (frame.size() < 512) {
    password += 'p';
    init.initial_response = binary(
        amqp::sasl::encode_plain({.authzid = "", .authcid = "no-such-user", .passwd = password}));
    frame = sasl_frame(enc(init));
  }
  p.write(frame);
  const auto o = p.maybe<spec::sasl_outcome>();
  t.expect(
      "S-5.3.1-c", o.has_value(),
      o ? "a sasl-init of 512 octets was answered" : "a sasl-init of 512 octets was not answered");
}

void no_initial_response(test& t) {
  if (!offers(t, "PLAIN")) throw not_offered("PLAIN is not offered");
  peer p(t);
  negotiate(p);
  p.send_sasl(spec::sasl_init{.mechanism = symbol("PLAIN")});
  const auto f = p.next();
  if (f && f->as<spec::sasl_challenge>() != nullptr) {
    p.write(sasl_frame(composite(0x43, {})));
    const auto o = p.maybe<spec::sasl_outcome>();
    const bool in = o && o->code == spec::sasl_code::ok;
    t.expect("S-5.3.3.4-a", !in, in ? "authenticated by an empty response" : "refused");
    t.note("S-5.3.3.2-d", "answered by a challenge");
    t.expect("S-5.3.3.3-a", true, "the challenge holds octets, or none");
    return;
  }
  const bool in = f && f->as<spec::sasl_outcome>() != nullptr &&
                  f->as<spec::sasl_outcome>()->code == spec::sasl_code::ok;
  t.expect("S-5.3.3.2-d", !in, f ? "answered by an outcome" : "dropped");
  for (const char* c : {"S-5.3.3.4-a", "S-5.3.3.3-a"}) t.skip(c, "it sends no challenge");
}

void bare_on_secured(test& t) {
  if (t.peer().takes_bare_amqp) throw not_offered("the peer takes AMQP without a security layer");
  peer p(t);
  p.write(header_of(0) + frame_with(0, spec::open{.container_id = "x"}));
  const auto h = p.read_header();
  const bool fits = h && (*h == header_of(3) || *h == header_of(2));
  t.expect_all(fits && p.ends() && p.theirs().container_id.empty(),
               h ? to_hex(*h) + ", then the end" : "no header came back");
}

void tls_header(test& t) {
  peer p(t);
  p.header(2);
  const auto h = p.read_header();
  if (h && *h == header_of(2)) return t.note("S-5.2-a", "TLS by the protocol header is offered");
  const bool ended = p.ends();
  t.expect("S-5.2-a", h && ended,
           h ? "not offered: " + to_hex(*h) + (ended ? ", then the end" : ", but no end")
             : "no header came back");
}

}  // namespace

void add_security(checks& out) {
  out.push_back({"S-5.3-a S-5.3.2-a S-5.3.3.1-a Y-1.4-g S-5.3.3.1-b S-5.3.3.1-c O-0.2-h O-0.2-e",
                 "what the server offers", offer});
  out.push_back({"S-5.3.3.2-e S-5.3.3.5-a S-5.3.2-d", "a login", login});
  out.push_back({"S-5.3.1-a S-5.3.1-b", "SASL frames with odd headers", odd_frames});
  for (const refused_row& row : refused_rows) {
    out.push_back({row.clauses, row.title, [row](test& t) { refused(t, row.make(t)); }});
  }
  out.push_back({"S-5.3.1-d", "two performatives in a SASL frame", two_in_one});
  out.push_back(
      {"S-5.3.3.5-b S-5.1-a S-5.3.2-f", "a wrong password, with frames behind", wrong_password});
  out.push_back({"S-5.3.3.2-f", "PLAIN without its NULs", bad_plain});
  out.push_back({"S-5.3.1-c", "a sasl-init of 512 octets", long_init});
  out.push_back({"S-5.3.3.2-d S-5.3.3.4-a S-5.3.3.3-a", "PLAIN without initial-response",
                 no_initial_response});
  out.push_back({"S-5.3.2-e T-2.2-h", "AMQP where a security layer is demanded", bare_on_secured});
  out.push_back({"S-5.2-a", "TLS by the protocol header", tls_header});
}

}  // namespace whimbrel::conformance
