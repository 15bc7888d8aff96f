// SPDX-License-Identifier: Apache-2.0
// The rules on attaches, flows, transfers and dispositions.
#include <algorithm>
#include <array>

#include "conformance/wire/watch.hpp"

namespace whimbrel::conformance {

namespace {

constexpr std::array<std::string_view, 4> outcome_names = {
    "amqp:accepted:list", "amqp:rejected:list", "amqp:released:list", "amqp:modified:list"};

bool is_outcome(std::uint64_t code) { return code >= 0x24 && code <= 0x27; }

}  // namespace

void watch::check_terminus(const spec::source& s) {
  rule("M-3.5.3-d", s.dynamic || !s.dynamic_node_properties,
       "dynamic-node-properties of a source that is not dynamic");
  if (!s.default_outcome.empty()) {
    rule("M-3.5.3-k", is_outcome(code_of(s.default_outcome)), "a default-outcome that is none");
  }
  for (const symbol& name : s.outcomes) {
    const bool known =
        std::find(outcome_names.begin(), outcome_names.end(), name.text) != outcome_names.end();
    rule("M-3.5.3-l", known, "outcomes lists " + name.text);
  }
  const std::string& policy = s.expiry_policy.text;
  rule("M-3.5.6-f",
       policy == "link-detach" || policy == "session-end" || policy == "connection-close" ||
           policy == "never",
       "expiry-policy " + policy);
  if (!s.filter) return;
  for (const auto& [key, filter] : *s.filter) {
    rule("M-3.5.8-a", key.is<symbol>() && (filter.is_null() || filter.is<codec::described>()),
         "a filter set with a key that is no symbol, or a value that is not described");
  }
}

void watch::on(const frame& f, const spec::attach& a) {
  session_state* s = session_of(f.channel);
  if (s == nullptr || we_erred_) return;
  const bool theirs_sends = a.role == spec::role::sender;
  const auto& asked = theirs_sends ? s->asked_receivers : s->asked_senders;
  rule("T-2.7.3-t", asked.count(a.name) > 0,
       "an attach that answers none of ours by name and opposite role");
  if (theirs_sends) {
    rule("T-2.7.3-i", a.initial_delivery_count.has_value(),
         "a sender's attach without initial-delivery-count");
  }
  rule("T-2.7.2-c", a.handle <= s->handle_max, "a handle above our handle-max");
  rule("T-2.6.2-d", s->links.count(a.handle) == 0, "a handle that is attached already");
  std::uint32_t lowest = 0;
  while (s->links.count(lowest) > 0) ++lowest;
  rule("T-2.7.3-c", a.handle == lowest, "not the lowest free handle");
  if (a.source) check_terminus(*a.source);
  if (!a.target.empty()) {
    const std::uint64_t code = code_of(a.target);
    rule("Y-1.3.4-b", code == spec::target::type.code || code == spec::coordinator::type.code,
         "a target that is none");
    if (const auto target = state_as<spec::target>(a.target)) {
      rule("M-3.5.4-c", target->dynamic || !target->dynamic_node_properties,
           "dynamic-node-properties of a target that is not dynamic");
    }
  }
  link_state link;
  link.is_theirs_sender = theirs_sends;
  link.name = a.name;
  link.settle_mode = a.snd_settle_mode;
  s->links[a.handle] = std::move(link);
}

void watch::on(const frame& f, const spec::flow& x) {
  session_state* s = session_of(f.channel);
  rule("T-2.7.4-a", true, "");
  if (s == nullptr || we_erred_) return;
  rule("T-2.7.4-b", x.next_incoming_id.has_value(),
       "a flow without next-incoming-id though our begin was read");
  if (!x.handle) {
    rule("T-2.7.4-d",
         !x.delivery_count && !x.link_credit && !x.available && !x.drain && !x.properties,
         "a session's flow with fields of a link");
    return;
  }
  const auto link = s->links.find(*x.handle);
  rule("T-2.6.2-d", link != s->links.end(), "a flow for a handle that is not attached");
  if (link == s->links.end() || !link->second.is_theirs_sender) return;
  rule("T-2.7.4-e", x.delivery_count.has_value(), "a sender's flow without delivery-count");
}

void watch::first_transfer(link_state& link, session_state& s, const spec::transfer& x) {
  rule("T-2.7.5-b", x.delivery_id.has_value(), "a first transfer without delivery-id");
  rule("T-2.7.5-e", x.delivery_tag.has_value(), "a first transfer without delivery-tag");
  rule("T-2.7.5-g", x.message_format.has_value(), "a first transfer without message-format");
  if (x.delivery_tag) {
    rule("T-2.7.5-aa", x.delivery_tag->octets.size() <= 32, "a delivery-tag above 32 octets");
  }
  rule("T-2.7.5-w", !x.resume, "a resumed delivery on a link that never had it");
  const std::uint32_t id = x.delivery_id.value_or(0);
  if (x.delivery_id && s.last_delivery) {
    rule("T-2.7.5-i", static_cast<std::int32_t>(id - *s.last_delivery) > 0,
         "a delivery-id that does not rise over the links of the session");
  }
  if (x.delivery_id) s.last_delivery = id;
  link.partial = id;
  link.partial_settled = x.settled.value_or(false);
  if (!x.delivery_tag) return;
  const std::string tag(x.delivery_tag->text());
  rule("T-2.6.12-a", link.unsettled.count(tag) == 0, "a delivery-tag that is still unsettled");
  if (!link.partial_settled) link.unsettled[tag] = id;
}

void watch::on(const frame& f, const spec::transfer& x) {
  session_state* s = session_of(f.channel);
  rule("T-2.7.5-a", true, "");
  if (s == nullptr || we_erred_) return;
  const auto found = s->links.find(x.handle);
  rule("T-2.6.2-d", found != s->links.end(), "a transfer for a handle that is not attached");
  if (found == s->links.end()) return;
  link_state& link = found->second;
  rule("T-2.7.5-o", !(x.more && x.aborted), "a transfer with more and aborted");
  if (!link.partial) {
    first_transfer(link, *s, x);
  } else {
    rule("T-2.6.14-b", !x.delivery_id || *x.delivery_id == *link.partial,
         "another delivery inside an unfinished one");
    link.partial_settled = link.partial_settled || x.settled.value_or(false);
  }
  if (x.aborted) settle(*link.partial, *link.partial, *s);  // implied [2.7.5]
  if (x.more && !x.aborted) return;
  using mode = spec::sender_settle_mode;
  if (link.settle_mode == mode::settled && !x.aborted) {
    rule("T-2.7.5-l", link.partial_settled, "an unsettled delivery on a settled link");
  }
  if (link.settle_mode == mode::unsettled && !x.aborted) {
    rule("T-2.7.5-m", !link.partial_settled, "a settled delivery on an unsettled link");
  }
  link.partial.reset();
}

void watch::settle(std::uint32_t first, std::uint32_t last, session_state& s) {
  for (auto& [handle, link] : s.links) {
    for (auto it = link.unsettled.begin(); it != link.unsettled.end();) {
      const bool inside = it->second - first <= last - first;
      it = inside ? link.unsettled.erase(it) : std::next(it);
    }
  }
}

void watch::on(const frame& f, const spec::disposition& d) {
  session_state* s = session_of(f.channel);
  rule("T-2.7.6-a", true, "");
  const std::uint64_t code = code_of(d.state);
  if (!d.state.empty()) {
    rule("Y-1.3.4-b", (code >= 0x23 && code <= 0x27) || code == 0x33 || code == 0x34,
         "a delivery state that is none");
  }
  if (const auto rejected = state_as<spec::rejected>(d.state)) {
    rule("M-3.4.3-b", true, "");
    check_error("T-2.8.14-b", rejected->error);
  }
  if (s == nullptr || we_erred_) return;
  const std::uint32_t last = d.last.value_or(d.first);
  if (d.role == spec::role::sender) {
    if (code != 0) rule("M-3.4.3-c", code != 0x25, "a source that rejects by itself");
    if (d.settled) settle(d.first, last, *s);
    return;
  }
  if (!is_outcome(code) || last - d.first > 10000) return;
  for (std::uint32_t id = d.first; id != last + 1; ++id) {
    const auto known = s->outcomes.emplace(id, code).first;
    rule("M-3.4-a", known->second == code, "two outcomes for one delivery");
  }
}

void watch::on(const frame& f, const spec::detach& d) {
  session_state* s = session_of(f.channel);
  check_error("T-2.7.7-c", d.error);
  if (s == nullptr || we_erred_) return;
  rule("T-2.6.2-d", s->links.count(d.handle) > 0, "a detach for a handle that is not attached");
  s->links.erase(d.handle);
}

}  // namespace whimbrel::conformance
