// SPDX-License-Identifier: Apache-2.0
// Which exchanges and bindings there are. Lives on worker 0, keeps the definitions of durable ones
// in the store, and brings every change to the routers of all workers.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "broker/core/exchange.hpp"
#include "broker/core/router.hpp"
#include "broker/core/shard.hpp"
#include "broker/core/text_hash.hpp"

namespace whimbrel::broker::core {

/// Why something was not done; no condition: it was.
struct refusal {
  std::string_view condition = {};
  std::string description = {};

  [[nodiscard]] bool is_ok() const { return condition.empty(); }
};

/// Octets that the name of a queue, an exchange or a topic, or a key, may have.
inline constexpr std::size_t name_octets_max = 255;

/// The exchange over which topics run.
inline constexpr std::string_view topic_exchange = "amq.topic";
/// What others call the exchange that every queue is bound to by its name. It is no exchange here:
/// an address that names it names queues.
inline constexpr std::string_view default_exchange = "amq.default";

/// amq.direct, amq.topic, amq.fanout, amq.headers and amq.match are always there and stay; other
/// names that begin with `amq.` are nobody's. An answer comes when all workers know of the change,
/// and its definition, if durable, has been committed.
class topology {
 public:
  using answer = std::function<void(const refusal&)>;

  void set_shards(std::vector<shard*> shards) { shards_ = std::move(shards); }
  /// From here on threads run, and changes travel by letter.
  void end_recovery() { recovering_ = false; }

  // --- recovery: before any thread runs; bindings when all exchanges and queues are there ---
  void make_predeclared();
  void restore(const exchange_settings& what);
  /// Bindings whose ends are gone are erased.
  void restore(const binding& what, const hit& to_queue);

  // --- on worker 0 ---
  /// An exchange that is there already must be as described.
  void declare(const exchange_settings& what, const answer& done);
  void remove(const std::string& name, const answer& done);
  /// `to_queue` is the destination, unless that is an exchange. The same binding may be made again.
  void bind(const binding& what, const hit& to_queue, const answer& done);
  void unbind(const binding& what, const answer& done);
  /// The queue goes: so do its bindings.
  void forget_queue(const std::string& name);

  /// Null: there is none.
  [[nodiscard]] exchange_ref find(std::string_view name) const;
  [[nodiscard]] const exchange_settings* settings_of(std::string_view name) const;
  /// All of them, in no order.
  template <class Visit>
  void each_exchange(Visit&& visit) const {
    for (const auto& [name, e] : exchanges_) visit(e.settings);
  }
  template <class Visit>
  void each_binding(Visit&& visit) const {
    for (const auto& [id, t] : bindings_) visit(t.what);
  }
  /// Those of one exchange.
  template <class Visit>
  void each_binding_from(std::string_view source, Visit&& visit) const {
    const auto found = exchanges_.find(source);
    if (found == exchanges_.end()) return;
    for (const std::string_view id : found->second.from) {
      visit(bindings_.find(std::string(id))->second.what);
    }
  }
  [[nodiscard]] std::size_t binding_count() const { return bindings_.size(); }
  [[nodiscard]] bool has_binding(const binding& what) const {
    return bindings_.contains(what.id());
  }

 private:
  struct tie {
    binding what;
    hit to_queue;
    bool stored = false;
  };
  using tie_map = std::unordered_map<std::string, tie>;
  using ids = std::unordered_set<std::string_view>;  // the octets are the keys of bindings_
  struct exchange {
    exchange_settings settings;
    exchange_ref ref;
    ids from;  // its bindings
    ids to;    // bindings of others that lead to it
  };

  exchange& add(const exchange_settings& what);
  void drop(const std::string& name);
  [[nodiscard]] static bool is_predeclared(std::string_view name);
  [[nodiscard]] edge edge_of(const tie& t) const;
  tie* make_tie(const binding& what, const hit& to_queue);
  void cut(std::string_view id);
  void cut_all(const ids& which);
  void file(std::string_view id, const tie& t);
  void on_all(const std::function<void(router&)>& change);
  void when_known(const answer& done);

  std::vector<shard*> shards_;
  text_map<exchange> exchanges_;
  tie_map bindings_;
  text_map<ids> to_queues_;  // by the queue's name
  std::vector<std::uint32_t> generations_;  // by slot
  std::vector<std::uint32_t> free_slots_;
  bool recovering_ = true;
};

}  // namespace whimbrel::broker::core
