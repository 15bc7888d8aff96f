// SPDX-License-Identifier: Apache-2.0
// Exchanges and bindings come and go, here, in the store and on all workers.
#include "broker/core/topology.hpp"

#include <array>
#include <memory>
#include <utility>

#include "amqp/base/assert.hpp"
#include "amqp/spec/conditions.hpp"

namespace whimbrel::broker::core {

namespace conditions = amqp::spec::conditions;

namespace {

constexpr std::array predeclared{
    std::pair{std::string_view("amq.direct"), exchange_type::direct},
    std::pair{topic_exchange, exchange_type::topic},
    std::pair{std::string_view("amq.fanout"), exchange_type::fanout},
    std::pair{std::string_view("amq.headers"), exchange_type::headers},
    std::pair{std::string_view("amq.match"), exchange_type::headers},
};

refusal refused(std::string_view condition, std::string description) {
  return {condition, std::move(description)};
}

std::string quoted(std::string_view name) { return "exchange '" + std::string(name) + "'"; }

}  // namespace

bool topology::is_predeclared(std::string_view name) {
  for (const auto& p : predeclared) {
    if (p.first == name) return true;
  }
  return false;
}

// --- what all workers know -------------------------------------------------------------------

/// During recovery no thread runs, so the routers may be changed from here.
void topology::on_all(const std::function<void(router&)>& change) {
  for (shard* s : shards_) {
    if (recovering_) {
      change(s->routes());
    } else {
      shards_[0]->send_task(s->self(), [change](shard& there) { change(there.routes()); });
    }
  }
}

/// A question to all workers, behind the changes sent before: mailboxes keep their order.
void topology::when_known(const answer& done) {
  auto left = std::make_shared<std::size_t>(shards_.size());
  for (shard* s : shards_) {
    shards_[0]->send_task(s->self(), [left, done](shard& there) {
      there.send_task(worker_id{0}, [left, done](shard& home) {
        if (--*left > 0) return;
        home.commits().when_durable([done] { done(refusal{}); });
      });
    });
  }
}

exchange_ref topology::find(std::string_view name) const {
  const auto found = exchanges_.find(name);
  return found == exchanges_.end() ? exchange_ref{} : found->second.ref;
}

const exchange_settings* topology::settings_of(std::string_view name) const {
  const auto found = exchanges_.find(name);
  return found == exchanges_.end() ? nullptr : &found->second.settings;
}

// --- exchanges -------------------------------------------------------------------------------

topology::exchange& topology::add(const exchange_settings& what) {
  std::uint32_t slot = 0;
  if (free_slots_.empty()) {
    slot = static_cast<std::uint32_t>(generations_.size());
    generations_.push_back(0);
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  if (++generations_[slot] == 0) generations_[slot] = 1;
  exchange& e = exchanges_[what.name];
  e.settings = what;
  e.ref = {slot, generations_[slot]};
  on_all([ref = e.ref, what](router& r) { r.add_exchange(ref, what); });
  return e;
}

void topology::make_predeclared() {
  for (const auto& [name, type] : predeclared) {
    exchange_settings what;
    what.name = name;
    what.type = type;
    add(what);
  }
}

void topology::restore(const exchange_settings& what) {
  if (find(what.name)) return;
  add(what);
}

void topology::declare(const exchange_settings& what, const answer& done) {
  if (what.name.empty() || what.name.size() > name_octets_max) {
    return done(refused(conditions::invalid_field, "an exchange's name has 1 to 255 octets"));
  }
  if (const auto* there = settings_of(what.name)) {
    if (*there == what) return when_known(done);
    return done(refused(conditions::precondition_failed,
                        quoted(what.name) + " exists, and is not as described"));
  }
  if (what.name.starts_with("amq.")) {
    return done(refused(conditions::not_allowed,
                        quoted(what.name) + ": names that begin with 'amq.' are reserved"));
  }
  add(what);
  if (what.durable) {
    shards_[0]->commits().add({storage::record_kind::exchange, what.name, encode_record(what)});
  }
  when_known(done);
}

void topology::remove(const std::string& name, const answer& done) {
  if (is_predeclared(name)) {
    return done(refused(conditions::not_allowed, quoted(name) + " cannot be deleted"));
  }
  if (!find(name)) return done(refused(conditions::not_found, quoted(name) + " does not exist"));
  drop(name);
  when_known(done);
}

void topology::drop(const std::string& name) {
  const auto found = exchanges_.find(name);
  if (found == exchanges_.end()) return;
  // Its own bindings first: the last of them may take an auto-delete exchange along.
  found->second.settings.auto_delete = false;
  cut_all(found->second.from);
  cut_all(found->second.to);
  const exchange gone = std::move(exchanges_.find(name)->second);
  exchanges_.erase(name);
  free_slots_.push_back(gone.ref.slot);
  on_all([ref = gone.ref](router& r) { r.remove_exchange(ref); });
  if (!gone.settings.durable) return;
  shards_[0]->commits().add({storage::record_kind::exchange, name, {}});
}

// --- bindings --------------------------------------------------------------------------------

edge topology::edge_of(const tie& t) const {
  edge e;
  e.from = find(t.what.source);
  e.to_queue = t.to_queue;
  if (t.what.to_exchange) e.to_exchange = find(t.what.destination);
  e.key = t.what.key;
  e.arguments = t.what.arguments;
  return e;
}

/// Null if it is there already.
topology::tie* topology::make_tie(const binding& what, const hit& to_queue) {
  const auto [at, is_new] = bindings_.try_emplace(what.id());
  if (!is_new) return nullptr;
  tie& t = at->second;
  t.what = what;
  if (!what.to_exchange) t.to_queue = to_queue;
  file(at->first, t);
  on_all([e = edge_of(t)](router& r) { r.bind(e); });
  return &t;
}

void topology::file(std::string_view id, const tie& t) {
  exchanges_.find(t.what.source)->second.from.insert(id);
  if (t.what.to_exchange) exchanges_.find(t.what.destination)->second.to.insert(id);
  else to_queues_[t.what.destination].insert(id);
}

void topology::restore(const binding& what, const hit& to_queue) {
  const bool has_end = what.to_exchange ? static_cast<bool>(find(what.destination))
                                        : static_cast<bool>(to_queue.queue);
  if (!find(what.source) || !has_end) {
    shards_[0]->commits().add({storage::record_kind::binding, what.id(), {}});
    return;
  }
  if (tie* made = make_tie(what, to_queue)) made->stored = true;
}

void topology::bind(const binding& what, const hit& to_queue, const answer& done) {
  if (what.key.size() > name_octets_max) {
    return done(refused(conditions::invalid_field, "a binding's key has at most 255 octets"));
  }
  const exchange_settings* source = settings_of(what.source);
  if (source == nullptr) {
    return done(refused(conditions::not_found, quoted(what.source) + " does not exist"));
  }
  const exchange_settings* to = what.to_exchange ? settings_of(what.destination) : nullptr;
  if (what.to_exchange && to == nullptr) {
    return done(refused(conditions::not_found, quoted(what.destination) + " does not exist"));
  }
  tie* made = make_tie(what, to_queue);
  if (made != nullptr && source->durable && (to == nullptr ? to_queue.durable : to->durable)) {
    made->stored = true;
    shards_[0]->commits().add({storage::record_kind::binding, what.id(), encode_record(what)});
  }
  when_known(done);
}

void topology::unbind(const binding& what, const answer& done) {
  cut(what.id());
  when_known(done);
}

void topology::cut(std::string_view id) {
  const auto found = bindings_.find(std::string(id));
  if (found == bindings_.end()) return;
  const tie& t = found->second;
  on_all([e = edge_of(t)](router& r) { r.unbind(e); });
  exchange& source = exchanges_.find(t.what.source)->second;
  source.from.erase(found->first);
  if (t.what.to_exchange) {
    exchanges_.find(t.what.destination)->second.to.erase(found->first);
  } else if (const auto queue = to_queues_.find(t.what.destination); queue != to_queues_.end()) {
    queue->second.erase(found->first);
    if (queue->second.empty()) to_queues_.erase(queue);
  }
  if (t.stored) shards_[0]->commits().add({storage::record_kind::binding, found->first, {}});
  const bool last = source.from.empty() && source.settings.auto_delete;
  const std::string name = t.what.source;
  bindings_.erase(found);
  if (last) drop(name);
}

void topology::cut_all(const ids& which) {
  const std::vector<std::string> copies(which.begin(), which.end());
  for (const std::string& id : copies) cut(id);
}

void topology::forget_queue(const std::string& name) {
  const auto found = to_queues_.find(name);
  if (found != to_queues_.end()) cut_all(found->second);
}

}  // namespace whimbrel::broker::core
