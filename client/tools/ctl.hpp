// SPDX-License-Identifier: Apache-2.0
// What the commands of `whimbrel ctl` share: arguments, the connection to `$management`, results.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "client/tools/management_client.hpp"
#include "client/tools/verb.hpp"

namespace whimbrel::client::ctl {

using result = verb_result;

struct arguments {
  std::string url = "amqp://localhost:5672";
  double timeout = 10;
  bool as_json = false;
  std::string name = {};
  bool transient = false;
  bool if_empty = false;
  bool if_unused = false;
  std::vector<std::string> pairs = {};
  std::string type = "direct";
  std::string alternate = {};
  bool internal = false;
  bool auto_delete = false;
  std::string destination = {};
  bool to_exchange = false;
  std::string key = {};
  std::string file = {};
  std::string vhost = "/";
  bool dry_run = false;
  std::string pattern = {};
  std::int32_t priority = 0;
  std::uint64_t count = 0;  // of messages; 0: all there are
  std::string selector = {};
  double rate = 0;  // messages a second; 0: as fast as it goes
  tls_options tls = {};

  [[nodiscard]] std::chrono::milliseconds time_out() const {
    return std::chrono::milliseconds(static_cast<int>(timeout * 1000));
  }
};

/// The client, made when it is needed: arguments are checked first.
class session {
 public:
  explicit session(const arguments& a) : arguments_(a) {}
  management_client& operator*() {
    if (made_) return *made_;
    made_.emplace(url_of(arguments_.url, arguments_.tls), arguments_.time_out(), arguments_.tls);
    return *made_;
  }

 private:
  const arguments& arguments_;
  std::optional<management_client> made_ = {};
};

using command = std::function<result(const arguments&, session&)>;

/// A command of this name; `chosen` becomes `run` when it is given.
CLI::App* add(CLI::App* to, const char* name, const char* help, command& chosen, command run);

/// Says why the broker refused.
result refused(const management_response& r);

/// READ, UPDATE, ...: of what.
[[nodiscard]] amqp::codec::map on_queue(const std::string& name);

/// peek, move and replay: the messages in queues.
void add_message_commands(CLI::App& app, arguments& a, command& chosen);

}  // namespace whimbrel::client::ctl
