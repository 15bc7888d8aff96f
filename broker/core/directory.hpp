// SPDX-License-Identifier: Apache-2.0
// Which nodes there are, by name, and how new ones come to be. Lives on worker 0; the other workers
// ask it by letter, at attach and for the `to` of messages on an anonymous terminus.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "broker/core/admin.hpp"
#include "broker/core/shard.hpp"
#include "storage/store.hpp"

namespace whimbrel::broker::core {

/// Capabilities and address agreed on what kind of node is meant.
enum class node_hint : std::uint8_t { any, queue, topic };

struct node_request {
  std::string address = {};
  node_hint hint = node_hint::any;
  bool dynamic = false;             // a new temporary queue, whatever the address
  bool to_consume = false;
  std::uint64_t connection = 0;     // who asks: only its maker consumes from a temporary queue
  /// May the asker make a queue of this name?
  std::function<bool(std::string_view name)> may_configure = {};
  /// May the asker send to, or receive from, the node of this name? Asked before anything is made.
  std::function<bool(std::string_view name)> may_use = {};
};

struct node_reply {
  queue_ref queue{};             // null: refused
  std::string name = {};
  bool temporary = false;
  std::string_view condition = {};  // why refused
  std::string description = {};

  [[nodiscard]] bool is_ok() const { return static_cast<bool>(queue); }
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
};

/// A durable queue's reply follows the commit of its definition.
///
///     (absent) ──create──> making ──home has it, definition durable──> ready ──remove──> (absent)
class directory final : public storage::recovery_visitor {
 public:
  using answer = std::function<void(const node_reply&)>;

  explicit directory(directory_options options) : options_(std::move(options)) {}

  /// All shards, by worker; before recovery and before any thread runs.
  void set_shards(std::vector<shard*> shards) { shards_ = std::move(shards); }

  // --- recovery: before any thread runs ---
  void on_record(storage::record_kind kind, std::string_view key,
                 std::span<const std::byte> value) override;
  void on_entries(std::span<const storage::recovered_entry> entries) override;
  /// Messages of queues whose definition is gone are dropped. Returns how many there were.
  std::size_t finish_recovery();
  [[nodiscard]] std::size_t recovered_messages() const { return recovered_; }

  // --- from any worker ---
  /// `done` runs on the worker of `from`.
  void resolve(shard& from, node_request request, answer done);
  /// The temporary queue goes, with its messages.
  void remove(shard& from, std::string name);

  // --- administration, from any worker (directory_admin.cpp); `done` runs on that of `from` ---
  /// Answered when the queue is there and its definition durable.
  void declare_queue(shard& from, queue_declaration what, admin_answer done);
  void delete_queue(shard& from, queue_removal what, admin_answer done);
  void read_queue(shard& from, std::string name, admin_answer done);
  void read_queues(shard& from, page_request which, std::function<void(const queue_page&)> done);

  // --- on worker 0 ---
  /// From the configuration: exists from now on; an existing queue of that name is left alone.
  void declare(const std::string& name, bool durable);
  [[nodiscard]] std::size_t size() const { return nodes_.size(); }

 private:
  struct node {
    queue_ref queue{};
    storage::queue_id id{};
    queue_definition as = {};
    bool temporary = false;
    std::uint64_t owner = 0;
    bool ready = false;
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

  void resolve_here(const node_request& request, const answer& done);
  void resolve_new(const node_request& request, const std::string& name, bool may_create,
                   const answer& done);
  void reply_with(const std::string& name, const node_request& request, const answer& done);
  void create(new_node what);
  void on_made(const std::string& name, storage::queue_id id, queue_ref ref);
  void on_ready(const std::string& name, storage::queue_id id);
  worker_id next_home();

  template <class Reply, class Work>
  void on_home(shard& from, std::function<void(const Reply&)> done, Work work);
  void declare_here(const queue_declaration& what, const admin_sender& reply);
  void check_removal(const queue_removal& what, const admin_sender& reply);
  void delete_here(const std::string& name, const admin_sender& reply);
  void read_page(const page_request& which, const page_sender& reply);
  void send_info(const std::string& name, admin_status status, const admin_sender& reply);
  void when_ready(const std::string& name, std::function<void()> run);
  [[nodiscard]] static bool is_locked(const node& n, std::uint64_t connection);
  [[nodiscard]] static queue_info info_of(const std::string& name, const node& n);
  static void count(shard& there, queue_ref ref, queue_info& into);

  directory_options options_;
  std::vector<shard*> shards_;
  std::map<std::string, node, std::less<>> nodes_;  // in order: lists come in pages
  std::uint64_t last_id_ = 0;
  std::uint16_t last_home_ = 0;
  std::unordered_map<std::uint64_t, queue*> recovering_;
  std::vector<storage::queue_id> orphans_;
  std::size_t recovered_ = 0;
  std::size_t dropped_ = 0;
};

}  // namespace whimbrel::broker::core
