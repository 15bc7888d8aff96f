// SPDX-License-Identifier: Apache-2.0
// Faults of conduct: frames out of place, wrong scopes, counts and outcomes.
#include <algorithm>

#include "conformance/checks/family.hpp"
#include "tests/conformance/deviations.hpp"

namespace whimbrel::conformance::testing {

namespace {

using hooks = std::vector<bytes>;

/// Changes each performative of a kind, if `change` says that it did.
template <class P, class Change>
hook edit(Change change) {
  return [change](exchange& e, const frame& f, hooks& out) {
    const P* p = f.as<P>();
    if (p == nullptr) return;
    P changed = *p;
    bytes payload = f.payload;
    if (change(e, changed, payload)) out = {frame_with(f.channel, changed, payload)};
  };
}

hook insert_before_attach(std::function<bytes(std::uint16_t)> make) {
  return [make = std::move(make)](exchange&, const frame& f, hooks& out) {
    if (f.as<spec::attach>() != nullptr) out.insert(out.begin(), make(f.channel));
  };
}

/// Remembers that the client sent such a frame.
template <class P, class Is>
hook note(const char* key, Is is) {
  return [key, is](exchange& e, const frame& f, hooks&) {
    const P* p = f.as<P>();
    if (p != nullptr && is(f, *p)) e.numbers[key] = 1;
  };
}

/// An ending with an error becomes another frame, or none.
template <class P>
hook instead_of(const char* key, const char* condition, std::function<bytes(const frame&)> make) {
  return [=](exchange& e, const frame& f, hooks& out) {
    const P* p = f.as<P>();
    if (p == nullptr || condition_of(p->error) != condition) return;
    if (*key != '\0' && !e.has(key)) return;
    out.clear();
    if (make) out.push_back(make(f));
  };
}

spec::error wrong_error() { return {.condition = "amqp:internal-error"}; }

/// First transfers of deliveries that come settled: nobody settles them, so a fault in them has no
/// other effect.
template <class Change>
hook edit_settled(Change change) {
  return edit<spec::transfer>([change](exchange&, spec::transfer& x, bytes&) {
    if (!x.settled.value_or(false) || !x.delivery_id) return false;
    change(x);
    return true;
  });
}

bytes without_section(const bytes& message, std::uint8_t code) {
  // Sections stand one behind another; those of a message under test are short.
  const bytes mark = {std::byte{0}, std::byte{0x53}, std::byte{code}};
  const auto at = std::search(message.begin(), message.end(), mark.begin(), mark.end());
  if (at == message.end() || message.end() - at < 5) return message;
  const auto size = std::to_integer<std::ptrdiff_t>(*(at + 4)) + 5;
  bytes out(message.begin(), at);
  out.insert(out.end(), at + size, message.end());
  return out;
}

/// The usual body and nothing around it but a header: what a fault does to such a message, no check
/// of annotations or footers sees.
bool is_bare(const bytes& message) {
  const bool is_alone = without_section(message, 0x71) == message &&
                        without_section(message, 0x72) == message &&
                        without_section(message, 0x78) == message;
  return is_alone && bare_of(message) == data_message("x");
}

}  // namespace

std::vector<deviation> frame_faults() {
  const auto with_flow = [](spec::flow f) {
    return insert_before_attach([f](std::uint16_t channel) { return frame_with(channel, f); });
  };
  const auto above = [](const frame& f, const spec::begin&) { return f.channel == 256; };
  const auto high = [](const frame&, const spec::attach& a) { return a.handle == 1024; };
  const auto flow_99 = [](const frame&, const spec::flow& f) { return f.handle == 99u; };
  const auto as_close = [](const frame&) {
    return frame_with(0, spec::close{.error = wrong_error()});
  };
  const auto as_end = [](const frame& f) {
    return frame_with(f.channel, spec::end{.error = wrong_error()});
  };
  const auto as_detach = [](const frame& f) {
    return frame_with(f.channel, spec::detach{.error = wrong_error()});
  };
  return {
      {"a flow without next-incoming-id",
       "T-2.7.4-b",
       "",
       {},
       with_flow({.incoming_window = 100, .outgoing_window = 100})},
      {"a session's flow with credit",
       "T-2.7.4-d",
       "",
       {},
       with_flow({.next_incoming_id = 0,
                  .incoming_window = 100,
                  .outgoing_window = 100,
                  .link_credit = 5})},
      {"a flow for a handle that is not attached",
       "T-2.6.2-d",
       "",
       {},
       with_flow({.next_incoming_id = 0,
                  .incoming_window = 100,
                  .outgoing_window = 100,
                  .handle = 4000,
                  .delivery_count = 0})},
      {"a frame behind the close",
       "T-2.4.3-b",
       "T-2.7.9-a",
       {},
       [](exchange&, const frame& f, hooks& out) {
         if (f.as<spec::close>() != nullptr) out.push_back(frame_with(0, spec::end{}));
       }},
      {"a close on channel 1",
       "T-2.4.3-f",
       "",
       {},
       [](exchange&, const frame& f, hooks& out) {
         if (const auto* c = f.as<spec::close>()) out = {frame_with(1, *c)};
       }},
      {"a frame above our max-frame-size", "T-2.7.1-e", "",
       note<spec::open>("small",
                        [](const frame&, const spec::open& o) { return o.max_frame_size == 512; }),
       [](exchange& e, const frame& f, hooks& out) {
         if (f.as<spec::begin>() == nullptr || !e.has("small")) return;
         const auto value = codec::value(std::string(600, 'x'));
         spec::flow big{.next_incoming_id = 0};
         big.properties = map_with({{codec::value(symbol("k")), value}});
         out.insert(out.begin(), frame_with(f.channel, big));
       }},
      {"a begin that answers another channel",
       "T-2.5.1-b",
       "T-2.4-a T-2.5.1-a",
       {},
       edit<spec::begin>([](exchange&, spec::begin& b, bytes&) {
         if (b.remote_channel != 5) return false;
         b.remote_channel = 6;
         return true;
       })},
      {"an end instead of a close for a channel above the limit", "T-2.7.1-k", "",
       note<spec::begin>("above", above),
       instead_of<spec::close>("above", "amqp:connection:framing-error", as_end)},
      {"another condition for a channel above the limit", "T-2.7.1-k", "",
       note<spec::begin>("above", above),
       instead_of<spec::close>("above", "amqp:connection:framing-error", as_close)},
      {"an end instead of a close for a handle above the limit", "T-2.7.2-d", "",
       note<spec::attach>("high", high),
       instead_of<spec::close>("high", "amqp:connection:framing-error", as_end)},
      {"silence about a handle above the limit", "T-2.7.2-d", "", note<spec::attach>("high", high),
       instead_of<spec::close>("high", "amqp:connection:framing-error", {})},
      {"a close for a flow on an unattached handle", "T-2.7.4-c", "",
       note<spec::flow>("99", flow_99),
       instead_of<spec::end>("99", "amqp:session:unattached-handle", as_close)},
      {"another condition for a flow on an unattached handle", "T-2.7.4-c", "",
       note<spec::flow>("99", flow_99),
       instead_of<spec::end>("99", "amqp:session:unattached-handle", as_end)},
      {"a detach for a handle in use",
       "T-2.7.3-b",
       "T-2.6.3-i",
       {},
       instead_of<spec::end>("", "amqp:session:handle-in-use", as_detach)},
      {"another condition for a message that is too large",
       "T-2.7.3-k",
       "",
       {},
       instead_of<spec::detach>("", "amqp:link:message-size-exceeded", as_detach)},
      {"a stream left open behind a refused header",
       "T-2.2-e",
       "T-2.2-f T-2.2-g T-2.2-h T-2.2-i T-2.2-o T-2.4.3-d T-2.4.4-a S-5.2-a S-5.2-g S-5.3-b "
       "S-5.3.1-d S-5.3.1-e S-5.3.1-f S-5.3.2-c S-5.3.2-d S-5.3.3.2-a S-5.3.3.2-c",
       {},
       {},
       true},
  };
}

std::vector<deviation> conduct_faults() {
  using mode = spec::receiver_settle_mode;
  const auto modified_as = [](auto is, const codec::raw& instead) {
    return edit<spec::disposition>([=](exchange&, spec::disposition& d, bytes&) {
      const auto m = state_as<spec::modified>(d.state);
      if (!m || !is(*m)) return false;
      d.state = instead;
      return true;
    });
  };
  return {
      {"a delivery without delivery-id", "T-2.7.5-b", "", {}, edit_settled([](spec::transfer& x) {
         x.delivery_id.reset();
       })},
      {"a delivery without delivery-tag", "T-2.7.5-e", "", {}, edit_settled([](spec::transfer& x) {
         x.delivery_tag.reset();
       })},
      {"a delivery without message-format",
       "T-2.7.5-g",
       "",
       {},
       edit_settled([](spec::transfer& x) { x.message_format.reset(); })},
      {"a delivery-tag of 33 octets", "T-2.7.5-aa", "", {}, edit_settled([](spec::transfer& x) {
         x.delivery_tag = binary(std::string(33, 't'));
       })},
      {"a new delivery marked as resumed", "T-2.7.5-w", "", {}, edit_settled([](spec::transfer& x) {
         x.resume = true;
       })},
      {"an unsettled delivery on a settled link",
       "T-2.7.5-l",
       "T-2.7.3-e",
       {},
       edit_settled([](spec::transfer& x) { x.settled.reset(); })},
      {"one delivery-tag for all",
       "T-2.6.12-a",
       "",
       {},
       edit<spec::transfer>([](exchange&, spec::transfer& x, bytes&) {
         if (x.delivery_tag) x.delivery_tag = binary("same");
         return x.delivery_tag.has_value();
       })},
      {"a sender's attach without initial-delivery-count",
       "T-2.7.3-i",
       "T-2.7.3-j",
       {},
       edit<spec::attach>([](exchange&, spec::attach& a, bytes&) {
         if (a.role == spec::role::sender) a.initial_delivery_count.reset();
         return a.role == spec::role::sender;
       })},
      {"unsettled state in a plain reattach",
       "T-2.7.3-m",
       "T-2.6.4-d",
       {},
       edit<spec::attach>([](exchange& e, spec::attach& a, bytes&) {
         if (e.numbers[a.name]++ == 0) return false;
         a.unsettled = codec::raw(map_of({enc(binary("x")), nil()}));
         return true;
       })},
      {"a detach without closed for one that closed",
       "T-2.6.6-a",
       "T-2.6.6-b",
       {},
       edit<spec::detach>([](exchange&, spec::detach& d, bytes&) {
         const bool was = d.closed && !d.error;
         d.closed = false;
         return was;
       })},
      {"a refused link without detach",
       "T-2.6.3-b",
       "T-2.6.3-h T-2.6.3-l",
       {},
       [](exchange& e, const frame& f, hooks& out) {
         const auto* a = f.as<spec::attach>();
         if (a != nullptr && a->role == spec::role::sender && !a->source) e.numbers["refused"] = 1;
         if (f.as<spec::detach>() != nullptr && e.has("refused")) out.clear();
       }},
      {"no outcome for a batchable delivery", "T-2.6.12-d", "T-2.7.5-z T-2.7.6-l T-2.6.12-e",
       note<spec::transfer>("batch",
                            [](const frame&, const spec::transfer& x) { return x.batchable; }),
       [](exchange& e, const frame& f, hooks& out) {
         if (f.as<spec::disposition>() != nullptr && e.has("batch")) out.clear();
       }},
      {"settled at once on a link of mode second", "T-2.7.5-q", "T-2.6.12-f",
       note<spec::attach>("second",
                          [](const frame&, const spec::attach& a) {
                            return a.rcv_settle_mode == mode::second &&
                                   a.role == spec::role::sender;
                          }),
       edit<spec::disposition>([](exchange& e, spec::disposition& d, bytes&) {
         const bool early = e.has("second") && !d.settled;
         d.settled = d.settled || early;
         return early;
       })},
      {"one delivery more than the credit",
       "T-2.6.7-b",
       "T-2.6.7-c T-2.6.7-q T-2.6.9-a",
       edit<spec::flow>([](exchange& e, spec::flow& f, bytes&) {
         if (f.link_credit != 3u || e.numbers["more"]++ > 0) return false;
         f.link_credit = 4;
         return true;
       }),
       {}},
      {"credit left behind a drain",
       "T-2.6.7-g",
       "T-2.6.7-h T-2.6.8-b",
       {},
       edit<spec::flow>([](exchange&, spec::flow& f, bytes&) {
         if (!f.drain || !f.delivery_count) return false;
         f.link_credit = 1;
         return true;
       })},
      {"a delivery-count that stands still", "T-2.6.7-f", "T-2.6.7-o T-2.7.4-f",
       note<spec::attach>("wrap",
                          [](const frame&, const spec::attach& a) {
                            return a.initial_delivery_count == 0xffffffffu;
                          }),
       edit<spec::flow>([](exchange& e, spec::flow& f, bytes&) {
         if (!e.has("wrap") || !f.handle || f.delivery_count == 0xffffffffu) return false;
         f.delivery_count = 0xffffffff;
         return true;
       })},
      {"transfers that are not counted", "T-2.5.6-j", "T-2.5.6-a T-2.5.6-b T-2.8.10-a",
       note<spec::begin>(
           "wrap",
           [](const frame&, const spec::begin& b) { return b.next_outgoing_id == 0xfffffffe; }),
       edit<spec::flow>([](exchange& e, spec::flow& f, bytes&) {
         if (!e.has("wrap") || !f.next_incoming_id) return false;
         --*f.next_incoming_id;
         return true;
       })},
      {"frames beyond the window",
       "T-2.5.6-p",
       "T-2.5.6-h T-2.5.6-c T-2.5.6-g",
       [](exchange&, const frame& f, hooks& out) {
         if (const auto* b = f.as<spec::begin>(); b != nullptr && b->incoming_window == 2) {
           auto wide = *b;
           wide.incoming_window = 100;
           out = {frame_with(f.channel, wide)};
         }
         if (const auto* x = f.as<spec::flow>(); x != nullptr && x->incoming_window == 2) {
           auto wide = *x;
           wide.incoming_window = 100;
           out = {frame_with(f.channel, wide)};
         }
       },
       {}},
      {"delivery-failed is not counted",
       "M-3.4.5-a",
       "M-3.5.3-j",
       modified_as([](const spec::modified& m) { return m.delivery_failed == true; },
                   state_of(spec::modified{})),
       {}},
      {"undeliverable-here is not kept",
       "M-3.4.5-c",
       "",
       modified_as([](const spec::modified& m) { return m.undeliverable_here == true; },
                   state_of(spec::released{})),
       {}},
      {"released counts as a failure",
       "M-3.4.4-a",
       "",
       edit<spec::disposition>([](exchange&, spec::disposition& d, bytes&) {
         if (code_of(d.state) != 0x26) return false;
         d.state = state_of(spec::modified{.delivery_failed = true});
         return true;
       }),
       {}},
      {"message-annotations are dropped",
       "M-3.2.3-a",
       "M-3.4.5-d",
       {},
       edit<spec::transfer>([](exchange&, spec::transfer&, bytes& payload) {
         const std::size_t before = payload.size();
         payload = without_section(payload, 0x72);
         return payload.size() != before;
       })},
      {"a header that was not sent",
       "M-3.2.1-a",
       "",
       {},
       edit<spec::transfer>([](exchange&, spec::transfer& x, bytes& payload) {
         if (!is_bare(payload) || !x.delivery_id) return false;
         payload = enc(spec::header{.priority = 9}) + data_message("x");
         return true;
       })},
      {"a section added to the bare message",
       "M-3.2-b",
       "M-3.2.2-b",  // a relay may drop the delivery-annotations that its message had
       {},
       edit<spec::transfer>([](exchange&, spec::transfer& x, bytes& payload) {
         if (!is_bare(payload) || !x.delivery_id) return false;
         payload = described(0x74, map_of({enc("k"), hex("41")})) + data_message("x");
         return true;
       })},
      {"no ear for what comes behind a detach without closed",
       "T-2.7.6-e",
       "T-2.6.4-b",
       [](exchange& e, const frame& f, hooks& out) {
         const auto* d = f.as<spec::detach>();
         if (d != nullptr && !d->closed && !d->error) e.numbers["detached"] = 1;
         if (f.as<spec::attach>() != nullptr) e.numbers.erase("detached");
         if (f.as<spec::disposition>() != nullptr && e.has("detached")) out.clear();
       },
       {}},
      {"two outcomes for one delivery",
       "M-3.4-a",
       "",
       {},
       [](exchange&, const frame& f, hooks& out) {
         const auto* d = f.as<spec::disposition>();
         if (d == nullptr || code_of(d->state) != 0x24 || d->role != spec::role::receiver) return;
         auto other = *d;
         other.state = state_of(spec::released{});
         out.push_back(frame_with(f.channel, other));
       }},
      {"an echo answered by an echo",
       "T-2.7.4-i",
       "",
       {},
       edit<spec::flow>([](exchange&, spec::flow& f, bytes&) {
         const bool was = f.echo;
         f.echo = true;
         return !was;
       })},
      {"an empty SASL frame that lets one in",
       "S-5.3.1-e",
       "",
       [](exchange&, const frame& f, hooks& out) {
         if (f.type != 1 || !f.is_empty()) return;
         out = {frame_of(0, enc(spec::sasl_init{.mechanism = "ANONYMOUS"}), {.type = 1})};
       },
       {}},
      {"a mechanism that nobody offered lets one in",
       "S-5.3.3.2-a",
       "",
       [](exchange&, const frame& f, hooks& out) {
         const auto* init = f.as<spec::sasl_init>();
         if (init == nullptr || init->mechanism != "BOGUS") return;
         out = {frame_of(0, enc(spec::sasl_init{.mechanism = "ANONYMOUS"}), {.type = 1})};
       },
       {}},
  };
}

}  // namespace whimbrel::conformance::testing
