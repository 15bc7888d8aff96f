// SPDX-License-Identifier: Apache-2.0
// Deliveries, their tags, settlement and frames. [2.6.12, 2.6.14, 2.7.5]
#include "conformance/checks/family.hpp"

namespace whimbrel::conformance {

namespace {

using mode = spec::receiver_settle_mode;

void unsettled_is_answered(test& t) {
  peer p(t);
  p.start();
  link& out = p.producer(t.address());
  const std::uint32_t id = p.transfer(out, data_message("x"), {.batchable = true});
  const auto d = p.outcome(id);
  if (!d) throw no_answer("no disposition came");
  const std::string text = state_text(d->state) + (d->settled ? ", settled" : ", unsettled");
  t.expect("T-2.6.12-d", !d->state.empty(), text);
  t.expect("T-2.7.5-z", !d->state.empty(), "batchable: " + text);
  t.expect("T-2.7.6-l", !d->state.empty(), "batchable: " + text);
  const bool first = out.reply.rcv_settle_mode == mode::first;
  if (first) t.expect("T-2.6.12-e", d->settled, text);
}

void second_waits(test& t) {
  peer p(t);
  p.start();
  link& out = p.producer(t.address(), {.rcv_settle_mode = mode::second});
  if (out.reply.rcv_settle_mode != mode::second) throw not_offered("it settles first");
  const std::uint32_t id = p.transfer(out, data_message("x"));
  const auto d = p.outcome(id);
  if (!d) throw no_answer("no disposition came");
  const std::string text = state_text(d->state) + (d->settled ? ", settled" : ", unsettled");
  for (const char* c : {"T-2.6.12-f", "T-2.7.5-q"}) t.expect(c, !d->settled, text);
  p.send(0, spec::disposition{
                .role = spec::role::sender, .first = id, .settled = true, .state = d->state});
  t.expect("T-2.6.12-f", p.sync(), "settled in turn " + p.endings_text());
  const std::uint32_t other = p.transfer(out, data_message("y"), {.rcv_settle_mode = mode::first});
  const auto at_once = p.outcome(other);
  t.expect("T-2.7.5-p", at_once && at_once->settled,
           "a transfer of mode first on a link of mode second");
}

void presettled(test& t) {
  const std::string address = t.address();
  peer p(t);
  p.start();
  link& out = p.producer(address);
  const std::uint32_t id =
      p.transfer(out, data_message("x"), {.settled = true, .rcv_settle_mode = mode::second});
  const auto d = p.outcome(id, t.peer().quiet);
  t.note("T-2.6.12-g", d ? "a disposition came: " + state_text(d->state) : "no disposition");
  t.expect("T-2.7.5-s", p.sync(), "rcv-settle-mode on a settled transfer " + p.endings_text());
  const bool stored = take(t, address, 1).size() == 1;
  t.expect("T-2.7.5-k", stored, stored ? "stored" : "a settled message was not stored");
}

void settled_in_frames(test& t) {
  const std::string address = t.address();
  peer p(t);
  p.start();
  link& out = p.producer(address);
  const bytes m = data_message("abcdefgh");
  const auto half = [&](std::uint32_t id, bool on_first) {
    spec::transfer x{.handle = out.handle,
                     .delivery_id = id,
                     .delivery_tag = binary("t" + std::to_string(id)),
                     .message_format = 0,
                     .more = true};
    if (on_first) x.settled = true;
    p.send(0, x, std::span(m).first(5));
    spec::transfer y{.handle = out.handle};
    if (!on_first) y.settled = true;
    p.send(0, y, std::span(m).subspan(5));
    ++out.delivery_count;
    const auto d = p.outcome(id, t.peer().quiet);
    return !d || d->settled;
  };
  const bool first = half(0, true);
  const bool last = half(1, false);
  const std::size_t n = take(t, address, 2).size();
  t.expect("T-2.7.5-k", first && last && n == 2,
           std::to_string(n) + " of 2 stored, settled on one frame each");
  t.expect("T-2.7.5-c", n > 0, "continuations without delivery-id");
}

void tags(test& t) {
  const std::string address = t.address();
  peer p(t);
  p.start();
  link& one = p.producer(address);
  link& two = p.producer(address);
  p.publish(one, data_message("a"), {.delivery_tag = binary("same")});
  p.publish(one, data_message("b"), {.delivery_tag = binary("same")});
  t.expect("T-2.6.12-b", true, "a tag was used again once settled");
  const std::uint32_t x = p.transfer(one, data_message("c"), {.delivery_tag = binary("both")});
  const std::uint32_t y = p.transfer(two, data_message("d"), {.delivery_tag = binary("both")});
  const bool both = p.outcome(x) && p.outcome(y);
  t.expect("T-2.6.12-c", both, "one tag on two links");
  p.publish(one, data_message("e"), {.delivery_tag = binary("")});
  p.publish(one, data_message("f"), {.delivery_tag = binary(std::string(32, 't'))});
  t.expect("T-2.8.7-a", true, "tags of 0 and of 32 octets");
}

void settlement_is_final(test& t) {
  const std::string address = t.address();
  fill(t, address, 2);
  peer p(t);
  p.start();
  link& in = p.receiver(address);
  p.credit(in, 1);
  const auto d = p.receive(in);
  if (!d) throw not_set_up("no message came");
  p.settle(d->id, accepted);
  p.settle(d->id, accepted);
  t.expect("T-2.6.12-j", p.sync(), "settled twice " + p.endings_text());
  p.settle(d->id, released);
  t.expect("M-3.4-a", p.sync(), "released behind accepted " + p.endings_text());
  const auto left = take(t, address, 5);
  const std::string text = std::to_string(left.size()) + " left of 2, one accepted";
  t.expect("T-2.6.12-j", left.size() == 1, text);
  t.expect("M-3.4-a", left.size() == 1, text);
  t.note("T-2.7.5-u", "a second outcome of ours: " + text);
}

void received_is_no_end(test& t) {
  const std::string address = t.address();
  fill(t, address, 1);
  peer p(t);
  p.start();
  link& in = p.receiver(address);
  p.credit(in, 1);
  const auto d = p.receive(in);
  if (!d) throw not_set_up("no message came");
  p.settle(d->id, state_of(spec::received{.section_number = 0, .section_offset = 0}), false);
  const bool lives = p.sync();
  const std::size_t others = take(t, address, 1).size();
  t.expect("T-2.6.12-h", lives && others == 0,
           !lives        ? "ended by it: " + p.endings_text()
           : others == 0 ? "still held after received"
                         : "given to another");
}

void settled_is_gone(test& t) {
  const std::string address = t.address();
  fill(t, address, 1);
  {
    peer p(t);
    p.start();
    link& in = p.receiver(address, {.snd_settle_mode = spec::sender_settle_mode::settled});
    p.credit(in, 1);
    const auto d = p.receive(in);
    if (!d) throw not_set_up("no message came");
    if (!d->settled) throw not_offered("it does not send settled");
    p.drop();
  }
  const std::size_t left = take(t, address, 1).size();
  t.expect("T-2.6.12-k", left == 0, left == 0 ? "gone" : "it came again");
}

/// One octet a frame, and frames without any.
void split_anywhere(test& t) {
  const std::string address = t.address();
  peer p(t);
  p.start();
  link& out = p.producer(address);
  const bytes m = described(0x73, list_of({enc("split")})) + data_message("abc");
  for (std::size_t cut = 0; cut <= m.size(); ++cut) {
    const auto id = static_cast<std::uint32_t>(cut);
    p.send(0,
           spec::transfer{.handle = out.handle,
                          .delivery_id = id,
                          .delivery_tag = binary("t" + std::to_string(id)),
                          .message_format = 0,
                          .more = true},
           std::span(m).first(cut));
    p.send(0, spec::transfer{.handle = out.handle}, std::span(m).subspan(cut));
    ++out.delivery_count;
    if (!p.outcome(id)) throw no_answer("no outcome, cut at octet " + std::to_string(cut));
  }
  const auto all = take(t, address, m.size() + 1);
  std::size_t same = 0;
  for (const delivery& d : all) same += bare_of(d.message) == m ? 1u : 0u;
  const std::string text = std::to_string(same) + " of " + std::to_string(m.size() + 1) +
                           " messages whole, cut at each octet";
  for (const char* c : {"T-2.6.14-f", "T-2.3.1-h"}) t.expect(c, same == m.size() + 1, text);
}

void interleaved_links(test& t) {
  peer p(t);
  p.start();
  const std::string one = t.address("a");
  const std::string two = t.address("b");
  link& a = p.producer(one);
  link& b = p.producer(two);
  const bytes m = data_message("abcdefgh");
  const auto part = [&](link& l, std::uint32_t id, std::size_t from, std::size_t n, bool more) {
    spec::transfer x{.handle = l.handle, .more = more};
    if (from == 0) {
      x.delivery_id = id;
      x.delivery_tag = binary("t" + std::to_string(id));
      x.message_format = 0;
    }
    p.send(0, x, std::span(m).subspan(from, n));
  };
  part(a, 0, 0, 4, true);
  part(b, 1, 0, 6, true);
  part(a, 0, 4, m.size() - 4, false);
  part(b, 1, 6, m.size() - 6, false);
  const bool answered = p.outcome(0) && p.outcome(1);
  const auto x = take(t, one, 1);
  const auto y = take(t, two, 1);
  const bool whole =
      x.size() == 1 && y.size() == 1 && bare_of(x[0].message) == m && bare_of(y[0].message) == m;
  t.expect("T-2.6.14-c", answered && whole, whole ? "both whole" : "not both are whole");
}

void aborted(test& t, bool with_more) {
  const std::string address = t.address();
  peer p(t);
  p.start();
  link& out = p.producer(address);
  const bytes m = data_message("abcdefgh");
  const std::uint32_t before = p.next_outgoing(0);
  p.send(0,
         spec::transfer{.handle = out.handle,
                        .delivery_id = 0,
                        .delivery_tag = binary("a"),
                        .message_format = 0,
                        .more = true},
         std::span(m).first(4));
  p.send(0, spec::transfer{.handle = out.handle, .more = true}, std::span(m).subspan(4, 2));
  p.send(0, spec::transfer{.handle = out.handle, .more = true}, std::span(m).subspan(6, 1));
  p.send(0, spec::transfer{.handle = out.handle, .more = with_more, .aborted = true},
         std::span(m).subspan(7));
  ++out.delivery_count;
  if (!with_more) {
    p.flow(0, {.handle = out.handle, .delivery_count = out.delivery_count, .echo = true});
    const auto f = p.maybe<spec::flow>();
    const bool counted = f && f->next_incoming_id == before + 4;
    if (f) t.expect("T-2.5.6-n", counted, "four frames with the aborted one");
    if (!f) t.skip("T-2.5.6-n", "it answers no echo on a link");
  }
  p.next_delivery_id = 1;
  const auto told = p.outcome(p.transfer(out, data_message("next")));
  if (!told) return t.expect_all(false, "the next was not answered: " + p.endings_text());
  const auto left = take(t, address, 2);
  const bool well = left.size() == 1 && bare_of(left[0].message) == data_message("next");
  const std::string text = std::to_string(left.size()) + " stored, one whole and one aborted";
  if (with_more) return t.expect_all(well, text);
  for (const char* c : {"T-2.6.14-d", "T-2.7.5-y"}) t.expect(c, well, text);
}

void cut_in_delivery(test& t) {
  const std::string address = t.address();
  {
    peer p(t);
    p.start();
    link& out = p.producer(address);
    p.send(0,
           spec::transfer{.handle = out.handle,
                          .delivery_id = 0,
                          .delivery_tag = binary("a"),
                          .message_format = 0,
                          .more = true},
           data_message("whole, but more was announced"));
    p.sync();
    p.drop();
  }
  const std::size_t n = take(t, address, 1).size();
  t.expect("T-2.6.14-g", n == 0, n == 0 ? "nothing was stored" : "a part was stored");
}

void delivery_ids(test& t) {
  const std::string one = t.address("a");
  const std::string two = t.address("b");
  fill(t, one, 2);
  fill(t, two, 2);
  peer p(t);
  p.start();
  link& a = p.receiver(one);
  link& b = p.receiver(two);
  p.credit(a, 2);
  p.credit(b, 2);
  const auto x = p.receive_all(a, 2);
  const auto y = p.receive_all(b, 2);
  if (x.size() != 2 || y.size() != 2) throw no_answer("not all messages came");
  p.send(0, spec::disposition{.role = spec::role::receiver,
                              .first = std::min(x[0].id, y[0].id),
                              .last = std::max(x[1].id, y[1].id),
                              .settled = true,
                              .state = accepted});
  const bool lives = p.sync();
  const std::size_t left = take(t, one, 2).size() + take(t, two, 2).size();
  t.expect("T-2.7.6-c", lives && left == 0,
           std::to_string(left) + " left of 4, settled in one range over two links");
  const std::set<std::uint32_t> ids = {x[0].id, x[1].id, y[0].id, y[1].id};
  t.expect("T-2.7.5-i", ids.size() == 4, "four delivery-ids over two links");
}

void formats(test& t) {
  peer p(t);
  p.start();
  link& out = p.producer(t.address());
  const std::uint32_t id = p.transfer(out, hex("01 02 03"), {.message_format = 0x12345600});
  const auto d = p.outcome(id);
  t.note("T-2.8.11-a", d ? "another message-format: " + state_text(d->state)
                         : "another message-format: " + p.endings_text());
  t.note("T-2.8.15-f", d ? state_text(d->state) : p.endings_text());
}

void resume_unknown(test& t) {
  const std::string address = t.address();
  peer p(t);
  p.start();
  link& out = p.producer(address);
  p.transfer(out, data_message("ghost"), {.resume = true});
  const bool lives = p.sync() && p.endings().empty();
  p.publish(out, data_message("real"));
  const auto left = take(t, address, 2);
  const bool well = lives && left.size() == 1;
  const std::string text =
      std::to_string(left.size()) + " stored: one resumed unknown, one new " + p.endings_text();
  for (const char* c : {"T-2.6.13-a", "T-2.7.5-v"}) t.expect(c, well, text);
}

}  // namespace

void add_transport_transfer(checks& out) {
  out.push_back({"T-2.6.12-d T-2.6.12-e T-2.7.5-z T-2.7.6-l", "an unsettled delivery",
                 unsettled_is_answered});
  out.push_back({"T-2.6.12-f T-2.7.5-q T-2.7.5-p", "a receiver that settles second", second_waits});
  out.push_back({"T-2.6.12-g T-2.7.5-s T-2.7.5-k", "a settled delivery", presettled});
  out.push_back({"T-2.7.5-k T-2.7.5-c", "settled on one frame of two", settled_in_frames});
  out.push_back({"T-2.6.12-b T-2.6.12-c T-2.8.7-a", "delivery-tags", tags});
  out.push_back({"T-2.6.12-j M-3.4-a T-2.7.5-u", "settlement is final", settlement_is_final});
  out.push_back({"T-2.6.12-h", "the state received is no outcome", received_is_no_end});
  out.push_back({"T-2.6.12-k", "a message sent settled", settled_is_gone});
  out.push_back({"T-2.6.14-f T-2.3.1-h", "a message cut at each octet", split_anywhere});
  out.push_back({"T-2.6.14-c", "deliveries of two links interleaved", interleaved_links});
  out.push_back({"T-2.6.14-d T-2.7.5-y T-2.5.6-n", "an aborted delivery",
                 [](test& t) { aborted(t, false); }});
  out.push_back({"T-2.7.5-n", "a frame with more and aborted", [](test& t) { aborted(t, true); }});
  out.push_back({"T-2.6.14-g", "a connection lost inside a delivery", cut_in_delivery});
  out.push_back({"T-2.7.6-c T-2.7.5-i", "delivery-ids over two links", delivery_ids});
  out.push_back({"T-2.8.11-a T-2.8.15-f", "another message-format", formats});
  out.push_back({"T-2.6.13-a T-2.7.5-v", "a resumed delivery that is not known", resume_unknown});
}

}  // namespace whimbrel::conformance
