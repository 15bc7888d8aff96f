// SPDX-License-Identifier: Apache-2.0
// The life of a connection as data. [2.4.6, 2.4.7]
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace whimbrel::amqp::engine {

/// Under the names that the standard gives them. Here a header is the AMQP one: a SASL layer has
/// come and gone before.
enum class connection_state : std::uint8_t {
  start,
  hdr_rcvd,
  hdr_sent,
  hdr_exch,
  open_pipe,
  oc_pipe,
  open_rcvd,
  open_sent,
  close_pipe,
  opened,
  close_rcvd,
  close_sent,
  discarding,
  end,
};

enum class wire_step : std::uint8_t {
  send_header,
  recv_header,
  send_open,
  recv_open,
  send_close,
  recv_close,
};

struct transition {
  connection_state from = connection_state::start;
  wire_step step = wire_step::send_header;
  connection_state to = connection_state::start;
};

/// One row per arrow of figure 2.23. A pair that is not here is a fault: ours (assertion) or the
/// peer's (violation). Two kinds of arrow are taken elsewhere: a header that does not match goes
/// straight to `end`, and a close that carries an error to `discarding`.
inline constexpr auto transitions = [] {
  using enum connection_state;
  using enum wire_step;
  return std::array{
      transition{start, send_header, hdr_sent},      transition{start, recv_header, hdr_rcvd},
      transition{hdr_rcvd, send_header, hdr_exch},   transition{hdr_sent, recv_header, hdr_exch},
      transition{hdr_sent, send_open, open_pipe},    transition{hdr_exch, send_open, open_sent},
      transition{hdr_exch, recv_open, open_rcvd},    transition{open_pipe, recv_header, open_sent},
      transition{open_pipe, send_close, oc_pipe},    transition{oc_pipe, recv_header, close_pipe},
      transition{open_rcvd, send_open, opened},      transition{open_sent, recv_open, opened},
      transition{open_sent, send_close, close_pipe}, transition{close_pipe, recv_open, close_sent},
      transition{opened, send_close, close_sent},    transition{opened, recv_close, close_rcvd},
      transition{close_rcvd, send_close, end},       transition{close_sent, recv_close, end},
      transition{discarding, recv_close, end},
  };
}();

constexpr std::optional<connection_state> next(connection_state from, wire_step step) {
  for (const transition& t : transitions)
    if (t.from == from && t.step == step) return t.to;
  return std::nullopt;
}

/// Our open has gone out and our close has not.
constexpr bool may_send(connection_state s) {
  using enum connection_state;
  return s == opened || s == open_sent || s == open_pipe || s == close_rcvd;
}

static_assert(next(connection_state::open_pipe, wire_step::recv_header) ==
              connection_state::open_sent);
static_assert(!next(connection_state::end, wire_step::send_open), "nothing leaves END");
static_assert(!next(connection_state::opened, wire_step::recv_open), "one open a side");

}  // namespace whimbrel::amqp::engine
