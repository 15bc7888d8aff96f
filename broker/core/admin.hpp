// SPDX-License-Identifier: Apache-2.0
// What whoever administers a broker says to the directory, and what it answers.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "amqp/codec/value.hpp"
#include "broker/core/policy_table.hpp"

namespace whimbrel::broker::core {

/// What a queue was declared as. Two declarations are the same when all of this is.
struct queue_definition {
  bool durable = true;
  bool exclusive = false;  // its maker's connection alone consumes, and takes it along
  bool auto_delete = false;  // goes when its last consumer has gone
  amqp::codec::map arguments = {};
};

struct queue_declaration {
  std::string name = {};
  queue_definition as = {};
  std::uint64_t connection = 0;  // who asks
};

struct queue_info {
  std::string name = {};
  queue_definition as = {};
  bool temporary = false;
  effective_policy obeys = {};  // its arguments, and what policies add to them
  std::uint64_t messages = 0;
  std::uint32_t consumers = 0;
};

enum class admin_status : std::uint8_t {
  ok,
  created,
  not_found,
  differs,  // it is there, declared otherwise: see `field`
  locked,   // it belongs to another connection
  limit,    // there are as many as may be
  in_use,   // it has messages or consumers, and was to be deleted only without
};

struct admin_reply {
  admin_status status = admin_status::ok;
  queue_info queue = {};
  std::uint64_t messages = 0;  // deleted or purged
  std::string field = {};      // differs: what, as asked for, as it is
  std::string wanted = {};
  std::string present = {};
};
using admin_answer = std::function<void(const admin_reply&)>;

struct queue_removal {
  std::string name = {};
  std::uint64_t connection = 0;
  bool if_empty = false;
  bool if_unused = false;
};

/// A page of what may be seen, in the order of names.
struct queue_page {
  std::vector<queue_info> queues = {};
  bool more = false;
};
struct page_request {
  std::function<bool(std::string_view name)> may_see = {};
  std::string after = {};     // the name before the first; empty: from the start
  std::size_t offset = 0;     // further ones to leave out
  std::size_t count = 1'000;  // at most this many
};

/// The first field in which they differ goes to `out`. True: they are the same.
[[nodiscard]] bool is_same(const queue_definition& present, const queue_definition& wanted,
                           admin_reply& out);

}  // namespace whimbrel::broker::core
