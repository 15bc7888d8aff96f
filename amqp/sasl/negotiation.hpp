// SPDX-License-Identifier: Apache-2.0
// Both sides of the SASL negotiation, as state alone: frame bodies in, what to do next out. [5.3.2]
//
//     client                          server
//            <------ mechanisms ------
//            --------- init --------->
//            <------ challenge -------   any number of times
//            ------- response ------->
//            <------- outcome --------
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "amqp/base/result.hpp"
#include "amqp/sasl/exchange.hpp"
#include "amqp/spec/security.hpp"

namespace whimbrel::amqp::sasl {

/// The server's side. The verdict comes from elsewhere, later: until then the peer is not heard.
class server {
 public:
  enum class step : std::uint8_t {
    init,      // `init()` is there: challenge or outcome
    response,  // `response()` is there: challenge or outcome
    refused,   // `reason()`; the outcome is a failure
  };

  /// `mechanisms` must outlive this.
  explicit server(std::span<const std::string> mechanisms) : mechanisms_(mechanisms) {}

  [[nodiscard]] spec::sasl_mechanisms offer() const;
  [[nodiscard]] step on_frame(std::span<const std::byte> body);
  /// A challenge has gone out; a response may come.
  void on_challenged() { state_ = state::challenged; }

  /// True from an init or response until the challenge or outcome.
  [[nodiscard]] bool is_judging() const { return state_ == state::judging; }
  [[nodiscard]] const spec::sasl_init& init() const { return init_; }
  [[nodiscard]] std::span<const std::byte> response() const { return response_.response.octets; }
  [[nodiscard]] std::string_view reason() const { return reason_; }

 private:
  enum class state : std::uint8_t { offered, judging, challenged, failed };

  step refuse(std::string_view reason);
  step on_init(std::span<const std::byte> body);
  step on_response(std::span<const std::byte> body);

  std::span<const std::string> mechanisms_;
  state state_ = state::offered;
  std::string_view reason_ = {};
  spec::sasl_init init_ = {};
  spec::sasl_response response_ = {};
};

/// The client's side, for any mechanism.
class client {
 public:
  enum class step : std::uint8_t {
    send_init,
    send_response,
    authenticated,
    refused,  // `reason()`
  };

  explicit client(exchange_choice choose) : choose_(std::move(choose)) {}
  /// ANONYMOUS or PLAIN, and nothing else.
  client(std::string mechanism, std::string user, std::string password);

  [[nodiscard]] step on_frame(std::span<const std::byte> body);
  [[nodiscard]] spec::sasl_init init() const;
  [[nodiscard]] spec::sasl_response response() const;
  [[nodiscard]] std::string_view reason() const { return reason_; }

 private:
  enum class state : std::uint8_t { awaiting_mechanisms, awaiting_outcome, done };

  step refuse(std::string reason);
  step on_mechanisms(std::span<const std::byte> body);
  step on_challenge(std::span<const std::byte> body);
  step on_outcome(std::span<const std::byte> body);

  exchange_choice choose_;
  std::unique_ptr<exchange> exchange_ = {};  // from the offer on
  std::vector<std::byte> answer_ = {};       // with the init or the response
  state state_ = state::awaiting_mechanisms;
  std::string reason_ = {};
};

}  // namespace whimbrel::amqp::sasl
