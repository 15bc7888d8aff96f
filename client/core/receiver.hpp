// SPDX-License-Identifier: Apache-2.0
// Deliveries put together and handed over, credit kept where it should be. [2.6.7]
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "amqp/engine/link.hpp"
#include "client/core/link.hpp"
#include "whimbrel/client/options.hpp"
#include "whimbrel/client/receiver.hpp"

namespace whimbrel::client::core {

/// Belongs to the executor of its connection.
class receiver final : public link {
 public:
  /// Called on that executor.
  struct listener {
    std::function<void(delivery&&)> on_delivery = {};
    std::function<void()> on_drained = {};
    std::function<void(const failure&)> on_gone = {};
  };

  receiver(std::optional<std::string> address, receiver_options options, listener to);

  /// `count` of the deliveries handed over have been taken: their credit may be given again.
  void consumed(std::uint32_t count);
  /// `state` is an encoded outcome.
  void settle(std::uint32_t id, std::span<const std::byte> state);
  void grant(std::uint32_t credit);
  void drain();

  [[nodiscard]] const std::string& address() const { return address_in_force_; }
  [[nodiscard]] const map& filters() const { return filters_in_force_; }
  /// Any thread.
  [[nodiscard]] std::uint64_t malformed() const { return malformed_; }

  // --- what the connection hears from the engine ---
  void on_transfer(const amqp::engine::event& e);
  void on_drained();

 private:
  bool start(amqp::engine::session& on) override;
  void on_attached(const amqp::spec::attach& theirs) override;
  void on_gone(const failure& why) override;
  bool is_admitted(const amqp::spec::attach& theirs) const override {
    return theirs.source.has_value();
  }
  amqp::engine::link* end() const override { return end_; }

  [[nodiscard]] amqp::spec::source make_source() const;
  void hand_over(const amqp::engine::event& last, std::span<const std::byte> octets);
  void replenish();
  void owe_flush();

  std::optional<std::string> address_;
  receiver_options options_;
  listener to_;
  std::string address_in_force_ = {};
  map filters_in_force_ = {};
  amqp::engine::receiver* end_ = nullptr;  // null unless attaching, attached or detaching
  std::vector<std::byte> partial_ = {};
  std::vector<std::byte> tag_ = {};  // of the delivery under way
  std::uint32_t held_ = 0;           // handed over, not consumed
  std::uint64_t begun_ = 0;          // deliveries, ever
  std::atomic<std::uint64_t> malformed_ = 0;
  bool is_automatic_ = false;  // we keep the credit at the prefetch
};

}  // namespace whimbrel::client::core
