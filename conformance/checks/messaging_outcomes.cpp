// SPDX-License-Identifier: Apache-2.0
// Outcomes, and what a distribution node does with them. [3.3, 3.4, 3.5.2]
#include "conformance/checks/family.hpp"

namespace whimbrel::conformance {

namespace {

delivery one(peer& p, link& in) {
  p.credit(in, 1);
  auto d = p.receive(in);
  if (!d) throw not_set_up("no message came");
  return *std::move(d);
}

/// Fills a node with one message, gives it `state` on one link, and says whether it comes again
/// on another.
std::optional<delivery> after(test& t, const codec::raw& state, const std::string& address) {
  fill(t, address, 1);
  peer p(t);
  p.start();
  link& in = p.receiver(address);
  const delivery d = one(p, in);
  p.settle(d.id, state);
  p.sync();
  p.detach(in);
  link& again = p.receiver(address);
  p.credit(again, 1);
  auto back = p.receive(again, t.peer().quiet * 3);
  if (back) p.settle(back->id, accepted);
  p.sync();
  return back;
}

void four_outcomes(test& t) {
  const auto was_accepted = after(t, accepted, t.address("a"));
  const auto was_rejected = after(t, rejected, t.address("j"));
  const auto was_released = after(t, released, t.address("r"));
  const auto was_modified = after(t, state_of(spec::modified{}), t.address("m"));
  const std::string text = std::string("came again: ") + (was_accepted ? "accepted " : "") +
                           (was_rejected ? "rejected " : "") + (was_released ? "released " : "") +
                           (was_modified ? "modified" : "");
  t.expect("M-3.3-c", !was_accepted && !was_rejected && was_released && was_modified, text);
  t.expect("M-3.4.2-a", !was_accepted, text);
  t.expect("M-3.5.2-a", !was_accepted, text);
  t.expect("M-3.4.3-a", !was_rejected, text);
  t.expect("M-3.4.4-a", was_released.has_value(), text);
  if (was_modified) {
    const auto count = header_in(was_modified->message).delivery_count;
    t.expect("M-3.4.5-b", count == 0, "modified: delivery-count " + std::to_string(count));
  }
}

void failed_counts(test& t) {
  const auto back = after(t, state_of(spec::modified{.delivery_failed = true}), t.address());
  if (!back) throw no_answer("a modified message did not come again");
  const auto count = header_in(back->message).delivery_count;
  t.expect("M-3.4.5-a", count == 1, "delivery-failed: delivery-count " + std::to_string(count));
}

void not_here(test& t) {
  const std::string address = t.address();
  fill(t, address, 1);
  peer p(t);
  p.start();
  link& in = p.receiver(address);
  const delivery d = one(p, in);
  p.settle(d.id, state_of(spec::modified{.undeliverable_here = true}));
  p.credit(in, 1);
  const bool again = p.receive(in, t.peer().quiet * 3).has_value();
  t.expect("M-3.4.5-c", !again, again ? "it came again on the same link" : "not on the same link");
  if (!again) take(t, address, 1);
}

void annotations_merge(test& t) {
  const std::string address = t.address();
  const codec::map change = map_with({{codec::value(symbol("x-opt-a")), codec::value(2)},
                                      {codec::value(symbol("x-opt-b")), codec::value(3)}});
  peer p(t);
  p.start();
  p.publish(p.producer(address),
            described(0x72, map_of({sym("x-opt-a"), hex("54 01"), sym("x-opt-c"), hex("54 01")})) +
                data_message("x"));
  link& in = p.receiver(address);
  const delivery d = one(p, in);
  p.settle(d.id, state_of(spec::modified{.message_annotations = change}));
  const delivery back = one(p, in);
  const codec::map now = annotations_in(back.message, 0x72);
  const auto value = [&](const char* key) {
    const auto found = now.find(key);
    return found ? found->to_signed().value_or(-1) : -1;
  };
  t.expect("M-3.4.5-d", value("x-opt-a") == 2 && value("x-opt-b") == 3 && value("x-opt-c") == 1,
           codec::to_text(now));
  p.settle(back.id, accepted);
  p.sync();
}

void one_acquirer(test& t) {
  const std::string address = t.address();
  fill(t, address, 1);
  peer a(t);
  a.start();
  link& in = a.receiver(address);
  peer b(t);
  b.start();
  link& other = b.receiver(address);
  b.credit(other, 1);
  a.credit(in, 1);
  const auto x = a.receive(in, t.peer().quiet * 3);
  const auto y = b.receive(other, t.peer().quiet * 3);
  t.expect("M-3.3-a", x.has_value() != y.has_value(),
           std::to_string(int{x.has_value()} + int{y.has_value()}) + " of two links got it");
  const bool held = !(x ? b.receive(other, t.peer().quiet * 2) : a.receive(in, t.peer().quiet * 2));
  t.expect("M-3.3-b", held, held ? "held while unsettled" : "given to another while unsettled");
  t.note("M-3.4.4-b",
         held ? "it releases nothing by itself in this time" : "it released by itself");
  t.note("M-3.4.5-f", held ? "it modifies nothing by itself in this time" : "see M-3.4.4-b");
  if (x) a.settle(x->id, accepted);
  if (y) b.settle(y->id, accepted);
  a.sync();
  b.sync();
}

void release_order(test& t) {
  const std::string address = t.address();
  fill(t, address, 3);
  peer p(t);
  p.start();
  link& in = p.receiver(address);
  const delivery d = one(p, in);
  p.settle(d.id, released);
  p.sync();
  const auto all = take(t, address, 3);
  std::string order;
  for (const delivery& each : all) {
    for (std::size_t i = 0; i < 3; ++i) {
      if (bare_of(each.message) == numbered("m", i)) order += std::to_string(i) + " ";
    }
  }
  t.note("M-3.4-b", "the first of three released, then came: " + order);
}

void listed_outcomes_alone(test& t) {
  const std::string address = t.address();
  fill(t, address, 1);
  peer p(t);
  p.start();
  link& in = p.receiver(
      address, {.source = spec::source{.address = address, .outcomes = {"amqp:accepted:list"}}});
  const auto& outcomes = in.reply.source->outcomes;
  const delivery d = one(p, in);
  if (outcomes.contains("amqp:rejected:list")) {
    p.settle(d.id, accepted);
    throw not_offered("its reply lists rejected all the same");
  }
  p.settle(d.id, rejected);
  t.judge("M-3.4-c", p.react(), "~detach|end|close|ignored ~amqp:not-allowed ~amqp:invalid-field");
}

void our_outcomes_alone(test& t) {
  peer p(t);
  p.start();
  link& out = p.producer(
      t.address(),
      {.source = spec::source{.outcomes = {"amqp:accepted:list", "amqp:rejected:list"}}});
  const std::uint32_t id = p.transfer(out, data_message("x"));
  const auto told = p.outcome(id);
  if (!told) throw no_answer("no outcome came");
  const auto code = code_of(told->state);
  t.expect("M-3.4-d", code == 0x24 || code == 0x25, state_text(told->state));
}

void early_outcome(test& t) {
  const std::string address = t.address();
  {
    peer p(t);
    p.start();
    p.publish(p.producer(address), data_message(std::string(4000, 'x')));
  }
  peer p(t);
  p.open({.max_frame_size = 512});
  auto b = peer::usual_begin();
  b.incoming_window = 1;
  p.begin(0, b);
  link& in = p.receiver(address);
  p.credit(in, 1, {.incoming_window = 1});
  const auto x = p.maybe<spec::transfer>();
  if (!x || !x->more) throw not_set_up("the message did not come in frames");
  p.send(0, spec::disposition{
                .role = spec::role::receiver, .first = *x->delivery_id, .state = accepted});
  p.flow(0, {.incoming_window = 1000});
  const auto d = p.receive(in);
  t.expect("M-3.4.2-b", d.has_value(),
           !d           ? "the rest never came"
           : d->aborted ? "aborted"
                        : "the rest came");
}

void copies(test& t) {
  const std::string address = t.address();
  fill(t, address, 3);
  peer p(t);
  p.start();
  link& in = p.receiver(
      address, {.source = spec::source{.address = address, .distribution_mode = symbol("copy")}});
  const auto& mode = in.reply.source->distribution_mode;
  t.expect("M-3.5.3-g", true, "asked for copy, in force: " + (mode ? mode->text : "null"));
  if (!mode || *mode != "copy") throw not_offered("it does not copy");
  link& moving = p.receiver(
      address, {.source = spec::source{.address = address, .distribution_mode = symbol("move")}});
  const auto& moved = moving.reply.source->distribution_mode;
  t.expect("M-3.5.3-f", moved.has_value(), moved ? "move is told as well" : "move is not told");
  p.detach(moving);
  p.credit(in, 10);
  const auto seen = p.receive_all(in, 10);
  for (const delivery& d : seen) p.settle(d.id, accepted);
  p.sync();
  p.credit(in, 10);
  const std::size_t again = p.receive_all(in, 10, t.peer().quiet).size();
  t.expect("M-3.5.2-c", again == 0, std::to_string(again) + " came again after accepted");
  const std::size_t left = take(t, address, 10).size();
  t.expect("M-3.5.2-b", seen.size() == 3 && left == 3,
           std::to_string(seen.size()) + " copied, " + std::to_string(left) + " left of 3");
}

void default_outcome(test& t) {
  const std::string address = t.address();
  fill(t, address, 1);
  peer p(t);
  p.start();
  const auto failed = state_of(spec::modified{.delivery_failed = true});
  link& in =
      p.receiver(address, {.source = spec::source{.address = address, .default_outcome = failed}});
  const auto in_force = state_as<spec::modified>(in.reply.source->default_outcome);
  if (!in_force || in_force->delivery_failed != true) {
    throw not_offered("it does not take the default-outcome asked for");
  }
  one(p, in);
  p.detach(in);
  const auto left = take(t, address, 1);
  const auto count = left.empty() ? 0 : header_in(left[0].message).delivery_count;
  t.expect("M-3.5.3-j", count == 1,
           "after the link was closed: delivery-count " + std::to_string(count));
}

void minimal_source(test& t) {
  const std::string address = t.address();
  fill(t, address, 1);
  peer p(t);
  p.start();
  link& in = p.receiver(address);
  p.settle(one(p, in).id, accepted);
  p.sync();
  const bool gone = take(t, address, 1).empty();
  t.expect("M-3.5.3-m", gone, gone ? "accepted works" : "accepted did not retire the message");
}

}  // namespace

void add_messaging_outcomes(checks& out) {
  out.push_back({"M-3.3-c M-3.4.2-a M-3.5.2-a M-3.4.3-a M-3.4.4-a M-3.4.5-b", "the four outcomes",
                 four_outcomes});
  out.push_back({"M-3.4.5-a", "modified with delivery-failed", failed_counts});
  out.push_back({"M-3.4.5-c", "modified with undeliverable-here", not_here});
  out.push_back({"M-3.4.5-d", "modified with annotations", annotations_merge});
  out.push_back(
      {"M-3.3-a M-3.3-b M-3.4.4-b M-3.4.5-f", "one message, two consumers", one_acquirer});
  out.push_back({"M-3.4-b", "where a released message goes", release_order});
  out.push_back({"M-3.4-c", "an outcome that the source does not list", listed_outcomes_alone});
  out.push_back({"M-3.4-d", "outcomes that our source lists", our_outcomes_alone});
  out.push_back({"M-3.4.2-b", "accepted before all frames came", early_outcome});
  out.push_back({"M-3.5.2-b M-3.5.2-c M-3.5.3-f M-3.5.3-g", "copies", copies});
  out.push_back({"M-3.5.3-j", "the default-outcome", default_outcome});
  out.push_back({"M-3.5.3-m", "a source without outcomes", minimal_source});
}

}  // namespace whimbrel::conformance
