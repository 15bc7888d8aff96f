// SPDX-License-Identifier: Apache-2.0
#include "broker/security/users.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace whimbrel::broker::security {
namespace {

/// The record that PLAIN is checked against: SHA-256 where there is one, since SHA-1 is the weakest
/// and SHA-512 the slowest.
const scram_record* record_for_plain(const user& who) {
  for (const scram_hash wanted : {scram_hash::sha_256, scram_hash::sha_512, scram_hash::sha_1}) {
    for (const scram_record& record : who.passwords) {
      if (record.hash == wanted) return &record;
    }
  }
  return nullptr;
}

/// Same hash and cost as a real one; no password has a StoredKey of zeros.
scram_record dummy_like(const scram_record& model) {
  scram_record out = model;
  std::fill(out.stored_key.begin(), out.stored_key.end(), std::uint8_t{0});
  std::fill(out.server_key.begin(), out.server_key.end(), std::uint8_t{0});
  return out;
}

const scram_record* record_of(const std::vector<scram_record>& records, scram_hash hash) {
  const auto at = std::find_if(records.begin(), records.end(),
                               [&](const scram_record& r) { return r.hash == hash; });
  return at == records.end() ? nullptr : &*at;
}

/// `size` octets that the secret and `text` determine, and that tell nothing of either.
octets made_up_octets(const octets& secret, const std::string& text, std::size_t size) {
  octets out;
  for (char block = 'a'; out.size() < size; ++block) {
    const octets next = hmac(scram_hash::sha_256, secret, block + text);
    if (next.empty()) throw std::runtime_error("OpenSSL refuses SHA-256");
    out.insert(out.end(), next.begin(), next.end());
  }
  out.resize(size);
  return out;
}

}  // namespace

user_table::user_table(std::vector<user> users, octets secret) : secret_(std::move(secret)) {
  if (secret_.empty()) throw std::runtime_error("no random numbers from OpenSSL");
  const scram_record* model = nullptr;
  for (const user& who : users) {
    if (model == nullptr) model = record_for_plain(who);
    for (const scram_record& r : who.passwords) {
      if (record_of(models_, r.hash) == nullptr) models_.push_back(dummy_like(r));
    }
  }
  dummy_ = model != nullptr ? dummy_like(*model)
                            : scram_record{.salt = std::vector<std::uint8_t>(16),
                                           .stored_key = std::vector<std::uint8_t>(32),
                                           .server_key = std::vector<std::uint8_t>(32)};
  for (user& who : users) {
    std::string name = who.name;
    users_.insert_or_assign(std::move(name), std::move(who));
  }
  if (const user* declared = find("anonymous")) anonymous_ = declared->allowed;
}

const user* user_table::find(std::string_view name) const {
  const auto at = users_.find(name);
  return at == users_.end() ? nullptr : &at->second;
}

bool user_table::verify_plain(std::string_view name, std::string_view password) const {
  const user* who = find(name);
  const scram_record* record = who != nullptr ? record_for_plain(*who) : nullptr;
  const bool same = security::verify_plain(record != nullptr ? *record : dummy_, password);
  return same && record != nullptr;
}

scram_target user_table::scram_for(std::string_view name, scram_hash hash) const {
  const scram_record* model = record_of(models_, hash);
  scram_target out{.record = model != nullptr ? *model : dummy_, .is_real = false};
  // Made up for names that exist, too: the answer takes the same time.
  out.record.salt = made_up_octets(
      secret_, std::string(mechanism_of(hash)) + '\0' + std::string(name), out.record.salt.size());
  const user* who = find(name);
  const scram_record* real = who != nullptr ? record_of(who->passwords, hash) : nullptr;
  if (real != nullptr) out = {.record = *real, .is_real = true};
  return out;
}

std::vector<std::string> user_table::mechanisms() const {
  std::vector<std::string> out;
  for (const scram_hash hash : {scram_hash::sha_512, scram_hash::sha_256, scram_hash::sha_1}) {
    if (record_of(models_, hash) != nullptr) out.emplace_back(mechanism_of(hash));
  }
  if (!is_empty()) out.emplace_back("PLAIN");
  return out;
}

}  // namespace whimbrel::broker::security
