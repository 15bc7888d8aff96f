// SPDX-License-Identifier: Apache-2.0
// TLS on a non-blocking socket, with the manners of recv and send: OpenSSL does the work, readiness
// stays with whoever calls. Also tells a peer that wants TLS from one that does not. [5.2]
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <openssl/ssl.h>
#include <sys/types.h>

#include "amqp/frame/header.hpp"

namespace whimbrel::amqp::io {

struct ssl_release {
  void operator()(SSL* s) const { SSL_free(s); }
};
using ssl_handle = std::unique_ptr<SSL, ssl_release>;

/// What the first octets of a peer may be. A ClientHello begins with 0x16, TLS by a protocol header
/// with `AMQP` and the id 2, to which the same header is the answer. [5.2.1]
enum class tls_entry : std::uint8_t {
  client,    // we begin, with a ClientHello
  allowed,   // a server: TLS either way, or none
  required,  // a server: TLS either way; anything else gets the TLS header, then the end [2.2]
};

/// The handshake is part of the first reads and writes, so there is no step of its own for it. A
/// renegotiation does not happen, but a key update does [RFC 8446, 4.6.3]: each direction may have
/// to wait for the other, and says so after EAGAIN.
///
/// Does not own the descriptor. After a failure nothing more is written, not even an alert.
class tls_stream {
 public:
  tls_stream(ssl_handle ssl, int descriptor, tls_entry entry);
  ~tls_stream();
  tls_stream(const tls_stream&) = delete;
  tls_stream& operator=(const tls_stream&) = delete;

  /// As recv: octets, 0 at the end, -1 with errno. Fills `to` as far as there is something.
  ssize_t read(std::span<std::byte> to);
  /// As send. After EAGAIN the next call begins with the same octets.
  ssize_t write(std::span<const std::byte> from);
  /// Says that no more will come (close_notify), if there is anybody to say it to.
  void shut_down();

  /// After EAGAIN: it is the other direction that the operation waits for.
  [[nodiscard]] bool read_wants_write() const { return read_wants_write_; }
  [[nodiscard]] bool write_wants_read() const { return write_wants_read_; }
  /// The last read ended for want of room: the next needs no readable socket.
  [[nodiscard]] bool has_more() const { return has_more_; }
  /// The peer came without TLS, and may: read has returned its first octets, and from now on the
  /// socket is used as it is.
  [[nodiscard]] bool is_plain() const { return phase_ == phase::plain; }
  /// Why read or write failed; empty if it was the connection's end.
  [[nodiscard]] const std::string& failure() const { return failure_; }

 private:
  enum class phase : std::uint8_t { greeting, header, secured, plain, failed };

  ssize_t greet(std::span<std::byte> to);
  ssize_t read_header(std::span<std::byte> to);
  ssize_t take_plain(std::span<std::byte> to);
  ssize_t refuse_plain(std::span<std::byte> scratch);
  ssize_t result_of(int returned, bool& wants_other, int other);
  ssize_t fail(std::string why);

  ssl_handle ssl_;
  int descriptor_ = -1;
  tls_entry entry_ = tls_entry::required;
  phase phase_ = phase::greeting;
  std::array<std::byte, frame::protocol_header_octets> first_ = {};  // read before it was clear
  std::size_t first_size_ = 0;
  bool read_wants_write_ = false;
  bool write_wants_read_ = false;
  bool has_more_ = false;
  std::string failure_ = {};
};

}  // namespace whimbrel::amqp::io
