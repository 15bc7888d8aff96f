// SPDX-License-Identifier: Apache-2.0
// Dispositions: ranges, roles, what they settle. [2.7.6, 2.6.4]
#include "conformance/checks/family.hpp"

namespace whimbrel::conformance {

namespace {

std::vector<delivery> get(peer& p, link& in, std::uint32_t n) {
  p.credit(in, n);
  auto all = p.receive_all(in, n);
  if (all.size() != n) throw not_set_up("not all messages came");
  return all;
}

void dispose(peer& p, std::uint32_t first, std::optional<std::uint32_t> last, bool settled,
             const codec::raw& state, spec::role role = spec::role::receiver) {
  p.send(0, spec::disposition{
                .role = role, .first = first, .last = last, .settled = settled, .state = state});
}

std::string left_text(std::size_t left, std::size_t of) {
  return std::to_string(left) + " left of " + std::to_string(of);
}

void one_alone(test& t) {
  const std::string address = t.address();
  fill(t, address, 3);
  {
    peer p(t);
    p.start();
    const auto all = get(p, p.receiver(address), 3);
    dispose(p, all[1].id, {}, true, accepted);
    p.sync();
  }
  const auto left = take(t, address, 3);
  bool second_gone = left.size() == 2;
  for (const delivery& d : left)
    second_gone = second_gone && bare_of(d.message) != numbered("m", 1);
  t.expect("T-2.7.6-b", second_gone, left_text(left.size(), 3) + ", the second accepted");
}

void overlap(test& t) {
  const std::string address = t.address();
  fill(t, address, 6);
  bool lives = false;
  {
    peer p(t);
    p.start();
    const auto all = get(p, p.receiver(address), 6);
    dispose(p, all[1].id, all[2].id, true, accepted);
    dispose(p, all[0].id, all[5].id, true, accepted);
    lives = p.sync();
  }
  const auto left = take(t, address, 6);
  t.expect("T-2.7.6-f", lives && left.empty(),
           left_text(left.size(), 6) + ", two of the range settled before");
}

void wrong_role(test& t) {
  const std::string address = t.address();
  fill(t, address, 1);
  peer p(t);
  p.start();
  const auto all = get(p, p.receiver(address), 1);
  dispose(p, all[0].id, {}, true, accepted, spec::role::sender);
  const reaction what = p.react();
  const std::string text = what.text();
  if (what.is != scope::ignored) return t.note("T-2.7.6-g", text);
  const std::size_t left = take(t, address, 1).size();
  t.expect("T-2.7.6-g", left == 0,
           left == 0 ? "still held, as it should be; " + text : "the message was given back");
}

void unsettled_then_settled(test& t) {
  const std::string address = t.address();
  fill(t, address, 1);
  peer p(t);
  p.start();
  const auto all = get(p, p.receiver(address), 1);
  dispose(p, all[0].id, {}, false, accepted);
  const bool lives = p.sync();
  dispose(p, all[0].id, {}, true, accepted);
  const bool still = lives && p.sync();
  const std::size_t left = take(t, address, 1).size();
  t.expect("T-2.7.6-h", still && left == 0, left_text(left, 1) + ", accepted, then settled");
}

void settled_without_state(test& t) {
  const std::string address = t.address();
  fill(t, address, 1);
  peer p(t);
  p.start();
  link& in = p.receiver(address,
                        {.source = spec::source{.address = address, .default_outcome = released}});
  const std::uint64_t outcome = in.reply.source ? code_of(in.reply.source->default_outcome) : 0;
  const auto all = get(p, in, 1);
  dispose(p, all[0].id, {}, true, {});
  p.detach(in);
  const std::size_t left = take(t, address, 1).size();
  const std::string text = left == 1 ? "the message came again" : "the message did not come again";
  if (outcome != spec::released::type.code) {
    for (const char* c : {"T-2.7.6-i", "M-3.3-d"})
      t.note(c, "no default-outcome in force; " + text);
    return;
  }
  for (const char* c : {"T-2.7.6-i", "M-3.3-d"}) t.expect(c, left == 1, "released: " + text);
}

void ids_wrap(test& t) {
  const std::string address = t.address();
  peer p(t);
  p.start();
  link& out = p.producer(address);
  p.next_delivery_id = 0xfffffffe;
  std::vector<std::uint32_t> ids;
  for (std::size_t i = 0; i < 4; ++i) ids.push_back(p.transfer(out, numbered("w", i)));
  std::size_t told = 0;
  for (const std::uint32_t id : ids) told += p.outcome(id) ? 1u : 0u;
  t.expect("T-2.7.6-d", told == 4,
           std::to_string(told) + " of 4 answered, delivery-ids from fffffffe on");
}

void directions(test& t) {
  const std::string address = t.address("in");
  fill(t, address, 1);
  peer p(t);
  p.start();
  const auto all = get(p, p.receiver(address), 1);
  link& out = p.producer(t.address("out"));
  p.transfer(out, data_message("x"), {.delivery_id = all[0].id});
  dispose(p, all[0].id, {}, true, accepted);
  const auto told = p.outcome(all[0].id);
  p.sync();
  const std::size_t left = take(t, address, 1).size();
  t.expect(
      "T-2.7.6-n", told && left == 0,
      told ? left_text(left, 1) + ", ours answered" : "our delivery of that id was not answered");
}

void after_detach(test& t) {
  const std::string address = t.address();
  fill(t, address, 1);
  peer p(t);
  p.start();
  link& in = p.receiver(address);
  const auto all = get(p, in, 1);
  const auto d = p.detach(in, false);
  if (!d || d->closed || d->error) throw not_offered("it closes a link that we detach");
  dispose(p, all[0].id, {}, true, accepted);
  p.sync();
  // What still counts as held would not be found by others.
  p.send(0, spec::end{});
  p.expect<spec::end>();
  const std::size_t left = take(t, address, 1).size();
  for (const char* c : {"T-2.7.6-e", "T-2.6.4-b"}) {
    t.expect(c, left == 0, left_text(left, 1) + ", accepted behind a detach without closing");
  }
}

}  // namespace

void add_transport_disposition(checks& out) {
  out.push_back({"T-2.7.6-b", "a disposition of one", one_alone});
  out.push_back({"T-2.7.6-f", "a range in which some are settled", overlap});
  out.push_back({"T-2.7.6-g", "a disposition of the wrong role", wrong_role});
  out.push_back({"T-2.7.6-h", "accepted first, settled later", unsettled_then_settled});
  out.push_back({"T-2.7.6-i M-3.3-d", "settled without a state", settled_without_state});
  out.push_back({"T-2.7.6-d", "delivery-ids over the wrap", ids_wrap});
  out.push_back({"T-2.7.6-n", "one delivery-id in both directions", directions});
  out.push_back({"T-2.7.6-e T-2.6.4-b", "a disposition behind a detach", after_detach});
}

}  // namespace whimbrel::conformance
