// SPDX-License-Identifier: Apache-2.0
// Arguments of queues, and policies that say the same for many.
#include "broker/core/queue_policy.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "broker/core/policy_table.hpp"

using namespace whimbrel;
using namespace whimbrel::broker::core;
using amqp::symbol;
using amqp::codec::map;
using amqp::codec::value;

namespace {

/// A pattern is a prefix here: globs are the matcher's affair.
bool has_prefix(std::string_view pattern, std::string_view name) {
  return name.starts_with(pattern);
}

queue_policy from(const map& arguments) {
  queue_policy out;
  const auto wrong = set_arguments(out, arguments);
  CHECK_MESSAGE(!wrong, wrong.value_or(""));
  return out;
}

named_policy policy(std::string name, std::string pattern, std::int32_t priority,
                    const map& arguments) {
  return {std::move(name), std::move(pattern), priority, from(arguments)};
}

}  // namespace

TEST_CASE("queue arguments: ours and those of other brokers set the same fields") {
  struct {
    std::string_view ours, other;
    value what;
  } const rows[] = {
      {"message-ttl", "x-message-ttl", value(std::uint32_t{1000})},
      {"max-length", "x-max-length", value(std::int64_t{5})},
      {"max-octets", "x-max-length-bytes", value(std::uint64_t{5})},
      {"overflow", "x-overflow", value("drop-head")},
      {"dead-letter-exchange", "x-dead-letter-exchange", value(symbol("dlx"))},
      {"delivery-limit", "x-delivery-limit", value(std::uint8_t{3})},
      {"single-active-consumer", "x-single-active-consumer", value(true)},
      {"last-value-key", "qpid.last_value_queue_key", value("key")},
  };
  for (const auto& row : rows) {
    CAPTURE(row.ours);
    queue_policy a;
    queue_policy b;
    CHECK_FALSE(set_argument(a, row.ours, row.what));
    CHECK_FALSE(set_argument(b, row.other, row.what));
    CHECK(a == b);
    CHECK_FALSE(a.empty());
    CHECK(is_argument(row.ours));
    CHECK(is_argument(row.other));
  }
  queue_policy dead;
  CHECK_FALSE(set_argument(dead, "dead-letter-queue", value("d")));
  CHECK(dead.dead_letter_exchange == "");
  CHECK(dead.dead_letter_routing_key == "d");
  queue_policy levels;
  CHECK_FALSE(set_argument(levels, "x-max-priority", value(std::int32_t{10})));
  CHECK(levels.priorities == true);
}

TEST_CASE("queue arguments: what is wrong is said with its name") {
  struct {
    std::string_view name;
    value what;
    std::string_view says;
  } const rows[] = {
      {"max-length", value("5"), "argument 'max-length' must be a whole number from 1"},
      {"x-max-length", value(std::int32_t{-1}), "argument 'max-length' must be a whole number"},
      {"max-length", value(std::uint32_t{0}), "argument 'max-length' must be a whole number"},
      {"message-ttl", value(1.5), "argument 'message-ttl' must be a whole number from 0"},
      {"overflow", value("explode"), "argument 'overflow' must be drop-head, reject, dead-letter"},
      {"overflow", value(true), "argument 'overflow' must be drop-head"},
      {"priorities", value("yes"), "argument 'priorities' must be true or false"},
      {"dead-letter-exchange", value(std::uint32_t{1}), "must be a text of at most 255 octets"},
      {"dead-letter-exchange", value(std::string(256, 'a')), "must be a text of at most 255"},
      {"dead-letter-queue", value(""), "argument 'dead-letter-queue' must be a text of 1"},
      {"x-max-priority", value(std::uint32_t{256}), "must be a whole number from 0 to 255"},
      {"dedup-window", value(std::uint32_t{0}), "argument 'dedup-window' must be a whole number"},
      {"dedup-max", value(std::uint64_t{10'000'001}), "from 1 to 10000000"},
      {"x-queue-type", value("stream"), "must be 'classic' or 'quorum'"},
      {"max-lenght", value(std::uint32_t{1}), "argument 'max-lenght' is not known; there are"},
      {"", value(true), "argument '' is not known"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.name);
    queue_policy p;
    const auto wrong = set_argument(p, row.name, row.what);
    REQUIRE(wrong);
    CAPTURE(*wrong);
    CHECK(wrong->find(row.says) != std::string::npos);
    CHECK(p.empty());
  }
}

