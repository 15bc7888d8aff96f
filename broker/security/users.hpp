// SPDX-License-Identifier: Apache-2.0
// The users of the configuration. Immutable once built, hence shared by all threads without a lock.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "broker/security/permissions.hpp"
#include "broker/security/scram_record.hpp"

namespace whimbrel::broker::security {

struct user {
  std::string name = {};
  std::vector<scram_record> passwords = {};
  permissions allowed = {};

  bool operator==(const user&) const = default;
};

/// Limitation: an unknown name costs as much as the record of the first user. Where users have
/// different iteration counts, time may tell which names exist; `hash-password` gives all the same.
class user_table {
 public:
  explicit user_table(std::vector<user> users);

  [[nodiscard]] bool is_empty() const { return users_.empty(); }

  /// Null if there is none. The pointer lives as long as the table.
  [[nodiscard]] const user* find(std::string_view name) const;

  /// What a peer may do that came without a name: as the user `anonymous` where one is declared,
  /// else everything, since the operator has allowed anonymous peers on that listener.
  [[nodiscard]] const permissions& anonymous() const { return anonymous_; }

  /// Milliseconds of work also for a name that does not exist: never on a worker.
  [[nodiscard]] bool verify_plain(std::string_view name, std::string_view password) const;

 private:
  std::map<std::string, user, std::less<>> users_ = {};
  permissions anonymous_ = permissions::all();
  scram_record dummy_ = {};
};

}  // namespace whimbrel::broker::security
