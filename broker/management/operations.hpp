// SPDX-License-Identifier: Apache-2.0
// What administrators may do, whichever protocol they say it in: permissions, checks of names and
// arguments, then the directory.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "amqp/codec/value.hpp"
#include "broker/core/directory.hpp"
#include "broker/management/reply.hpp"
#include "broker/security/permissions.hpp"

namespace whimbrel::broker::management {

/// Who asks, and where. References outlive the connection.
struct asker {
  core::shard& home;
  core::directory& nodes;
  const security::permissions& allowed;
  std::uint64_t connection = 0;
  std::string node_name = {};  // this broker, as answers call it
  /// An exclusive queue was made: it goes with the connection.
  std::function<void(const std::string& queue)> owns = {};
};

/// Permissions
///   declare, delete   configure on the name
///   purge             receive on the name, since it takes the messages
///   read, list        any permission on the name; what cannot be seen is not there
class operations {
 public:
  explicit operations(asker who) : who_(std::move(who)) {}

  void read_queue(const std::string& name, const answer& done) const;
  /// `attributes`: durable, exclusive, auto_delete, arguments; null for none.
  void declare_queue(const std::string& name, const amqp::codec::value& attributes,
                     const answer& done) const;
  void delete_queue(core::queue_removal what, const answer& done) const;
  void purge_queue(const std::string& name, const answer& done) const;
  void list_queues(core::page_request which,
                   const std::function<void(const core::queue_page&)>& done) const;

  [[nodiscard]] const asker& who() const { return who_; }
  [[nodiscard]] bool may_see(std::string_view name) const;

 private:
  [[nodiscard]] std::optional<reply> check_name(const std::string& name) const;

  asker who_;
};

/// A queue as the answers of /management have it.
[[nodiscard]] amqp::codec::map describe(const core::queue_info& q, const std::string& node_name);

/// `queue 'q' in vhost '/'`: the words that clients look for.
[[nodiscard]] std::string named(std::string_view kind, std::string_view name);

/// Reads the attributes of a declaration. The text says what is wrong with them.
struct read_definition {
  core::queue_definition as = {};
  std::optional<std::string> wrong = {};
};
[[nodiscard]] read_definition definition_from(const amqp::codec::value& attributes);

}  // namespace whimbrel::broker::management
