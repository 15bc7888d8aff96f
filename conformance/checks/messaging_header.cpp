// SPDX-License-Identifier: Apache-2.0
// The header: durability, priority, time to live, counts. [3.2.1]
#include "conformance/checks/family.hpp"

namespace whimbrel::conformance {

namespace {

bytes with_header(const spec::header& h, std::string_view text = "x") {
  return enc(h) + data_message(text);
}

void ttl_expires(test& t) {
  const std::string address = t.address();
  peer p(t);
  p.start();
  p.publish(p.producer(address), with_header({.ttl = 400}));
  p.listen(milliseconds(5000));
  const std::size_t n = take(t, address, 1).size();
  t.expect("M-3.2.1-i", n == 0, n == 0 ? "gone after its ttl" : "delivered long after its ttl");
}

void ttl_counts_down(test& t) {
  const std::string address = t.address();
  peer p(t);
  p.start();
  p.publish(p.producer(address), with_header({.ttl = 60'000}));
  p.listen(milliseconds(1500));
  link& in = p.receiver(address);
  p.credit(in, 1);
  const auto d = p.receive(in);
  if (!d) throw no_answer("the message did not come");
  const auto ttl = header_in(d->message).ttl;
  t.expect("M-3.2.1-j", ttl && *ttl <= 58'600 && *ttl > 50'000,
           ttl ? "ttl 60000, after 1500 ms: " + std::to_string(*ttl) : "the ttl was dropped");
}

void ttl_zero(test& t) {
  const std::string address = t.address();
  peer p(t);
  p.start();
  link& out = p.producer(address);
  const std::uint32_t id = p.transfer(out, with_header({.ttl = 0}));
  const auto told = p.outcome(id);
  const std::size_t n = take(t, address, 1).size();
  t.note("M-3.2.1-k", std::string("ttl 0: ") + (told ? state_text(told->state) : "no outcome") +
                          (n == 1 ? ", delivered" : ", not delivered"));
  t.note("M-3.3-e", n == 1 ? "not expired" : "expired");
}

void priorities(test& t) {
  const std::string address = t.address();
  peer p(t);
  p.start();
  link& out = p.producer(address);
  p.publish(out, with_header({.priority = 4}, "low"));
  p.publish(out, with_header({.priority = 9}, "high"));
  const auto all = take(t, address, 2);
  if (all.size() != 2) throw no_answer("not all messages came");
  const bool overtook = bare_of(all[0].message) == data_message("high");
  t.note("M-3.2.1-h", overtook ? "priority 9 overtook 4" : "order of arrival");
  t.note("M-3.2.1-f", "the number of levels is not told; with two, " +
                          std::string(overtook ? "they are distinct" : "they are alike"));
}

void acquirers(test& t) {
  const std::string address = t.address();
  fill(t, address, 1);
  {
    peer p(t);
    p.start();
    link& in = p.receiver(address);
    p.credit(in, 1);
    const auto d = p.receive(in);
    if (!d) throw not_set_up("no message came");
    p.settle(d->id, released);
    p.sync();
  }
  const auto all = take(t, address, 1);
  if (all.empty()) throw no_answer("a released message did not come again");
  const spec::header h = header_in(all[0].message);
  t.expect("M-3.2.1-l", !h.first_acquirer,
           h.first_acquirer ? "first-acquirer at a second link" : "no first-acquirer");
  t.expect("M-3.4.4-a", h.delivery_count == 0,
           "released: delivery-count " + std::to_string(h.delivery_count));
}

void durable_is_safe(test& t) {
  peer p(t);
  p.start();
  link& out = p.producer(t.address());
  const std::uint32_t id = p.transfer(out, with_header({.durable = true}));
  const auto told = p.outcome(id);
  if (!told) throw no_answer("no outcome came");
  const std::string text = "a durable message: " + state_text(told->state);
  const auto target = state_as<spec::target>(out.reply.target);
  t.note("M-3.2.1-c", text + ", durability of the target " +
                          std::to_string(target ? static_cast<int>(target->durable) : 0));
  if (code_of(told->state) != 0x25) return t.skip("M-3.2.1-d", "it takes durable messages");
  p.forget_endings();
  link& narrow = p.producer(t.address("n"),
                            {.source = spec::source{.outcomes = {"amqp:accepted:list"}}});
  p.transfer(narrow, with_header({.durable = true}));
  t.judge("M-3.2.1-d", p.react(), "detach amqp:precondition-failed");
}

}  // namespace

void add_messaging_header(checks& out) {
  out.push_back({"M-3.2.1-i", "a ttl that runs out", ttl_expires, true});
  out.push_back({"M-3.2.1-j", "a ttl that counts down", ttl_counts_down});
  out.push_back({"M-3.2.1-k M-3.3-e", "a ttl of 0", ttl_zero});
  out.push_back({"M-3.2.1-h M-3.2.1-f", "priorities", priorities});
  out.push_back({"M-3.2.1-l M-3.4.4-a", "a message that was acquired before", acquirers});
  out.push_back({"M-3.2.1-c M-3.2.1-d", "a durable message", durable_is_safe});
}

}  // namespace whimbrel::conformance
