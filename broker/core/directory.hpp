// SPDX-License-Identifier: Apache-2.0
// Which nodes there are, by name, and how new ones come to be. Lives on worker 0; the other workers
// ask it by letter, at attach and for the `to` of messages on an anonymous terminus.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "broker/core/admin.hpp"
#include "broker/core/containers.hpp"
#include "broker/core/link_names.hpp"
#include "broker/core/policy_table.hpp"
#include "broker/core/shard.hpp"
#include "broker/core/subscription.hpp"
#include "broker/core/topology.hpp"
#include "storage/store.hpp"

namespace whimbrel::broker::core {

struct address;

/// What the names of temporary nodes begin with. Nothing else is created by such a name: a reply
/// that comes after its requester has left must not leave a queue behind.
inline constexpr std::string_view temporary_prefix = "temp.";

/// Capabilities and address agreed on what kind of node is meant.
enum class node_hint : std::uint8_t { any, queue, topic };

struct node_request {
  std::string address = {};
  node_hint hint = node_hint::any;
  bool dynamic = false;             // a new temporary queue or topic, whatever the address
  bool to_consume = false;
  std::uint64_t connection = 0;     // who asks: only its maker consumes from a temporary queue
  subscription_wish wish = {};      // consumers: if it is a topic or an exchange
  /// May the asker make a queue of this name?
  std::function<bool(std::string_view name)> may_configure = {};
  /// May the asker send to, or receive from, the node of this name? Asked before anything is made.
  std::function<bool(std::string_view name)> may_use = {};
};

/// How an exchange takes a producer's messages.
struct exchange_way {
  exchange_ref at{};
  std::optional<std::string> key = {};  // for all; else the subject of each
  bool drops = false;                   // a topic: taken even if nobody subscribes
};

struct node_reply {
  queue_ref queue{};                // null: refused, or one of the two below
  exchange_way exchange = {};       // producers
  bool by_subject = false;          // producers: each message's subject names a queue
  std::string name = {};
  bool temporary = false;           // goes with the link that asked
  bool subscribed = false;          // consumers: the queue is a subscription's
  std::string subscription = {};    // its id, if it may outlive the link
  std::uint64_t ticket = 0;         // to leave it with
  std::string_view condition = {};  // why refused
  std::string description = {};

  [[nodiscard]] bool is_ok() const { return condition.empty(); }
};

/// A subscription as it stands, for a link that names no source.
struct subscription_reply {
  bool found = false;
  subscription what = {};
};

/// The first rule whose pattern matches the name decides.
struct creation_rule {
  std::function<bool(std::string_view name)> matches = {};
  bool create = true;
  bool durable = true;
};

struct directory_options {
  std::vector<creation_rule> rules = {};
  std::size_t queues_max = 100'000;
  std::function<std::string()> random_name = {};  // 128 random bits as text
  policy_table::matcher glob = {};                // does this pattern match this name?
  std::vector<named_policy> policies = {};        // these go before stored ones of their names
};

/// A durable queue's reply follows the commit of its definition.
///
///     (absent) ──create──> making ──home has it, definition durable──> ready ──remove──> (absent)
class directory final : public storage::recovery_visitor {
 public:
  using answer = std::function<void(const node_reply&)>;

  explicit directory(directory_options options);

  /// All shards, by worker; before recovery and before any thread runs.
  void set_shards(std::vector<shard*> shards);

  // --- recovery: before any thread runs ---
  void on_record(storage::record_kind kind, std::string_view key,
                 std::span<const std::byte> value) override;
  void on_entries(std::span<const storage::recovered_entry> entries) override;
  void on_end(storage::queue_id queue, storage::sequence next) override;
  /// Messages of queues whose definition is gone are dropped. Returns how many there were.
  std::size_t finish_recovery();
  [[nodiscard]] std::size_t recovered_messages() const { return recovered_; }

  // --- from any worker ---
  /// `done` runs on the worker of `from`.
  void resolve(shard& from, node_request request, answer done);
  /// The queue goes, with its messages; or the temporary topic.
  void remove(shard& from, std::string name);
  /// A consumer goes. The subscription goes with the last one, unless it is lasting and was not
  /// `closed`.
  void leave(shard& from, std::string subscription, std::uint64_t ticket, bool closed);
  /// The subscription that a link of this name and container would have.
  void look_up(shard& from, subscription_wish wish,
               std::function<void(const subscription_reply&)> done);
  /// The subscription goes, unless it has consumers.
  void unsubscribe(shard& from, std::string subscription,
                   std::function<void(const refusal&)> done);

  // --- administration, from any worker (directory_admin.cpp); `done` runs on that of `from` ---
  /// Answered when the queue is there and its definition durable.
  void declare_queue(shard& from, queue_declaration what, admin_answer done);
  void delete_queue(shard& from, queue_removal what, admin_answer done);
  /// Drops the messages that nobody holds.
  void purge_queue(shard& from, std::string name, admin_answer done);
  void read_queue(shard& from, std::string name, admin_answer done);
  void read_queues(shard& from, page_request which, std::function<void(const queue_page&)> done);

