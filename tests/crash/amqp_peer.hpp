// SPDX-License-Identifier: Apache-2.0
// Proton C's engine on a non-blocking socket: one connection, whose events go to a handler. Several
// are pumped together by one thread.
#pragma once

#include <proton/connection.h>
#include <proton/connection_driver.h>
#include <proton/delivery.h>
#include <proton/event.h>
#include <proton/link.h>
#include <proton/session.h>

#include <cstdint>
#include <string>
#include <vector>

namespace whimbrel::crash {

class event_handler {
 public:
  virtual ~event_handler() = default;
  virtual void on_event(pn_event_t* event) = 0;
};

class amqp_peer {
 public:
  /// Connects and opens; throws std::runtime_error. `handler` outlives the peer.
  amqp_peer(std::uint16_t port, const std::string& container_id, event_handler& handler);
  ~amqp_peer();
  amqp_peer(const amqp_peer&) = delete;
  amqp_peer& operator=(const amqp_peer&) = delete;

  [[nodiscard]] pn_session_t* session() const { return session_; }
  [[nodiscard]] bool is_closed() const { return socket_ < 0; }
  void close() { pn_connection_close(driver_.connection); }

  /// Handles what has come and writes what is waiting, once for each; waits for the first octet
  /// for at most `wait_ms`.
  static void pump(const std::vector<amqp_peer*>& peers, int wait_ms);

 private:
  void dispatch();
  void read();
  void write();
  void drop();

  pn_connection_driver_t driver_ = {};
  event_handler& handler_;
  pn_session_t* session_ = nullptr;
  int socket_ = -1;
};

}  // namespace whimbrel::crash
