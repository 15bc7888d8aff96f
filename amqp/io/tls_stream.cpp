// SPDX-License-Identifier: Apache-2.0
// First octets, then OpenSSL on a BIO of our own: the one that comes with it writes without
// MSG_NOSIGNAL, and would end the process when the peer has gone.
#include "amqp/io/tls_stream.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <sys/socket.h>

#include "amqp/base/assert.hpp"

namespace whimbrel::amqp::io {

namespace {

constexpr std::byte client_hello{0x16};  // a record of the handshake protocol [RFC 8446, 5.1]
constexpr frame::protocol_header tls_header(frame::protocol::tls);

// --- the socket as a BIO ---

int descriptor_of(BIO* b) {
  return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(b)));
}

bool is_only_later(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

int bio_write(BIO* b, const char* data, int size) {
  BIO_clear_retry_flags(b);
  const auto n = ::send(descriptor_of(b), data, static_cast<std::size_t>(size),
                        MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0 && is_only_later(errno)) BIO_set_retry_write(b);
  return static_cast<int>(n);
}

int bio_read(BIO* b, char* data, int size) {
  BIO_clear_retry_flags(b);
  const auto n = ::recv(descriptor_of(b), data, static_cast<std::size_t>(size), MSG_DONTWAIT);
  if (n < 0 && is_only_later(errno)) BIO_set_retry_read(b);
  if (n == 0) BIO_set_flags(b, BIO_FLAGS_IN_EOF);
  return static_cast<int>(n);
}

long bio_control(BIO* b, int what, long, void*) {
  switch (what) {
    case BIO_CTRL_FLUSH:
      return 1;
    case BIO_CTRL_EOF:
      return BIO_test_flags(b, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
    default:
      return 0;
  }
}

/// One for the process, made at its first use and never released.
const BIO_METHOD* socket_method() {
  static const BIO_METHOD* const made = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "whimbrel socket");
    AMQP_ASSERT(m != nullptr);
    BIO_meth_set_write(m, bio_write);
    BIO_meth_set_read(m, bio_read);
    BIO_meth_set_ctrl(m, bio_control);
    return m;
  }();
  return made;
}

BIO* make_bio(int descriptor) {
  BIO* b = BIO_new(socket_method());
  AMQP_ASSERT(b != nullptr);
  BIO_set_data(b, reinterpret_cast<void*>(static_cast<std::intptr_t>(descriptor)));
  BIO_set_init(b, 1);
  return b;
}

/// The queue's last entry is the nearest to the cause that a reader can use.
std::string error_text(SSL* ssl) {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  std::string out = reason == nullptr ? "the TLS connection failed" : reason;
  if (ERR_GET_LIB(code) != ERR_LIB_SSL) return out;
  if (ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER) out += ": no TLS on the other side?";
  if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    out += std::string(": ") + X509_verify_cert_error_string(SSL_get_verify_result(ssl));
  }
  return out;
}

}  // namespace

tls_stream::tls_stream(ssl_handle ssl, int descriptor, tls_entry entry)
    : ssl_(std::move(ssl)), descriptor_(descriptor), entry_(entry) {
  AMQP_ASSERT(ssl_ != nullptr);
  BIO* const b = make_bio(descriptor_);
  SSL_set_bio(ssl_.get(), b, b);
  // Output grows behind what has been tried already, and may move as it does.
  SSL_set_mode(ssl_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                               SSL_MODE_RELEASE_BUFFERS);
  SSL_set_read_ahead(ssl_.get(), 1);
  // A peer that sends nothing but key updates does not keep us in one call.
  SSL_clear_mode(ssl_.get(), SSL_MODE_AUTO_RETRY);
  if (entry_ == tls_entry::client) {
    SSL_set_connect_state(ssl_.get());
    phase_ = phase::secured;
  } else {
    SSL_set_accept_state(ssl_.get());
  }
}

tls_stream::~tls_stream() = default;

// --- the first octets ------------------------------------------------------------------------

/// One octet is looked at and left where it is: a ClientHello is for OpenSSL to read.
ssize_t tls_stream::greet(std::span<std::byte> to) {
  std::byte first{};
  const auto n = ::recv(descriptor_, &first, 1, MSG_DONTWAIT | MSG_PEEK);
  if (n <= 0) return n;
  phase_ = first == client_hello ? phase::secured : phase::header;
  return phase_ == phase::header ? read_header(to) : read(to);
}

