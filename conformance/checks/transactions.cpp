// SPDX-License-Identifier: Apache-2.0
// Declaring, discharging, posting. [4.1-4.3, 4.4.1, 4.5]
#include "conformance/checks/transaction.hpp"

namespace whimbrel::conformance {

controller::controller(peer& p, spec::source source, std::uint16_t channel) : peer_(p) {
  const auto& subject = p.owner().peer();
  if (!subject.has_transactions) throw not_offered("no coordinator: " + subject.no_transactions);
  control_ = &p.producer(
      "", {.source = std::move(source), .target = codec::to_raw(spec::coordinator{})}, channel);
}

std::string controller::answer::text() const {
  return state.empty() ? what.text() : state_text(state);
}

controller::answer controller::send(const bytes& message, bool settled) {
  answer out;
  spec::transfer x;
  if (settled) x.settled = true;
  const std::uint32_t id = peer_.transfer(*control_, message, x);
  const auto told = settled ? std::nullopt : peer_.outcome(id);
  if (told) {
    out.state = told->state;
    if (!told->settled) {
      peer_.send(control_->channel,
                 spec::disposition{.role = spec::role::sender, .first = id, .settled = true});
    }
  } else {
    out.what = peer_.react(control_->channel);
  }
  return out;
}

bytes discharge_message(const binary& txn, std::optional<bool> fail) {
  return value_message(enc(spec::discharge{.txn_id = txn, .fail = fail}));
}

controller::answer controller::discharge(const binary& txn, bool fail) {
  return send(discharge_message(txn, fail));
}

binary controller::declare() {
  const answer a = send(declare_message());
  const auto declared = state_as<spec::declared>(a.state);
  if (!declared) throw not_set_up("no transaction could be declared: " + a.text());
  return declared->txn_id;
}

bool controller::lists(std::string_view capability) const {
  const auto target = state_as<spec::coordinator>(control_->reply.target);
  return target && target->capabilities.contains(capability);
}

codec::raw in_txn(const binary& txn, const codec::raw& outcome) {
  return state_of(spec::transactional_state{.txn_id = txn, .outcome = outcome});
}

namespace {

constexpr const char* multi_txns = "amqp:multi-txns-per-ssn";

/// Whether a message waits at a node, seen by a consumer that leaves it there.
bool waits(test& t, const std::string& address) {
  peer p(t);
  p.start();
  link& in = p.receiver(address);
  p.credit(in, 1);
  const auto d = p.receive(in, t.peer().quiet * 2);
  if (d) p.settle(d->id, released);
  p.sync();
  return d.has_value();
}

void coordinator(test& t) {
  peer p(t);
  p.start();
  controller c(p);
  const auto target = state_as<spec::coordinator>(c.control().reply.target);
  t.expect("X-4.2-a", target && c.control().reply.role == spec::role::receiver,
           target ? "a coordinator in the reply" : "another target in the reply");
  t.expect("X-4.2-g", c.control().credit() > 0, "credit for the control link");
  const auto a = c.send(declare_message());
  const auto declared = state_as<spec::declared>(a.state);
  for (const char* id : {"X-4.2-d", "X-4.5.5-a"}) t.expect(id, declared.has_value(), a.text());
  if (!declared) return;
  const std::size_t size = declared->txn_id.octets.size();
  t.expect("X-4.5.4-a", size > 0 && size <= 32, "a txn-id of " + std::to_string(size) + " octets");
  const bool local = c.lists("amqp:local-transactions");
  t.say("X-4.5.1-a", local ? verdict::pass : verdict::warn,
        local ? "amqp:local-transactions is listed" : "amqp:local-transactions is not listed");
  const auto with_header = c.send(enc(spec::header{.priority = 7}) +
                                  described(0x73, list_of({enc("id")})) + declare_message());
  const bool second = state_as<spec::declared>(with_header.state).has_value();
  if (second || c.lists(multi_txns)) t.expect("X-4.2-b", second, with_header.text());
  if (c.lists(multi_txns)) t.expect("X-4.5.7-a", second, with_header.text());
  if (!c.lists(multi_txns)) t.note("X-4.5.7-a", with_header.text());
}

void two_declared(test& t) {
  peer p(t);
  p.start();
  controller c(p);
  if (!c.lists(multi_txns)) throw not_offered("amqp:multi-txns-per-ssn is not listed");
  const binary one = c.declare();
  const binary two = c.declare();
  t.expect("X-4.2-h", one != two, "two txn-ids");
  link& out = p.producer(t.address());
  p.transfer(out, numbered("m", 1), {.state = in_txn(one)});
  p.transfer(out, numbered("m", 2), {.state = in_txn(two)});
  p.sync();
  const bool kept = c.discharge(one, false).is_accepted();
  const bool dropped = c.discharge(two, true).is_accepted();
  const auto left = take(t, t.address(), 2);
  const bool right = left.size() == 1 && bare_of(left[0].message) == numbered("m", 1);
  t.expect("X-4.4.1-f", kept && dropped && right,
           std::to_string(left.size()) + " of one committed, one rolled back");
}

void settled_declare(test& t) {
  peer p(t);
  p.start();
  controller c(p);
  const auto a = c.send(declare_message(), true);
  t.judge("X-4.2-c", a.what, "detach amqp:illegal-state");
  peer q(t);
  q.start();
  controller d(q);
  const binary txn = d.declare();
  const auto b = d.send(discharge_message(txn, false), true);
  if (b.what.is == scope::detach) return t.judge("X-4.3-i", b.what, "detach amqp:illegal-state");
  t.note("X-4.3-i", b.text());
}

void refused_carriers(test& t) {
  const spec::source both{.outcomes = {"amqp:accepted:list", "amqp:rejected:list"}};
  const spec::source narrow{.outcomes = {"amqp:accepted:list"}};
  const auto has_error = [](const controller::answer& a) {
    const auto r = state_as<spec::rejected>(a.state);
    return r && r->error;
  };
  peer p(t);
  p.start();
  controller c(p, both);
  const auto unknown = c.discharge(unknown_txn(), false);
  t.expect("X-4.3-c",
           has_error(unknown) && state_text(unknown.state).find("unknown-id") != std::string::npos,
           unknown.text());
  const auto global = c.send(value_message(composite(0x31, {enc(binary("global"))})));
  const bool declared = state_as<spec::declared>(global.state).has_value();
  if (declared && !c.lists("amqp:distributed-transactions")) {
    t.expect("X-4.5.2-a", false, "a global-id was taken for a local transaction");
    t.skip("X-4.2-e", "no declare could be made to fail");
  } else {
    t.note("X-4.5.2-a", global.text());
    t.expect("X-4.2-e", has_error(global) || !global.what.condition.empty(), global.text());
  }
  peer q(t);
  q.start();
  controller d(q, narrow);
  const auto no_carrier = d.discharge(unknown_txn(), false);
  t.judge("X-4.3-d", no_carrier.what, "detach amqp:transaction:unknown-id");
}

void discharges(test& t) {
  const std::string address = t.address();
  peer p(t);
  p.start();
  controller c(p);
  link& out = p.producer(address);
  const binary one = c.declare();
  const std::uint32_t id = p.transfer(out, data_message("committed"), {.state = in_txn(one)});
  const auto told = p.outcome(id);
  const auto state = told ? state_as<spec::transactional_state>(told->state) : std::nullopt;
  const bool provisional = state && state->txn_id == one && code_of(state->outcome) == 0x24;
  for (const char* k : {"X-4.4.1-d", "X-4.4.4.1-b", "X-4.4-a"}) {
    t.expect(k, provisional, told ? state_text(told->state) : "no outcome before the discharge");
  }
  const bool early = waits(t, address);
  t.expect("X-4.4.1-c", !early, early ? "visible before the discharge" : "not visible before it");
  const auto a = c.discharge(one, false);
  t.expect("X-4.3-a", a.is_accepted(), a.text());
  t.expect("X-4.4.1-c", waits(t, address), "visible behind the discharge");
  const auto again = c.discharge(one, false);
  t.expect("X-4.3-h", !again.is_accepted(), "a second discharge: " + again.text());
  take(t, address, 1);

  peer q(t);
  q.start();
  controller d(q);
  link& other = q.producer(address);
  const binary two = d.declare();
  q.transfer(other, data_message("x"), {.state = in_txn(two)});
  q.transfer(other, data_message("y"), {.settled = true, .state = in_txn(two)});
  q.sync();
  const auto rolled = d.discharge(two, true);
  t.expect("X-4.3-b", rolled.is_accepted(), rolled.text());
  const bool nothing = take(t, address, 2).empty();
  for (const char* k : {"X-4.4.1-g", "X-4.4.4.1-g"}) {
    t.expect(k, nothing, nothing ? "nothing was stored" : "stored in spite of the rollback");
  }
  const binary three = d.declare();
  q.transfer(other, data_message("z"), {.settled = true, .state = in_txn(three)});
  q.sync();
  const bool before = waits(t, address);
  const auto by_default = d.send(discharge_message(three, std::nullopt));
  const bool after = take(t, address, 1).size() == 1;
  t.expect("X-4.3-g", by_default.is_accepted() && after, "fail left out: " + by_default.text());
  t.expect("X-4.4.4.1-g", !before && after, "a settled posting waits for the discharge");
}

void bad_control_messages(test& t) {
  peer p(t);
  p.start();
  controller c(p);
  const auto empty = c.send(value_message(composite(0x32, {})));
  t.expect("X-4.3-f", !empty.is_accepted(), "discharge without txn-id: " + empty.text());
  peer q(t);
  q.start();
  controller d(q);
  const auto other = d.send(value_message(enc("neither")));
  t.note("X-4.1-a", "a string on the control link: " + other.text());
}

void closing_control(test& t) {
  const std::string address = t.address();
  {
    peer p(t);
    p.start();
    controller c(p);
    link& out = p.producer(address);
    const binary txn = c.declare();
    p.transfer(out, data_message("x"), {.state = in_txn(txn)});
    p.sync();
    p.detach(c.control());
    p.forget_endings();
    const std::uint32_t id = p.transfer(out, data_message("late"), {.state = in_txn(txn)});
    const auto told = p.outcome(id, t.peer().quiet * 2);
    const bool taken = told && (code_of(told->state) == 0x24);
    t.expect("X-4.1-c", !taken, "work behind the end of the control link");
  }
  const bool nothing = take(t, address, 2).empty();
  t.expect("X-4.1-c", nothing, nothing ? "rolled back" : "stored without a discharge");
}

void losing_control(test& t) {
  const std::string address = t.address();
  for (const bool by_end : {true, false}) {
    peer p(t);
    p.start();
    controller c(p);
    link& out = p.producer(address);
    const binary txn = c.declare();
    p.transfer(out, data_message("x"), {.state = in_txn(txn)});
    p.sync();
    if (by_end) {
      p.send(0, spec::end{});
      p.expect<spec::end>();
    } else {
      p.drop();
    }
    const bool nothing = take(t, address, 1).empty();
    t.expect("X-4.1-d", nothing, nothing ? "rolled back" : "stored without a discharge");
  }
}

void two_control_links(test& t) {
  peer p(t);
  p.start();
  p.begin(1);
  controller a(p);
  controller b(p, {}, 1);
  link& one = p.producer(t.address("a"));
  link& two = p.producer(t.address("b"), {}, 1);
  const binary ta = a.declare();
  const binary tb = b.declare();
  p.transfer(one, data_message("a"), {.state = in_txn(ta)});
  p.transfer(two, data_message("b"), {.state = in_txn(tb)});
  p.sync(0);
  p.sync(1);
  p.detach(a.control());
  p.forget_endings();
  const auto done = b.discharge(tb, false);
  const bool first = !take(t, t.address("a"), 1).empty();
  const bool second = !take(t, t.address("b"), 1).empty();
  t.expect("X-4.1-e", done.is_accepted() && !first && second,
           "one control link closed; the other: " + done.text());
}

void unknown_in_transfer(test& t) {
  const std::string address = t.address();
  peer p(t);
  p.start();
  controller c(p);
  link& out = p.producer(address);
  p.transfer(out, data_message("x"), {.state = in_txn(unknown_txn())});
  const reaction what = p.react();
  t.judge("X-4.4.1-e", what, "rejected|detach|end|close ~amqp:transaction:unknown-id");
  const bool nothing = take(t, address, 1).empty();
  t.expect("X-4.4.1-e", nothing, what.text() + (nothing ? "" : "; and it was stored"));
}

void partial_at_discharge(test& t) {
  const std::string address = t.address();
  peer p(t);
  p.start();
  controller c(p);
  link& out = p.producer(address);
  const binary txn = c.declare();
  p.send(0,
         spec::transfer{.handle = out.handle,
                        .delivery_id = p.next_delivery_id++,
                        .delivery_tag = binary("part"),
                        .message_format = 0,
                        .more = true,
                        .state = in_txn(txn)},
         hex("00 53 75"));
  ++out.delivery_count;
  const std::uint32_t id = p.transfer(c.control(), discharge_message(txn, false));
  static_cast<void>(id);
  t.judge("X-4.4.1-b", p.react_by_silence(), "detach amqp:transaction:rollback");
}

void in_and_out_of(test& t) {
  const std::string address = t.address();
  peer p(t);
  p.start();
  controller c(p);
  link& out = p.producer(address);
  const binary txn = c.declare();
  const std::uint32_t a = p.transfer(out, numbered("free", 1));
  p.transfer(out, numbered("bound", 1), {.state = in_txn(txn)});
  const bool told = p.outcome(a).has_value();
  const bool there = waits(t, address);
  c.discharge(txn, true);
  const auto left = take(t, address, 2);
  const bool right = left.size() == 1 && bare_of(left[0].message) == numbered("free", 1);
  t.expect("X-4.4.1-i", told && there && right,
           std::to_string(left.size()) + " left of one outside and one inside a rollback");
  const bytes m = data_message("in three frames");
  const binary next = c.declare();
  for (std::size_t i = 0; i < 3; ++i) {
    spec::transfer x{.handle = out.handle, .more = i < 2, .state = in_txn(next)};
    if (i == 0) {
      x.delivery_id = p.next_delivery_id++;
      x.delivery_tag = binary("three");
      x.message_format = 0;
    }
    p.send(0, x, std::span(m).subspan(i * 4, i < 2 ? 4 : m.size() - 8));
  }
  ++out.delivery_count;
  const bool committed = c.discharge(next, false).is_accepted();
  const auto whole = take(t, address, 1);
  t.expect("X-4.4.1-a", committed && whole.size() == 1 && bare_of(whole[0].message) == m,
           "a posting in three frames, each with the state");
}

void over_sessions(test& t) {
  peer p(t);
  p.start();
  p.begin(1);
  controller c(p);
  if (!c.lists("amqp:multi-ssns-per-txn")) {
    t.note("X-4.1-b", "amqp:multi-ssns-per-txn is not listed; on its own session it works");
    return;
  }
  link& out = p.producer(t.address(), {}, 1);
  const binary txn = c.declare();
  p.transfer(out, data_message("x"), {.state = in_txn(txn)});
  p.sync(1);
  const auto done = c.discharge(txn, false);
  const bool there = take(t, t.address(), 1).size() == 1;
  t.expect("X-4.1-b", done.is_accepted() && there, "posted on another session: " + done.text());
}

void no_coordinator(test& t) {
  if (t.peer().has_transactions) throw not_offered("the coordinator is there");
  peer p(t);
  p.start();
  p.send(0, spec::attach{.name = t.unique("txn"),
                         .source = spec::source{},
                         .target = codec::to_raw(spec::coordinator{}),
                         .initial_delivery_count = 0});
  const auto a = p.expect<spec::attach>();
  const auto d = p.maybe<spec::detach>();
  t.expect("X-4.5.1-c", a.target.empty() && d,
           d ? "null target, then detach(" + condition_of(d->error) + ")" : "no detach came");
}

}  // namespace

void add_transactions(checks& out) {
  out.push_back({"X-4.2-a X-4.2-g X-4.2-d X-4.5.5-a X-4.5.4-a X-4.5.1-a X-4.2-b X-4.5.7-a",
                 "the coordinator", coordinator});
  out.push_back({"X-4.2-h X-4.4.1-f", "two transactions at a time", two_declared});
  out.push_back({"X-4.2-c X-4.3-i", "declare and discharge sent settled", settled_declare});
  out.push_back(
      {"X-4.3-c X-4.3-d X-4.2-e X-4.5.2-a", "how refusals are carried", refused_carriers});
  out.push_back(
      {"X-4.3-a X-4.3-b X-4.3-g X-4.3-h X-4.4.1-c X-4.4.1-d X-4.4.4.1-b X-4.4-a X-4.4.1-g "
       "X-4.4.4.1-g",
       "commit and rollback of postings", discharges});
  out.push_back({"X-4.3-f X-4.1-a", "control messages that make no sense", bad_control_messages});
  out.push_back({"X-4.1-c", "closing the control link", closing_control});
  out.push_back({"X-4.1-d", "losing the control link", losing_control});
  out.push_back({"X-4.1-e", "two control links", two_control_links});
  out.push_back({"X-4.4.1-e", "a posting under an unknown txn-id", unknown_in_transfer});
  out.push_back({"X-4.4.1-b", "a discharge inside a delivery", partial_at_discharge});
  out.push_back({"X-4.4.1-i X-4.4.1-a", "postings inside and outside", in_and_out_of});
  out.push_back({"X-4.1-b", "one transaction over two sessions", over_sessions});
  out.push_back({"X-4.5.1-c", "no coordinator", no_coordinator});
}

}  // namespace whimbrel::conformance
