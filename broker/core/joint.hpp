// SPDX-License-Identifier: Apache-2.0
// Changes that span queues, wherever those live: prepared by each, made durable by one batch, then
// applied by all or undone by all.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "broker/core/letter.hpp"

namespace whimbrel::broker::core {

/// Coordinates the changes of one worker's links. Belongs to that worker's shard.
///
///     begin ──post, put──> gathering ──close, and all have prepared──> submitted ──commit──> over
///
///     coordinator   queue's worker
///        prepare ─────> a sequence is given; the message is nobody's yet, and nothing overtakes it
///        <───── prepared
///     all puts join the coordinator's open batch, so that one commit holds them and one body
///        apply ───────> available; or, if the store gave the puts back, undo: as if never there
///
/// With everything on one worker these are direct calls. Once the batch is in doubt nobody is told
/// anything, and what was prepared stays so until the process ends.
///
/// `put` takes part without preparing: in queues that keep the message in memory alone it is there
/// at once. Its verdict is waited for all the same.
///
/// Limitations: a posting refers to nothing that the queue's own batches hold, so queues answer at
/// once; `together_with` takes messages out of queues of the coordinator's own worker alone.
class joint final : public link_end {
 public:
  using change_id = std::uint32_t;

  explicit joint(shard& home);

  /// `owner` gets the verdict for its delivery `id` when the change is over; no owner: nobody.
  [[nodiscard]] change_id begin(link_ref owner, std::uint32_t id);
  /// For what moves inside the broker: no queue refuses it for being full.
  [[nodiscard]] change_id begin_internal();
  void post(change_id change, queue_ref to, const message_ptr& message);
  void put(change_id change, queue_ref to, const message_ptr& message);
  /// What else belongs to the change, such as taking the message out of another queue: `run` adds
  /// it to the open batch of this worker when the puts join that; with the close if there are none.
  /// Such a change is never taken back from a store that stalls.
  void together_with(change_id change, std::function<void()> run);
  /// Nothing more is added.
  void close(change_id change);

  void on_letter(letter&& l) override;

  [[nodiscard]] link_ref ref() const { return self_; }
  /// Of whichever worker: each shard makes its coordinator before any other link.
  [[nodiscard]] bool is_coordinator(link_ref link) const {
    return link.slot == self_.slot && link.generation == self_.generation;
  }
  /// Whether the store may be asked to give back a put with this verdict, that a coordinator waits
  /// for: it is of our batch, and nobody has seen any part of the change.
  [[nodiscard]] bool may_withdraw(link_ref coordinator, std::uint32_t verdict_id) const;
  /// Changes under way; bounded by what producers may have unsettled.
  [[nodiscard]] std::size_t size() const { return changes_.size(); }

 private:
  struct part {
    queue_ref queue{};
    message_ptr message;   // until it is in the batch
    sequence at = 0;       // 0: not prepared, or the queue has gone
    storage::queue_id id{};
    std::int64_t expires_ms = 0;
  };
  struct change {
    link_ref owner{};
    std::uint32_t id = 0;
    bool closed = false;
    bool internal = false;
    bool over = false;
    bool refused = false;          // the store gave the puts back
    std::uint32_t unprepared = 0;  // parts that have not answered
    std::uint32_t unsaid = 0;      // joint puts without a verdict
    std::uint32_t unsaid_alone = 0;
    std::uint32_t alone = 0;       // puts that were made beside
    std::uint32_t taken = 0;       // queues that have it
    std::vector<part> parts;
    std::vector<storage::record> records;  // what queues write beside it
    std::unique_ptr<letter_detail> why;  // refused or rejected
    std::function<void()> also;          // see together_with
    bool kept = false;                   // has had such, or records: is not taken back
  };

  [[nodiscard]] change& at(change_id which);
  void on_prepared(letter&& l);
  void on_verdict_of(std::uint32_t verdict_id, const letter& l);
  void submit_if_prepared(change_id which);
  void tell_parts(const change& c);
  void finish_if_done(change_id which);
  void answer(change& c);

  shard& home_;
  link_ref self_{};
  std::deque<change> changes_;
  change_id first_ = 0;  // the change at the front
};

}  // namespace whimbrel::broker::core
