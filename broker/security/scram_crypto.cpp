// SPDX-License-Identifier: Apache-2.0
#include "broker/security/scram_crypto.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

namespace whimbrel::broker::security {
namespace {

const EVP_MD* digest_of(scram_hash hash) {
  switch (hash) {
    case scram_hash::sha_1:
      return EVP_sha1();
    case scram_hash::sha_256:
      return EVP_sha256();
    case scram_hash::sha_512:
      break;
  }
  return EVP_sha512();
}

}  // namespace

std::size_t size_of(scram_hash hash) {
  return static_cast<std::size_t>(EVP_MD_get_size(digest_of(hash)));
}

octets hmac(scram_hash hash, const octets& key, std::string_view text) {
  octets out(size_of(hash));
  const auto* data = reinterpret_cast<const unsigned char*>(text.data());
  unsigned int size = 0;
  if (HMAC(digest_of(hash), key.data(), static_cast<int>(key.size()), data, text.size(), out.data(),
           &size) == nullptr) {
    return {};
  }
  return out;
}

octets digest(scram_hash hash, const octets& in) {
  octets out(size_of(hash));
  unsigned int size = 0;
  if (EVP_Digest(in.data(), in.size(), out.data(), &size, digest_of(hash), nullptr) != 1) return {};
  return out;
}

octets salted_password(scram_hash hash, std::string_view password, const octets& salt,
                       std::uint32_t iterations) {
  octets out(size_of(hash));
  const int done =
      PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), salt.data(),
                        static_cast<int>(salt.size()), static_cast<int>(iterations),
                        digest_of(hash), static_cast<int>(out.size()), out.data());
  if (done != 1) return {};
  return out;
}

bool are_equal(const octets& a, const octets& b) {
  return !a.empty() && a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

octets random_octets(std::size_t count) {
  octets out(count);
  if (RAND_bytes(out.data(), static_cast<int>(out.size())) != 1) return {};
  return out;
}

}  // namespace whimbrel::broker::security
