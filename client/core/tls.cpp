// SPDX-License-Identifier: Apache-2.0
#include "client/core/tls.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>

#include <boost/asio/ip/address.hpp>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "whimbrel/client/error.hpp"

namespace whimbrel::client::core {

namespace {

using context_handle = std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)>;

[[noreturn]] void refuse(const std::string& why) {
  ERR_clear_error();
  throw error({error_scope::usage, {}, why});
}

void check_readable(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  in.peek();  // a directory opens, and fails here
  if (!in.is_open() || in.bad()) refuse(file + ": cannot be read: " + std::strerror(errno));
}

/// Without this OpenSSL asks at the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

void believe(SSL_CTX* c, const tls_options& how) {
  if (!how.verify) return SSL_CTX_set_verify(c, SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_verify(c, SSL_VERIFY_PEER, nullptr);
  if (how.ca_file.empty()) {
    if (SSL_CTX_set_default_verify_paths(c) != 1) refuse("the system's roots cannot be read");
    return;
  }
  check_readable(how.ca_file);
  if (SSL_CTX_load_verify_file(c, how.ca_file.c_str()) != 1) {
    refuse(how.ca_file + ": holds no certificate in PEM");
  }
}

void show(SSL_CTX* c, const tls_options& how) {
  if (how.certificate_file.empty() && how.key_file.empty()) return;
  if (how.certificate_file.empty() || how.key_file.empty()) {
    refuse("a certificate needs its key, and a key its certificate");
  }
  check_readable(how.certificate_file);
  check_readable(how.key_file);
  SSL_CTX_set_default_passwd_cb(c, no_passphrase);
  if (SSL_CTX_use_certificate_chain_file(c, how.certificate_file.c_str()) != 1) {
    refuse(how.certificate_file + ": holds no certificate in PEM that can be used");
  }
  if (SSL_CTX_use_PrivateKey_file(c, how.key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(c) != 1) {
    refuse(how.key_file + ": holds no private key in PEM that belongs to the certificate in " +
           how.certificate_file + ", or one with a passphrase");
  }
}

/// The name is sent, so that a host of many names can choose (SNI); never an address. [5.2]
void address_to(SSL* s, const std::string& host) {
  boost::system::error_code not_literal;
  boost::asio::ip::make_address(host, not_literal);
  if (!not_literal) {
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(s), host.c_str()) == 1) return;
    refuse(host + ": not an address that a certificate can have");
  }
  SSL_set_hostflags(s, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (SSL_set1_host(s, host.c_str()) != 1 || SSL_set_tlsext_host_name(s, host.c_str()) != 1) {
    refuse(host + ": not a name that a certificate can have");
  }
}

}  // namespace

amqp::io::ssl_handle make_ssl(const tls_options& how, const std::string& host) {
  const context_handle context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  SSL_CTX* const c = context.get();
  if (c == nullptr || SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) != 1) {
    refuse("OpenSSL cannot be set up for TLS 1.2");
  }
  SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  believe(c, how);
  show(c, how);
  amqp::io::ssl_handle out(SSL_new(c));
  if (out == nullptr) refuse("OpenSSL has no room for a connection");
  address_to(out.get(), host);
  return out;
}

}  // namespace whimbrel::client::core
