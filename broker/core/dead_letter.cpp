// SPDX-License-Identifier: Apache-2.0
// Reading and writing the history of deaths.
#include "broker/core/dead_letter.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "amqp/codec/value.hpp"

namespace whimbrel::broker::core {

namespace {

using amqp::symbol;
using amqp::timestamp;
using amqp::codec::map;
using amqp::codec::value;

constexpr std::size_t deaths_max = 64;  // entries kept, the latest

/// Empty where there is none, or where a peer has put something else under that name.
std::vector<map> read_deaths(const map& annotations) {
  const auto found = annotations.get<amqp::codec::array>("x-opt-deaths");
  auto deaths = found ? found->to_vector<map>() : std::nullopt;
  return deaths ? *std::move(deaths) : std::vector<map>{};
}

map annotations_of(const message& m) {
  const amqp::message::view seen(m.octets(), m.sections());
  auto read = seen.message_annotations();
  return read.has_value() ? *std::move(read) : map{};
}

std::string text_in(const map& in, std::string_view name) {
  const auto found = in.find(name);
  return found ? found->text().value_or("") : std::string();
}

struct provenance {
  std::string exchange = {};
  std::string key = {};
};

provenance provenance_of(const map& annotations, std::string_view queue) {
  const auto exchange = annotations.find("x-exchange");
  if (!exchange || !exchange->text()) return {"", std::string(queue)};
  return {*exchange->text(), text_in(annotations, "x-routing-key")};
}

/// The entry of this queue and reason, counted one up, or a new one.
map update_entry(std::vector<map>& deaths, const message& m, const death& d,
                 const provenance& from) {
  const value now(timestamp{d.now_ms});
  const auto known = std::find_if(deaths.begin(), deaths.end(), [&](const map& e) {
    return text_in(e, "queue") == d.queue && text_in(e, "reason") == name_of(d.why);
  });
  if (known != deaths.end()) {
    map entry = std::move(*known);
    deaths.erase(known);
    const auto counted = entry.find("count");
    const std::uint64_t before = counted ? counted->to_unsigned().value_or(0) : 0;
    entry.set(value(symbol("count")), value(before + 1));
    entry.set(value(symbol("last-time")), now);
    return entry;
  }
  map entry;
  entry.append(value(symbol("queue")), value(d.queue));
  entry.append(value(symbol("reason")), value(symbol(name_of(d.why))));
  entry.append(value(symbol("count")), value(std::uint64_t{1}));
  entry.append(value(symbol("first-time")), now);
  entry.append(value(symbol("last-time")), now);
  entry.append(value(symbol("exchange")), value(from.exchange));
  entry.append(value(symbol("routing-keys")),
               value(amqp::codec::array::of(std::vector<std::string>{from.key})));
  if (const auto ttl = m.header().ttl) entry.append(value(symbol("ttl")), value(*ttl));
  return entry;
}

/// x-first-death-* and x-last-death-*.
void name_death(map& changes, std::string_view which, const death& d, const provenance& from) {
  const std::string prefix = "x-" + std::string(which) + "-death-";
  changes.append(value(symbol(prefix + "queue")), value(d.queue));
  changes.append(value(symbol(prefix + "reason")), value(name_of(d.why)));
  changes.append(value(symbol(prefix + "exchange")), value(from.exchange));
}

void name_origin(map& changes, const message& m, const death& d) {
  const amqp::message::view seen(m.octets(), m.sections());
  const auto to = seen.to();
  const bool has_to = to.has_value() && to->has_value();
  changes.append(value(symbol("x-opt-ORIG-QUEUE")), value(d.queue));
  changes.append(value(symbol("x-opt-ORIG-ADDRESS")), has_to ? value(**to) : value(d.queue));
  const auto id = seen.message_id();
  if (id.has_value() && !id->empty()) {
    changes.append(value(symbol("x-opt-ORIG-MESSAGE-ID")), amqp::codec::value_of_checked(*id));
  }
}

}  // namespace

std::string_view name_of(death_reason why) {
  switch (why) {
    case death_reason::rejected: return "rejected";
    case death_reason::expired: return "expired";
    case death_reason::maxlen: return "maxlen";
    case death_reason::delivery_limit: return "delivery-limit";
    case death_reason::undeliverable_here: return "undeliverable-here";
  }
  return "?";
}

message_ptr make_dead_letter(const message& m, const death& d) {
  const map annotations = annotations_of(m);
  const provenance from = provenance_of(annotations, d.queue);
  std::vector<map> deaths = read_deaths(annotations);
  deaths.insert(deaths.begin(), update_entry(deaths, m, d, from));
  if (deaths.size() > deaths_max) deaths.resize(deaths_max);

  map changes;
  changes.append(value(symbol("x-opt-deaths")), value(amqp::codec::array::of(deaths)));
  if (!annotations.contains("x-first-death-queue")) name_death(changes, "first", d, from);
  name_death(changes, "last", d, from);
  if (!annotations.contains("x-opt-ORIG-QUEUE")) name_origin(changes, m, d);
  if (d.why == death_reason::expired) {
    changes.append(value(symbol("x-opt-ACTUAL-EXPIRY")), value(d.expires_ms));
  }

  const auto octets = m.octets();
  const auto& at = m.sections();
  amqp::octet_buffer head;
  amqp::message::header_view h = m.header();
  h.ttl.reset();
  h.first_acquirer = false;
  h.delivery_count = 0;
  amqp::message::write_header(head, h);
  const auto old = octets.subspan(at.delivery_annotations_end,
                                  at.message_annotations_end - at.delivery_annotations_end);
  // A section that cannot be merged with is left out: what is known of the death matters more.
  amqp::octet_buffer merged;
  if (amqp::message::write_merged_annotations(merged, old, changes).has_error()) {
    merged = {};
    const auto alone = amqp::message::write_merged_annotations(merged, {}, changes);
    AMQP_ASSERT(alone.has_value());
  }
  message_builder builder;
  builder.append(head.octets(), true);
  builder.append(merged.octets(), true);
  builder.append(octets.subspan(at.message_annotations_end), false);
  auto made = builder.finish(m.format(), m.origin());
  AMQP_ASSERT(made.has_value());
  return *std::move(made);
}

bool is_consumers_word(death_reason why) {
  return why == death_reason::rejected || why == death_reason::delivery_limit ||
         why == death_reason::undeliverable_here;
}

bool goes_in_circles(const message& m, std::string_view queue, death_reason why) {
  if (is_consumers_word(why)) return false;
  const auto& at = m.sections();
  if (at.message_annotations_end == at.delivery_annotations_end) return false;
  bool was_here = false;
  for (const map& e : read_deaths(annotations_of(m))) {
    const std::string reason = text_in(e, "reason");
    if (reason != name_of(death_reason::expired) && reason != name_of(death_reason::maxlen)) {
      return false;
    }
    was_here = was_here || text_in(e, "queue") == queue;
  }
  return was_here;
}

}  // namespace whimbrel::broker::core
