// SPDX-License-Identifier: Apache-2.0
// One connection as the broker sees it: who came, and the links they have. Turns the engine's
// events into letters and verbs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "amqp/engine/connection.hpp"
#include "broker/core/containers.hpp"
#include "broker/protocol/context.hpp"
#include "broker/protocol/link_base.hpp"

namespace whimbrel::broker::protocol {

class outgoing_link;

/// Belongs to one worker, like the engine it answers. The driver calls `on_events` whenever the
/// engine may have something to tell, and `on_output_written` when the kernel has taken all there
/// was; `want_flush` asks the driver to write at the end of this turn.
class connection_handler {
 public:
  struct peer {
    std::uint64_t id = 0;     // unique in this process
    std::string address = {};  // for the log
    bool anonymous_allowed = false;
  };

  connection_handler(context& with, amqp::engine::connection& engine, peer who,
                     std::function<void()> want_flush);
  ~connection_handler();
  connection_handler(const connection_handler&) = delete;
  connection_handler& operator=(const connection_handler&) = delete;

  void on_events();
  void on_output_written();
  /// Says goodbye: amqp:connection:forced, so that clients reconnect. [2.4.3]
  void shut_down(amqp::spec::error why);

  [[nodiscard]] std::uint64_t id() const { return who_.id; }
  /// Where the peer is, for the log.
  [[nodiscard]] const std::string& address() const { return who_.address; }
  /// The peer's container-id.
  [[nodiscard]] const std::string& container() const { return container_; }
  /// Who logged in; empty: nobody.
  [[nodiscard]] const std::string& user() const { return user_; }
  [[nodiscard]] const security::permissions& allowed() const { return *allowed_; }
  void want_flush() { want_flush_(); }
  /// Answers the peer's closing detach, with an error if what it asked for was not done.
  void end_closing(link_base& link, std::optional<amqp::spec::error> error);
  /// What the suspended link still holds goes back, and the link with it.
  void end_suspended(link_base& link);
  /// The same for all that this link has followed.
  void end_before(const link_base& link);

  /// A queue that goes with this connection.
  void own(const std::string& queue) { owned_.push_back(queue); }
  [[nodiscard]] const std::vector<std::unique_ptr<link_base>>& links() const { return links_; }

  /// An outgoing link has settlements to hand to its queue before this turn is over.
  void settle_soon(outgoing_link& link);
  /// An outgoing link has pre-settled deliveries that count as sent once output is written.
  void report_written(outgoing_link& link);

 private:
  void on_event(const amqp::engine::event& e);
  void on_sasl_init(const amqp::engine::event& e);
  void on_sasl_response(const amqp::engine::event& e);
  void check_plain(std::span<const std::byte> response);
  void begin_scram(security::scram_hash hash);
  void check_scram(std::span<const std::byte> response);
  void on_verdict(bool good, std::string_view proof = {});
  // connection_open.cpp
  void on_opened(const amqp::engine::event& e);
  void on_entered(core::sole_policy policy, bool admitted);
  void leave_container();

  void on_attached(const amqp::engine::event& e);
  void on_detached(const amqp::engine::event& e);
  void on_session_ended(const amqp::engine::event& e);
  void on_closed(const amqp::engine::event& e);
  void drop_links();
  void drop(amqp::engine::link& wire, departure why);
  void forget(link_base& link);
  void follow_suspended(link_base& fresh, const amqp::spec::attach& asked);
  void sweep_suspended();

  context& with_;
  amqp::engine::connection& engine_;
  peer who_;
  std::function<void()> want_flush_;
  std::string container_ = {};
  bool entered_ = false;  // its container counts it
  std::string user_ = {};           // empty: anonymous
  std::string user_claimed_ = {};   // while the password is checked
  std::unique_ptr<security::scram_server> scram_ = {};  // until the verdict
  const security::permissions* allowed_ = nullptr;
  std::vector<std::unique_ptr<link_base>> links_;
  std::vector<link_base*> suspended_;  // of links_, oldest first
  std::vector<std::string> owned_;  // exclusive queues
  std::vector<outgoing_link*> settling_;
  std::vector<outgoing_link*> presettled_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for verdicts that come late
};

}  // namespace whimbrel::broker::protocol
