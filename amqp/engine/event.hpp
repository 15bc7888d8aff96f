// SPDX-License-Identifier: Apache-2.0
// What the engine tells the application. One flat value, so that the hot kinds (transfer, outcome)
// cost no allocation and no dispatch.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "amqp/spec/fast.hpp"
#include "amqp/spec/security.hpp"
#include "amqp/spec/transport.hpp"

namespace whimbrel::amqp::engine {

class session;
class link;
class sender;
class receiver;

enum class event_kind : std::uint8_t {
  sasl_init,          // server: `sasl_init`; answer with sasl_outcome or sasl_challenge
  sasl_response,      // server: `sasl_octets`
  authenticated,      // client: the outcome was ok (a refusal is connection_closed)
  opened,             // the peer's open came: `open`. A server answers with open() or close()
  connection_closed,  // over: `error` if one was given; `by_us` if we found fault
  session_begun,      // peer began (server: answered by the engine), or answered our begin
  session_ended,      // `error`, `by_us`. Its links are gone without further events
  link_attached,      // `attach`: asks for a link (answer with attach or refuse), or answers ours
  link_detached,      // `error`, `closed`, `by_us`. The engine has not answered: call link::detach
  sender_ready,       // credit, window or output room came: what was blocked may go on. `drain` is
                      // link::sender state; `echo` answered by the engine
  drained,            // receiver: the sender has used up or given back all credit
  transfer,           // receiver: a piece of a delivery; see the fields below
  outcome,            // sender: the peer's state and/or settlement for one delivery of ours
  settled,            // receiver: the sender settled a delivery that we had not settled
};

/// Only the members that `event_kind` names are meaningful. Spans and pointers live until the
/// engine's next call.
struct event {
  event_kind kind = event_kind::opened;
  bool by_us = false;
  bool closed = false;

  // transfer: the delivery's piece. `first` and `last` are both set on a single-frame delivery.
  bool first = false;
  bool last = false;
  bool aborted = false;     // the delivery is void: drop what you have; implies last [2.7.5]
  bool is_settled = false;  // transfer: pre-settled. outcome: the peer has settled, and so have we
  bool resumed = false;     // transfer: of a delivery that our attach said was unsettled [2.6.13]
  std::uint32_t message_format = 0;
  std::uint32_t delivery_id = 0;  // transfer, outcome, settled
  std::uint32_t count = 1;        // outcome: of this many deliveries, see options::outcome_runs
  std::uint64_t token = 0;        // outcome: what the application gave to sender::send;
                                  // settled: what it gave to receiver::remember, else 0
  class session* on_session = nullptr;
  class link* on_link = nullptr;
  class sender* on_sender = nullptr;      // == on_link for sender_ready, outcome
  class receiver* on_receiver = nullptr;  // == on_link for drained, transfer, settled

  std::span<const std::byte> tag = {};      // transfer, on its first piece
  std::span<const std::byte> payload = {};  // transfer
  std::span<const std::byte> state = {};    // transfer, outcome: encoded delivery-state, or empty
  spec::fast::state_kind state_kind = spec::fast::state_kind::none;

  const spec::open* open = nullptr;
  const spec::attach* attach = nullptr;
  const spec::error* error = nullptr;
  const spec::sasl_init* sasl_init = nullptr;
  std::span<const std::byte> sasl_octets = {};
};

}  // namespace whimbrel::amqp::engine
