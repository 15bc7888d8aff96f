// SPDX-License-Identifier: Apache-2.0
// Two engines joined in memory, with a clock that the test owns. Nothing here sleeps; what would
// run for ever fails instead.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "amqp/base/assert.hpp"
#include "amqp/codec/codec.hpp"
#include "amqp/engine/connection.hpp"
#include "amqp/engine/link.hpp"
#include "amqp/engine/session.hpp"
#include "tests/support/hex.hpp"

namespace whimbrel::test {

namespace engine = amqp::engine;
namespace spec = amqp::spec;

inline std::vector<std::byte> bytes(std::string_view text) {
  const auto octets = std::as_bytes(std::span(text));
  return {octets.begin(), octets.end()};
}

inline std::string text_of(std::span<const std::byte> octets) {
  return {reinterpret_cast<const char*>(octets.data()), octets.size()};
}

/// What stays of an event once the engine has moved on.
struct recorded {
  engine::event_kind kind = engine::event_kind::opened;
  bool by_us = false;
  bool closed = false;
  bool first = false;
  bool last = false;
  bool aborted = false;
  bool is_settled = false;
  bool resumed = false;
  std::uint32_t message_format = 0;
  std::uint32_t delivery_id = 0;
  std::uint32_t count = 1;
  std::uint64_t token = 0;
  engine::session* on_session = nullptr;
  engine::link* on_link = nullptr;
  std::string link_name = {};
  std::string tag = {};
  std::string payload = {};
  std::string state = {};
  spec::fast::state_kind state_kind = spec::fast::state_kind::none;
  std::string condition = {};
  std::string description = {};

  explicit recorded(const engine::event& e);
};

inline recorded::recorded(const engine::event& e) : kind(e.kind) {
  using enum engine::event_kind;
  const bool concerns_session = kind >= session_begun;
  if (concerns_session) on_session = e.on_session;
  if (concerns_session && kind != session_begun && kind != session_ended) {
    on_link = e.on_link;
    link_name = e.on_link->name();
  }
  if (kind == connection_closed || kind == session_ended || kind == link_detached) {
    by_us = e.by_us;
    if (e.error != nullptr) {
      condition = e.error->condition.text;
      description = e.error->description.value_or("");
    }
  }
  if (kind == link_detached) closed = e.closed;
  if (kind == transfer) {
    first = e.first;
    last = e.last;
    aborted = e.aborted;
    resumed = e.resumed;
    message_format = e.message_format;
    tag = text_of(e.tag);
    payload = text_of(e.payload);
  }
  if (kind == transfer || kind == outcome) {
    is_settled = e.is_settled;
    state = text_of(e.state);
    state_kind = e.state_kind;
  }
  if (kind == transfer || kind == outcome || kind == settled) delivery_id = e.delivery_id;
  if (kind == outcome || kind == settled) token = e.token;
  if (kind == outcome) count = e.count;
}

/// One side: an engine, what it told, and what is done about it.
struct endpoint {
  engine::connection wire;
  std::vector<recorded> events = {};
  /// Called with each event while it is valid.
  std::function<void(const engine::event&)> on_event = {};
  /// Polls the events itself: nothing is recorded then.
  std::function<void()> polled_by = {};
  bool keeps_record = true;
  std::uint64_t octets_out = 0;
  std::vector<std::byte>* tap = nullptr;  // sees all that goes out

  explicit endpoint(engine::options settings) : wire(std::move(settings)) {}

  void drain_events() {
    if (polled_by) return polled_by();
    while (const engine::event* e = wire.poll_event()) {
      if (keeps_record) events.emplace_back(*e);
      if (on_event) on_event(*e);
    }
  }

  [[nodiscard]] std::size_t count(engine::event_kind kind) const {
    return static_cast<std::size_t>(std::count_if(
        events.begin(), events.end(), [&](const recorded& e) { return e.kind == kind; }));
  }
  /// The newest of its kind, which must be there.
  [[nodiscard]] const recorded& last(engine::event_kind kind) const {
    const auto at = std::find_if(events.rbegin(), events.rend(),
                                 [&](const recorded& e) { return e.kind == kind; });
    AMQP_ASSERT(at != events.rend());
    return *at;
  }
};

/// What a peer does that agrees to everything: answers open, attach and detach, logins succeed.
inline void agree(engine::connection& on, const engine::event& e) {
  using enum engine::event_kind;
  switch (e.kind) {
    case sasl_init:
    case sasl_response:
      on.sasl_outcome(spec::sasl_code::ok);
      break;
    case opened:
      if (on.settings().role == engine::side::server) on.open();
      break;
    case link_attached:
      if (on.settings().role == engine::side::server)
        e.on_link->attach({.snd_settle_mode = e.attach->snd_settle_mode,
                           .rcv_settle_mode = e.attach->rcv_settle_mode,
                           .source = e.attach->source,
                           .target = e.attach->target});
      break;
    case link_detached:
      if (!e.by_us) e.on_link->detach(e.closed);
      break;
    default:
      break;
  }
}

inline engine::options client_options() {
  return {.role = engine::side::client,
          .sasl = engine::sasl_policy::optional,
          .credentials = engine::client_credentials{},
          .container_id = "client"};
}

inline engine::options server_options() {
  return {.role = engine::side::server,
          .sasl = engine::sasl_policy::optional,
          .container_id = "server"};
}

class wire_pair {
 public:
  explicit wire_pair(engine::options of_client = client_options(),
                     engine::options of_server = server_options())
      : client(std::move(of_client)), server(std::move(of_server)) {
    client.on_event = [this](const engine::event& e) { agree(client.wire, e); };
    server.on_event = [this](const engine::event& e) { agree(server.wire, e); };
  }
  wire_pair(const wire_pair&) = delete;
  wire_pair& operator=(const wire_pair&) = delete;

