// SPDX-License-Identifier: Apache-2.0
// Transfers and dispositions that break a rule. [2.7.5, 2.7.6]
#include <array>

#include "conformance/checks/family.hpp"

namespace whimbrel::conformance {

namespace {

spec::transfer first(std::uint32_t id, bool more = false) {
  return {.handle = 0, .delivery_id = id, .delivery_tag = binary("t" + std::to_string(id)),
          .message_format = 0, .more = more};
}
bytes body() { return data_message("abcdefgh"); }
bytes two(const spec::transfer& a, const spec::transfer& b) {
  const bytes m = body();
  return frame_with(0, a, std::span(m).first(5)) + frame_with(0, b, std::span(m).subspan(5));
}

constexpr const char* any_refusal =
    "~end|detach|close|rejected|ignored ~amqp:invalid-field ~amqp:decode-error ~amqp:not-allowed "
    "~amqp:illegal-state ~amqp:not-implemented";
constexpr const char* refusal =
    "detach|end ~amqp:invalid-field ~amqp:not-allowed ~amqp:illegal-state";

const std::array inputs = {
    input{"T-2.7.5-a", "transfer without handle", stage::sending,
          [](const test&) {
            return frame_of(0, composite(0x14, {nil(), hex("43"), hex("a0 01 74"), hex("43")}) +
                                   body());
          },
          "~end|close|tcp ~amqp:decode-error ~amqp:invalid-field"},
    input{"T-2.7.5-a", "transfer for handle 99", stage::sending,
          [](const test&) {
            auto x = first(0);
            x.handle = 99;
            return frame_with(0, x, body());
          },
          "end amqp:session:unattached-handle"},
    input{"T-2.7.5-b", "first of two frames without delivery-id", stage::sending,
          [](const test&) {
            auto x = first(0, true);
            x.delivery_id.reset();
            return two(x, {.handle = 0});
          },
          any_refusal},
    input{"T-2.7.5-d", "a continuation of another delivery-id", stage::sending,
          [](const test&) { return two(first(0, true), {.handle = 0, .delivery_id = 7}); },
          refusal},
    input{"T-2.7.5-e", "transfer without delivery-tag", stage::sending,
          [](const test&) {
            auto x = first(0);
            x.delivery_tag.reset();
            return frame_with(0, x, body());
          },
          any_refusal},
    input{"T-2.7.5-f", "a continuation of another delivery-tag", stage::sending,
          [](const test&) {
            return two(first(0, true), {.handle = 0, .delivery_tag = binary("other")});
          },
          refusal},
    input{"T-2.7.5-g", "transfer without message-format", stage::sending,
          [](const test&) {
            auto x = first(0);
            x.message_format.reset();
            return frame_with(0, x, body());
          },
          any_refusal},
    input{"T-2.7.5-h", "a continuation of another message-format", stage::sending,
          [](const test&) {
            return two(first(0, true), {.handle = 0, .message_format = 99});
          },
          refusal},
    input{"T-2.7.5-j", "a gap of ten delivery-ids", stage::sending,
          [](const test&) {
            return frame_with(0, first(0), body()) + frame_with(0, first(10), body());
          },
          "~ignored|end|detach ~amqp:not-allowed ~amqp:invalid-field"},
    input{"T-2.7.5-j", "a delivery-id that is still unsettled or behind", stage::sending,
          [](const test&) {
            auto x = first(0);
            x.delivery_tag = binary("u");
            return frame_with(0, first(0), body()) + frame_with(0, x, body());
          },
          "~ignored|end|detach ~amqp:not-allowed ~amqp:invalid-field"},
    input{"T-2.7.5-r", "rcv-settle-mode second on a link of mode first", stage::sending,
          [](const test&) {
            auto x = first(0);
            x.rcv_settle_mode = spec::receiver_settle_mode::second;
            return frame_with(0, x, body());
          },
          any_refusal},
    input{"T-2.7.5-aa", "a delivery-tag of 33 octets", stage::sending,
          [](const test&) {
            auto x = first(0);
            x.delivery_tag = binary(std::string(33, 't'));
            return frame_with(0, x, body());
          },
          any_refusal},
    input{"T-2.7.5-ad", "a transfer without payload", stage::sending,
          [](const test&) { return frame_with(0, first(0)); }, any_refusal},
    input{"T-2.6.14-b", "two deliveries interleaved on one link", stage::sending,
          [](const test&) {
            return frame_with(0, first(0, true), hex("00 53 75")) +
                   frame_with(0, first(1), body());
          },
          "~detach|end ~amqp:invalid-field ~amqp:not-allowed ~amqp:illegal-state"},
    input{"T-2.7.5-t", "a transfer with a state", stage::sending,
          [](const test&) {
            auto x = first(0);
            x.state = accepted;
            return frame_with(0, x, body());
          },
          any_refusal},
    input{"T-2.6.12-a", "a delivery-tag that is still unsettled", stage::sending,
          [](const test&) {
            auto x = first(1);
            x.delivery_tag = binary("t0");
            return frame_with(0, first(0, true), hex("00 53 75 a0 01 61")) +
                   frame_with(0, spec::transfer{.handle = 0}) + frame_with(0, x, body());
          },
          any_refusal},
    input{"T-2.7.6-a", "disposition without first", stage::receiving,
          [](const test&) { return frame_of(0, composite(0x15, {hex("41")})); },
          "~close|end|tcp ~amqp:decode-error ~amqp:invalid-field"},
    input{"T-2.7.6-a", "disposition without role", stage::receiving,
          [](const test&) { return frame_of(0, composite(0x15, {nil(), hex("43")})); },
          "~close|end|tcp ~amqp:decode-error ~amqp:invalid-field"},
    input{"T-2.7.6-j", "disposition whose last is before its first", stage::receiving,
          [](const test&) {
            return frame_with(0, spec::disposition{.role = spec::role::receiver, .first = 5,
                                                   .last = 3, .settled = true,
                                                   .state = accepted});
          },
          "~end|close|ignored ~amqp:invalid-field"},
    input{"T-2.7.6-k", "disposition over 2^31 deliveries", stage::receiving,
          [](const test&) {
            return frame_with(0, spec::disposition{.role = spec::role::receiver, .first = 0,
                                                   .last = 0x7fffffff, .settled = true,
                                                   .state = accepted});
          },
          "ignored|end|close ~amqp:invalid-field"},
    input{"M-3.4.1-a", "disposition of a received without fields", stage::receiving,
          [](const test&) {
            return frame_of(0, composite(0x15, {hex("41"), hex("43"), nil(), nil(),
                                                composite(0x23, {})}));
          },
          "~end|close|detach|tcp|ignored ~amqp:decode-error ~amqp:invalid-field"},
    input{"M-3.4.5-e", "disposition of a modified with a string as key", stage::receiving,
          [](const test&) {
            return frame_of(0, composite(0x15, {hex("41"), hex("43"), nil(), hex("41"),
                                                composite(0x27, {nil(), nil(),
                                                                 map_of({enc("k"),
                                                                         hex("41")})})}));
          },
          "~end|close|detach|tcp|ignored ~amqp:decode-error ~amqp:invalid-field"},
};

/// Settle modes that we break as the sender.
void wrong_settlement(test& t, spec::sender_settle_mode mode) {
  peer p(t);
  p.start();
  link& out = p.producer(t.address(), {.snd_settle_mode = mode});
  spec::transfer x{};
  x.settled = mode == spec::sender_settle_mode::unsettled;
  p.transfer(out, data_message("x"), x);
  t.judge_all(p.react(), any_refusal);
}

void continuation_settles_later(test& t) {
  peer p(t);
  p.start();
  link& out = p.producer(t.address());
  const bytes m = data_message("abcdefgh");
  p.send(0, spec::transfer{.handle = out.handle, .delivery_id = 0, .delivery_tag = binary("a"),
                           .message_format = 0, .more = true},
         std::span(m).first(4));
  p.send(0, spec::disposition{.role = spec::role::sender, .first = 0});
  p.send(0, spec::transfer{.handle = out.handle}, std::span(m).subspan(4));
  const auto d = p.outcome(0);
  const std::size_t n = take(t, t.address(), 2).size();
  t.expect("T-2.7.6-m", d && n == 1, std::to_string(n) + " stored " + p.endings_text());
}

}  // namespace

void add_transport_transfer_faults(checks& out) {
  add_inputs(out, inputs);
  out.push_back({"T-2.7.5-l", "an unsettled delivery on our settled link",
                 [](test& t) { wrong_settlement(t, spec::sender_settle_mode::settled); }});
  out.push_back({"T-2.7.5-m", "a settled delivery on our unsettled link",
                 [](test& t) { wrong_settlement(t, spec::sender_settle_mode::unsettled); }});
  out.push_back({"T-2.7.6-m", "our disposition inside a delivery", continuation_settles_later});
}

}  // namespace whimbrel::conformance
