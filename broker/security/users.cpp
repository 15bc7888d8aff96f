// SPDX-License-Identifier: Apache-2.0
#include "broker/security/users.hpp"

#include <algorithm>
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

}  // namespace

user_table::user_table(std::vector<user> users) {
  const scram_record* model = nullptr;
  for (const user& who : users) {
    if (model == nullptr) model = record_for_plain(who);
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

}  // namespace whimbrel::broker::security
