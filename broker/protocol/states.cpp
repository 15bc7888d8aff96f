// SPDX-License-Identifier: Apache-2.0
// Reading and writing delivery states.
#include "broker/protocol/states.hpp"

#include <utility>

#include "amqp/codec/codec.hpp"

namespace whimbrel::broker::protocol {

namespace fast = amqp::spec::fast;
using core::outcome;

amqp::spec::error make_error(std::string_view condition, std::string description) {
  amqp::spec::error e;
  e.condition = condition;
  e.description = std::move(description);
  return e;
}

std::span<const std::byte> plain_octets(outcome what) {
  switch (what) {
    case outcome::accepted: return fast::accepted_octets;
    case outcome::rejected: return fast::rejected_octets;
    case outcome::released: return fast::released_octets;
    case outcome::modified: return fast::modified_octets;
  }
  return {};
}

amqp::codec::raw rejected_octets(std::string_view condition, std::string description) {
  amqp::spec::rejected r;
  r.error = make_error(condition, std::move(description));
  return amqp::codec::to_raw(r);
}

amqp::codec::raw rejected_octets(const core::letter_detail& why) {
  amqp::spec::rejected r;
  r.error = make_error(why.condition, why.description);
  if (!why.queue.empty()) {
    using amqp::codec::value;
    r.error->info = amqp::codec::map{
        {value(amqp::symbol("queue")), value(why.queue)},
        {value(amqp::symbol("reason")), value(why.reason)},
    };
  }
  return amqp::codec::to_raw(r);
}

std::optional<stated_outcome> read_outcome(fast::state_kind kind,
                                           std::span<const std::byte> octets) {
  stated_outcome out;
  switch (kind) {
    case fast::state_kind::accepted: out.what = outcome::accepted; return out;
    case fast::state_kind::rejected: out.what = outcome::rejected; return out;
    case fast::state_kind::released: out.what = outcome::released; return out;
    case fast::state_kind::modified: {
      const auto m = amqp::codec::decode<amqp::spec::modified>(octets);
      if (m.has_error()) return std::nullopt;
      out.what = outcome::modified;
      out.failed = m->delivery_failed.value_or(false);
      out.undeliverable = m->undeliverable_here.value_or(false);
      if (m->message_annotations && !m->message_annotations->empty()) {
        out.annotations = m->message_annotations;
      }
      return out;
    }
    default: return std::nullopt;
  }
}

}  // namespace whimbrel::broker::protocol
