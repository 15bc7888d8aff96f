// SPDX-License-Identifier: Apache-2.0
// Retirement, acquisition and settlement in transactions. [4.4.2-4.4.4]
#include "conformance/checks/transaction.hpp"

namespace whimbrel::conformance {

namespace {

void set_state(peer& p, std::uint32_t id, const codec::raw& state, bool settled,
               std::optional<std::uint32_t> last = {}) {
  p.send(0, spec::disposition{.role = spec::role::receiver, .first = id, .last = last,
                              .settled = settled, .state = state});
  p.sync();
}

delivery one(peer& p, link& in) {
  p.credit(in, 1);
  auto d = p.receive(in);
  if (!d) throw not_set_up("no message came");
  return *std::move(d);
}

void retire(test& t) {
  const std::string address = t.address();
  fill(t, address, 3);
  peer p(t);
  p.start();
  controller c(p);
  link& in = p.receiver(address);
  const delivery a = one(p, in);
  const binary txn = c.declare();
  set_state(p, a.id, in_txn(txn, accepted), false);
  const bool done = c.discharge(txn, false).is_accepted();
  p.credit(in, 2);
  const auto more = p.receive_all(in, 2);
  if (more.size() != 2) throw not_set_up("not all messages came");
  const binary range = c.declare();
  set_state(p, more[0].id, in_txn(range, accepted), true, more[1].id);
  const bool ranged = c.discharge(range, false).is_accepted();
  p.detach(in);
  const std::size_t left = take(t, address, 3).size();
  const std::string text = std::to_string(left) + " left of 3, retired in two transactions";
  t.expect("X-4.4.2-b", done && left == 0, text);
  t.expect("X-4.4.2-f", ranged && left == 0, text);
}

void retire_and_lose(test& t) {
  const std::string address = t.address();
  fill(t, address, 1);
  peer p(t);
  p.start();
  controller c(p);
  link& in = p.receiver(address);
  const delivery a = one(p, in);
  const binary txn = c.declare();
  set_state(p, a.id, in_txn(txn, accepted), false);
  const bool rolled = c.discharge(txn, true).is_accepted();
  const bool given = !take(t, address, 1).empty();
  t.expect("X-4.4.2-d", rolled && !given, given ? "given to another behind the rollback"
                                                : "still held behind the rollback");
  const binary second = c.declare();
  set_state(p, a.id, in_txn(second, accepted), false);
  const bool done = c.discharge(second, false).is_accepted();
  p.detach(in);
  const std::size_t left = take(t, address, 1).size();
  t.expect("X-4.4.4.2-b", done && left == 0, "retired by a second transaction");
}

void settled_in_txn(test& t, bool commit) {
  const std::string address = t.address();
  fill(t, address, 1);
  peer p(t);
  p.start();
  controller c(p);
  link& in = p.receiver(address, {.source = spec::source{.address = address,
                                                         .default_outcome = released}});
  const bool has_default = code_of(in.reply.source->default_outcome) == 0x26;
  const delivery a = one(p, in);
  const binary txn = c.declare();
  set_state(p, a.id, in_txn(txn, accepted), true);
  const bool answered = c.discharge(txn, !commit).is_accepted();
  p.detach(in);
  const std::size_t left = take(t, address, 1).size();
  if (!commit && !has_default) throw not_offered("its source takes no default-outcome");
  t.expect_all(answered && left == (commit ? 0u : 1u), std::to_string(left) + " left of 1");
}

void released_in_txn(test& t) {
  const std::string address = t.address();
  fill(t, address, 1);
  peer p(t);
  p.start();
  controller c(p);
  link& in = p.receiver(address);
  const delivery a = one(p, in);
  const binary txn = c.declare();
  set_state(p, a.id, in_txn(txn, released), false);
  const bool early = !take(t, address, 1).empty();
  const bool done = c.discharge(txn, false).is_accepted();
  const bool late = !take(t, address, 1).empty();
  t.expect("X-4.4.2-h", !early && done && late, "released in a transaction");
}

void unknown_in_disposition(test& t) {
  const std::string address = t.address();
  fill(t, address, 1);
  {
    peer p(t);
    p.start();
    controller c(p);
    link& in = p.receiver(address);
    const delivery a = one(p, in);
    p.send(0, spec::disposition{.role = spec::role::receiver, .first = a.id, .settled = true,
                                .state = in_txn(unknown_txn(), accepted)});
    t.judge("X-4.4.2-e", p.react(), "detach|end|close ~amqp:transaction:unknown-id");
  }
  const std::size_t left = take(t, address, 1).size();
  t.expect("X-4.4.2-e", left == 1, std::to_string(left) + " left of 1, accepted under no txn");
}

void bad_states(test& t) {
  const std::string address = t.address();
  const std::array states = {
      codec::raw(composite(0x34, {nil()})),
      in_txn(unknown_txn(), state_of(spec::received{})),
  };
  for (const codec::raw& state : states) {
    fill(t, address, 1);
    {
      peer p(t);
      p.start();
      controller c(p);
      link& in = p.receiver(address);
      const delivery a = one(p, in);
      p.send(0, spec::disposition{.role = spec::role::receiver, .first = a.id, .settled = true,
                                  .state = state});
      p.react();
    }
    const std::size_t left = take(t, address, 1).size();
    t.expect("X-4.5.6-a", left == 1, std::to_string(left) + " left of 1 behind a malformed state");
  }
}

void acquire(test& t) {
  const std::string address = t.address();
  fill(t, address, 2);
  peer p(t);
  p.start();
  controller c(p);
  link& in = p.receiver(address);
  const binary txn = c.declare();
  const codec::map bound = map_with({{codec::value(symbol("txn-id")), codec::value(txn)}});
  p.credit(in, 1, {.properties = bound});
  const auto d = p.receive(in);
  if (!d) {
    for (const ending& e : p.endings()) {
      const reaction what{.is = e.is, .condition = e.condition};
      t.judge("X-4.4.3-b", what, "detach amqp:not-implemented");
    }
    throw not_offered("no acquisition in transactions: " + p.endings_text());
  }
  t.skip("X-4.4.3-b", "acquisition in transactions is offered");
  const auto state = state_as<spec::transactional_state>(d->first.state);
  t.expect("X-4.4.3-a", state && state->txn_id == txn, state_text(d->first.state));
  c.discharge(txn, true);
  p.credit(in, 1);
  const auto next = p.receive(in);
  const bool free = next && !state_as<spec::transactional_state>(next->first.state);
  t.expect("X-4.4.3-c", free, next ? "behind the discharge without a txn" : "nothing came");
  if (next) p.settle(next->id, released);
  p.detach(in);
  const std::size_t left = take(t, address, 2).size();
  t.expect("X-4.4.3-g", left == 2, std::to_string(left) + " left of 2 behind the rollback");
  t.note("X-4.4.4.3-a", std::to_string(left) + " left");
  bool names = true;
  if (in.flow && in.flow->properties) {
    const auto named = in.flow->properties->get<binary>("txn-id");
    names = !named || *named == txn;
  }
  t.expect("X-4.4-b", names, "txn-id in its flows");
}

void acquire_unknown(test& t) {
  fill(t, t.address(), 1);
  peer p(t);
  p.start();
  controller c(p);
  link& in = p.receiver(t.address());
  const codec::map bound = map_with({{codec::value(symbol("txn-id")),
                                      codec::value(unknown_txn())}});
  p.credit(in, 1, {.properties = bound});
  const reaction what = p.react_by_silence(t.peer().quiet * 3);
  t.judge("X-4.4.3-f", what,
          "detach|end|close ~amqp:transaction:unknown-id ~amqp:not-implemented");
}

void whole_unit(test& t, bool commit) {
  const std::string in_address = t.address("in");
  fill(t, in_address, 1);
  {
    peer p(t);
    p.start();
    controller c(p);
    link& a = p.producer(t.address("a"));
    link& b = p.producer(t.address("b"));
    link& in = p.receiver(in_address);
    const delivery d = one(p, in);
    const binary txn = c.declare();
    p.transfer(a, data_message("a"), {.state = in_txn(txn)});
    p.transfer(b, data_message("b"), {.state = in_txn(txn)});
    set_state(p, d.id, in_txn(txn, accepted), false);
    if (!c.discharge(txn, !commit).is_accepted()) throw no_answer("the discharge was refused");
  }
  const std::size_t a = take(t, t.address("a"), 1).size();
  const std::size_t b = take(t, t.address("b"), 1).size();
  const std::size_t left = take(t, in_address, 1).size();
  const bool well = commit ? a == 1 && b == 1 && left == 0 : a == 0 && b == 0 && left == 1;
  t.expect("X-4.4.1-h", well, std::string(commit ? "commit: " : "rollback: ") +
                                  std::to_string(a + b) + " posted, " + std::to_string(left) +
                                  " left");
}

void state_after(test& t, bool commit) {
  peer p(t);
  p.start();
  controller c(p);
  link& out = p.producer(t.address(), {.rcv_settle_mode = spec::receiver_settle_mode::second});
  if (out.reply.rcv_settle_mode != spec::receiver_settle_mode::second) {
    throw not_offered("it settles first");
  }
  const binary txn = c.declare();
  const std::uint32_t id = p.transfer(out, data_message("x"), {.state = in_txn(txn)});
  auto told = p.outcome(id);
  if (told && told->settled) throw not_offered("it settles before the discharge");
  c.discharge(txn, !commit);
  if (auto later = p.outcome(id, t.peer().quiet)) told = later;
  const std::uint64_t code = told ? code_of(told->state) : 0;
  if (commit) return t.expect_all(code == 0x24, told ? state_text(told->state) : "nothing told");
  t.expect_all(code < 0x24 || code > 0x27, told ? state_text(told->state) : "nothing told");
}

}  // namespace

void add_transactions_settlement(checks& out) {
  out.push_back({"X-4.4.2-b X-4.4.2-f", "retirement", retire});
  out.push_back({"X-4.4.2-d X-4.4.4.2-b", "retirement rolled back", retire_and_lose});
  out.push_back({"X-4.4.4.2-d", "settled in a transaction that commits",
                 [](test& t) { settled_in_txn(t, true); }});
  out.push_back({"X-4.4.4.2-a", "settled in a transaction that fails",
                 [](test& t) { settled_in_txn(t, false); }});
  out.push_back({"X-4.4.2-h", "released in a transaction", released_in_txn});
  out.push_back({"X-4.4.2-e", "an outcome under an unknown txn-id", unknown_in_disposition});
  out.push_back({"X-4.5.6-a", "malformed transactional states", bad_states});
  out.push_back({"X-4.4.3-a X-4.4.3-b X-4.4.3-c X-4.4.3-g X-4.4.4.3-a X-4.4-b", "acquisition",
                 acquire});
  out.push_back({"X-4.4.3-f", "acquisition under an unknown txn-id", acquire_unknown});
  out.push_back({"X-4.4.1-h", "a unit over three nodes, committed",
                 [](test& t) { whole_unit(t, true); }});
  out.push_back({"X-4.4.1-h", "a unit over three nodes, rolled back",
                 [](test& t) { whole_unit(t, false); }});
  out.push_back({"X-4.4.4.1-d", "an outcome that the commit applied",
                 [](test& t) { state_after(t, true); }});
  out.push_back({"X-4.4.4.1-e", "an outcome that the rollback took back",
                 [](test& t) { state_after(t, false); }});
}

}  // namespace whimbrel::conformance
