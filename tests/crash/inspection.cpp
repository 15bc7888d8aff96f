// SPDX-License-Identifier: Apache-2.0
#include <proton/disposition.h>
#include <proton/terminus.h>

#include <chrono>
#include <stdexcept>

#include "tests/crash/load.hpp"
#include "tests/crash/octets.hpp"

namespace whimbrel::crash {
namespace {

constexpr int batch = 5'000;  // credit of one drain
constexpr auto patience = std::chrono::seconds(60);

}  // namespace

void inspection::run(bool keep) {
  for (std::uint32_t q = 0; q < queue_count; ++q) {
    pn_link_t* link = pn_receiver(peer_.session(), ("inspect-" + std::to_string(q)).c_str());
    pn_terminus_set_address(pn_link_source(link), queue_name(q).c_str());
    pn_link_open(link);
    pn_link_drain(link, batch);
    consumers_.push_back({.queue = q, .link = link});
  }
  book_.begin_recovery();
  pump_until(&inspection::has_all, "everything that is stored");
  book_.end_recovery();
  for (const holding& each : held_) {
    pn_delivery_update(each.delivery, keep ? PN_RELEASED : PN_ACCEPTED);
    if (!keep) book_.send_outcome(each.id, outcome::accepted);
  }
  kept_ = keep;
  pump_until(&inspection::has_answers, "the answers to all outcomes");
  peer_.close();
  pump_until(&inspection::has_closed, "the close");
}

void inspection::pump_until(bool (inspection::*reached)(), const char* what) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!(this->*reached)()) {
    if (!failure_.empty()) throw std::runtime_error(failure_);
    if (std::chrono::steady_clock::now() > end) {
      throw std::runtime_error(std::string("the broker has not given ") + what);
    }
    amqp_peer::pump({&peer_}, 100);
  }
}

bool inspection::has_all() {
  bool all = true;
  for (consumer& each : consumers_) {
    if (each.done || pn_link_draining(each.link)) {
      all &= each.done;
      continue;
    }
    each.done = each.received_since_grant < batch;
    if (each.done) continue;
    each.received_since_grant = 0;
    pn_link_drain(each.link, batch);
    all = false;
  }
  return all;
}

void inspection::on_event(pn_event_t* event) {
  switch (pn_event_type(event)) {
    case PN_DELIVERY:
      on_delivery(pn_event_delivery(event));
      break;
    case PN_LINK_REMOTE_CLOSE:
    case PN_SESSION_REMOTE_CLOSE:
    case PN_TRANSPORT_ERROR:
      failure_ = std::string("while looking at what is left: ") +
                 pn_event_type_name(pn_event_type(event)) + reason(event);
      break;
    default:
      break;
  }
}

void inspection::on_delivery(pn_delivery_t* delivery) {
  if (!pn_delivery_readable(delivery)) {
    if (pn_delivery_updated(delivery) && pn_delivery_settled(delivery)) on_answer(delivery);
    return;
  }
  std::string octets;
  if (!take_delivery(delivery, partial_, octets)) return;
  pn_link_advance(pn_delivery_link(delivery));
  for (consumer& each : consumers_) {
    if (each.link != pn_delivery_link(delivery)) continue;
    ++each.received_since_grant;
    const auto seen = decode_message(octets);
    if (!seen) {
      book_.corrupted("a stored message on " + queue_name(each.queue));
      return;
    }
    pn_delivery_set_context(delivery, as_context(seen->id));
    book_.found(seen->id, each.queue, seen->delivery_count);
    held_.push_back({.delivery = delivery, .id = seen->id});
  }
}

void inspection::on_answer(pn_delivery_t* delivery) {
  ++answers_;
  if (!kept_) book_.answer(from_context(pn_delivery_get_context(delivery)), outcome::accepted);
  pn_delivery_settle(delivery);
}

}  // namespace whimbrel::crash
