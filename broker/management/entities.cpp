// SPDX-License-Identifier: Apache-2.0
// Types, attributes and operations of `$management`.
#include "broker/management/entities.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "broker/management/entities_policy.hpp"
#include "broker/management/entities_topology.hpp"
#include "broker/management/queue_arguments.hpp"

namespace whimbrel::broker::management {

using amqp::codec::list;
using amqp::codec::map;
using amqp::codec::value;

namespace {

constexpr std::string_view node_type = "org.amqp.management";
constexpr std::string_view entity_base = "org.amqp.manageable-entity";
constexpr std::string_view queue_entity = "org.whimbrel.queue";
constexpr std::size_t page_max = 1'000;  // entities in one reply

constexpr std::array<std::string_view, 14> queue_attributes{
    "name",      "identity",   "type",      "durable",       "exclusive",      "auto_delete",
    "temporary", "queue_type", "arguments", "message_count", "consumer_count", "leader",
    "effective_arguments",     "policies",
};

bool is_queue_type(std::string_view type) { return type == queue_entity || type == "queue"; }

value attribute(const core::queue_info& q, std::string_view name, const std::string& node) {
  if (name == "name" || name == "identity") return value(q.name);
  if (name == "type") return value(queue_entity);
  if (name == "durable") return value(q.as.durable);
  if (name == "exclusive") return value(q.as.exclusive);
  if (name == "auto_delete") return value(q.as.auto_delete);
  if (name == "temporary") return value(q.temporary);
  if (name == "queue_type") return value(queue_type(q.as));
  if (name == "arguments") return value(q.as.arguments);
  if (name == "message_count") return value(q.messages);
  if (name == "consumer_count") return value(q.consumers);
  if (name == "leader") return value(node);
  if (name == "effective_arguments") return value(to_arguments(q.obeys.what));
  if (name == "policies") {
    list out;
    for (const std::string& policy : q.obeys.from) out.push_back(value(policy));
    return value(std::move(out));
  }
  return {};
}

/// A queue in the words of entities.
map as_entity(const core::queue_info& q, const std::string& node) {
  map out;
  for (const std::string_view a : queue_attributes) out.append(value(a), attribute(q, a, node));
  return out;
}

/// Nothing of a queue can be changed yet; values that it has already are no change.
void update_queue(const operations& on, const entity_request& request, const answer& done) {
  const auto* wanted = request.body.get_if<map>();
  if (wanted == nullptr) return done(failure(status::bad_request, "the body is not a map"));
  const auto compare = [wish = *wanted, done](const reply& r) {
    if (!r.is_ok()) return done(r);
    const map has = r.body.to<map>().value_or(map{});
    for (const auto& [key, v] : wish) {
      const std::string name = key.text().value_or("");
      const auto now = has.find(name);
      if (!now) {
        return done(failure(status::bad_request, "a queue has no attribute '" + name + "'"));
      }
      if (*now != v) {
        return done(failure(status::bad_request, "attribute '" + name + "' cannot be changed"));
      }
    }
    done(r);
  };
  on.read_queue(request.name, compare, as_entity);
}

void handle_entity(const operations& on, const entity_request& request, const answer& done) {
  if (request.name.empty()) {
    return done(failure(status::bad_request, "neither `name` nor `identity` is given"));
  }
  const std::string& name = request.name;
  if (request.operation == "CREATE") {
    return on.declare_queue(name, request.body, done, as_entity);
  }
  if (request.operation == "READ") return on.read_queue(name, done, as_entity);
  if (request.operation == "UPDATE") return update_queue(on, request, done);
  if (request.operation == "PURGE") return on.purge_queue(name, done);
  if (request.operation == "DELETE") {
    core::queue_removal what;
    what.name = name;
    if (const auto* options = request.body.get_if<map>()) {
      what.if_empty = options->get<bool>("if_empty").value_or(false);
      what.if_unused = options->get<bool>("if_unused").value_or(false);
    }
    return on.delete_queue(std::move(what), [done](const reply& r) {
      done(r.is_ok() ? reply{status::no_content, value(map{})} : r);
    });
  }
  done(failure(status::not_implemented, "a queue has no operation '" + request.operation + "'"));
}

bool is_type(std::string_view type) {
  return is_queue_type(type) || type == exchange_entity || type == binding_entity ||
         type == policy_entity;
}

reply no_such_type(const std::string& type) {
  return failure(status::not_found, "there is no type '" + type + "'");
}

void query_queues(const operations& on, const entity_request& request, page which_part,
                  const std::vector<std::string>& wanted, const answer& done) {
  core::page_request which;
  which.after = request.after;
  which.offset = which_part.offset;
  which.count = which_part.count;
  on.list_queues(std::move(which),
                 [wanted, node = on.who().node_name, done](const core::queue_page& page) {
                   list results;
                   for (const core::queue_info& q : page.queues) {
                     list row;
                     for (const std::string& name : wanted) row.push_back(attribute(q, name, node));
                     results.push_back(value(row));
                   }
                   done(query_reply(wanted, std::move(results), page.more));
                 });
}

std::span<const std::string_view> attributes_of(std::string_view type) {
  if (type == exchange_entity) return exchange_attributes();
  if (type == binding_entity) return binding_attributes();
  if (type == policy_entity) return policy_attributes();
  return queue_attributes;
}

void query(const operations& on, const entity_request& request, const answer& done) {
  const std::string& type = request.entity_type;
  if (!type.empty() && !is_type(type)) return done(no_such_type(type));
  std::vector<std::string> wanted;
  const auto* body = request.body.get_if<map>();
  if (const auto names = body ? body->get<list>("attributeNames") : std::nullopt) {
    for (const value& name : *names) wanted.push_back(name.text().value_or(""));
  }
  const auto all = attributes_of(type);
  if (wanted.empty()) wanted.assign(all.begin(), all.end());
  const page which{static_cast<std::size_t>(request.offset),
                   static_cast<std::size_t>(
                       std::min<std::uint64_t>(request.count.value_or(page_max), page_max))};
  if (type == exchange_entity) return query_exchanges(on, which, wanted, done);
  if (type == binding_entity) return query_bindings(on, which, wanted, done);
  if (type == policy_entity) return query_policies(on, which, wanted, done);
  query_queues(on, request, which, wanted, done);
}

value attribute_names(std::string_view type) {
  list out;
  for (const std::string_view name : attributes_of(type)) out.push_back(value(name));
  return value(out);
}

value operation_names(std::string_view type) {
  const value parts = value(list{value("source"), value("destination"), value("destination_type"),
                                 value("binding_key"), value("arguments")});
  if (type == binding_entity) return value(map{{value("CREATE"), parts}, {value("DELETE"), parts}});
  const value none = value(list{});
  if (type == policy_entity) {
    const value says = value(list{value("pattern"), value("priority"), value("arguments")});
    return value(map{{value("CREATE"), says}, {value("READ"), none}, {value("UPDATE"), says},
                     {value("DELETE"), none}});
  }
  map out{{value("CREATE"), none}, {value("READ"), none}};
  if (type == exchange_entity) {
    out.append(value("DELETE"), none);
    return value(out);
  }
  out.append(value("UPDATE"), none);
  out.append(value("PURGE"), none);
  out.append(value("DELETE"), value(list{value("if_empty"), value("if_unused")}));
  return value(out);
}

/// What there is to know of each type: one map, type to what `content` says of it.
reply about_types(const entity_request& request, value (*content)(std::string_view type)) {
  const std::string& wanted = request.entity_type;
  if (!wanted.empty() && !is_type(wanted)) return no_such_type(wanted);
  map out;
  for (const std::string_view type :
       {queue_entity, exchange_entity, binding_entity, policy_entity}) {
    if (wanted.empty() || wanted == type || (type == queue_entity && is_queue_type(wanted))) {
      out.append(value(type), content(type));
    }
  }
  return {status::ok, value(std::move(out))};
}

void handle_node(const operations& on, const entity_request& request, const answer& done) {
  const std::string& what = request.operation;
  if (what == "QUERY") return query(on, request, done);
  if (what == "GET-TYPES") {
    return done(about_types(
        request, [](std::string_view) { return value(list{value(entity_base)}); }));
  }
  if (what == "GET-ATTRIBUTES") return done(about_types(request, attribute_names));
  if (what == "GET-OPERATIONS") return done(about_types(request, operation_names));
  if (what == "GET-ANNOTATIONS") {
    return done(about_types(request, [](std::string_view) { return value(list{}); }));
  }
  if (what == "GET-MGMT-NODES") return done({status::ok, value(list{value("$management")})});
  done(failure(status::not_implemented, "the node has no operation '" + what + "'"));
}

bool is_node_operation(std::string_view operation) {
  return operation == "QUERY" || operation.starts_with("GET-");
}

}  // namespace

read_entity_request entity_request_from(const map& properties, value body) {
  read_entity_request out;
  entity_request& r = out.request;
  r.body = std::move(body);
  const auto text = [&](const char* key, std::string& into) {
    const auto found = properties.find(key);
    if (!found || found->is_null()) return;
    if (auto t = found->text()) into = *std::move(t);
    else out.wrong = std::string("`") + key + "` is not a string";
  };
  const auto number = [&](const char* key) -> std::optional<std::uint64_t> {
    const auto found = properties.find(key);
    if (!found || found->is_null()) return std::nullopt;
    const auto n = found->to_unsigned();
    if (!n) out.wrong = std::string("`") + key + "` is not a whole number of at least 0";
    return n;
  };
  std::string identity;
  text("operation", r.operation);
  text("type", r.type);
  text("name", r.name);
  text("identity", identity);
  text("entityType", r.entity_type);
  text("after", r.after);
  r.offset = number("offset").value_or(0);
  r.count = number("count");
  if (r.name.empty()) r.name = std::move(identity);
  if (!out.wrong && r.operation.empty()) out.wrong = "`operation` is missing";
  return out;
}

void handle(const operations& on, const entity_request& request, const answer& done) {
  if (request.type == node_type || is_node_operation(request.operation)) {
    return handle_node(on, request, done);
  }
  if (is_queue_type(request.type)) return handle_entity(on, request, done);
  if (request.type == exchange_entity) return handle_exchange(on, request, done);
  if (request.type == binding_entity) return handle_binding(on, request, done);
  if (request.type == policy_entity) return handle_policy(on, request, done);
  if (request.type.empty()) return done(failure(status::bad_request, "`type` is missing"));
  done(no_such_type(request.type));
}

}  // namespace whimbrel::broker::management
