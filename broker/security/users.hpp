// SPDX-License-Identifier: Apache-2.0
// The users of the configuration. Immutable once built, hence shared by all threads without a lock.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "broker/security/permissions.hpp"
#include "broker/security/scram_crypto.hpp"
#include "broker/security/scram_record.hpp"

namespace whimbrel::broker::security {

struct user {
  std::string name = {};
  std::vector<scram_record> passwords = {};
  permissions allowed = {};

  bool operator==(const user&) const = default;
};

/// What a SCRAM login is checked against.
struct scram_target {
  scram_record record = {};
  bool is_real = false;  // false: made up, and no proof is good
};

/// Limitation: an unknown name costs as much as the record of the first user, and shows its
/// iterations to SCRAM. Where users have different iteration counts, names that exist can be told;
/// `hash-password` gives all the same.
class user_table {
 public:
  /// `secret` goes into what SCRAM is told of names that do not exist: not to be known, nor to
  /// change while they can be asked for.
  explicit user_table(std::vector<user> users, octets secret = random_octets(32));

  [[nodiscard]] bool is_empty() const { return users_.empty(); }

  /// Null if there is none. The pointer lives as long as the table.
  [[nodiscard]] const user* find(std::string_view name) const;

  /// What a peer may do that came without a name: as the user `anonymous` where one is declared,
  /// else everything, since the operator has allowed anonymous peers on that listener.
  [[nodiscard]] const permissions& anonymous() const { return anonymous_; }

  /// Milliseconds of work also for a name that does not exist: never on a worker.
  [[nodiscard]] bool verify_plain(std::string_view name, std::string_view password) const;

  /// The record of that name; a made-up one, always the same for a name, where there is none.
  /// Microseconds.
  [[nodiscard]] scram_target scram_for(std::string_view name, scram_hash hash) const;

  /// SASL mechanisms that log in by a password, strongest first: each SCRAM for which some user has
  /// a record, and PLAIN.
  [[nodiscard]] std::vector<std::string> mechanisms() const;

 private:
  std::map<std::string, user, std::less<>> users_ = {};
  permissions anonymous_ = permissions::all();
  scram_record dummy_ = {};
  std::vector<scram_record> models_ = {};  // the first user's of each hash: for made-up ones
  octets secret_ = {};
};

}  // namespace whimbrel::broker::security
