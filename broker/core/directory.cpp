// SPDX-License-Identifier: Apache-2.0
// Making nodes, removing them, and finding them again after a restart.
#include "broker/core/directory.hpp"

#include <algorithm>
#include <utility>

#include "amqp/base/assert.hpp"
#include "amqp/codec/codec.hpp"
#include "amqp/spec/conditions.hpp"

namespace whimbrel::broker::core {

namespace conditions = amqp::spec::conditions;

namespace {

/// A queue's definition as the store keeps it: an AMQP map, so that later versions may add to it.
storage::blob_ptr encode_definition(storage::queue_id id, const queue_definition& as) {
  amqp::codec::map fields;
  fields.append(amqp::codec::value("id"), amqp::codec::value(static_cast<std::uint64_t>(id)));
  if (as.auto_delete) fields.append(amqp::codec::value("auto-delete"), amqp::codec::value(true));
  if (!as.arguments.empty()) {
    fields.append(amqp::codec::value("arguments"), amqp::codec::value(as.arguments));
  }
  amqp::octet_buffer out;
  amqp::codec::encode(out, fields);
  return storage::make_blob(out.octets());
}

}  // namespace

void directory::set_shards(std::vector<shard*> shards) {
  for (shard* s : shards) {
    s->lookup_queue = [this, s](const std::string& name, std::function<void(const hit&)> done) {
      find_queue(*s, name, std::move(done));
    };
    s->retire_queue = [this, s](const std::string& name, queue_ref which) {
      s->send_task(worker_id{0}, [this, name, which](shard&) { retire(name, which); });
    };
  }
  shards_ = shards;
  exchanges_.set_shards(std::move(shards));
  exchanges_.make_predeclared();
}

// --- recovery --------------------------------------------------------------------------------

void directory::on_record(storage::record_kind kind, std::string_view key,
                          std::span<const std::byte> value) {
  if (kind == storage::record_kind::exchange) {
    if (const auto e = decode_exchange(key, value)) exchanges_.restore(*e);
    return;
  }
  if (kind == storage::record_kind::binding) {
    if (auto b = decode_binding(value)) recovered_bindings_.push_back(*std::move(b));
    return;
  }
  if (kind == storage::record_kind::subscription) {
    if (auto s = decode_subscription(key, value)) subscriptions_[std::string(key)] = *std::move(s);
    return;
  }
  if (kind == storage::record_kind::policy) {
    if (auto policy = decode_policy(key, value)) policies_.set(*std::move(policy));
    return;
  }
  if (kind == storage::record_kind::duplicates) return restore_ids(key, value);
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
  n.as.auto_delete = fields->get<bool>("auto-delete").value_or(false);
  n.queue = home.create_queue({name, n.id, true, false, n.as.auto_delete});
  n.ready = true;
  recovering_[*id] = home.find(n.queue);
}

/// Queues have been seen before: those of a queue that is not there go.
void directory::restore_ids(std::string_view key, std::span<const std::byte> value) {
  const auto which = duplicate_window::read_key(key);
  const auto id = which ? static_cast<std::uint64_t>(which->first) : 0;
  const auto found = recovering_.find(id);
  if (found != recovering_.end()) return found->second->restore_ids(which->second, value);
  last_id_ = std::max(last_id_, id);
  orphan_ids_.emplace_back(key);
}

void directory::on_entries(std::span<const storage::recovered_entry> entries) {
  install_policies();  // all records have been seen; messages find their levels and limits
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

void directory::on_end(storage::queue_id queue, sequence next) {
  const auto id = static_cast<std::uint64_t>(queue);
  last_id_ = std::max(last_id_, id);
  const auto found = recovering_.find(id);
  if (found != recovering_.end()) found->second->continue_at(next);
}

std::size_t directory::finish_recovery() {
  install_policies();
  for (const storage::queue_id id : orphans_) shards_[0]->commits().drop_queue(id);
  orphans_.clear();
  for (const std::string& key : std::exchange(orphan_ids_, {})) {
    shards_[0]->commits().add({storage::record_kind::duplicates, key, {}});
  }
  recovering_.clear();
  drop_halves();
  for (const binding& b : std::exchange(recovered_bindings_, {})) {
    const auto to = nodes_.find(b.destination);
    const bool there = !b.to_exchange && to != nodes_.end();
    exchanges_.restore(b, there ? hit{to->second.queue, true} : hit{});
  }
  exchanges_.end_recovery();
  return dropped_;
}

/// A subscription is made in two batches: after a crash between them there is a queue that nobody
/// knows. The other way round it goes in one batch for names and one for messages.
void directory::drop_halves() {
  commit& commits = shards_[0]->commits();
  std::vector<std::string> gone;
  for (const auto& [name, n] : nodes_) {
    const std::string_view text = name;
    if (!text.starts_with(subscription_prefix)) continue;
    const std::string id(text.substr(subscription_prefix.size()));
    if (!subscriptions_.contains(id)) gone.push_back(name);
  }
  for (const std::string& name : gone) {
    const node n = nodes_.at(name);
    nodes_.erase(name);
    commits.add({storage::record_kind::queue, name, {}});
    shards_[static_cast<std::size_t>(n.queue.worker)]->delete_queue(n.queue,
                                                                    conditions::not_found, name);
  }
  std::erase_if(subscriptions_, [&](const auto& s) {
    if (nodes_.contains(s.second.queue())) return false;
    commits.add({storage::record_kind::subscription, s.first, {}});
    return true;
  });
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
  n.obeys = policy_changes_;
  queue_settings settings{std::move(what.name), n.id, n.id_is_stored(), n.temporary,
                          n.as.auto_delete};
  const queue_policy policy = policy_of(settings.name, n).what;
  shards_[0]->send_task(next_home(), [this, settings, policy](shard& home) {
    const queue_ref ref = home.create_queue(settings);
    home.find(ref)->set_policy(policy);
    home.send_task(worker_id{0}, [this, name = settings.name, id = settings.id, ref](shard&) {
      on_made(name, id, ref);
    });
  });
}

void directory::on_made(const std::string& name, storage::queue_id id, queue_ref ref) {
  node& n = nodes_.at(name);
  n.queue = ref;
  if (n.obeys != policy_changes_) apply_policy(name, n);
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

void directory::declare(const std::string& name, bool durable, const amqp::codec::map& arguments) {
  const auto found = nodes_.find(name);
  if (found == nodes_.end()) {
    queue_definition as;
    as.durable = durable;
    as.arguments = arguments;
    return create({name, std::move(as), false, 0});
  }
  node& n = found->second;
  if (n.as.arguments == arguments) return;
  n.as.arguments = arguments;
  apply_policy(name, n);
  if (!n.id_is_stored()) return;
  shards_[0]->commits().add({storage::record_kind::queue, name, encode_definition(n.id, n.as)});
}

void directory::declare(const exchange_settings& what, const topology::answer& done) {
  exchanges_.declare(what, done);
}

void directory::bind(const binding& what, const topology::answer& done) {
  if (what.to_exchange) return exchanges_.bind(what, {}, done);
  when_ready(what.destination, [this, what, done] {
    const auto to = nodes_.find(what.destination);
    if (to == nodes_.end()) {
      return done({conditions::not_found, "queue '" + what.destination + "' does not exist"});
    }
    exchanges_.bind(what, {to->second.queue, to->second.id_is_stored()}, done);
  });
}

void directory::remove(shard& from, std::string name) {
  from.send_task(worker_id{0}, [this, name = std::move(name)](shard&) { remove_here(name); });
}

/// What leads to a queue that goes, and what stands on it.
void directory::forget_ties(const std::string& name) {
  exchanges_.forget_queue(name);
  if (!name.starts_with(subscription_prefix)) return;
  const auto s = subscriptions_.find(name.substr(subscription_prefix.size()));
  if (s == subscriptions_.end() || !s->second.ready) return;
  if (s->second.durable) {
    shards_[0]->commits().add({storage::record_kind::subscription, s->first, {}});
  }
  subscriptions_.erase(s);
}

void directory::remove_here(const std::string& name) {
  if (name.starts_with(temporary_prefix) && exchanges_.find(name)) {
    exchanges_.remove(name, [](const refusal&) {});
  }
  const auto found = nodes_.find(name);
  // Only what is there and made can be asked away: links exist from `ready` on.
  if (found == nodes_.end() || !found->second.ready) return;
  forget_ties(name);
  const node n = std::move(found->second);
  nodes_.erase(found);
  if (n.id_is_stored()) shards_[0]->commits().add({storage::record_kind::queue, name, {}});
  shards_[0]->send_task(n.queue.worker, [ref = n.queue, name](shard& there) {
    there.delete_queue(ref, conditions::resource_deleted, "queue '" + name + "' was deleted");
  });
}

}  // namespace whimbrel::broker::core
