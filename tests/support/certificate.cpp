// SPDX-License-Identifier: Apache-2.0
#include "tests/support/certificate.hpp"

#include <cstdio>
#include <memory>
#include <stdexcept>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace whimbrel::tests {

namespace {

void must(bool good, const std::string& what) {
  if (!good) throw std::runtime_error("certificate: " + what);
}

void extend(X509* c, int nid, const char* value) {
  X509_EXTENSION* e = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
  must(e != nullptr && X509_add_ext(c, e, -1) == 1, value);
  X509_EXTENSION_free(e);
}

using file = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

file open_file(const std::filesystem::path& path) {
  file out(std::fopen(path.c_str(), "w"), std::fclose);
  must(out != nullptr, "cannot write " + path.string());
  return out;
}

}  // namespace

void write_certificate(const std::filesystem::path& folder, const std::string& name) {
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const std::unique_ptr<X509, void (*)(X509*)> made(X509_new(), X509_free);
  must(key != nullptr && made != nullptr, "nothing to sign");
  X509* const c = made.get();
  X509_set_version(c, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(c), 1);
  X509_gmtime_adj(X509_getm_notBefore(c), -60);
  X509_gmtime_adj(X509_getm_notAfter(c), 3600);
  X509_set_pubkey(c, key.get());
  X509_NAME* const subject = X509_get_subject_name(c);
  const auto* text = reinterpret_cast<const unsigned char*>("localhost");
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, text, -1, -1, 0);
  X509_set_issuer_name(c, subject);
  extend(c, NID_basic_constraints, "critical,CA:TRUE");
  extend(c, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
  must(X509_sign(c, key.get(), EVP_sha256()) > 0, "cannot be signed");
  must(PEM_write_X509(open_file(folder / (name + ".pem")).get(), c) == 1, "cannot be written");
  must(PEM_write_PrivateKey(open_file(folder / (name + ".key")).get(), key.get(), nullptr, nullptr,
                            0, nullptr, nullptr) == 1,
       "its key cannot be written");
}

}  // namespace whimbrel::tests
