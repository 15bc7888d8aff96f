// SPDX-License-Identifier: Apache-2.0
// Requests and their responses, over a node of our own that the peer makes for the answers.
#pragma once

#include <memory>
#include <string>

#include "whimbrel/client/options.hpp"

namespace whimbrel::client {

/// One thread at a time; one request after the other.
class requester {
 public:
  struct impl;

  /// Sends `m` with a message-id and a reply-to of ours and waits for the message whose
  /// correlation-id is that message-id. Throws error; not accepted is an error of scope refused.
  message request(message m);
  message request(message m, duration time_out);
  /// Where responses come to.
  [[nodiscard]] const std::string& reply_to() const;

 private:
  friend class connection;
  explicit requester(std::shared_ptr<impl> i) : impl_(std::move(i)) {}
  std::shared_ptr<impl> impl_;
};

}  // namespace whimbrel::client
