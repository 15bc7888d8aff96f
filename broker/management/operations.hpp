// SPDX-License-Identifier: Apache-2.0
// What administrators may do, whichever protocol they say it in: permissions, checks of names and
// arguments, then the directory.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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

/// Part of a list: in order of names; at most `count`, behind the first `offset`.
struct page {
  std::size_t offset = 0;
  std::size_t count = 1'000;
};
struct exchange_page {
  std::vector<core::exchange_settings> exchanges = {};
  bool more = false;
};
struct binding_page {
  std::vector<core::binding> bindings = {};
  bool more = false;
};

/// A queue as the answers of one of the protocols have it.
using queue_words = amqp::codec::map (*)(const core::queue_info& q, const std::string& node_name);
/// As those of /management have it.
[[nodiscard]] amqp::codec::map describe(const core::queue_info& q, const std::string& node_name);

/// Permissions
///   declare, delete   configure on the name
///   bind, unbind      configure on the destination, receive on the source
///   purge             receive on the name, since it takes the messages
///   read, list        any permission on the name; what cannot be seen is not there
///   policies          manage, on the name to change one, on any to see them
class operations {
 public:
  explicit operations(asker who) : who_(std::move(who)) {}

  void read_queue(const std::string& name, const answer& done, queue_words = describe) const;
  /// `attributes`: durable, exclusive, auto_delete, arguments; null for none.
  void declare_queue(const std::string& name, const amqp::codec::value& attributes,
                     const answer& done, queue_words = describe) const;
  void delete_queue(core::queue_removal what, const answer& done) const;
  void purge_queue(const std::string& name, const answer& done) const;
  void list_queues(core::page_request which,
                   const std::function<void(const core::queue_page&)>& done) const;

  // operations_topology.cpp
  /// `attributes`: type, durable, auto_delete, internal, arguments.
  void declare_exchange(const std::string& name, const amqp::codec::value& attributes,
                        const answer& done) const;
  void read_exchange(
      const std::string& name,
      std::function<void(const reply& why, const core::exchange_settings& what)> done) const;
  /// One that is not there has been deleted.
  void delete_exchange(const std::string& name, const answer& done) const;
  void bind(const core::binding& what, const answer& done) const;
  /// A binding that is not there has been removed.
  void unbind(const core::binding& what, const answer& done) const;
  /// The same, of those between these two by this key the one whose arguments have this hash.
  void unbind(const core::binding& what, std::string arguments_hash, const answer& done) const;
  void list_exchanges(page of, std::function<void(const exchange_page&)> done) const;
  /// Of `between` those parts count that are not empty.
  void list_bindings(page of, core::binding between,
                     std::function<void(const binding_page&)> done) const;

  // operations_policy.cpp
  /// `attributes`: pattern, priority, arguments (or definition). `replace`: it is there, and is to
  /// be otherwise; else one that is there and differs is a conflict.
  void set_policy(const std::string& name, const amqp::codec::value& attributes, bool replace,
                  const answer& done) const;
  void delete_policy(const std::string& name, const answer& done) const;
  /// In the order in which they are asked; none for whoever may not see them.
  void list_policies(std::function<void(const std::vector<core::named_policy>&)> done) const;

  [[nodiscard]] const asker& who() const { return who_; }
  [[nodiscard]] bool may_see(std::string_view name) const;

 private:
  [[nodiscard]] std::optional<reply> check_name(const std::string& name) const;
  [[nodiscard]] std::optional<reply> check_binding(const core::binding& what) const;
  template <class Work>
  void on_directory(const answer& done, Work work) const;

  asker who_;
};

/// `queue 'q' in vhost '/'`: the words that clients look for.
[[nodiscard]] std::string named(std::string_view kind, std::string_view name);

[[nodiscard]] amqp::codec::map describe(const core::binding& b);
/// Where a binding is found among others of its ends and key; empty if it has no arguments.
[[nodiscard]] std::string hash_of(const amqp::codec::map& arguments);

/// Hands each field of a body to `take`, which says what is wrong with it. Returns the first
/// objection, also the one to a body that is no map.
using take_field =
    std::function<std::optional<std::string>(const std::string& name, const amqp::codec::value& v)>;
[[nodiscard]] std::optional<std::string> read_fields(const amqp::codec::value& body,
                                                     const take_field& take);

/// Reads the attributes of a declaration. The text says what is wrong with them.
struct read_definition {
  core::queue_definition as = {};
  std::optional<std::string> wrong = {};
};
[[nodiscard]] read_definition definition_from(const amqp::codec::value& attributes);

}  // namespace whimbrel::broker::management
