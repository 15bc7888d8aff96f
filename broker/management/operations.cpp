// SPDX-License-Identifier: Apache-2.0
// Checks, and the directory's answers as codes and texts.
#include "broker/management/operations.hpp"

#include <utility>

#include "broker/management/queue_arguments.hpp"

namespace whimbrel::broker::management {

using amqp::codec::map;
using amqp::codec::value;
using core::admin_reply;
using core::admin_status;
using security::action;

namespace {

constexpr std::size_t name_octets_max = 255;  // what other brokers take, so definitions travel

reply not_found(const std::string& name) {
  return failure(status::not_found, "no " + named("queue", name));
}

reply forbidden(std::string_view what, const std::string& name) {
  return failure(status::forbidden,
                 "no permission to " + std::string(what) + " " + named("queue", name));
}

/// What went wrong; only for a reply that is not ok.
reply refusal(const admin_reply& r, const std::string& name) {
  switch (r.status) {
    case admin_status::not_found: return not_found(name);
    case admin_status::differs:
      return failure(status::conflict, "inequivalent arg '" + r.field + "' for " +
                                           named("queue", name) + ": received '" + r.wanted +
                                           "' but current is '" + r.present + "'");
    case admin_status::locked:
      return failure(status::bad_request, "cannot obtain exclusive access to locked " +
                                              named("queue", name) +
                                              ": it belongs to another connection");
    case admin_status::limit:
      return failure(status::forbidden, "cannot declare " + named("queue", name) +
                                            ": there are as many queues as queues-max allows");
    case admin_status::in_use:
      return failure(status::conflict, named("queue", name) + " has messages or consumers");
    case admin_status::ok:
    case admin_status::created: break;
  }
  return {};
}

bool is_refused(const admin_reply& r) {
  return r.status != admin_status::ok && r.status != admin_status::created;
}

std::optional<std::string> read_one(const std::string& name, const value& v,
                                    core::queue_definition& into) {
  if (name == "arguments") {
    const auto arguments = v.to<map>();
    if (!arguments && !v.is_null()) return "'arguments' is not a map";
    into.arguments = arguments.value_or(map{});
    return std::nullopt;
  }
  if (name != "durable" && name != "exclusive" && name != "auto_delete") {
    return "unknown key '" + name + "' in the declaration of a queue";
  }
  const auto flag = v.to<bool>();
  if (!flag) return "'" + name + "' is not a boolean";
  (name == "durable"     ? into.durable
   : name == "exclusive" ? into.exclusive
                         : into.auto_delete) = *flag;
  return std::nullopt;
}

map counted(std::uint64_t messages) { return {{value("message_count"), value(messages)}}; }

}  // namespace

std::string named(std::string_view kind, std::string_view name) {
  return std::string(kind) + " '" + std::string(name) + "' in vhost '/'";
}

map describe(const core::queue_info& q, const std::string& node_name) {
  return {
      {value("name"), value(q.name)},
      {value("vhost"), value("/")},
      {value("durable"), value(q.as.durable)},
      {value("auto_delete"), value(q.temporary || q.as.auto_delete)},
      {value("exclusive"), value(q.as.exclusive || q.temporary)},
      {value("type"), value(queue_type(q.as))},
      {value("arguments"), value(q.as.arguments)},
      {value("message_count"), value(q.messages)},
      {value("consumer_count"), value(q.consumers)},
      {value("leader"), value(node_name)},
      {value("replicas"), value(amqp::codec::array::of<std::string>({node_name}))},
  };
}

std::optional<std::string> read_fields(const value& body, const take_field& take) {
  const auto* fields = body.get_if<map>();
  if (fields == nullptr) return "the body is not a map";
  for (const auto& [key, v] : *fields) {
    if (auto wrong = take(key.text().value_or(""), v)) return wrong;
  }
  return std::nullopt;
}

read_definition definition_from(const value& attributes) {
  read_definition out;
  if (attributes.is_null()) return out;
  out.wrong = read_fields(attributes, [&](const std::string& name, const value& v) {
    return read_one(name, v, out.as);
  });
  if (!out.wrong) out.wrong = objection_to(out.as);
  out.as.arguments = normal_arguments(out.as.arguments);
  return out;
}

bool operations::may_see(std::string_view name) const {
  for (const action a : {action::configure, action::send, action::receive, action::manage}) {
    if (security::is_permitted(who_.allowed, a, name)) return true;
  }
  return false;
}

std::optional<reply> operations::check_name(const std::string& name) const {
  if (name.empty()) return failure(status::bad_request, "the name of a queue is empty");
  if (name.size() > name_octets_max) {
    return failure(status::bad_request, "the name of a queue is longer than 255 octets");
  }
  if (name.starts_with("amq.") || name.starts_with("temp.")) {
    return failure(status::forbidden,
                   named("queue", name) + " starts with a prefix that is reserved");
  }
  return std::nullopt;
}

void operations::read_queue(const std::string& name, const answer& done,
                            queue_words words) const {
  if (!may_see(name)) return done(not_found(name));
  who_.nodes.read_queue(who_.home, name,
                        [name, node = who_.node_name, done, words](const admin_reply& r) {
                          if (is_refused(r)) return done(refusal(r, name));
                          done({status::ok, value(words(r.queue, node))});
                        });
}

void operations::declare_queue(const std::string& name, const value& attributes,
                               const answer& done, queue_words words) const {
  if (const auto wrong = check_name(name)) return done(*wrong);
  auto read = definition_from(attributes);
  if (read.wrong) return done(failure(status::bad_request, *read.wrong));
  if (!security::is_permitted(who_.allowed, action::configure, name)) {
    return done(forbidden("declare", name));
  }
  const bool exclusive = read.as.exclusive;
  who_.nodes.declare_queue(
      who_.home, {name, std::move(read.as), who_.connection},
      [name, exclusive, node = who_.node_name, owns = who_.owns, done,
       words](const admin_reply& r) {
        if (is_refused(r)) return done(refusal(r, name));
        const bool made = r.status == admin_status::created;
        if (made && exclusive && owns) owns(name);
        done({made ? status::created : status::ok, value(words(r.queue, node))});
      });
}

void operations::delete_queue(core::queue_removal what, const answer& done) const {
  const std::string name = what.name;
  if (!may_see(name)) return done(not_found(name));
  if (!security::is_permitted(who_.allowed, action::configure, name)) {
    return done(forbidden("delete", name));
  }
  what.connection = who_.connection;
  who_.nodes.delete_queue(who_.home, std::move(what), [name, done](const admin_reply& r) {
    if (is_refused(r)) return done(refusal(r, name));
    done({status::ok, value(counted(r.messages))});
  });
}

void operations::purge_queue(const std::string& name, const answer& done) const {
  if (!may_see(name)) return done(not_found(name));
  if (!security::is_permitted(who_.allowed, action::receive, name)) {
    return done(forbidden("purge", name));
  }
  who_.nodes.purge_queue(who_.home, name, [name, done](const admin_reply& r) {
    if (is_refused(r)) return done(refusal(r, name));
    done({status::ok, value(counted(r.messages))});
  });
}

void operations::list_queues(core::page_request which,
                             const std::function<void(const core::queue_page&)>& done) const {
  // Asked on worker 0: it takes a copy of whom it asks for.
  which.may_see = [self = *this](std::string_view name) { return self.may_see(name); };
  who_.nodes.read_queues(who_.home, std::move(which), done);
}

}  // namespace whimbrel::broker::management
