// SPDX-License-Identifier: Apache-2.0
// What core::sender and core::receiver have in common: attaching, detaching, being lost.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "amqp/engine/event.hpp"
#include "amqp/engine/link.hpp"
#include "amqp/engine/session.hpp"
#include "amqp/spec/transport.hpp"
#include "whimbrel/client/error.hpp"

namespace whimbrel::client::core {

class connection;

/// Called once, on the connection's executor: nothing, or why not.
using done = std::function<void(std::optional<failure>)>;

///     idle --attach--> attaching --the peer's attach--> attached --detach--> detaching
///        \________________\__________ failure __________\______________________\----> gone
///
/// idle       never given to a connection, or waiting for its session
/// attaching  our attach is out
/// attached   both are
/// detaching  our detach is out
/// gone       nothing more happens; `why_gone` unless we detached
///
/// Belongs to the executor of its connection.
class link : public std::enable_shared_from_this<link> {
 public:
  virtual ~link() = default;
  link(const link&) = delete;
  link& operator=(const link&) = delete;

  /// Completes when the peer has detached too; at once if there is nothing to detach.
  void detach(bool closed, done then);

  [[nodiscard]] bool is_attached() const { return phase_ == phase::attached; }
  [[nodiscard]] bool is_gone() const { return phase_ == phase::gone; }
  [[nodiscard]] const std::optional<failure>& why_gone() const { return why_gone_; }

 protected:
  friend class connection;
  enum class phase { idle, attaching, attached, detaching, gone };

  explicit link(std::string name) : name_(std::move(name)) {}

  /// Makes the engine's link; false if it has no room for one.
  [[nodiscard]] virtual bool start(amqp::engine::session& on) = 0;
  /// The peer's attach came and names the terminus asked for.
  virtual void on_attached(const amqp::spec::attach& theirs) = 0;
  /// The engine's link is dead.
  virtual void on_gone(const failure& why) = 0;
  /// Whether the attach has our terminus: without it the link is refused and a detach follows.
  [[nodiscard]] virtual bool is_admitted(const amqp::spec::attach& theirs) const = 0;
  [[nodiscard]] virtual amqp::engine::link* end() const = 0;

  void attached(const amqp::spec::attach& theirs);
  /// Idempotent. With a failure unless it was we who detached.
  void gone(std::optional<failure> why);

  std::string name_;
  phase phase_ = phase::idle;
  connection* on_ = nullptr;  // set while the connection lists us
  std::optional<failure> why_gone_ = {};
  done when_attached_ = {};
  done when_gone_ = {};
};

}  // namespace whimbrel::client::core
