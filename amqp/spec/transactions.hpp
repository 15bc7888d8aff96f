// SPDX-License-Identifier: Apache-2.0
// Transactions: the coordinator, its requests and its outcomes. [4.5]
#pragma once

#include "amqp/spec/definitions.hpp"

namespace whimbrel::amqp::spec {

using codec::field;
using enum codec::presence;
using enum codec::privacy;

/// The choices of txn-capability. [4.5.7]
namespace txn_capability {
inline constexpr std::string_view local_transactions = "amqp:local-transactions";
inline constexpr std::string_view distributed_transactions = "amqp:distributed-transactions";
inline constexpr std::string_view promotable_transactions = "amqp:promotable-transactions";
inline constexpr std::string_view multi_txns_per_ssn = "amqp:multi-txns-per-ssn";
inline constexpr std::string_view multi_ssns_per_txn = "amqp:multi-ssns-per-txn";
}  // namespace txn_capability

/// The target of a link that controls transactions. [4.5.1]
struct coordinator {
  codec::multiple<symbol> capabilities = {};

  bool operator==(const coordinator&) const = default;

  static constexpr codec::descriptor type{0x30, "amqp:coordinator:list"};
  static constexpr auto fields = std::tuple{
      field{"capabilities", &coordinator::capabilities},
  };
};

/// Asks for a new transaction. [4.5.2]
struct declare {
  codec::raw global_id = {};

  bool operator==(const declare&) const = default;

  static constexpr codec::descriptor type{0x31, "amqp:declare:list"};
  static constexpr auto fields = std::tuple{
      field{"global-id", &declare::global_id},
  };
};

/// Asks for the end of a transaction. [4.5.3]
struct discharge {
  binary txn_id = {};
  std::optional<bool> fail = {};

  bool operator==(const discharge&) const = default;

  static constexpr codec::descriptor type{0x32, "amqp:discharge:list"};
  static constexpr auto fields = std::tuple{
      field{"txn-id", &discharge::txn_id, mandatory},
      field{"fail", &discharge::fail},
  };
};

/// The outcome that carries the identifier of a new transaction. [4.5.5]
struct declared {
  binary txn_id = {};

  bool operator==(const declared&) const = default;

  static constexpr codec::descriptor type{0x33, "amqp:declared:list"};
  static constexpr auto fields = std::tuple{
      field{"txn-id", &declared::txn_id, mandatory},
  };
};

/// The state of a delivery inside a transaction. [4.5.6]
struct transactional_state {
  binary txn_id = {};
  codec::raw outcome = {};

  bool operator==(const transactional_state&) const = default;

  static constexpr codec::descriptor type{0x34, "amqp:transactional-state:list"};
  static constexpr auto fields = std::tuple{
      field{"txn-id", &transactional_state::txn_id, mandatory},
      field{"outcome", &transactional_state::outcome},
  };
};

}  // namespace whimbrel::amqp::spec