  // --- policies, from any worker (directory_policy.cpp); `done` runs on that of `from` ---
  /// Adds the policy, or replaces the one of its name. Queues that are there obey from now on;
  /// answered when it is durable.
  void set_policy(shard& from, named_policy which, std::function<void()> done);
  /// `done(false)`: there was none.
  void remove_policy(shard& from, std::string name, std::function<void(bool)> done);
  /// In the order in which they are asked.
  void read_policies(shard& from, std::function<void(const std::vector<named_policy>&)> done);
  /// What is in force for the queue of this name, and by whose word; nothing if there is none.
  void read_policy_of(shard& from, std::string queue,
                      std::function<void(const std::optional<effective_policy>&)> done);

  // --- on worker 0 ---
  /// From the configuration: exists from now on, with these arguments; a queue of that name that is
  /// there stays as it is but for them.
  void declare(const std::string& name, bool durable, const amqp::codec::map& arguments = {});
  void declare(const exchange_settings& what, const topology::answer& done);
  /// Between what is there, or in the making.
  void bind(const binding& what, const topology::answer& done);
  [[nodiscard]] topology& exchanges() { return exchanges_; }
  /// From any worker.
  [[nodiscard]] link_names& names() { return names_; }
  [[nodiscard]] containers& present() { return present_; }
  [[nodiscard]] std::size_t subscription_count() const { return subscriptions_.size(); }
  [[nodiscard]] std::size_t size() const { return nodes_.size(); }

 private:
  struct node {
    queue_ref queue{};
    storage::queue_id id{};
    queue_definition as = {};
    bool temporary = false;
    std::uint64_t owner = 0;
    bool ready = false;
    std::uint64_t obeys = 0;  // the policies as they were at its last change: see policy_changes_
    std::vector<std::function<void()>> waiting;  // until it is ready

    /// What goes with a connection leaves nothing in the store.
    [[nodiscard]] bool id_is_stored() const { return as.durable && !as.exclusive && !temporary; }
  };
  struct new_node {
    std::string name = {};
    queue_definition as = {};
    bool temporary = false;
    std::uint64_t owner = 0;
  };
  using admin_sender = std::function<void(shard&, admin_reply)>;
  using page_sender = std::function<void(shard&, queue_page)>;

  // directory_resolve.cpp: from address to node
  void resolve_here(const node_request& request, const answer& done);
  void resolve_dynamic(const node_request& request, const answer& done);
  void resolve_exchange(const node_request& request, const address& a, const answer& done);
  void resolve_default(const node_request& request, const address& a, const answer& done);
  void use_exchange(const node_request& request, const std::string& exchange,
                    std::optional<std::string> key, bool is_topic, const answer& done);
  void resolve_new(const node_request& request, const std::string& name, bool may_create,
                   const answer& done);
  void reply_with(const std::string& name, const node_request& request, const answer& done);
  // directory_subscribe.cpp: consumers of topics and exchanges
  void subscribe(const node_request& request, const std::string& exchange, const std::string& key,
                 const answer& done);
  void subscribe_link(const node_request& request, binding to, const answer& done);
  void join(const node_request& request, const subscription& wanted, const answer& done);
  void found(const node_request& request, const subscription& wanted, const answer& done);
  void admit(subscription& s, const answer& done);
  void take_over(subscription& s);
  void end(const std::string& id);

  void remove_here(const std::string& name);
  void forget_ties(const std::string& name);
  void create(new_node what);
  void on_made(const std::string& name, storage::queue_id id, queue_ref ref);
  void on_ready(const std::string& name, storage::queue_id id);
  worker_id next_home();
  void drop_halves();
  void restore_ids(std::string_view key, std::span<const std::byte> value);

  template <class Reply, class Work>
  void on_home(shard& from, std::function<void(const Reply&)> done, Work work);
  void declare_here(const queue_declaration& what, const admin_sender& reply);
  void check_removal(const queue_removal& what, const admin_sender& reply);
  void delete_here(const std::string& name, const admin_sender& reply);
  void read_page(const page_request& which, const page_sender& reply);
  void send_info(const std::string& name, admin_status status, const admin_sender& reply);
  /// `run` runs when the queue is there for use, or has gone.
  void when_ready(const std::string& name, std::function<void()> run);
  [[nodiscard]] static bool is_locked(const node& n, std::uint64_t connection);
  [[nodiscard]] queue_info info_of(const std::string& name, const node& n) const;
  void retire(const std::string& name, queue_ref which);
  static void count(shard& there, queue_ref ref, queue_info& into);

  [[nodiscard]] effective_policy policy_of(const std::string& name, const node& n) const;
  void install_policies();
  void apply_policy(const std::string& name, node& n);
  void apply_policies(std::string_view pattern, std::string_view other_pattern);
  void find_queue(shard& from, const std::string& name, std::function<void(const hit&)> done);

  directory_options options_;
  link_names names_;
  containers present_;
  policy_table policies_;
  std::uint64_t policy_changes_ = 0;
  bool has_policies_ = false;  // those of the options are in the table
  std::vector<shard*> shards_;
  std::map<std::string, node, std::less<>> nodes_;  // in order: lists come in pages
  topology exchanges_;
  std::unordered_map<std::string, subscription> subscriptions_;  // those that several links share
  std::uint64_t last_ticket_ = 0;
  std::vector<binding> recovered_bindings_;
  std::uint64_t last_id_ = 0;
  std::uint16_t last_home_ = 0;
  std::unordered_map<std::uint64_t, queue*> recovering_;
  std::vector<storage::queue_id> orphans_;
  std::vector<std::string> orphan_ids_;
  std::size_t recovered_ = 0;
  std::size_t dropped_ = 0;
};

}  // namespace whimbrel::broker::core
