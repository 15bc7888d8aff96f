// SPDX-License-Identifier: Apache-2.0
// From exchange and routing key to queues. Every worker has the whole table, so that producers find
// their queues without asking anybody; worker 0 changes all of them, in one order.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "broker/core/binding_index.hpp"
#include "broker/core/exchange.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/message.hpp"
#include "broker/core/text_hash.hpp"

namespace whimbrel::broker::core {

/// A queue that a message goes to.
struct hit {
  queue_ref queue{};
  bool durable = false;  // keeps durable messages in the store
};

/// A binding with names looked up.
struct edge {
  exchange_ref from{};
  hit to_queue{};               // one of these two
  exchange_ref to_exchange{};
  std::string key = {};
  amqp::codec::map arguments = {};
};

/// Belongs to one worker.
class router {
 public:
  // --- changes ---
  void add_exchange(exchange_ref at, const exchange_settings& what);
  /// Its bindings must have gone before.
  void remove_exchange(exchange_ref at);
  void bind(const edge& e);
  void unbind(const edge& e);

  /// The queues that a message with this key goes to from there, each once, over whatever chain or
  /// circle of exchanges. An exchange without any binding that matches passes it to its alternate.
  /// False: there is no such exchange any more.
  [[nodiscard]] bool route(exchange_ref from, std::string_view key, const message& m,
                           std::vector<hit>& out);

  /// Null if there is none of that name.
  [[nodiscard]] exchange_ref find(std::string_view name) const;
  [[nodiscard]] const binding_index* index_of(exchange_ref at) const;

 private:
  struct node {
    std::uint32_t generation = 0;
    std::string name = {};
    std::string alternate = {};
    std::unique_ptr<binding_index> bindings = {};
    std::uint64_t seen = 0;
  };
  struct place {
    hit to = {};
    exchange_ref next = {};
    std::uint32_t uses = 0;
    std::uint64_t seen = 0;
  };

  [[nodiscard]] node* find(exchange_ref at);
  void visit(node& n, std::uint32_t slot);
  [[nodiscard]] target place_of(const edge& e, bool make);

  std::vector<node> nodes_;
  text_map<std::uint32_t> by_name_;
  std::vector<place> places_;
  std::vector<target> free_places_;
  boost::unordered_flat_map<queue_ref, target, slot_hash> queues_;
  boost::unordered_flat_map<std::uint32_t, target> exchanges_;  // by slot
  std::uint64_t round_ = 0;
  std::vector<std::uint32_t> to_visit_;  // scratch of route
  std::vector<target> matched_;
};

}  // namespace whimbrel::broker::core
