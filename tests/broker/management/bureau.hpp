// SPDX-License-Identifier: Apache-2.0
// A directory with somebody who administers it, without sockets.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "broker/management/entities.hpp"
#include "broker/management/http.hpp"
#include "tests/broker/core/world.hpp"

namespace whimbrel::test {

namespace management = broker::management;
using broker::security::permissions;

/// What somebody asks of $management.
inline management::entity_request entity_call(const char* operation, std::string_view type,
                                              const char* name, amqp::codec::value body = {}) {
  management::entity_request r;
  r.operation = operation;
  r.type = type;
  r.name = name;
  r.body = std::move(body);
  return r;
}

struct bureau {
  explicit bureau(world& of, permissions p = permissions::all(), std::size_t queues_max = 100)
      : w(of), allowed(std::move(p)), nodes(options(queues_max)) {
    std::vector<core::shard*> all;
    for (auto& s : w.shards) all.push_back(s.get());
    nodes.set_shards(std::move(all));
    nodes.finish_recovery();  // of nothing: changes travel by letter from here on
  }
  /// The directory that the world's disk has.
  [[nodiscard]] static std::unique_ptr<bureau> recovered(world& of) {
    return std::unique_ptr<bureau>(new bureau(of, of.store));
  }
  static core::directory_options options(std::size_t queues_max) {
    core::directory_options o;
    o.queues_max = queues_max;
    o.random_name = [] { return std::string("r"); };
    o.glob = broker::security::glob_matches;
    return o;
  }
  [[nodiscard]] management::operations as(std::uint64_t connection) {
    return management::operations({*w.shards[w.shards.size() / 2], nodes, allowed, connection,
                                   "node", [this](const std::string& q) { owned += q + ' '; }});
  }

  management::reply http(const std::string& method, const std::string& target,
                         amqp::codec::value body = {}, std::uint64_t connection = 1) {
    return wait([&](const management::answer& done) {
      management::handle(as(connection),
                         management::http_request{method, target, std::move(body)}, done);
    });
  }
  management::reply entity(management::entity_request request, std::uint64_t connection = 1) {
    return wait([&](const management::answer& done) {
      management::handle(as(connection), request, done);
    });
  }

  /// The queue of that name, which is there.
  core::queue_ref find(const std::string& name) {
    auto out = std::make_shared<core::queue_ref>();
    core::node_request request;
    request.address = name;
    request.to_consume = true;
    request.connection = 1;
    request.may_configure = request.may_use = [](std::string_view) { return true; };
    nodes.resolve(w.home(), request, [out](const core::node_reply& r) { *out = r.queue; });
    w.settle_down();
    return *out;
  }

  world& w;
  permissions allowed;
  core::directory nodes;
  std::string owned = {};

 private:
  bureau(world& of, storage::memory_store& store)
      : w(of), allowed(permissions::all()), nodes(options(100)) {
    std::vector<core::shard*> all;
    for (auto& s : w.shards) all.push_back(s.get());
    nodes.set_shards(std::move(all));
    store.recover(nodes);
    nodes.finish_recovery();
  }
  template <class Ask>
  management::reply wait(Ask ask) {
    auto out = std::make_shared<std::optional<management::reply>>();
    ask([out](const management::reply& r) {
      CHECK_FALSE(out->has_value());
      *out = r;
    });
    w.settle_down();
    REQUIRE(out->has_value());
    return **out;
  }
};

}  // namespace whimbrel::test
