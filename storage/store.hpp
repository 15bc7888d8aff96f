// SPDX-License-Identifier: Apache-2.0
// The one door to the disk: what a broker may ask of a store, and what it may rely on. It knows
// octets and ids, neither AMQP nor queues' manners. Implementations: sqlite/, memory/.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/blob.hpp"

namespace whimbrel::storage {

enum class queue_id : std::uint64_t {};
enum class body_id : std::uint64_t {};  // 0: the body stands in the put itself
enum class worker_id : std::uint16_t {};
enum class token : std::uint64_t {};  // the caller's name for one request; opaque here

/// A message's place in its queue. Given out by the queue, never reused, only ever larger.
using sequence = std::uint64_t;

/// Names one stored message.
struct entry_key {
  queue_id queue{};
  sequence at = 0;
  auto operator<=>(const entry_key&) const = default;
};

/// A message joins a queue. Puts of one batch that share a `body` pointer share one stored copy.
struct put {
  entry_key key{};
  blob_ptr body;  // null when `large` names chunks
  body_id large{};
  std::uint32_t flags = 0;  // the caller's, kept and given back by recovery
  std::uint32_t delivery_count = 0;
  std::int64_t expires_ms = 0;  // absolute wall time; 0: never
};

/// Messages [first, last] of a queue are gone. Sequences in the range that hold nothing are
/// ignored.
struct settle {
  queue_id queue{};
  sequence first = 0;
  sequence last = 0;
};

/// The message keeps its place, its count of failed deliveries is now this.
struct recount {
  entry_key key{};
  std::uint32_t delivery_count = 0;
};

/// The message leaves `from` and appears at `to`, its body untouched (dead letters).
struct move {
  entry_key from{};
  entry_key to{};
  std::uint32_t flags = 0;
  std::uint32_t delivery_count = 0;
  std::int64_t expires_ms = 0;
};

/// A piece of a body that is too large for a put; at most 256 KiB. Chunks go with the last message
/// that refers to them; those that no put ever referred to are removed by the next recovery.
struct chunk {
  body_id body{};
  std::uint64_t offset = 0;
  blob_ptr octets;
};

/// Ordinary tables: one row a key. A null `value` erases the row.
enum class record_kind : std::uint8_t {
  queue = 1,
  exchange,
  binding,
  subscription,
  policy,
  user,
  unsettled,
  stream,
  setting,
  duplicates,
};
struct record {
  record_kind kind = record_kind::setting;
  std::string key;
  blob_ptr value;
};

/// All or nothing. Applied in the order of the members below, each vector in its own order.
struct batch {
  std::vector<record> records;
  std::vector<chunk> chunks;
  std::vector<put> puts;
  std::vector<move> moves;
  std::vector<recount> recounts;
  std::vector<settle> settles;
  std::vector<queue_id> dropped_queues;  // every message of these queues goes

