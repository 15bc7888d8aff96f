// SPDX-License-Identifier: Apache-2.0
// The broker of this tree, running for one case.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/support/broker_process.hpp"
#include "tests/support/scratch_directory.hpp"
#include "whimbrel/client.hpp"

namespace whimbrel::tests {

class local_broker {
 public:
  explicit local_broker(std::vector<std::string> arguments = {})
      : process_({.binary = WHIMBREL_BINARY,
                  .data = scratch_.path() / "data",
                  .log = scratch_.path() / "log",
                  .arguments = std::move(arguments)}) {
    process_.start();
  }

  [[nodiscard]] std::string url() const { return "amqp://127.0.0.1:" + port(); }
  [[nodiscard]] std::string port() const { return std::to_string(process_.port()); }
  [[nodiscard]] client::connection connect(client::connection_options options = {}) const {
    return client::connection::open(url(), options);
  }
  void kill() { process_.kill(); }

 private:
  scratch_directory scratch_ = {};
  support::broker_process process_;
};

/// The text of the next message, accepted; `-` if none comes.
inline std::string next_text(client::receiver& from,
                             client::duration time_out = std::chrono::seconds(20)) {
  const auto got = from.receive(time_out);
  if (!got) return "-";
  from.accept(*got);
  return got->message.body_text().value_or("?");
}

}  // namespace whimbrel::tests
