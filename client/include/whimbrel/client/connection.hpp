// SPDX-License-Identifier: Apache-2.0
// One connection to a broker, or to any AMQP 1.0 peer that listens.
#pragma once

#include <memory>
#include <string>

#include "whimbrel/client/options.hpp"
#include "whimbrel/client/receiver.hpp"
#include "whimbrel/client/requester.hpp"
#include "whimbrel/client/sender.hpp"

namespace whimbrel::client {

/// Has a thread of its own that keeps the connection alive while the application is busy. Its
/// links may outlive the object. Any number of threads may use one connection. Whatever waits has
/// an end: `connection_options::time_out` unless a time is given. Closes when the last of it and
/// its links is destroyed, waiting 2 s at most for the peer's answer.
class connection {
 public:
  struct impl;

  /// Throws error if there is no connection in time. The URL's address is not used here.
  static connection open(const std::string& url, const connection_options& options = {});
  static connection open(const broker_url& url, const connection_options& options = {});

  sender open_sender(const std::string& address, const sender_options& options = {});
  /// Each message goes where its `to` says.
  sender open_anonymous_sender(const sender_options& options = {});
  receiver open_receiver(const std::string& address, const receiver_options& options = {});
  requester open_requester(const std::string& address);

  [[nodiscard]] const std::string& container_id() const;
  /// The peer's.
  [[nodiscard]] const std::string& remote_container_id() const;
  [[nodiscard]] bool is_open() const;

  /// Ends links, session and connection, and waits for the answer. Throws error if the peer closed
  /// it with one before.
  void close();

 private:
  explicit connection(std::shared_ptr<impl> i) : impl_(std::move(i)) {}
  std::shared_ptr<impl> impl_;
};

}  // namespace whimbrel::client
