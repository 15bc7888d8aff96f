// SPDX-License-Identifier: Apache-2.0
// The clients of the crash test: producers and consumers under load until the broker dies, and the
// consumer that looks at all that is left after it was started again.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/crash/amqp_peer.hpp"
#include "tests/crash/ledger.hpp"

namespace whimbrel::crash {

inline constexpr std::uint32_t queue_count = 4;
inline constexpr std::uint32_t producer_connections = 2;
inline constexpr std::uint32_t consumer_connections = 2;

inline std::string queue_name(std::uint32_t queue) { return "crash-" + std::to_string(queue); }

// A message's id as the context of its delivery, where 0 means none.
inline void* as_context(message_id id) {
  return reinterpret_cast<void*>(static_cast<std::uintptr_t>(id) + 1);
}
inline message_id from_context(void* context) {
  return static_cast<message_id>(reinterpret_cast<std::uintptr_t>(context)) - 1;
}

/// " condition: description", or nothing.
std::string reason(pn_event_t* event);

using partial_deliveries = std::map<pn_delivery_t*, std::string>;

/// Takes what has come of a delivery; true, and all of it in `whole`, when that was the last.
bool take_delivery(pn_delivery_t* delivery, partial_deliveries& partial, std::string& whole);

/// Producers send as fast as credit permits, on every queue from every producing connection.
/// Consumers answer each delivery at once with an outcome that they do not settle, and settle when
/// the broker has; half of the links in receiver-settle-mode second.
class load : public event_handler {
 public:
  load(std::uint16_t port, ledger& book, std::mt19937_64& random);

  /// One round of input and output.
  void pump();
  /// The broker has been killed: takes in what it had still written, sends nothing more.
  void finish();

 private:
  struct producer {
    std::uint32_t number = 0;
    std::uint32_t queue = 0;
  };

  void on_event(pn_event_t* event) override;
  void on_delivery(pn_delivery_t* delivery);
  void on_verdict(pn_delivery_t* delivery);
  void on_message(pn_delivery_t* delivery);
  void on_answer(pn_delivery_t* delivery);
  void send_some(pn_link_t* link);
  outcome choose();
  std::size_t padding();

  ledger& book_;
  std::mt19937_64& random_;
  std::vector<std::unique_ptr<amqp_peer>> peers_ = {};
  std::vector<amqp_peer*> all_ = {};
  std::vector<pn_link_t*> senders_ = {};
  std::map<pn_link_t*, producer> producers_ = {};
  std::map<pn_link_t*, std::uint32_t> consumers_ = {};  // to their queue
  partial_deliveries partial_ = {};
  bool broker_lives_ = true;
  std::uint64_t tags_ = 0;
};

/// Receives everything from every queue; then either accepts all of it, or gives it all back.
class inspection : public event_handler {
 public:
  inspection(std::uint16_t port, ledger& book) : book_(book), peer_(port, "inspection", *this) {}

  /// Throws std::runtime_error when the broker does not play along.
  void run(bool keep);

 private:
  struct consumer {
    std::uint32_t queue = 0;
    pn_link_t* link = nullptr;
    int received_since_grant = 0;
    bool done = false;
  };
  struct holding {
    pn_delivery_t* delivery = nullptr;
    message_id id = 0;
  };

  void on_event(pn_event_t* event) override;
  void on_delivery(pn_delivery_t* delivery);
  void on_answer(pn_delivery_t* delivery);
  void pump_until(bool (inspection::*reached)(), const char* what);
  [[nodiscard]] bool has_all();
  [[nodiscard]] bool has_answers() { return answers_ == held_.size(); }
  [[nodiscard]] bool has_closed() { return peer_.is_closed(); }

  ledger& book_;
  amqp_peer peer_;
  std::vector<consumer> consumers_ = {};
  std::vector<holding> held_ = {};
  partial_deliveries partial_ = {};
  std::string failure_ = {};
  std::size_t answers_ = 0;
  bool kept_ = false;
};

}  // namespace whimbrel::crash
