// SPDX-License-Identifier: Apache-2.0
// The counters as a line of the log and as Prometheus's text.
#include "broker/management/totals.hpp"

#include <string_view>
#include <utility>
#include <vector>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "broker/core/letter.hpp"

namespace whimbrel::broker::management {

namespace {

using families = std::vector<prometheus::MetricFamily>;
using prometheus::MetricType;

struct labelled {
  std::string label = {};  // of the one label that the family has; empty: none
  double value = 0;
};

void add(families& to, MetricType type, std::string_view name, std::string_view help,
         const char* label, const std::vector<labelled>& values) {
  prometheus::MetricFamily f{"whimbrel_" + std::string(name), std::string(help), type, {}};
  for (const labelled& each : values) {
    prometheus::ClientMetric m;
    if (!each.label.empty()) m.label.push_back({label, each.label});
    (type == MetricType::Counter ? m.counter.value : m.gauge.value) = each.value;
    f.metric.push_back(std::move(m));
  }
  to.push_back(std::move(f));
}

void counter(families& to, std::string_view name, std::string_view help, std::uint64_t value) {
  add(to, MetricType::Counter, name, help, "", {{"", static_cast<double>(value)}});
}

void gauge(families& to, std::string_view name, std::string_view help, std::uint64_t value) {
  add(to, MetricType::Gauge, name, help, "", {{"", static_cast<double>(value)}});
}

void add_messages(families& out, const totals& t) {
  counter(out, "messages_in_total", "Messages that producers sent", t.in);
  counter(out, "messages_out_total", "Deliveries to consumers", t.out);
  const auto settled = [&](core::outcome what) {
    return static_cast<double>(t.settled[static_cast<std::size_t>(what)]);
  };
  add(out, MetricType::Counter, "deliveries_settled_total", "Deliveries settled, by outcome",
      "outcome",
      {{"accepted", settled(core::outcome::accepted)},
       {"rejected", settled(core::outcome::rejected)},
       {"released", settled(core::outcome::released)},
       {"modified", settled(core::outcome::modified)}});
  counter(out, "messages_refused_total", "Messages whose producer was not told accepted",
          t.refused);
  counter(out, "messages_stored_total", "Durable messages that came to durable queues", t.stored);
  counter(out, "messages_cancelled_total",
          "Of the stored ones, those consumed before the store was asked", t.cancelled);
  counter(out, "bodies_unreadable_total", "Stored bodies that failed their checksum",
          t.unreadable);
}

void add_store(families& out, const totals& t) {
  counter(out, "store_commits_total", "Commits of the store", t.store.commits);
  constexpr double second = 1e6;
  prometheus::MetricFamily f{"whimbrel_store_commit_seconds",
                             "Time that a commit takes, its sync included", MetricType::Summary,
                             {}};
  prometheus::ClientMetric m;
  m.summary.sample_count = t.store.commits;
  m.summary.sample_sum = static_cast<double>(t.store.commit_micros_total) / second;
  f.metric.push_back(m);
  out.push_back(std::move(f));
  add(out, MetricType::Gauge, "store_commit_seconds_max", "The slowest commit since the start", "",
      {{"", static_cast<double>(t.store.commit_micros_max) / second}});
  counter(out, "store_checkpoints_total", "Checkpoints of the write-ahead log",
          t.store.checkpoints);
  gauge(out, "store_log_octets", "Size of the write-ahead log", t.store.log_octets);
}

void add_state(families& out, const totals& t) {
  counter(out, "connections_accepted_total", "Connections that came in, with or without a login",
          t.connections_accepted);
  gauge(out, "connections", "Connections now", t.connections);
  gauge(out, "sessions", "Sessions now", t.sessions);
  gauge(out, "links", "Links now", t.links);
  gauge(out, "queues", "Queues now", t.queues);
  gauge(out, "queued_messages", "Messages in queues, those that consumers hold included", t.depth);
  gauge(out, "message_memory_octets", "Memory that messages take", t.resident);
  gauge(out, "message_memory_budget_octets", "Memory that messages may take", t.memory);
  counter(out, "credit_stops_total", "Times that producers were left without credit",
          t.credit_stops);
}

}  // namespace

std::string totals::text() const {
  std::string line = "totals";
  const auto say = [&](const char* name, std::uint64_t value) {
    line += ' ';
    line += name;
    line += '=';
    line += std::to_string(value);
  };
  say("in", in);
  say("out", out);
  say("stored", stored);
  say("cancelled", cancelled);
  say("refused", refused);
  say("commits", store.commits);
  say("commit_us_max", store.commit_micros_max);
  say("checkpoints", store.checkpoints);
  say("credit_stops", credit_stops);
  say("connections", connections);
  return line;
}

std::string exposition(const totals& t) {
  families out;
  add_messages(out, t);
  add_store(out, t);
  add_state(out, t);
  return prometheus::TextSerializer().Serialize(out);
}

}  // namespace whimbrel::broker::management
