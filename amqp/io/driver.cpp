// SPDX-License-Identifier: Apache-2.0
// Readiness in, octets out.
#include "amqp/io/driver.hpp"

#include <cerrno>

#include <sys/socket.h>

#include <boost/asio/post.hpp>

namespace whimbrel::amqp::io {

using boost::system::error_code;
using wait = boost::asio::socket_base::wait_type;

driver::driver(tcp::socket socket, engine::options options, driver_owner& owner,
               std::unique_ptr<tls_stream> tls)
    : socket_(std::move(socket)),
      timer_(socket_.get_executor()),
      engine_(std::move(options)),
      owner_(owner),
      tls_(std::move(tls)) {}

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
  auto then = [self = shared_from_this()](error_code ec) {
    self->reading_ = false;
    if (self->stopped_) return;
    if (ec) return self->lose();
    self->on_readable();
  };
  if (tls_ && tls_->has_more()) [[unlikely]] {
    // What has been decrypted already makes no socket readable.
    return boost::asio::post(socket_.get_executor(),
                             [then = std::move(then)] { then(error_code{}); });
  }
  socket_.async_wait(wait::wait_read, std::move(then));
}

void driver::on_readable() {
  const auto buffer = owner_.read_buffer();
  const auto n = receive(buffer);
  if (n == 0) return lose();
  if (n < 0) {
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) return lose();
    return read_on();
  }
  engine_.on_octets(buffer.first(static_cast<std::size_t>(n)), owner_.driver_now());
  owner_.on_events(*this);
  if (!stopped_ && engine_.output_size() <= unread_max) read_on();
}

/// Waits for what the last read, and perhaps a write before it, wants.
void driver::read_on() {
  if (tls_ && tls_->read_wants_write()) [[unlikely]]
    return wait_writable();
  wait_readable();
  if (tls_ && tls_->write_wants_read()) [[unlikely]]
    flush();
}

ssize_t driver::receive(std::span<std::byte> to) {
  if (!tls_) [[likely]]
    return ::recv(socket_.native_handle(), to.data(), to.size(), MSG_DONTWAIT);
  const auto n = tls_->read(to);
  if (tls_->is_plain()) tls_.reset();
  return n;
}

ssize_t driver::send(std::span<const std::byte> from) {
  if (!tls_) [[likely]]
    return ::send(socket_.native_handle(), from.data(), from.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  return tls_->write(from);
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
  const auto n = send(octets);
  if (n < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) wait_to_write();
    else if (errno != EINTR) lose();
    return false;
  }
  const bool all = static_cast<std::size_t>(n) == octets.size();
  engine_.on_written(static_cast<std::size_t>(n));
  if (all) owner_.on_written(*this);
  owner_.on_events(*this);
  if (!all) wait_to_write();
  return all && !stopped_;
}

/// A write of TLS may wait for the peer to speak: then reading goes on whatever there is to say.
void driver::wait_to_write() {
  if (tls_ && tls_->write_wants_read()) [[unlikely]]
    return wait_readable();
  wait_writable();
}

void driver::wait_writable() {
  if (writing_ || stopped_) return;
  writing_ = true;
  socket_.async_wait(wait::wait_write, [self = shared_from_this()](error_code ec) {
    self->writing_ = false;
    if (self->stopped_) return;
    if (ec) return self->lose();
    if (self->tls_ && self->tls_->read_wants_write()) [[unlikely]]
      self->on_readable();
    self->flush();
    if (self->stopped_ || self->engine_.output_size() > unread_max) return;
    self->read_on();
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
    // What it has not read by now, it will not.
    if (!self->stopped_ && self->engine_.is_finished()) self->lose();
  });
}

void driver::stop() {
  if (!stopped_) lose();
}

void driver::lose() {
  if (stopped_) return;
  stopped_ = true;
  if (tls_) {
    tls_failure_ = tls_->failure();
    tls_->shut_down();
  }
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
