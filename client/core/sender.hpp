// SPDX-License-Identifier: Apache-2.0
// Messages that wait for credit, that are half sent, that have no outcome yet. [2.6.12]
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "amqp/base/octet_buffer.hpp"
#include "amqp/engine/link.hpp"
#include "client/core/link.hpp"
#include "whimbrel/client/options.hpp"
#include "whimbrel/client/outcome.hpp"

namespace whimbrel::client::core {

/// Belongs to the executor of its connection.
class sender final : public link {
 public:
  /// Called once for each message: an outcome, or why there is none.
  using told = std::function<void(const outcome*, const failure*)>;

  /// `address`: nothing for the anonymous terminus.
  sender(std::optional<std::string> address, sender_options options);

  /// Takes an encoded message; it goes when its turn and credit have come.
  void send(amqp::octet_buffer octets, told then);

  [[nodiscard]] const std::string& address() const { return address_in_force_; }
  [[nodiscard]] std::uint64_t max_message_size() const { return max_message_size_; }

  // --- what the connection hears from the engine ---
  void on_ready() { pump(); }
  void on_outcome(const amqp::engine::event& e);

 private:
  struct waiting {
    amqp::octet_buffer octets = {};
    told then = {};
  };

  bool start(amqp::engine::session& on) override;
  void on_attached(const amqp::spec::attach& theirs) override;
  void on_gone(const failure& why) override;
  bool is_admitted(const amqp::spec::attach& theirs) const override {
    return !theirs.target.empty();
  }
  amqp::engine::link* end() const override { return end_; }

  void pump();
  /// False when nothing more can go now.
  [[nodiscard]] bool send_front();
  void begin_front();

  std::optional<std::string> address_;
  sender_options options_;
  std::string address_in_force_ = {};
  std::uint64_t max_message_size_ = 0;
  amqp::engine::sender* end_ = nullptr;  // null unless attaching, attached or detaching
  std::deque<waiting> queue_ = {};
  bool half_sent_ = false;  // queue_.front() is
  bool pumping_ = false;
  // Sent and unsettled, by token: those from first_ on. Empty where the outcome has come.
  std::deque<told> unsettled_ = {};
  std::uint64_t first_ = 0;
};

}  // namespace whimbrel::client::core
