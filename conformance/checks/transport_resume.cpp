// SPDX-License-Identifier: Apache-2.0
// Links that outlive their connection: unsettled maps and resumed deliveries. [2.6.3, 2.6.13,
// 3.4.6, 3.5.5, 3.5.6]
#include "conformance/checks/family.hpp"

namespace whimbrel::conformance {

namespace {

struct kept {
  std::string name = {};
  std::string container = {};
  std::string address = {};
  delivery left = {};        // unsettled when the link was lost
  spec::source source = {};  // as it was in force
};

spec::source lasting(const std::string& address, const char* policy, std::uint32_t timeout) {
  return {.address = address, .durable = spec::terminus_durability::unsettled_state,
          .expiry_policy = policy, .timeout = timeout};
}

/// Receives one message, settles nothing, and loses the link. Throws `not_offered` if the peer
/// does not keep the terminus.
kept lose(test& t, const char* policy, std::uint32_t timeout, const char* by) {
  kept k{.name = t.unique("resume"), .container = t.unique("container"), .address = t.address()};
  fill(t, k.address, 1);
  peer p(t);
  p.open({.container_id = k.container});
  p.begin();
  link& in = p.receiver(k.address, {.name = k.name,
                                    .source = lasting(k.address, policy, timeout)});
  k.source = *in.reply.source;
  const bool lasts = k.source.expiry_policy == std::string_view("never") ||
                     (k.source.expiry_policy == std::string_view(policy) && k.source.timeout > 0);
  if (!lasts) {
    throw not_offered("its termini do not outlive their link: " + k.source.expiry_policy.text +
                      ", timeout " + std::to_string(k.source.timeout));
  }
  p.credit(in, 1);
  auto d = p.receive(in);
  if (!d) throw not_set_up("no message came");
  k.left = *std::move(d);
  const std::string_view how = by;
  if (how == "detach") {
    p.detach(in, false);
  } else if (how == "end") {
    p.send(0, spec::end{});
    p.expect<spec::end>();
  } else if (how == "drop") {
    p.drop();
  }
  return k;
}

/// Attaches again; `state` is our view of the delivery (null: not in our map).
link& again(peer& p, const kept& k, const std::optional<bytes>& state,
            bool incomplete = false) {
  p.open({.container_id = k.container});
  p.begin();
  const bytes map = state ? map_of({enc(binary(k.left.tag)), *state}) : map_of({});
  return p.receiver(k.address, {.name = k.name, .source = k.source,
                                .unsettled = codec::raw(map),
                                .incomplete_unsettled = incomplete});
}

bool lists(const link& l, const std::string& tag) {
  if (!l.reply.unsettled) return false;
  codec::reader r(l.reply.unsettled->octets());
  const auto map = codec::decode_as<codec::map>(r);
  return map.has_value() && map->find_key(codec::value(binary(tag))).has_value();
}

void map_is_told(test& t, const char* clause, const char* policy, const char* by) {
  const kept k = lose(t, policy, std::string_view(policy) == "never" ? 0 : 30, by);
  peer p(t);
  link& in = again(p, k, nil());
  const bool listed = lists(in, k.left.tag);
  t.expect(clause, listed, listed ? "the unsettled delivery is listed" : "it is not listed");
}

void both_hold(test& t) {
  const kept k = lose(t, "never", 0, "drop");
  peer p(t);
  link& in = again(p, k, nil());
  const bool listed = lists(in, k.left.tag);
  t.expect("T-2.6.3-d", listed, listed ? "listed" : "not listed");
  p.credit(in, 10);
  const auto d = p.receive(in);
  const bool resumed = d && d->first.resume && d->tag == k.left.tag;
  const std::string text = !d ? "nothing came" : resumed ? "resumed under its tag" : "came anew";
  for (const char* c : {"T-2.6.13-c", "T-2.6.13-d", "M-3.4.6-d"}) t.expect(c, resumed, text);
  if (!d) return;
  t.expect("T-2.7.5-x", d->first.resume, text);
  p.settle(d->id + 1000, accepted);
  t.expect("T-2.6.13-f", p.sync(), "a disposition of an old delivery-id changes nothing");
  p.settle(d->id, accepted);
  p.sync();
}

void we_accepted(test& t) {
  const kept k = lose(t, "never", 0, "drop");
  peer p(t);
  link& in = again(p, k, composite(0x24, {}));
  p.credit(in, 10);
  const auto d = p.receive(in);
  const bool resumed = d && d->first.resume && d->tag == k.left.tag;
  t.expect("M-3.4.6-c", resumed, resumed ? "resumed under its tag" : "it was not resumed");
  t.note("T-2.6.13-e", d ? std::to_string(d->message.size()) + " octets of payload" : "nothing");
  if (d && !d->settled) p.settle(d->id, accepted);
  p.sync();
  p.detach(in, true);
  const std::size_t left = take(t, k.address, 1).size();
  t.expect("M-3.4.6-c", left == 0, left == 0 ? "and gone" : "and came again");
}

void we_forgot(test& t) {
  const kept k = lose(t, "never", 0, "drop");
  peer p(t);
  link& in = again(p, k, {});
  p.credit(in, 10);
  const auto d = p.receive(in);
  const bool well = !d || !d->first.resume;
  const std::string text = d ? (well ? "came anew" : "came as resumed") : "was given to others";
  for (const char* c : {"T-2.6.13-i", "M-3.4.6-a"}) t.expect(c, well, text);
  if (d) p.settle(d->id, accepted);
  p.sync();
}

void we_received_some(test& t) {
  const kept k = lose(t, "never", 0, "drop");
  peer p(t);
  link& in = again(p, k, composite(0x23, {hex("43"), hex("53 02")}));
  p.credit(in, 10);
  const auto d = p.receive(in);
  const bool resumed = d && d->first.resume && d->tag == k.left.tag;
  t.expect("M-3.4.6-b", resumed, resumed ? "resumed" : "it was not resumed");
  t.expect("M-3.4.1-c", d && d->message.size() + 2 >= k.left.message.size(),
           d ? std::to_string(d->message.size()) + " octets came" : "nothing came");
  if (d) p.settle(d->id, accepted);
  p.sync();
}

void incomplete(test& t) {
  const kept k = lose(t, "never", 0, "drop");
  fill(t, k.address, 1);
  peer p(t);
  link& in = again(p, k, nil(), true);
  p.credit(in, 10);
  const auto all = p.receive_all(in, 5);
  bool only_resumed = true;
  for (const delivery& d : all) only_resumed = only_resumed && d.first.resume;
  const std::string text = std::to_string(all.size()) + " deliveries, " +
                           (only_resumed ? "all resumed" : "not all resumed");
  for (const char* c : {"T-2.6.13-g", "T-2.6.13-h", "T-2.7.3-o", "T-2.7.3-p"}) {
    t.expect(c, only_resumed, text);
  }
  take(t, k.address, 2);
}

/// As the sender: a delivery that the peer holds and we do not.
void only_target_holds(test& t) {
  peer p(t);
  const std::string container = t.unique("container");
  p.open({.container_id = container});
  p.begin();
  const std::string name = t.unique("out");
  const auto target = codec::to_raw(
      spec::target{.address = t.address(), .durable = spec::terminus_durability::unsettled_state,
                   .expiry_policy = "never"});
  link& out = p.producer(t.address(), {.name = name,
                                       .rcv_settle_mode = spec::receiver_settle_mode::second,
                                       .target = target});
  const auto reply = state_as<spec::target>(out.reply.target);
  if (!reply || reply->expiry_policy != std::string_view("never") ||
      out.reply.rcv_settle_mode != spec::receiver_settle_mode::second) {
    throw not_offered("its targets do not outlive their link, or settle first");
  }
  p.transfer(out, data_message("held"), {.delivery_tag = binary("held")});
  if (!p.outcome(0)) throw not_set_up("no outcome came");
  p.drop();
  peer q(t);
  q.open({.container_id = container});
  q.begin();
  link& back = q.sender(t.address(), {.name = name,
                                      .rcv_settle_mode = spec::receiver_settle_mode::second,
                                      .target = target, .unsettled = codec::raw(map_of({}))});
  const bool listed = lists(back, "held");
  q.detach(back, false);
  q.forget_endings();
  link& third = q.sender(t.address(), {.name = name, .target = target,
                                       .unsettled = codec::raw(map_of({}))});
  t.expect("T-2.6.13-b", !lists(third, "held"),
           listed ? "listed, then forgotten" : "not listed at all");
}

void two_cycles(test& t) {
  kept k = lose(t, "link-detach", 10, "detach");
  for (int i = 0; i < 2; ++i) {
    peer p(t);
    link& in = again(p, k, nil());
    if (!lists(in, k.left.tag)) return t.expect_all(false, "lost in cycle " + std::to_string(i));
    p.detach(in, false);
  }
  t.expect_all(true, "kept over two cycles");
}

void expires_at_once(test& t) {
  const std::string address = t.address();
  fill(t, address, 1);
  peer p(t);
  p.start();
  link& in = p.receiver(address, {.source = spec::source{.address = address,
                                                         .expiry_policy = "link-detach"}});
  const auto& policy = in.reply.source->expiry_policy.text;
  if (policy != "link-detach") throw not_offered("in force is " + policy);
  p.credit(in, 1);
  if (!p.receive(in)) throw not_set_up("no message came");
  p.detach(in, false);
  p.listen(milliseconds(1000));
  const std::size_t left = take(t, address, 1).size();
  t.expect("M-3.5.6-g", left == 1, left == 1 ? "the message came again" : "it is still held");
}

}  // namespace

void add_transport_resume(checks& out) {
  out.push_back({"T-2.6.3-d T-2.6.13-c T-2.6.13-d M-3.4.6-d T-2.7.5-x T-2.6.13-f",
                 "a delivery that both hold", both_hold});
  out.push_back({"M-3.4.6-c T-2.6.13-e", "a delivery that we accepted", we_accepted});
  out.push_back({"T-2.6.13-i M-3.4.6-a", "a delivery that we forgot", we_forgot});
  out.push_back({"M-3.4.6-b M-3.4.1-c", "a delivery that we have in part", we_received_some});
  out.push_back({"T-2.6.13-g T-2.6.13-h T-2.7.3-o T-2.7.3-p", "an incomplete map", incomplete});
  out.push_back({"T-2.6.13-b", "a delivery that only the target holds", only_target_holds});
  const auto told = [](const char* clause, const char* policy, const char* by) {
    return [=](test& t) { map_is_told(t, clause, policy, by); };
  };
  out.push_back({"M-3.5.6-a", "expiry-policy link-detach, in time",
                 told("M-3.5.6-a", "link-detach", "detach")});
  out.push_back({"M-3.5.6-b", "expiry-policy session-end, in time",
                 told("M-3.5.6-b", "session-end", "end")});
  out.push_back({"M-3.5.6-c", "expiry-policy connection-close, in time",
                 told("M-3.5.6-c", "connection-close", "drop")});
  out.push_back({"M-3.5.6-d", "expiry-policy never", told("M-3.5.6-d", "never", "close")});
  out.push_back({"M-3.5.6-e", "a count-down that is aborted twice", two_cycles});
  out.push_back({"M-3.5.6-g", "a timeout of 0", expires_at_once});
}

}  // namespace whimbrel::conformance
