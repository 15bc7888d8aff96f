// SPDX-License-Identifier: Apache-2.0
// The frames of the SASL negotiation. [5.3.3]
#pragma once

#include "amqp/spec/definitions.hpp"

namespace whimbrel::amqp::spec {

using codec::field;
using enum codec::presence;
using enum codec::privacy;

/// The result of the negotiation. [5.3.3.6]
enum class sasl_code : std::uint8_t { ok = 0, auth = 1, sys = 2, sys_perm = 3, sys_temp = 4 };

constexpr auto choices_of(sasl_code) {
  using enum sasl_code;
  return std::array{codec::choice{ok, "ok"}, codec::choice{auth, "auth"}, codec::choice{sys, "sys"},
                    codec::choice{sys_perm, "sys-perm"}, codec::choice{sys_temp, "sys-temp"}};
}

/// The mechanisms that the server offers. [5.3.3.1]
struct sasl_mechanisms {
  codec::multiple<symbol> sasl_server_mechanisms = {};

  bool operator==(const sasl_mechanisms&) const = default;

  static constexpr codec::descriptor type{0x40, "amqp:sasl-mechanisms:list"};
  static constexpr auto fields = std::tuple{
      field{"sasl-server-mechanisms", &sasl_mechanisms::sasl_server_mechanisms, mandatory},
  };
};

/// The mechanism that the client chose. [5.3.3.2]
struct sasl_init {
  symbol mechanism = {};
  std::optional<binary> initial_response = {};
  std::optional<std::string> hostname = {};

  bool operator==(const sasl_init&) const = default;

  static constexpr codec::descriptor type{0x41, "amqp:sasl-init:list"};
  static constexpr auto fields = std::tuple{
      field{"mechanism", &sasl_init::mechanism, mandatory},
      field{"initial-response", &sasl_init::initial_response, optional, secret},
      field{"hostname", &sasl_init::hostname},
  };
};

/// Data from the server. [5.3.3.3]
struct sasl_challenge {
  binary challenge = {};

  bool operator==(const sasl_challenge&) const = default;

  static constexpr codec::descriptor type{0x42, "amqp:sasl-challenge:list"};
  static constexpr auto fields = std::tuple{
      field{"challenge", &sasl_challenge::challenge, mandatory, secret},
  };
};

/// Data from the client. [5.3.3.4]
struct sasl_response {
  binary response = {};

  bool operator==(const sasl_response&) const = default;

  static constexpr codec::descriptor type{0x43, "amqp:sasl-response:list"};
  static constexpr auto fields = std::tuple{
      field{"response", &sasl_response::response, mandatory, secret},
  };
};

/// How it ended. [5.3.3.5]
struct sasl_outcome {
  sasl_code code = sasl_code::ok;
  std::optional<binary> additional_data = {};

  bool operator==(const sasl_outcome&) const = default;

  static constexpr codec::descriptor type{0x44, "amqp:sasl-outcome:list"};
  static constexpr auto fields = std::tuple{
      field{"code", &sasl_outcome::code, mandatory},
      field{"additional-data", &sasl_outcome::additional_data, optional, secret},
  };
};

}  // namespace whimbrel::amqp::spec