TEST_CASE("queue arguments: fields that need another one are refused without it") {
  struct {
    map arguments;
    bool is_right;
  } const rows[] = {
      {{{value("overflow"), value("dead-letter")}}, false},
      {{{value("dead-letter-routing-key"), value("k")}}, false},
      {{{value("dead-letter-exchange"), value("")}}, false},
      {{{value("dead-letter-exchange"), value("x")}}, true},
      {{{value("overflow"), value("dead-letter")}, {value("dead-letter-queue"), value("d")}}, true},
      {{{value(symbol("x-queue-type")), value("quorum")}}, true},
      {{{value(std::uint32_t{1}), value("a")}}, false},
  };
  for (const auto& row : rows) {
    CAPTURE(amqp::codec::to_text(row.arguments));
    queue_policy p;
    CHECK(!set_arguments(p, row.arguments) == row.is_right);
  }
}

TEST_CASE("queue arguments: what is written is read back") {
  queue_policy all;
  all.message_ttl = 1;
  all.max_length = 2;
  all.max_octets = 3;
  all.overflow = overflow::flow_control;
  all.dead_letter_exchange = "e";
  all.dead_letter_routing_key = "";
  all.delivery_limit = 0;
  all.expires = 4;
  all.retry_delay = 5;
  all.retry_delay_max = 50;
  all.priorities = true;
  all.single_active_consumer = false;
  all.exclusive_consumer = true;
  all.last_value_key = "k";
  all.dedup_window = 6;
  all.dedup_max = 7;
  all.message_groups = true;
  all.group_rebalance = false;
  all.group_first = true;
  CHECK(to_arguments(all).size() == 19);
  CHECK(from(to_arguments(all)) == all);
  CHECK(to_arguments(queue_policy{}).empty());
  queue_policy merged;
  merge(merged, all);
  CHECK(merged == all);
}

TEST_CASE("policies: arguments first, then by priority, then by name, field by field") {
  policy_table table(has_prefix);
  table.set(policy("b", "o", 0, {{value("max-length"), value(std::uint32_t{2})},
                                 {value("message-ttl"), value(std::uint32_t{2})}}));
  table.set(policy("a", "o", 0, {{value("max-length"), value(std::uint32_t{1})}}));
  table.set(policy("c", "or", 5, {{value("delivery-limit"), value(std::uint32_t{5})},
                                  {value("message-ttl"), value(std::uint32_t{5})}}));
  table.set(policy("d", "x", 9, {{value("max-length"), value(std::uint32_t{9})}}));
  const queue_policy own = from({{value("delivery-limit"), value(std::uint32_t{7})}});
  const effective_policy got = table.of("orders", own);
  CHECK(got.from == std::vector<std::string>{"c", "a", "b"});
  CHECK(got.what.delivery_limit == 7);
  CHECK(got.what.message_ttl == 5);
  CHECK(got.what.max_length == 1);
  CHECK(table.of("none", {}).what.empty());
  CHECK(table.of("none", {}).from.empty());
}

TEST_CASE("policies: one of the same name replaces it, one that is removed says nothing") {
  policy_table table(has_prefix);
  table.set(policy("a", "", 0, {{value("max-length"), value(std::uint32_t{1})}}));
  table.set(policy("a", "", 3, {{value("max-length"), value(std::uint32_t{2})}}));
  CHECK(table.all().size() == 1);
  CHECK(table.of("q", {}).what.max_length == 2);
  CHECK(table.remove("a"));
  CHECK_FALSE(table.remove("a"));
  CHECK(table.of("q", {}).what.empty());
}

TEST_CASE("policies: the target of dead letters is taken whole") {
  policy_table table(has_prefix);
  table.set(policy("a", "", 0, {{value("dead-letter-queue"), value("d")}}));
  const queue_policy own = from({{value("dead-letter-exchange"), value("x")}});
  const queue_policy got = table.of("q", own).what;
  CHECK(got.dead_letter_exchange == "x");
  CHECK_FALSE(got.dead_letter_routing_key);
}

TEST_CASE("policies: a record is read back, a damaged one is not") {
  const named_policy p = policy("p", "orders.*", -3, {{value("dead-letter-queue"), value("d")}});
  const auto record = encode_record(p);
  const auto back = decode_policy("p", record->octets());
  REQUIRE(back);
  CHECK(*back == p);
  for (std::size_t n = 0; n < record->size(); ++n) {
    CAPTURE(n);
    CHECK_FALSE(decode_policy("p", record->octets().first(n)));
  }
}
