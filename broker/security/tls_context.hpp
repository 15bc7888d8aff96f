// SPDX-License-Identifier: Apache-2.0
// What all TLS connections of a listener share: certificate, private key, whose clients'
// certificates are believed. Read from files in PEM; an error names the file.
#pragma once

#include <memory>
#include <stdexcept>

#include <openssl/ssl.h>

#include "broker/security/tls_files.hpp"

namespace whimbrel::broker::security {

/// Which file is wrong and why: "/etc/whimbrel/key.pem: cannot be read: ...".
class tls_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// TLS 1.2 and later with OpenSSL's own choice of ciphers; no renegotiation, no compression, and no
/// resumption: connections live long, so that it would save little, while tickets would lie under
/// keys that undo forward secrecy, and a cache would be filled by strangers.
///
/// Immutable once made, so shared by all workers without a lock.
class tls_context {
 public:
  explicit tls_context(const tls_files& files);  // throws tls_error

  [[nodiscard]] SSL_CTX* native() const { return context_.get(); }

 private:
  struct release {
    void operator()(SSL_CTX* c) const { SSL_CTX_free(c); }
  };
  std::unique_ptr<SSL_CTX, release> context_ = {};
};

}  // namespace whimbrel::broker::security