  [[nodiscard]] bool empty() const {
    return records.empty() && chunks.empty() && puts.empty() && moves.empty() && recounts.empty() &&
           settles.empty() && dropped_queues.empty();
  }
};

enum class commit_outcome : std::uint8_t {
  durable,   // on stable storage: the sync that covers it returned
  in_doubt,  // at or after the sync something failed: only recovery can tell
};

struct commit_done {
  worker_id worker{};
  token done{};
  commit_outcome outcome = commit_outcome::in_doubt;
};

struct withdraw_done {
  worker_id worker{};
  token done{};
  std::vector<entry_key> withdrawn;  // the others were already durable, or not known
};

struct read_item {
  entry_key key{};
  blob_ptr body;  // null: the record failed its checksum; the log says which
};
struct read_done {
  worker_id worker{};
  token done{};
  std::vector<read_item> items;  // in order of sequence; settled messages are left out
  bool failed = false;           // the store could not read at all
};

/// What the store wants of those who feed it.
enum class pressure : std::uint8_t {
  none,
  slow,     // the log has outgrown its bound: give less credit
  stalled,  // the disk takes nothing (full, or write errors): give no credit; heals by itself
  failed,   // in doubt: nothing will ever become durable in this process
};

/// Receives completions. Called on the store's own thread, never from inside a call into the
/// store; must only pass the value on (to a mailbox) and return.
class completion_sink {
 public:
  virtual ~completion_sink() = default;
  virtual void on_commit(commit_done) noexcept = 0;
  virtual void on_withdraw(withdraw_done) noexcept = 0;
  virtual void on_read(read_done) noexcept = 0;
  virtual void on_pressure(pressure, std::string_view reason) noexcept = 0;
};

struct recovered_entry {
  entry_key key{};
  std::uint32_t size = 0;  // octets of the body
  std::uint32_t flags = 0;
  std::uint32_t delivery_count = 0;
  std::int64_t expires_ms = 0;
  body_id large{};
};

/// Sees what a store holds: all records first, then the entries of each queue in ascending
/// sequence (several calls for one queue; queues may follow one another in any order), then where
/// the queues go on.
class recovery_visitor {
 public:
  virtual ~recovery_visitor() = default;
  virtual void on_record(record_kind, std::string_view key, std::span<const std::byte> value) = 0;
  virtual void on_entries(std::span<const recovered_entry>) = 0;
  /// After all entries. Messages of `queue` before `next` have gone, but the store may still have
  /// a place under their sequences: who gives out new ones goes on at `next` or later.
  virtual void on_end(queue_id /*queue*/, sequence /*next*/) {}
};

struct store_statistics {
  std::uint64_t commits = 0;
  std::uint64_t batches = 0;
  std::uint64_t puts = 0;         // that became durable, or were elided
  std::uint64_t puts_elided = 0;  // gone again before their commit was written: never on disk
  std::uint64_t settled = 0;
  std::uint64_t octets_put = 0;
  std::uint64_t commit_micros_total = 0;
  std::uint64_t commit_micros_max = 0;
  std::uint64_t checkpoints = 0;
  std::uint64_t log_octets = 0;  // the write-ahead log's size now
};

/// Durability  A `commit_done` that says `durable` is sent only after the sync covering the batch
///             returned. Group commit: all that arrived while a commit ran share the next one.
/// Order       Batches become durable in the order of `submit`; completions of a worker come in
///             that order. A batch may settle, recount or move what an earlier one put, or
///             itself.
/// Atomicity   A batch is whole after a crash, or absent.
/// Failure     Before the sync: nothing of the batch is durable; it is retried, in order, until
///             it succeeds or its puts are withdrawn; `pressure::stalled` meanwhile. At or after
///             the sync: it and all behind it complete `in_doubt`, once, and so does every later
///             submission; nothing is retried.
/// Threads     Every member may be called from any thread.
class store {
 public:
  virtual ~store() = default;

  /// Reads everything back; once, before any other call. Throws boost::system::system_error
  /// when the store cannot be read.
  virtual void recover(recovery_visitor&) = 0;

  virtual void submit(worker_id, batch changes, token done) = 0;

  /// Takes puts back out of batches that are not durable yet; the rest of those batches stays.
  virtual void withdraw(worker_id, std::vector<entry_key> puts, token done) = 0;

  /// Bodies of `queue` from `from` on, in order: at least one if there is one, further ones while
  /// their sum stays within `octets_max`. Sees what has been reported durable. A message whose
  /// body is in chunks comes with an empty body: read_body() has the octets.
  virtual void read(worker_id, queue_id queue, sequence from, std::size_t octets_max,
                    token done) = 0;

  /// Up to `octets_max` of a chunked body from `offset` on, as one item with an empty key.
  virtual void read_body(worker_id, body_id body, std::uint64_t offset, std::size_t octets_max,
                         token done) = 0;

  /// Commits what was submitted, answers it, and stops; later calls are ignored. If the disk still
  /// takes nothing, what is left is answered `in_doubt`. Never from inside a completion.
  virtual void close() = 0;

  [[nodiscard]] virtual store_statistics statistics() const = 0;
};

}  // namespace whimbrel::storage