  endpoint client;
  endpoint server;
  engine::clock::time_point now = engine::clock::time_point{} + std::chrono::hours(1);
  /// Octets handed over at a time; 0: all. With `dice`, at most that.
  std::size_t chunk_max = 0;
  random_source* dice = nullptr;

  /// Headers, SASL and opens.
  void open() {
    client.wire.start(now);
    server.wire.start(now);
    client.wire.open();
    run();
  }

  /// Carries octets both ways until both sides have nothing left to say.
  void run() {
    for (int turn = 0;; ++turn) {
      AMQP_ASSERT(turn < 1'000'000);  // two peers that never stop talking
      const bool to_server = carry(client, server);
      const bool to_client = carry(server, client);
      if (!to_server && !to_client) return;
    }
  }

  /// Moves time on, in steps in which no deadline is missed.
  void advance(std::chrono::milliseconds by) {
    const auto until = now + by;
    for (;;) {
      auto next = until;
      for (endpoint* side : {&client, &server})
        if (const auto at = side->wire.next_timeout()) next = std::min(next, std::max(*at, now));
      now = next;
      for (endpoint* side : {&client, &server}) {
        side->wire.on_timeout(now);
        side->drain_events();
      }
      run();
      if (now == until) return;
    }
  }

  /// True if anything moved.
  bool carry(endpoint& from, endpoint& to) {
    from.drain_events();
    const auto out = from.wire.poll_octets();
    if (out.empty()) return false;
    const std::vector<std::byte> octets(out.begin(), out.end());
    from.octets_out += octets.size();
    if (from.tap != nullptr) from.tap->insert(from.tap->end(), octets.begin(), octets.end());
    from.wire.on_written(octets.size());
    from.drain_events();
    give(to, octets);
    return true;
  }

  /// Octets from nowhere, as if the other side had sent them.
  void give(endpoint& to, std::span<const std::byte> octets) {
    while (!octets.empty()) {
      std::size_t n = chunk_max == 0 ? octets.size() : std::min(chunk_max, octets.size());
      if (dice != nullptr && n > 1) n = 1 + dice->below(n);
      // A copy of exactly this size, so that sanitizers see a read beyond it.
      const std::vector<std::byte> chunk(octets.begin(),
                                         octets.begin() + static_cast<std::ptrdiff_t>(n));
      to.wire.on_octets(chunk, now);
      to.drain_events();
      octets = octets.subspan(n);
    }
  }
};

/// A pair with one session and a link in each direction: `out` sends from client to server.
struct linked_pair : wire_pair {
  engine::session* at_client = nullptr;
  engine::session* at_server = nullptr;
  engine::sender* out = nullptr;        // the client's
  engine::receiver* in = nullptr;       // the server's end of it
  engine::receiver* back_in = nullptr;  // the client's
  engine::sender* back_out = nullptr;   // the server's end of it

  explicit linked_pair(engine::options of_client = client_options(),
                       engine::options of_server = server_options(), spec::attach how = {})
      : wire_pair(std::move(of_client), std::move(of_server)) {
    open();
    at_client = client.wire.begin();
    run();
    at_server = server.last(engine::event_kind::session_begun).on_session;
    how.source = spec::source{.address = "q"};
    how.target = amqp::codec::to_raw(spec::target{.address = "q"});
    how.name = "out";
    out = at_client->attach_sender(how);
    run();
    in = static_cast<engine::receiver*>(server.last(engine::event_kind::link_attached).on_link);
    how.name = "back";
    back_in = at_client->attach_receiver(how);
    run();
    back_out = static_cast<engine::sender*>(server.last(engine::event_kind::link_attached).on_link);
    client.events.clear();
    server.events.clear();
  }
};

/// Sends a whole small message, which must go out in one piece.
inline std::uint32_t send_text(engine::sender& on, std::string_view tag, std::string_view text,
                               bool settled = false, std::uint64_t token = 0) {
  const auto tag_octets = bytes(tag);
  const auto body = bytes(text);
  const engine::progress p =
      on.send({.tag = tag_octets, .settled = settled, .token = token}, {}, body);
  AMQP_ASSERT(p.complete);
  return p.delivery_id;
}

}  // namespace whimbrel::test
