// SPDX-License-Identifier: Apache-2.0
// Building attach replies.
#include "broker/protocol/terminus.hpp"

#include <array>
#include <string_view>
#include <utility>

#include "amqp/codec/codec.hpp"
#include "broker/protocol/states.hpp"

namespace whimbrel::broker::protocol {

namespace spec = amqp::spec;
using amqp::symbol;

namespace {

/// Capabilities that we keep: what kind of node it is, and how its subscription is shared.
amqp::codec::multiple<symbol> kept(const amqp::codec::multiple<symbol>& asked,
                                   bool subscribed = false) {
  amqp::codec::multiple<symbol> out;
  for (const symbol& c : asked) {
    const bool kind = c == "queue" || c == "temporary-queue" || c == "topic" ||
                      c == "temporary-topic";
    if (kind || (subscribed && (c == "shared" || c == "global"))) out.push_back(c);
  }
  return out;
}

/// {lifetime-policy: delete-on-close}: the node goes with the link that asked for it. [3.5.10]
amqp::codec::map lifetime_of_dynamic() {
  amqp::codec::map out;
  out.append(amqp::codec::value(symbol("lifetime-policy")),
             amqp::codec::value(amqp::codec::described(
                 amqp::codec::value(std::uint64_t{spec::delete_on_close::type.code}),
                 amqp::codec::value(amqp::codec::list{}))));
  return out;
}

/// Such a terminus goes with its link, or one that stays with its session: at once, and the reply
/// says so. [3.5.6]
template <class Terminus>
void end_with_link(Terminus& t, bool staying = false) {
  t.durable = spec::terminus_durability::none;
  t.expiry_policy = staying ? "session-end" : "link-detach";
  t.timeout = 0;
}

constexpr std::array<std::string_view, 4> outcome_names = {
    "amqp:accepted:list", "amqp:rejected:list", "amqp:released:list", "amqp:modified:list"};

/// Those asked for that there are, or all of them; a default only if it is an outcome. [3.5.3]
void keep_outcomes(spec::source& s) {
  amqp::codec::multiple<symbol> kept_outcomes;
  for (const std::string_view name : outcome_names) {
    if (s.outcomes.empty() || s.outcomes.contains(name)) kept_outcomes.push_back(symbol(name));
  }
  if (kept_outcomes.empty()) {
    for (const std::string_view name : outcome_names) kept_outcomes.push_back(symbol(name));
  }
  s.outcomes = std::move(kept_outcomes);
  const auto octets = s.default_outcome.octets();
  if (!octets.empty() && !read_outcome(spec::fast::classify_state(octets), octets)) {
    s.default_outcome = {};
  }
}

}  // namespace

core::node_hint hint_of(const amqp::codec::multiple<symbol>& capabilities) {
  if (capabilities.contains("topic") || capabilities.contains("temporary-topic")) {
    return core::node_hint::topic;
  }
  if (capabilities.contains("queue") || capabilities.contains("temporary-queue")) {
    return core::node_hint::queue;
  }
  return core::node_hint::any;
}

/// A policy that we do not know promises nothing.
bool outlives_detach(const symbol& expiry_policy) {
  return expiry_policy == "session-end" || expiry_policy == "connection-close" ||
         expiry_policy == "never";
}

bool target_outlives_detach(const amqp::codec::raw& target) {
  const auto read = amqp::codec::from_raw<spec::target>(target);
  return read.has_value() && outlives_detach(read->expiry_policy);
}

bool request_lasts(const spec::attach& asked) {
  return asked.source && asked.source->expiry_policy == "never";
}

core::subscription_wish wish_of(const spec::attach& asked, const std::string& container) {
  core::subscription_wish out;
  out.container = container;
  out.link = asked.name;
  const auto& capabilities = asked.source ? asked.source->capabilities : asked.desired_capabilities;
  out.shared = capabilities.contains("shared");
  out.global = capabilities.contains("global");
  if (!asked.source) return out;
  out.lasting = request_lasts(asked);
  out.durable = asked.source->durable != spec::terminus_durability::none;
  if (asked.source->filter) {
    amqp::octet_buffer octets;
    amqp::codec::encode(octets, *asked.source->filter);
    const auto span = octets.octets();
    out.filter.assign(reinterpret_cast<const char*>(span.data()), span.size());
  }
  return out;
}

spec::source source_of(const core::subscription& what) {
  spec::source out;
  out.address = what.address;
  if (what.durable) out.durable = spec::terminus_durability::unsettled_state;
  out.expiry_policy = "never";
  out.distribution_mode = symbol("copy");
  if (what.shared) out.capabilities.push_back("shared");
  if (what.global) out.capabilities.push_back("global");
  return out;
}

spec::target dynamic_target(const spec::target& asked, std::string name) {
  spec::target out = asked;
  end_with_link(out);
  out.address = std::move(name);
  out.dynamic_node_properties = lifetime_of_dynamic();
  out.capabilities = kept(asked.capabilities);
  return out;
}

spec::attach reply_to_sender(const spec::attach& asked, std::uint64_t max_message_size,
                             bool staying) {
  spec::attach reply;
  reply.snd_settle_mode = asked.snd_settle_mode;
  reply.rcv_settle_mode = asked.rcv_settle_mode;
  // Clients take an attach without both termini for a refusal.
  reply.source = asked.source.value_or(spec::source{});
  auto target = amqp::codec::from_raw<spec::target>(asked.target);
  if (target.has_value()) {
    end_with_link(*target, staying);
    target->dynamic_node_properties.reset();
    target->capabilities = kept(target->capabilities);
    reply.target = amqp::codec::to_raw(*target);
  }
  reply.max_message_size = max_message_size;
  if (asked.desired_capabilities.contains("DELAYED_DELIVERY")) {
    reply.offered_capabilities.push_back("DELAYED_DELIVERY");
  }
  return reply;
}

spec::attach reply_to_receiver(const spec::attach& asked, const source_in_force& source) {
  spec::attach reply;
  reply.snd_settle_mode = asked.snd_settle_mode;
  reply.rcv_settle_mode = asked.rcv_settle_mode;
  reply.target = asked.target.empty() ? amqp::codec::to_raw(spec::target{}) : asked.target;
  spec::source in_force = asked.source.value_or(spec::source{});
  in_force.address = source.address;
  if (source.lasting) in_force.timeout = 0;
  else end_with_link(in_force, source.staying);
  in_force.dynamic = source.dynamic;
  in_force.dynamic_node_properties.reset();
  if (source.dynamic) in_force.dynamic_node_properties = lifetime_of_dynamic();
  const bool copy = source.browsing || source.subscribed;
  in_force.distribution_mode = symbol(copy ? "copy" : "move");
  in_force.filter.reset();
  // Only what is applied is claimed. [3.5.8]
  if (!source.filter.empty()) in_force.filter = source.filter;
  in_force.capabilities = kept(in_force.capabilities, source.subscribed);
  if (source.subscribed && asked.desired_capabilities.contains("SHARED-SUBS")) {
    reply.offered_capabilities.push_back("SHARED-SUBS");
  }
  keep_outcomes(in_force);
  reply.source = std::move(in_force);
  return reply;
}

}  // namespace whimbrel::broker::protocol
