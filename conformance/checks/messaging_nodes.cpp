// SPDX-License-Identifier: Apache-2.0
// Dynamic nodes and how long they live. [3.5.3, 3.5.4, 3.5.9-3.5.13]
#include "conformance/checks/family.hpp"

namespace whimbrel::conformance {

namespace {

codec::map lifetime(std::uint64_t policy) {
  return map_with({{codec::value(symbol("lifetime-policy")),
                    codec::value(codec::described(codec::value(policy),
                                                  codec::value(codec::list{})))}});
}

std::uint64_t policy_of(const std::optional<codec::map>& properties) {
  const auto found = properties ? properties->find("lifetime-policy") : std::nullopt;
  const auto described = found ? found->to<codec::described>() : std::nullopt;
  return described ? described->descriptor_code().value_or(0) : 0;
}

link& dynamic_receiver(peer& p, std::uint64_t policy = 0) {
  spec::source s{.dynamic = true};
  if (policy != 0) s.dynamic_node_properties = lifetime(policy);
  return p.receiver("", {.source = s});
}

void dynamic_source(test& t) {
  peer p(t);
  p.start();
  link& in = dynamic_receiver(p, 0x2b);
  const spec::source& s = *in.reply.source;
  const std::string address = s.address.value_or("");
  t.expect("M-3.5.3-b", s.dynamic && !address.empty(), "dynamic source: " + address);
  const bool named = address.find(in.name) != std::string::npos;
  t.expect("M-3.5.3-c", named, named ? "its address holds the link name"
                                     : "its address does not hold the link name: " + address);
  const std::uint64_t policy = policy_of(s.dynamic_node_properties);
  t.expect("M-3.5.3-e", policy != 0, "lifetime-policy 0x" + to_hex(bytes{std::byte(policy)}));
  if (s.dynamic_node_properties) {
    bool symbols = true;
    for (const auto& [key, mapped] : *s.dynamic_node_properties) {
      symbols = symbols && key.is<symbol>();
    }
    t.expect("M-3.5.9-d", symbols, "keys of the node properties");
    t.expect("M-3.5.9-a", policy >= 0x2b && policy <= 0x2e, "lifetime-policy in the reply");
    t.note("M-3.5.9-b", s.dynamic_node_properties->contains("supported-dist-modes")
                            ? "supported-dist-modes is told"
                            : "supported-dist-modes is not told");
  }
  link& out = p.producer(address);
  p.publish(out, data_message("to a node without a name"));
  p.credit(in, 1);
  const auto d = p.receive(in);
  t.expect("M-3.5.9-c", d.has_value(), "the node lives while its link does");
  if (d) p.settle(d->id, accepted);
}

void dynamic_target(test& t) {
  peer p(t);
  p.start();
  link& out = p.sender("", {.target = codec::to_raw(spec::target{.dynamic = true})});
  const auto target = state_as<spec::target>(out.reply.target);
  const std::string address = target ? target->address.value_or("") : "";
  t.expect("M-3.5.4-b", target && target->dynamic && !address.empty(),
           "dynamic target: " + address);
  const bool named = address.find(out.name) != std::string::npos;
  t.expect("M-3.5.4-f", named, "its address: " + address);
}

/// Whether a message that was in the node is still there after `after` was done.
bool is_kept(peer& p, const std::string& address) {
  const spec::attach a{.role = spec::role::receiver,
                       .source = spec::source{.address = address},
                       .target = codec::to_raw(spec::target{})};
  p.forget_endings();
  try {
    link& in = p.attach(a);
    p.credit(in, 1);
    const auto d = p.receive(in, p.owner().peer().quiet * 2);
    if (d) p.settle(d->id, accepted);
    p.sync();
    p.detach(in);
    return d.has_value();
  } catch (const not_offered&) {
    return false;
  }
}

/// A node of `policy` that holds one message when its creating link is closed.
void lives(test& t, const char* clause, std::uint64_t policy, bool keeps_messages) {
  peer p(t);
  p.start();
  link& in = dynamic_receiver(p, policy);
  if (policy_of(in.reply.source->dynamic_node_properties) != policy) {
    throw not_offered("another lifetime-policy is in force");
  }
  const std::string address = in.reply.source->address.value_or("");
  link& out = p.producer(address);
  p.publish(out, data_message("left behind"));
  p.detach(out);
  p.detach(in);
  const bool kept = is_kept(p, address);
  t.expect(clause, kept == keeps_messages, kept ? "the message was kept" : "the message is gone");
}

}  // namespace

void add_messaging_nodes(checks& out) {
  out.push_back({"M-3.5.3-b M-3.5.3-c M-3.5.3-e M-3.5.9-a M-3.5.9-b M-3.5.9-c M-3.5.9-d",
                 "a dynamic source", dynamic_source});
  out.push_back({"M-3.5.4-b M-3.5.4-f", "a dynamic target", dynamic_target});
  const auto add = [&out](const char* clause, const char* title, std::uint64_t policy, bool keeps) {
    out.push_back({clause, title, [=](test& t) { lives(t, clause, policy, keeps); }});
  };
  add("M-3.5.10-a", "delete-on-close", 0x2b, false);
  add("M-3.5.11-a", "delete-on-no-links", 0x2c, false);
  add("M-3.5.12-a", "delete-on-no-messages", 0x2d, true);
  add("M-3.5.13-a", "delete-on-no-links-or-messages", 0x2e, true);
}

}  // namespace whimbrel::conformance
