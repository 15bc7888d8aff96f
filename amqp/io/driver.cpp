// SPDX-License-Identifier: Apache-2.0
// Readiness in, octets out.
#include "amqp/io/driver.hpp"

#include <cerrno>

#include <sys/socket.h>

#include <boost/asio/post.hpp>

namespace whimbrel::amqp::io {

using boost::system::error_code;
using wait = boost::asio::socket_base::wait_type;

driver::driver(tcp::socket socket, engine::options options, driver_owner& owner)
    : socket_(std::move(socket)),
      timer_(socket_.get_executor()),
      engine_(std::move(options)),
      owner_(owner) {}

void driver::start() {
  error_code ignored;  // a peer that is gone already is noticed by the first read
  socket_.set_option(tcp::no_delay(true), ignored);
  socket_.non_blocking(true, ignored);
  engine_.start(owner_.driver_now());
  wait_readable();
  flush();
}

void driver::wait_readable() {
  if (reading_ || stopped_) return;
  reading_ = true;
  socket_.async_wait(wait::wait_read, [self = shared_from_this()](error_code ec) {
    self->reading_ = false;
    if (self->stopped_) return;
    if (ec) return self->lose();
    self->on_readable();
  });
}

void driver::on_readable() {
  const auto buffer = owner_.read_buffer();
  const auto n = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (n == 0) return lose();
  if (n < 0) {
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) return lose();
    return wait_readable();
  }
  engine_.on_octets(buffer.first(static_cast<std::size_t>(n)), owner_.driver_now());
  owner_.on_events(*this);
  if (!stopped_ && engine_.output_size() <= unread_max) wait_readable();
}

void driver::flush() {
  if (flushing_ || stopped_) return;
  flushing_ = true;
  // Room in the output may give senders something to say; the bound keeps one turn short.
  for (int round = 0; round < 8 && !writing_ && write_some(); ++round) {
  }
  flushing_ = false;
  if (stopped_) return;
  if (engine_.is_finished() && !engine_.has_output()) return lose();
  arm();
}

/// One write. False when nothing more can be written in this turn.
bool driver::write_some() {
  const auto octets = engine_.poll_octets();
  if (octets.empty()) return false;
  const auto n = ::send(socket_.native_handle(), octets.data(), octets.size(),
                        MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) wait_writable();
    else if (errno != EINTR) lose();
    return false;
  }
  const bool all = static_cast<std::size_t>(n) == octets.size();
  engine_.on_written(static_cast<std::size_t>(n));
  if (all) owner_.on_written(*this);
  owner_.on_events(*this);
  if (!all) wait_writable();
  return all && !stopped_;
}

void driver::wait_writable() {
  if (writing_ || stopped_) return;
  writing_ = true;
  socket_.async_wait(wait::wait_write, [self = shared_from_this()](error_code ec) {
    self->writing_ = false;
    if (self->stopped_) return;
    if (ec) return self->lose();
    self->flush();
    if (!self->stopped_ && self->engine_.output_size() <= unread_max) self->wait_readable();
  });
}

/// Most frames only move the deadline further away: the timer is set anew when it fires.
void driver::arm() {
  const auto deadline = engine_.next_timeout();
  if (!deadline || (armed_for_ && *armed_for_ <= *deadline)) return;
  armed_for_ = deadline;
  timer_.expires_at(*deadline);
  timer_.async_wait([self = shared_from_this()](error_code ec) {
    if (ec || self->stopped_) return;
    self->armed_for_.reset();
    self->engine_.on_timeout(self->owner_.driver_now());
    self->owner_.on_events(*self);
    self->flush();
  });
}

void driver::stop() {
  if (!stopped_) lose();
}

void driver::lose() {
  if (stopped_) return;
  stopped_ = true;
  error_code ignored;  // the descriptor is released either way
  timer_.cancel();
  socket_.close(ignored);
  engine_.on_lost();
  // The owner lets go of us; not from under our own feet.
  boost::asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->owner_.on_events(*self);
    self->owner_.on_stopped(*self);
  });
}

}  // namespace whimbrel::amqp::io
