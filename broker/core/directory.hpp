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

  // --- on worker 0 ---
  /// From the configuration: exists from now on; an existing queue of that name is left alone.
  void declare(const std::string& name, bool durable);
  [[nodiscard]] std::size_t size() const { return nodes_.size(); }

 private:
  struct node {
    queue_ref queue{};
    storage::queue_id id{};
    bool durable = false;
    bool temporary = false;
    std::uint64_t owner = 0;
    bool ready = false;
    std::vector<std::function<void()>> waiting;  // until it is ready
  };

  void resolve_here(const node_request& request, const answer& done);
  void resolve_new(const node_request& request, const std::string& name, bool may_create,
                   const answer& done);
  void reply_with(const std::string& name, const node_request& request, const answer& done);
  node& create(const std::string& name, bool durable, bool temporary, std::uint64_t owner);
  void on_made(const std::string& name, storage::queue_id id, queue_ref ref);
  void on_ready(const std::string& name, storage::queue_id id);
  worker_id next_home();

  directory_options options_;
  std::vector<shard*> shards_;
  std::unordered_map<std::string, node> nodes_;
  std::uint64_t last_id_ = 0;
  std::uint16_t last_home_ = 0;
  std::unordered_map<std::uint64_t, queue*> recovering_;
  std::vector<storage::queue_id> orphans_;
  std::size_t recovered_ = 0;
  std::size_t dropped_ = 0;
};

}  // namespace whimbrel::broker::core
