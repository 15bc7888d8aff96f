// SPDX-License-Identifier: Apache-2.0
// Looking nodes up, making and removing them, and finding them again after a restart.
#include "broker/core/directory.hpp"

#include <algorithm>
#include <utility>

#include "amqp/base/assert.hpp"
#include "amqp/codec/codec.hpp"
#include "amqp/spec/conditions.hpp"
#include "broker/core/address.hpp"

namespace whimbrel::broker::core {

namespace conditions = amqp::spec::conditions;

namespace {

/// What the names of temporary queues begin with. Nothing else is created by such a name: a reply
/// that comes after its requester has left must not leave a queue behind.
constexpr std::string_view temporary_prefix = "temp.";

node_reply refusal(std::string_view condition, std::string description) {
  node_reply out;
  out.condition = condition;
  out.description = std::move(description);
  return out;
}

/// A queue's definition as the store keeps it: an AMQP map, so that later versions may add to it.
storage::blob_ptr encode_definition(storage::queue_id id, const queue_definition& as) {
  amqp::codec::map fields;
  fields.append(amqp::codec::value("id"), amqp::codec::value(static_cast<std::uint64_t>(id)));
  if (!as.arguments.empty()) {
    fields.append(amqp::codec::value("arguments"), amqp::codec::value(as.arguments));
  }
  amqp::octet_buffer out;
  amqp::codec::encode(out, fields);
  return storage::make_blob(out.octets());
}

}  // namespace

// --- recovery --------------------------------------------------------------------------------

void directory::on_record(storage::record_kind kind, std::string_view key,
                          std::span<const std::byte> value) {
  if (kind != storage::record_kind::queue) return;
  const auto fields = amqp::codec::decode<amqp::codec::map>(value);
  const auto id = fields.has_value() ? fields->get<std::uint64_t>("id") : std::nullopt;
  if (!id) return;
  last_id_ = std::max(last_id_, *id);
  const std::string name(key);
  shard& home = *shards_[static_cast<std::size_t>(next_home())];
  node& n = nodes_[name];
  n.id = storage::queue_id{*id};
  n.as.arguments = fields->get<amqp::codec::map>("arguments").value_or(amqp::codec::map{});
  n.queue = home.create_queue({name, n.id, true, false});
  n.ready = true;
  recovering_[*id] = home.find(n.queue);
}

void directory::on_entries(std::span<const storage::recovered_entry> entries) {
  for (const storage::recovered_entry& e : entries) {
    const auto id = static_cast<std::uint64_t>(e.key.queue);
    const auto found = recovering_.find(id);
    if (found != recovering_.end()) {
      found->second->restore(e);
      ++recovered_;
      continue;
    }
    ++dropped_;
    last_id_ = std::max(last_id_, id);
    if (orphans_.empty() || orphans_.back() != e.key.queue) orphans_.push_back(e.key.queue);
  }
}

std::size_t directory::finish_recovery() {
  for (const storage::queue_id id : orphans_) shards_[0]->commits().drop_queue(id);
  orphans_.clear();
  recovering_.clear();
  return dropped_;
}

// --- looking up ------------------------------------------------------------------------------

void directory::resolve(shard& from, node_request request, answer done) {
  const worker_id asker = from.self();
  from.send_task(worker_id{0}, [this, asker, request = std::move(request),
                                done = std::move(done)](shard& home) {
    resolve_here(request, [&home, asker, done](const node_reply& reply) {
      home.send_task(asker, [reply, done](shard&) { done(reply); });
    });
  });
}

void directory::resolve_here(const node_request& request, const answer& done) {
  if (request.dynamic) {
    const std::string name = std::string(temporary_prefix) + options_.random_name();
    if (!request.may_configure(name)) {
      return done(refusal(conditions::unauthorized_access,
                          "no permission to configure a temporary queue"));
    }
    return resolve_new(request, name, true, done);
  }
  if (nodes_.contains(request.address)) return reply_with(request.address, request, done);
  const address a = parse_address(request.address);
  const std::string quoted = "address '" + request.address + "'";
  switch (a.kind) {
    case address_kind::invalid:
      return done(refusal(conditions::invalid_field, quoted + ": " + a.problem));
    case address_kind::topic:
    case address_kind::exchange:
    case address_kind::stream:
      return done(refusal(conditions::not_implemented,
                          quoted + ": this version has queues only"));
    case address_kind::bare:
    case address_kind::queue: break;
  }
  if (request.hint == node_hint::topic) {
    return done(refusal(conditions::not_implemented,
                        quoted + " is asked for as a topic: this version has queues only"));
  }
  if (nodes_.contains(a.name)) return reply_with(a.name, request, done);
  resolve_new(request, a.name, !a.canonical, done);
}

void directory::resolve_new(const node_request& request, const std::string& name, bool may_create,
                            const answer& done) {
  const std::string quoted = "queue '" + name + "'";
  const creation_rule* rule = nullptr;
  for (const creation_rule& r : options_.rules) {
    if (!request.dynamic && r.matches(name)) {
      rule = &r;
      break;
    }
  }
  may_create = may_create && rule != nullptr && rule->create && !name.starts_with(temporary_prefix);
  if (!request.dynamic && !may_create) {
    return done(refusal(conditions::not_found, quoted + " does not exist"));
  }
  if (!request.may_use(name) && !request.dynamic) {
    return done(refusal(conditions::unauthorized_access, "no permission to use " + quoted));
  }
  if (!request.may_configure(name)) {
    return done(refusal(conditions::unauthorized_access,
                        quoted + " does not exist, and there is no permission to create it"));
  }
  if (nodes_.size() >= options_.queues_max) {
    return done(refusal(conditions::resource_limit_exceeded,
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
    return done(refusal(conditions::resource_locked,
                        "queue '" + name + "' belongs to another connection"));
  }
  if (!request.dynamic && !request.may_use(name)) {
    return done(refusal(conditions::unauthorized_access,
                        "no permission to use queue '" + name + "'"));
  }
  if (!n.ready) {
    n.waiting.push_back([this, name, request, done] {
      if (nodes_.contains(name)) return reply_with(name, request, done);
      done(refusal(conditions::resource_deleted, "queue '" + name + "' has been deleted"));
    });
    return;
  }
  node_reply reply;
  reply.queue = n.queue;
  reply.name = name;
  reply.temporary = n.temporary;
  done(reply);
}

// --- making and removing ---------------------------------------------------------------------

worker_id directory::next_home() {
  const auto home = static_cast<worker_id>(last_home_);
  last_home_ = static_cast<std::uint16_t>((last_home_ + 1) % shards_.size());
  return home;
}

void directory::create(new_node what) {
  node& n = nodes_[what.name];
  n.id = storage::queue_id{++last_id_};
  n.as = std::move(what.as);
  n.temporary = what.temporary;
  n.owner = what.owner;
  queue_settings settings{std::move(what.name), n.id, n.id_is_stored(), n.temporary};
  shards_[0]->send_task(next_home(), [this, settings](shard& home) {
    const queue_ref ref = home.create_queue(settings);
    home.send_task(worker_id{0}, [this, name = settings.name, id = settings.id, ref](shard&) {
      on_made(name, id, ref);
    });
  });
}

void directory::on_made(const std::string& name, storage::queue_id id, queue_ref ref) {
  node& n = nodes_.at(name);
  n.queue = ref;
  if (!n.id_is_stored()) return on_ready(name, id);
  commit& commits = shards_[0]->commits();
  commits.add({storage::record_kind::queue, name, encode_definition(id, n.as)});
  commits.when_durable([this, name, id] { on_ready(name, id); });
}

void directory::on_ready(const std::string& name, storage::queue_id id) {
  const auto found = nodes_.find(name);
  if (found == nodes_.end() || found->second.id != id) return;
  found->second.ready = true;
  const auto waiting = std::exchange(found->second.waiting, {});
  for (const auto& go_on : waiting) go_on();
}

void directory::declare(const std::string& name, bool durable) {
  queue_definition as;
  as.durable = durable;
  if (!nodes_.contains(name)) create({name, std::move(as), false, 0});
}

void directory::remove(shard& from, std::string name) {
  from.send_task(worker_id{0}, [this, name = std::move(name)](shard& home) {
    const auto found = nodes_.find(name);
    // Only what is there and made can be asked away: links exist from `ready` on.
    if (found == nodes_.end() || !found->second.ready) return;
    const node n = std::move(found->second);
    nodes_.erase(found);
    if (n.id_is_stored()) home.commits().add({storage::record_kind::queue, name, {}});
    home.send_task(n.queue.worker, [ref = n.queue, name](shard& there) {
      there.delete_queue(ref, conditions::resource_deleted, "queue '" + name + "' was deleted");
    });
  });
}

}  // namespace whimbrel::broker::core
