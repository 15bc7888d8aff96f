// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/amqp_peer.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <proton/sasl.h>
#include <proton/transport.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>

namespace whimbrel::crash {
namespace {

int connect_to(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
    throw std::runtime_error("cannot connect to the broker");
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  return fd;
}

}  // namespace

amqp_peer::amqp_peer(std::uint16_t port, const std::string& container_id, event_handler& handler)
    : handler_(handler), socket_(connect_to(port)) {
  pn_connection_driver_init(&driver_, nullptr, nullptr);
  pn_connection_set_container(driver_.connection, container_id.c_str());
  pn_connection_set_hostname(driver_.connection, "127.0.0.1");
  pn_sasl_allowed_mechs(pn_sasl(driver_.transport), "ANONYMOUS");
  pn_connection_open(driver_.connection);
  session_ = pn_session(driver_.connection);
  pn_session_open(session_);
}

amqp_peer::~amqp_peer() {
  drop();
  pn_connection_driver_destroy(&driver_);
}

void amqp_peer::drop() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

void amqp_peer::dispatch() {
  while (pn_event_t* event = pn_connection_driver_next_event(&driver_)) handler_.on_event(event);
}

void amqp_peer::read() {
  const pn_rwbytes_t room = pn_connection_driver_read_buffer(&driver_);
  if (room.size == 0) {  // the broker has closed the connection: Proton takes no more octets
    if (pn_connection_driver_read_closed(&driver_)) pn_connection_driver_write_close(&driver_);
    return;
  }
  const ssize_t got = recv(socket_, room.start, room.size, 0);
  if (got > 0) {
    pn_connection_driver_read_done(&driver_, static_cast<std::size_t>(got));
  } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
    pn_connection_driver_read_close(&driver_);
    pn_connection_driver_write_close(&driver_);
  }
}

void amqp_peer::write() {
  const pn_bytes_t waiting = pn_connection_driver_write_buffer(&driver_);
  if (waiting.size == 0) return;
  const ssize_t sent = send(socket_, waiting.start, waiting.size, MSG_NOSIGNAL);
  if (sent > 0) {
    pn_connection_driver_write_done(&driver_, static_cast<std::size_t>(sent));
  } else if (sent < 0 && errno != EAGAIN && errno != EINTR) {
    pn_connection_driver_write_close(&driver_);
  }
}

void amqp_peer::pump(const std::vector<amqp_peer*>& peers, int wait_ms) {
  std::vector<pollfd> waits;
  std::vector<amqp_peer*> of;
  for (amqp_peer* each : peers) {
    each->dispatch();
    if (each->is_closed()) continue;
    if (pn_connection_driver_finished(&each->driver_)) {
      each->drop();
      continue;
    }
    pollfd entry = {each->socket_, POLLIN, 0};
    if (pn_connection_driver_write_buffer(&each->driver_).size > 0) entry.events |= POLLOUT;
    waits.push_back(entry);
    of.push_back(each);
  }
  if (waits.empty() || poll(waits.data(), waits.size(), wait_ms) <= 0) return;
  for (std::size_t i = 0; i < waits.size(); ++i) {
    if ((waits[i].revents & POLLOUT) != 0) of[i]->write();
    if ((waits[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0) of[i]->read();
    of[i]->dispatch();
  }
}

}  // namespace whimbrel::crash
