// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/load.hpp"

#include <proton/condition.h>
#include <proton/disposition.h>
#include <proton/terminus.h>

#include <utility>

#include "tests/crash/octets.hpp"

namespace whimbrel::crash {
namespace {

constexpr int credit = 500;
constexpr std::uint64_t backlog_max = 20'000;
constexpr std::uint64_t in_flight_max = 4'000;

std::uint64_t state_of(outcome what) {
  switch (what) {
    case outcome::accepted: return PN_ACCEPTED;
    case outcome::rejected: return PN_REJECTED;
    case outcome::released: return PN_RELEASED;
    case outcome::failed: return PN_MODIFIED;
  }
  return 0;
}

outcome outcome_of(std::uint64_t state) {
  if (state == PN_ACCEPTED) return outcome::accepted;
  if (state == PN_REJECTED) return outcome::rejected;
  return state == PN_RELEASED ? outcome::released : outcome::failed;
}

}  // namespace

std::string reason(pn_event_t* event) {
  pn_condition_t* why = pn_event_condition(event);
  if (why == nullptr || !pn_condition_is_set(why)) return {};
  const char* text = pn_condition_get_description(why);
  return std::string(" ") + pn_condition_get_name(why) + ": " + (text == nullptr ? "" : text);
}

bool take_delivery(pn_delivery_t* delivery, partial_deliveries& partial, std::string& whole) {
  const std::size_t pending = pn_delivery_pending(delivery);
  std::string part(pending, '\0');
  if (pending > 0) pn_link_recv(pn_delivery_link(delivery), part.data(), pending);
  if (pn_delivery_partial(delivery)) {
    partial[delivery] += part;
    return false;
  }
  if (auto begun = partial.extract(delivery)) part.insert(0, begun.mapped());
  whole = std::move(part);
  return true;
}

load::load(std::uint16_t port, ledger& book, std::mt19937_64& random)
    : book_(book), random_(random) {
  for (std::uint32_t c = 0; c < producer_connections; ++c) {
    peers_.push_back(std::make_unique<amqp_peer>(port, "producer-" + std::to_string(c), *this));
    for (std::uint32_t q = 0; q < queue_count; ++q) {
      const std::string name = "from-" + std::to_string(c) + "-" + std::to_string(q);
      pn_link_t* link = pn_sender(peers_.back()->session(), name.c_str());
      pn_terminus_set_address(pn_link_target(link), queue_name(q).c_str());
      pn_link_open(link);
      producers_[link] = {c * queue_count + q, q};
      senders_.push_back(link);
    }
  }
  for (std::uint32_t c = 0; c < consumer_connections; ++c) {
    peers_.push_back(std::make_unique<amqp_peer>(port, "consumer-" + std::to_string(c), *this));
    for (std::uint32_t q = 0; q < queue_count; ++q) {
      const std::string name = "to-" + std::to_string(c) + "-" + std::to_string(q);
      pn_link_t* link = pn_receiver(peers_.back()->session(), name.c_str());
      pn_terminus_set_address(pn_link_source(link), queue_name(q).c_str());
      if ((c + q) % 2 == 0) pn_link_set_rcv_settle_mode(link, PN_RCV_SECOND);
      pn_link_open(link);
      pn_link_flow(link, credit);
      consumers_[link] = q;
    }
  }
  for (const auto& each : peers_) all_.push_back(each.get());
}

void load::pump() {
  for (pn_link_t* each : senders_) send_some(each);
  amqp_peer::pump(all_, 5);
}

void load::finish() {
  broker_lives_ = false;
  // Ends as soon as the sockets say so; the broker is dead, so that is at once.
  for (int i = 0; i < 10'000; ++i) {
    bool open = false;
    for (const amqp_peer* each : all_) open |= !each->is_closed();
    if (!open) return;
    amqp_peer::pump(all_, 100);
  }
}

void load::on_event(pn_event_t* event) {
  if (pn_event_type(event) == PN_DELIVERY) on_delivery(pn_event_delivery(event));
  if (!broker_lives_) return;
  switch (pn_event_type(event)) {
    case PN_LINK_REMOTE_CLOSE:
    case PN_SESSION_REMOTE_CLOSE:
    case PN_CONNECTION_REMOTE_CLOSE:
    case PN_TRANSPORT_ERROR:
      book_.corrupted(std::string("a conversation, by ") +
                      pn_event_type_name(pn_event_type(event)) + reason(event));
      break;
    default:
      break;
  }
}

void load::on_delivery(pn_delivery_t* delivery) {
  if (pn_link_is_sender(pn_delivery_link(delivery))) {
    on_verdict(delivery);
  } else if (pn_delivery_readable(delivery)) {
    on_message(delivery);
  } else if (pn_delivery_updated(delivery)) {
    on_answer(delivery);
  }
}

void load::on_verdict(pn_delivery_t* delivery) {
  if (!pn_delivery_updated(delivery) || pn_delivery_remote_state(delivery) == 0) return;
  const message_id id = from_context(pn_delivery_get_context(delivery));
  if (pn_delivery_remote_state(delivery) == PN_ACCEPTED) {
    book_.accept(id);
  } else {
    book_.refuse(id);
  }
  pn_delivery_settle(delivery);
}

void load::on_message(pn_delivery_t* delivery) {
  pn_link_t* link = pn_delivery_link(delivery);
  std::string octets;
  if (!take_delivery(delivery, partial_, octets)) return;
  pn_link_advance(link);
  const auto seen = decode_message(octets);
  if (!seen) {
    book_.corrupted("a message on " + queue_name(consumers_[link]));
    pn_delivery_settle(delivery);
    return;
  }
  book_.receive(seen->id, consumers_[link], seen->delivery_count);
  if (!broker_lives_) return;
  const outcome what = choose();
  pn_delivery_set_context(delivery, as_context(seen->id));
  if (what == outcome::failed) pn_disposition_set_failed(pn_delivery_local(delivery), true);
  pn_delivery_update(delivery, state_of(what));
  book_.send_outcome(seen->id, what);
  if (pn_link_credit(link) < credit / 2) pn_link_flow(link, credit / 2);
}

void load::on_answer(pn_delivery_t* delivery) {
  if (!pn_delivery_settled(delivery)) return;
  const message_id id = from_context(pn_delivery_get_context(delivery));
  book_.answer(id, outcome_of(pn_delivery_local_state(delivery)));
  pn_delivery_settle(delivery);
}

void load::send_some(pn_link_t* link) {
  const producer& from = producers_[link];
  for (int i = 0; i < 50 && pn_link_credit(link) > 0; ++i) {
    if (book_.backlog() > backlog_max || book_.unanswered_sends() > in_flight_max) return;
    const message_id id = book_.send(from.number, from.queue);
    const std::string octets = encode_message(id, padding());
    ++tags_;
    pn_delivery_t* delivery =
        pn_delivery(link, pn_dtag(reinterpret_cast<const char*>(&tags_), sizeof tags_));
    pn_delivery_set_context(delivery, as_context(id));
    pn_link_send(link, octets.data(), octets.size());
    pn_link_advance(link);
  }
}

outcome load::choose() {
  const auto dice = random_() % 100;
  if (dice < 90) return outcome::accepted;
  if (dice < 92) return outcome::rejected;
  return dice < 96 ? outcome::released : outcome::failed;
}

std::size_t load::padding() {
  const auto dice = random_();
  if (dice % 200 == 0) return dice / 256 % 40'000;
  return dice / 256 % 400;
}

}  // namespace whimbrel::crash
