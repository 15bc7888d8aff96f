// SPDX-License-Identifier: Apache-2.0
// From an address to a node: what is there, what is meant, and what may be made.
#include <optional>
#include <utility>

#include "amqp/spec/conditions.hpp"
#include "broker/core/address.hpp"
#include "broker/core/directory.hpp"

namespace whimbrel::broker::core {

namespace conditions = amqp::spec::conditions;

namespace {

node_reply refuse(std::string_view condition, std::string description) {
  node_reply out;
  out.condition = condition;
  out.description = std::move(description);
  return out;
}

/// A name that stands for all that a pattern may match: a permission for it is one for them.
/// Whoever may read `news.?` may not read `news.#`.
std::string widest_name(const std::string& pattern) {
  std::string out;
  for (std::size_t from = 0;;) {
    const auto dot = pattern.find('.', from);
    const std::string word = pattern.substr(from, dot - from);
    out += word == "*" ? "\x7f\x7f" : word == "#" ? "\x7f\x7f.\x7f\x7f" : word;
    if (dot == std::string::npos) return out;
    out += '.';
    from = dot + 1;
  }
}

/// Capabilities override what the address says, as far as queues and topics go.
address_kind kind_of(const node_request& request, const address& a) {
  const bool either = a.kind == address_kind::queue || a.kind == address_kind::topic ||
                      a.kind == address_kind::bare;
  if (either && request.hint == node_hint::topic) return address_kind::topic;
  if (either && request.hint == node_hint::queue) return address_kind::queue;
  return a.kind;
}

bool is_too_long(const address& a) {
  return a.name.size() > name_octets_max || (a.key && a.key->size() > name_octets_max);
}

}  // namespace

void directory::resolve(shard& from, node_request request, answer done) {
  const worker_id asker = from.self();
  from.send_task(worker_id{0}, [this, asker, request = std::move(request),
                                done = std::move(done)](shard& home) {
    resolve_here(request, [&home, asker, done](const node_reply& reply) {
      home.send_task(asker, [reply, done](shard&) { done(reply); });
    });
  });
}

/// In the order that README.md gives.
void directory::resolve_here(const node_request& request, const answer& done) {
  if (request.dynamic) return resolve_dynamic(request, done);
  const bool as_topic = request.hint == node_hint::topic;
  if (!as_topic && nodes_.contains(request.address)) {
    return reply_with(request.address, request, done);
  }
  if (request.hint != node_hint::queue && exchanges_.find(request.address)) {
    return use_exchange(request, request.address, std::nullopt, false, done);
  }
  const address a = parse_address(request.address);
  const std::string quoted = "address '" + request.address + "'";
  if (a.kind != address_kind::invalid && is_too_long(a)) {
    return done(refuse(conditions::invalid_field,
                       "a name or key in the address has more than 255 octets"));
  }
  switch (kind_of(request, a)) {
    case address_kind::invalid:
      return done(refuse(conditions::invalid_field, quoted + ": " + a.problem));
    case address_kind::stream:
      return done(refuse(conditions::not_implemented,
                         quoted + ": this version has no streams"));
    case address_kind::exchange: return resolve_exchange(request, a, done);
    case address_kind::topic:
      if (as_topic && exchanges_.find(a.name)) {
        return use_exchange(request, a.name, std::nullopt, false, done);
      }
      return use_exchange(request, std::string(topic_exchange), a.name, true, done);
    case address_kind::bare:
      if (!nodes_.contains(a.name) && exchanges_.find(a.name)) {
        return use_exchange(request, a.name, std::nullopt, false, done);
      }
      break;
    case address_kind::queue: break;
  }
  if (nodes_.contains(a.name)) return reply_with(a.name, request, done);
  resolve_new(request, a.name, !a.canonical, done);
}

/// The name of a new node is nobody else's; a topic is an exchange of its own.
void directory::resolve_dynamic(const node_request& request, const answer& done) {
  const std::string name = std::string(temporary_prefix) + options_.random_name();
  if (!request.may_configure(name)) {
    return done(refuse(conditions::unauthorized_access,
                       "no permission to configure a temporary node"));
  }
  if (request.hint != node_hint::topic) return resolve_new(request, name, true, done);
  exchange_settings what;
  what.name = name;
  what.type = exchange_type::fanout;
  what.durable = false;
  exchanges_.declare(what, [this, request, name, done](const refusal& r) {
    if (!r.is_ok()) return done(refuse(r.condition, r.description));
    use_exchange(request, name, std::nullopt, false, done);
  });
}

void directory::resolve_exchange(const node_request& request, const address& a,
                                 const answer& done) {
  if (a.name == default_exchange) return resolve_default(request, a, done);
  if (!exchanges_.find(a.name)) {
    const std::string quoted = "exchange '" + a.name + "'";
    // Whether it is there is nobody's business who may not use it.
    if (!request.may_use(a.name)) {
      return done(refuse(conditions::unauthorized_access, "no permission to use " + quoted));
    }
    return done(refuse(conditions::not_found, quoted + " does not exist"));
  }
  use_exchange(request, a.name, a.key, false, done);
}

/// Every queue is bound to the default exchange by its name, and nothing else is.
void directory::resolve_default(const node_request& request, const address& a,
                                const answer& done) {
  if (a.key) {
    node_request queue = request;
    queue.address = queue_path(*a.key);
    queue.hint = node_hint::queue;
    return resolve_here(queue, done);
  }
  if (request.to_consume) {
    return done(refuse(conditions::invalid_field,
                       "a consumer of the default exchange names a queue"));
  }
  node_reply reply;
  reply.by_subject = true;
  done(reply);
}

/// `is_topic`: asked for as a topic, whose name is the key.
void directory::use_exchange(const node_request& request, const std::string& exchange,
                             std::optional<std::string> key, bool is_topic, const answer& done) {
  const exchange_settings& what = *exchanges_.settings_of(exchange);
  const std::string quoted = "exchange '" + exchange + "'";
  const bool is_temporary = exchange.starts_with(temporary_prefix);
  std::string asked_for = is_topic ? *key : exchange;
  if (is_topic && request.to_consume) asked_for = widest_name(asked_for);
  if (!request.dynamic && !request.may_use(asked_for)) {
    return done(refuse(conditions::unauthorized_access,
                       "no permission to use " + (is_topic ? "topic '" + *key + "'" : quoted)));
  }
  if (request.to_consume) {
    const bool all = what.type == exchange_type::topic;
    return subscribe(request, exchange, key.value_or(all ? "#" : ""), done);
  }
  if (what.internal) {
    return done(refuse(conditions::not_allowed, quoted + " takes no messages from producers"));
  }
  node_reply reply;
  reply.exchange = {exchanges_.find(exchange), std::move(key), is_topic || is_temporary};
  reply.name = exchange;
  reply.temporary = request.dynamic;
  done(reply);
}

void directory::resolve_new(const node_request& request, const std::string& name, bool may_create,
                            const answer& done) {
  const std::string quoted = "queue '" + name + "'";
  if (!request.dynamic && !request.may_use(name)) {
    return done(refuse(conditions::unauthorized_access, "no permission to use " + quoted));
  }
  const creation_rule* rule = nullptr;
  for (const creation_rule& r : options_.rules) {
    if (!request.dynamic && r.matches(name)) {
      rule = &r;
      break;
    }
  }
  may_create = may_create && rule != nullptr && rule->create &&
               !name.starts_with(temporary_prefix) && !name.starts_with(subscription_prefix);
  if (!request.dynamic && !may_create) {
    return done(refuse(conditions::not_found, quoted + " does not exist"));
  }
  if (!request.may_configure(name)) {
    return done(refuse(conditions::unauthorized_access,
                       quoted + " does not exist, and there is no permission to create it"));
  }
  if (nodes_.size() >= options_.queues_max) {
    return done(refuse(conditions::resource_limit_exceeded,
                       "there are already " + std::to_string(nodes_.size()) + " queues"));
  }
  queue_definition as;
  as.durable = rule != nullptr && rule->durable;
  create({name, std::move(as), request.dynamic, request.connection});
  reply_with(name, request, done);
}

/// The node is there, perhaps still in the making.
void directory::reply_with(const std::string& name, const node_request& request,
                           const answer& done) {
  node& n = nodes_.at(name);
  if (request.to_consume && is_locked(n, request.connection)) {
    return done(refuse(conditions::resource_locked,
                       "queue '" + name + "' belongs to another connection"));
  }
  if (!request.dynamic && !request.may_use(name)) {
    return done(refuse(conditions::unauthorized_access,
                       "no permission to use queue '" + name + "'"));
  }
  if (!n.ready) {
    return when_ready(name, [this, name, request, done] {
      if (nodes_.contains(name)) return reply_with(name, request, done);
      done(refuse(conditions::resource_deleted, "queue '" + name + "' has been deleted"));
    });
  }
  node_reply reply;
  reply.queue = n.queue;
  reply.name = name;
  reply.temporary = n.temporary;
  done(reply);
}

}  // namespace whimbrel::broker::core
