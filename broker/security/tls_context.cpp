// SPDX-License-Identifier: Apache-2.0
#include "broker/security/tls_context.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

namespace whimbrel::broker::security {
namespace {

constexpr std::array<std::string_view, 3> use_names = {"none", "allowed", "required"};
constexpr std::array<std::string_view, 3> check_names = {"none", "optional", "required"};

template <class Enum>
std::optional<Enum> find_name(const std::array<std::string_view, 3>& names, std::string_view text) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == text) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

[[noreturn]] void refuse(const std::string& file, const std::string& why) {
  ERR_clear_error();
  throw tls_error(file + ": " + why);
}

/// OpenSSL's own words for a missing file are of little use.
void check_readable(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  in.peek();  // a directory opens, and fails here
  if (!in.is_open() || in.bad()) {
    refuse(file, std::string("cannot be read: ") + std::strerror(errno));
  }
}

/// Without this OpenSSL asks at the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

struct key_release {
  void operator()(EVP_PKEY* k) const { EVP_PKEY_free(k); }
};
struct bio_release {
  void operator()(BIO* b) const { BIO_free(b); }
};

void use_key(SSL_CTX* to, const tls_files& files) {
  check_readable(files.key);
  const std::unique_ptr<BIO, bio_release> in(BIO_new_file(files.key.c_str(), "r"));
  const std::unique_ptr<EVP_PKEY, key_release> key(
      in ? PEM_read_bio_PrivateKey(in.get(), nullptr, no_passphrase, nullptr) : nullptr);
  if (!key) refuse(files.key, "holds no private key in PEM, or one with a passphrase");
  if (SSL_CTX_use_PrivateKey(to, key.get()) != 1 || SSL_CTX_check_private_key(to) != 1) {
    refuse(files.key, "does not belong to the certificate in " + files.certificate);
  }
}

void ask_clients(SSL_CTX* to, const tls_files& files) {
  if (files.check == client_check::none) return;
  check_readable(files.client_ca);
  STACK_OF(X509_NAME)* const names = SSL_load_client_CA_file(files.client_ca.c_str());
  if (names == nullptr || sk_X509_NAME_num(names) == 0 ||
      SSL_CTX_load_verify_file(to, files.client_ca.c_str()) != 1) {
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    refuse(files.client_ca, "holds no certificate in PEM");
  }
  SSL_CTX_set_client_CA_list(to, names);  // which takes them
  const int must = files.check == client_check::required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
  SSL_CTX_set_verify(to, SSL_VERIFY_PEER | must, nullptr);
}

}  // namespace

std::string_view to_text(tls_use use) { return use_names[static_cast<std::size_t>(use)]; }
std::string_view to_text(client_check check) {
  return check_names[static_cast<std::size_t>(check)];
}
std::optional<tls_use> tls_use_of(std::string_view text) {
  return find_name<tls_use>(use_names, text);
}
std::optional<client_check> client_check_of(std::string_view text) {
  return find_name<client_check>(check_names, text);
}

tls_context::tls_context(const tls_files& files) : context_(SSL_CTX_new(TLS_server_method())) {
  SSL_CTX* const c = context_.get();
  if (c == nullptr || SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) != 1) {
    refuse(files.certificate, "OpenSSL cannot be set up for TLS 1.2");
  }
  SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(c, 0);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  check_readable(files.certificate);
  if (SSL_CTX_use_certificate_chain_file(c, files.certificate.c_str()) != 1) {
    refuse(files.certificate, "holds no certificate in PEM that can be used");
  }
  use_key(c, files);
  ask_clients(c, files);
}

}  // namespace whimbrel::broker::security
