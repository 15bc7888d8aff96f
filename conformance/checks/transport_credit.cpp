// SPDX-License-Identifier: Apache-2.0
// Credit and drain. [2.6.7-2.6.10, 2.7.4]
#include "conformance/checks/family.hpp"

namespace whimbrel::conformance {

namespace {

std::size_t arrived(peer& p, link& l, std::size_t most, milliseconds quiet) {
  std::size_t n = 0;
  while (n < most && p.receive(l, quiet)) ++n;
  return n;
}

std::string count_text(std::size_t n, const char* what) { return std::to_string(n) + " " + what; }

void nothing_without_credit(test& t) {
  fill(t, t.address(), 3);
  peer p(t);
  p.start();
  link& in = p.receiver(t.address());
  const std::size_t n = arrived(p, in, 3, t.peer().quiet * 2);
  const std::string text = count_text(n, "transfers before any flow");
  for (const char* c : {"T-2.6.7-a", "T-2.6.7-n"}) {
    t.expect(c, n == 0 && !in.flow.value_or(spec::flow{}).drain, text);
  }
  p.credit(in, 0, {.echo = true});
  p.maybe<spec::flow>();
  const bool is_told = in.flow && in.flow->available;
  const std::uint32_t available = is_told ? *in.flow->available : 0;
  t.expect("T-2.6.7-j", !is_told || available > 0,
           is_told ? "available " + std::to_string(available) + " of 3" : "available is unset");
}

void credit_is_kept(test& t) {
  fill(t, t.address(), 10);
  peer p(t);
  p.start();
  link& in = p.receiver(t.address());
  const auto quiet = t.peer().quiet;
  p.credit(in, 3);
  const std::size_t first = arrived(p, in, 10, quiet * 2);
  t.expect("T-2.6.7-b", first == 3, count_text(first, "deliveries for a credit of 3"));
  // A flow that knows nothing of the last two: 3 - 1 + 3 - 3 = 2 are left.
  p.credit(in, 3, {.delivery_count = in.delivery_count - 1});
  const std::size_t second = arrived(p, in, 10, quiet);
  t.expect("T-2.6.7-c", second == 2, count_text(second, "deliveries for a flow one behind"));
  // Topping up one at a time.
  std::size_t third = 0;
  for (int i = 0; i < 3; ++i) {
    p.credit(in, 1);
    third += arrived(p, in, 10, quiet);
  }
  t.expect("T-2.6.9-a", third == 3, count_text(third, "deliveries for three credits of one"));
  p.credit(in, 0xffffffff);
  const std::size_t rest = arrived(p, in, 10, quiet);
  t.expect("T-2.6.7-q", rest == 2, count_text(rest, "deliveries for a credit of 2^32-1, of 2"));
}

void credit_reduced(test& t) {
  peer p(t);
  p.start();
  link& in = p.receiver(t.address());
  p.credit(in, 10);
  p.sync();
  p.credit(in, 2, {.echo = true});
  const auto f = p.maybe<spec::flow>();
  fill(t, t.address(), 5);
  const std::size_t n = arrived(p, in, 10, t.peer().quiet * 2);
  t.expect("T-2.6.7-r", n == 2, count_text(n, "deliveries for a credit lowered from 10 to 2"));
  const bool repeats = f && f->link_credit == 2u && !f->drain;
  t.expect("T-2.7.4-n", repeats, repeats ? "its flow repeats the credit" : "its flow does not");
  p.credit(in, 0, {.echo = true});
  p.maybe<spec::flow>();
  const std::size_t after = arrived(p, in, 10, t.peer().quiet);
  t.expect("T-2.6.10-a", after == 0, count_text(after, "deliveries behind a credit of 0"));
  if (in.flow) {
    t.expect("T-2.7.4-e", in.flow->delivery_count == in.delivery_count,
             "delivery-count " + std::to_string(in.flow->delivery_count.value_or(0)) + " after " +
                 std::to_string(in.delivery_count));
  }
}

void drains(test& t, std::uint32_t messages) {
  const std::string address = t.address();
  if (messages > 0) fill(t, address, messages);
  peer p(t);
  p.start();
  link& in = p.receiver(address);
  const std::uint32_t before = in.delivery_count;
  p.credit(in, 10, {.drain = true});
  std::optional<spec::flow> f;
  const auto until = test::clock::now() + t.peer().timeout;
  while (test::clock::now() < until && !(in.flow && in.flow->drain)) {
    if (!p.next(t.peer().quiet)) break;
  }
  f = in.flow;
  const std::size_t n = arrived(p, in, 10, milliseconds(1));
  const bool told =
      f && f->link_credit.value_or(0) == 0 && f->delivery_count.value_or(0) == before + 10;
  const std::string text =
      count_text(n, "deliveries, then ") +
      (f ? "a flow of credit " + std::to_string(f->link_credit.value_or(0)) +
               " at delivery-count +" + std::to_string(f->delivery_count.value_or(0) - before)
         : "no flow");
  if (messages > 0) {
    t.expect("T-2.6.7-g", told && n == messages, text);
    in.delivery_count = before + 10;
    p.credit(in, 5);
    fill(t, address, 1);
    const auto d = p.receive(in);
    t.expect("T-2.6.7-p", d.has_value(), d ? "credit after a drain" : "nothing after a drain");
  } else {
    t.expect("T-2.6.7-h", told, text);
  }
}

void one_credit_waits(test& t) {
  peer p(t);
  p.start();
  link& in = p.receiver(t.address());
  p.credit(in, 1);
  p.sync();
  fill(t, t.address(), 2);
  const auto d = p.receive(in);
  const bool more = p.receive(in, t.peer().quiet).has_value();
  t.expect("T-2.6.8-a", d && !more, d ? "the next message came, and no other" : "nothing came");
}

void drain_races(test& t) {
  const std::string address = t.address();
  peer producer(t);
  producer.start();
  link& out = producer.producer(address);
  peer p(t);
  p.start();
  link& in = p.receiver(address);
  std::size_t got = 0;
  std::size_t sent = 0;
  bool well = true;
  for (int round = 0; round < 50 && well; ++round) {
    const std::uint32_t before = in.delivery_count;
    p.credit(in, 1);
    producer.transfer(out, numbered("race", sent++), {.settled = true});
    p.credit(in, 1, {.delivery_count = before, .drain = true});
    const auto until = test::clock::now() + t.peer().timeout;
    const auto spent = [&] {
      return in.delivery_count != before ||
             (in.flow && in.flow->delivery_count.value_or(before) != before);
    };
    while (!spent() && test::clock::now() < until) p.next(milliseconds(50));
    well = spent();
    got += arrived(p, in, 2, milliseconds(1));
    in.delivery_count = before + 1;
    in.flow.reset();
  }
  p.credit(in, 100);
  got += arrived(p, in, 100, t.peer().quiet);
  t.expect("T-2.6.8-b", well && got == sent,
           count_text(got, "of ") + count_text(sent, "messages in 50 rounds of credit and drain"));
}

void whole_delivery_for_one(test& t) {
  const std::string address = t.address();
  {
    peer p(t);
    p.start();
    p.publish(p.producer(address), data_message(std::string(1500, 'x')));
  }
  peer p(t);
  p.open({.max_frame_size = 512});
  p.begin();
  link& in = p.receiver(address);
  const std::uint32_t before = in.delivery_count;
  p.credit(in, 1);
  const auto d = p.receive(in);
  p.credit(in, 0, {.echo = true});
  p.maybe<spec::flow>();
  const std::uint32_t now = in.flow ? in.flow->delivery_count.value_or(0) : 0;
  t.expect("T-2.6.7-e", d && d->frames > 1 && now == before + 1,
           d ? count_text(d->frames, "frames for one credit, delivery-count +") +
                   std::to_string(now - before)
             : "nothing came");
}

void count_wraps(test& t) {
  peer p(t);
  p.start();
  link& out = p.producer(t.address(), {.initial_delivery_count = 0xffffffff});
  const auto first = out.flow ? out.flow->delivery_count.value_or(0) : 0;
  for (int i = 0; i < 3; ++i) p.publish(out, numbered("m", static_cast<std::size_t>(i)));
  p.flow(
      0,
      {.handle = out.handle, .delivery_count = out.delivery_count, .available = 0, .echo = true});
  if (!p.maybe<spec::flow>()) throw not_offered("it answers no echo on a link");
  const std::uint32_t now = out.flow ? out.flow->delivery_count.value_or(0) : 0;
  const std::string text =
      "three deliveries from ffffffff on: delivery-count " + std::to_string(now);
  for (const char* c : {"T-2.6.7-f", "T-2.6.7-o", "T-2.7.4-f"}) t.expect(c, now == 2, text);
  t.note("T-2.6.7-j", "its first flow had delivery-count " + std::to_string(first));
}

void only_receiver_grants(test& t) {
  peer p(t);
  p.start();
  link& out = p.producer(t.address());
  const std::uint32_t credit = out.credit();
  p.flow(0, {.handle = out.handle,
             .delivery_count = out.delivery_count,
             .link_credit = 1,
             .available = 0,
             .echo = true});
  p.maybe<spec::flow>();
  const std::uint32_t now = out.credit();
  t.expect("T-2.6.7-i", now == credit || now > 1,
           "our flow with a credit of 1 changed its credit from " + std::to_string(credit) +
               " to " + std::to_string(now));
}

void beyond_credit(test& t) {
  peer p(t);
  p.start();
  link& out = p.producer(t.address());
  const std::uint32_t credit = out.credit();
  if (credit > 5000) throw not_offered("its credit is too large to exceed");
  bytes burst;
  for (std::uint32_t i = 0; i <= credit + 5; ++i) {
    burst = std::move(burst) +
            frame_with(0,
                       spec::transfer{.handle = out.handle,
                                      .delivery_id = i,
                                      .delivery_tag = binary("t" + std::to_string(i)),
                                      .message_format = 0,
                                      .settled = true},
                       data_message("x"));
  }
  p.write(burst);
  t.judge("T-2.6.7-m", p.react(), "~detach|ignored ~amqp:link:transfer-limit-exceeded");
}

void stays_positive(test& t) {
  peer p(t);
  p.start();
  link& out = p.producer(t.address());
  p.flow(0, {.handle = out.handle, .delivery_count = out.delivery_count, .available = 1});
  p.publish(out, data_message("a"));
  p.publish(out, data_message("b"));
  t.expect("T-2.6.7-l", p.sync(), "available 1, and two came");
}

}  // namespace

void add_transport_credit(checks& out) {
  out.push_back(
      {"T-2.6.7-a T-2.6.7-n T-2.6.7-j", "a receiver without credit", nothing_without_credit});
  out.push_back({"T-2.6.7-b T-2.6.7-c T-2.6.9-a T-2.6.7-q", "credit is kept", credit_is_kept});
  out.push_back({"T-2.6.7-r T-2.7.4-n T-2.6.10-a T-2.7.4-e", "credit lowered", credit_reduced});
  out.push_back({"T-2.6.7-g T-2.6.7-p", "drain of four messages", [](test& t) { drains(t, 4); }});
  out.push_back({"T-2.6.7-h", "drain of none", [](test& t) { drains(t, 0); }});
  out.push_back({"T-2.6.8-a", "one credit, then wait", one_credit_waits});
  out.push_back({"T-2.6.8-b", "drain against publish", drain_races});
  out.push_back(
      {"T-2.6.7-e", "a delivery of several frames for one credit", whole_delivery_for_one});
  out.push_back(
      {"T-2.6.7-f T-2.6.7-o T-2.7.4-f T-2.6.7-j", "delivery-count over the wrap", count_wraps});
  out.push_back({"T-2.6.7-i", "a sender that sets credit", only_receiver_grants});
  out.push_back({"T-2.6.7-m", "deliveries beyond its credit", beyond_credit});
  out.push_back({"T-2.6.7-l", "more deliveries than announced", stays_positive});
}

}  // namespace whimbrel::conformance
