// SPDX-License-Identifier: Apache-2.0
#include "conformance/run/survey.hpp"

#include "conformance/wire/peer.hpp"

namespace whimbrel::conformance {

namespace {

constexpr std::string_view survey_clause = "O-0.2-j";  // what the names of the survey are made of

/// Whether the peer takes AMQP without a security layer.
bool takes_bare(subject& s, rule_book& rules) {
  test t(s, rules, "survey", std::string(survey_clause));
  peer p(t);
  p.header();
  const auto answer = p.read_header();
  return answer && *answer == header_of(0);
}

void ask_mechanisms(subject& s, rule_book& rules) {
  test t(s, rules, "survey", std::string(survey_clause));
  peer p(t);
  p.header(3);
  const auto answer = p.read_header();
  s.has_sasl = answer && *answer == header_of(3);
  if (!s.has_sasl) return;
  if (const auto offered = p.maybe<spec::sasl_mechanisms>()) {
    for (const symbol& each : offered->sasl_server_mechanisms) s.mechanisms.push_back(each.text);
  }
}

void try_node(subject& s, rule_book& rules) {
  test t(s, rules, "survey", std::string(survey_clause));
  try {
    peer p(t);
    const spec::open theirs = p.open();
    s.channel_max = theirs.channel_max;
    s.max_frame_size = theirs.max_frame_size;
    s.idle_time_out = theirs.idle_time_out.value_or(0);
    p.begin();
    link& out = p.producer(t.address());
    p.publish(out, data_message("survey"));
    link& in = p.receiver(t.address());
    p.credit(in, 1);
    const auto came = p.receive(in);
    if (!came) throw not_set_up("a message sent to the address does not come back from it");
    p.settle(came->id, state_of(spec::accepted{}));
    p.sync();
    s.has_node = true;
  } catch (const std::runtime_error& e) {
    s.no_node = e.what();
  }
}

void try_transactions(subject& s, rule_book& rules) {
  test t(s, rules, "survey", std::string(survey_clause));
  try {
    peer p(t);
    p.start();
    p.attach({.role = spec::role::sender,
              .source = spec::source{},
              .target = codec::to_raw(spec::coordinator{}),
              .initial_delivery_count = 0});
    s.has_transactions = true;
  } catch (const std::runtime_error& e) {
    s.no_transactions = e.what();
  }
}

}  // namespace

std::string look_around(subject& s, rule_book& rules) {
  s.has_own_nodes = s.address.find("{}") != std::string::npos;
  try {
    s.takes_bare_amqp = takes_bare(s, rules);
    ask_mechanisms(s, rules);
    test t(s, rules, "survey", std::string(survey_clause));
    peer p(t);
    p.open();
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  try_node(s, rules);
  try_transactions(s, rules);
  return {};
}

}  // namespace whimbrel::conformance