/// Up to the end of a protocol header and no further: what follows the TLS header is TLS.
ssize_t tls_stream::read_header(std::span<std::byte> to) {
  const auto expected = frame::encode(tls_header);
  const auto n = ::recv(descriptor_, first_.data() + first_size_, first_.size() - first_size_,
                        MSG_DONTWAIT);
  if (n <= 0) return n;
  first_size_ += static_cast<std::size_t>(n);
  const auto end = first_.begin() + static_cast<std::ptrdiff_t>(first_size_);
  if (!std::equal(first_.begin(), end, expected.begin())) {
    return entry_ == tls_entry::allowed ? take_plain(to) : refuse_plain(to);
  }
  if (first_size_ < first_.size()) {
    errno = EAGAIN;
    return -1;
  }
  // Nothing has been written to this socket yet, so eight octets find room.
  const auto written =
      ::send(descriptor_, expected.data(), expected.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (written != static_cast<ssize_t>(expected.size())) return fail("");
  phase_ = phase::secured;
  return read(to);
}

ssize_t tls_stream::take_plain(std::span<std::byte> to) {
  AMQP_ASSERT(to.size() >= first_size_);
  phase_ = phase::plain;
  std::copy_n(first_.begin(), first_size_, to.begin());
  return static_cast<ssize_t>(first_size_);
}

ssize_t tls_stream::refuse_plain(std::span<std::byte> scratch) {
  const auto answer = frame::encode(tls_header);
  static_cast<void>(
      ::send(descriptor_, answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
  // A close with octets unread would be a reset, which may overtake the answer.
  static_cast<void>(::shutdown(descriptor_, SHUT_WR));
  static_cast<void>(::recv(descriptor_, scratch.data(), scratch.size(), MSG_DONTWAIT));
  return fail("the peer came without TLS, which this listener requires");
}

// --- TLS -------------------------------------------------------------------------------------

ssize_t tls_stream::read(std::span<std::byte> to) {
  has_more_ = read_wants_write_ = false;
  if (phase_ == phase::greeting) return greet(to);
  if (phase_ == phase::header) return read_header(to);
  if (phase_ == phase::failed) return fail(failure_);
  std::size_t size = 0;
  while (size < to.size()) {
    ERR_clear_error();
    std::size_t n = 0;
    const int done = SSL_read_ex(ssl_.get(), to.data() + size, to.size() - size, &n);
    if (done == 1) {
      size += n;
      continue;
    }
    const ssize_t result = result_of(done, read_wants_write_, SSL_ERROR_WANT_WRITE);
    // What has been read comes first; the end will be met again.
    return size > 0 ? static_cast<ssize_t>(size) : result;
  }
  has_more_ = true;
  return static_cast<ssize_t>(size);
}

ssize_t tls_stream::write(std::span<const std::byte> from) {
  write_wants_read_ = false;
  if (phase_ != phase::secured) return fail(failure_);
  std::size_t size = 0;
  while (size < from.size()) {
    ERR_clear_error();
    std::size_t n = 0;
    const int done = SSL_write_ex(ssl_.get(), from.data() + size, from.size() - size, &n);
    if (done == 1) {
      size += n;
      continue;
    }
    const ssize_t result = result_of(done, write_wants_read_, SSL_ERROR_WANT_READ);
    return size > 0 ? static_cast<ssize_t>(size) : result;
  }
  return static_cast<ssize_t>(size);
}

/// EAGAIN if the operation only waits, for the `other` direction if `wants_other` is set; 0 if the
/// peer has ended the connection.
ssize_t tls_stream::result_of(int returned, bool& wants_other, int other) {
  const int error = SSL_get_error(ssl_.get(), returned);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
    wants_other = error == other;
    errno = EAGAIN;
    return -1;
  }
  if (error == SSL_ERROR_ZERO_RETURN) return 0;
  const bool was_up = SSL_is_init_finished(ssl_.get()) == 1;
  const unsigned long code = ERR_peek_last_error();
  const bool is_end = error == SSL_ERROR_SYSCALL ||
                      (ERR_GET_LIB(code) == ERR_LIB_SSL &&
                       ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING);
  // AMQP has a close of its own, so that a missing close_notify hides nothing.
  if (is_end) return fail(was_up ? "" : "the peer ended the connection within the TLS handshake");
  return fail(error_text(ssl_.get()));
}

ssize_t tls_stream::fail(std::string why) {
  phase_ = phase::failed;
  failure_ = std::move(why);
  errno = EPROTO;
  return -1;
}

void tls_stream::shut_down() {
  if (phase_ != phase::secured || SSL_is_init_finished(ssl_.get()) != 1) return;
  ERR_clear_error();
  static_cast<void>(SSL_shutdown(ssl_.get()));  // the peer's own is not waited for
  ERR_clear_error();
}

}  // namespace whimbrel::amqp::io
