// SPDX-License-Identifier: Apache-2.0
// One queue: the messages of a node, in arrival order, and who may have them.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "broker/core/ids.hpp"
#include "broker/core/letter.hpp"
#include "broker/core/queue_manners.hpp"
#include "broker/core/router.hpp"
#include "broker/core/stub.hpp"
#include "storage/store.hpp"

namespace whimbrel::broker::core {

class selection;
class shard;

struct queue_settings {
  std::string name = {};
  storage::queue_id id{};
  bool durable = true;     // keeps its definition, and its durable messages in the store
  bool temporary = false;  // memory only, gone with the link that asked for it
  bool auto_delete = false;  // gone with its last consumer
};

struct queue_counters {
  std::uint64_t in = 0;         // messages that came
  std::uint64_t out = 0;        // deliveries
  std::uint64_t accepted = 0;
  std::uint64_t rejected = 0;   // dropped as rejected or undeliverable
  std::uint64_t expired = 0;
  std::uint64_t lost = 0;       // found unreadable in the store
  std::uint64_t evaluated = 0;  // comparisons of a message with a consumer's filter
  std::uint64_t purged = 0;     // dropped at an administrator's word
  std::uint64_t refused = 0;    // told their producer that the queue is full
  std::uint64_t dropped = 0;    // had to make room: overflow drop-head or dead-letter
  std::uint64_t dead_lettered = 0;
  std::uint64_t replaced = 0;   // outdated by a newer message with the same key
  std::uint64_t duplicates = 0;  // had been here before: accepted, and not taken
  std::uint64_t group_steps = 0;  // looks at messages on the way to one, where there are groups
  std::uint64_t undeliverable = 0;  // were to be dead letters, but there was nowhere to go
};

/// Belongs to one worker's shard and is only ever touched from it; everybody else writes letters.
///
/// Order    per producer, always: a released message returns to its place. One holder a message.
/// Fairness consumers with credit take turns, one message each.
/// Memory   a stub a message; the body too, unless the budget made it leave (durable ones only),
///          in which case it is read back in ranges before consumers reach it.
///
/// Invariants (check_invariants)
///   1. An available message is at or after `cursor_`, or in the heap of returned ones, or parked,
///      or with its group; where there are levels, it is in one of those.
///   2. `depth()` counts what is not gone.
///   3. A consumer's `held` is the number of stubs that name it as holder.
///   4. Who has credit, no filter, is not closing and may have a turn stands in `ready_`, once; who
///      has a filter stands in `selection::ready` while there may be something for it.
///   5. Where there are groups, whatever is held of one is held by its consumer.
class queue {
 public:
  queue(shard& home, queue_ref self, queue_settings settings);
  ~queue();

  /// Every letter from links, and from the coordinators of joint changes.
  void on_letter(letter&& l);

  /// A message arrives; `id` comes back in the verdict, which one that is pre-settled does not get.
  void put(message_ptr message, link_ref producer, std::uint32_t id, bool presettled);

  /// What it does beyond keeping messages in order, from now on. Live: what is there is trimmed,
  /// put in levels, and so on; a time to live is for those that come.
  void set_policy(const queue_policy& policy);

  /// A message found in the store at start, in ascending order.
  void restore(const storage::recovered_entry& entry);
  /// After them: sequences before `next` have been given out.
  void continue_at(sequence next);

  /// Ids of messages that came before the start, by the number of their record; before a policy
  /// is set, which may not want them.
  void restore_ids(std::uint64_t record, std::span<const std::byte> value);
  /// With the queue the ids go that the store has of it.
  void erase_window();

  // --- told by the shard ---
  void on_durable(sequence last);           // every put up to `last` is safe
  void on_submitted();                      // the open batch has left
  void on_read(std::vector<storage::read_item> items, bool failed);
  void on_gate();                           // whether producers may be given credit has changed
  void drop_expired();
  /// Asks to be removed when it has had no consumers for as long as its policy says.
  void retire_if_unused();
  /// Nothing waits here: what was kept for more goes.
  void release_spares() { ring_.release_spares(); }
  /// Every body that the store has and nobody holds leaves memory.
  void leave_memory();
  /// Drops at most `most` messages of [from, end) that nobody holds; `from` moves behind what was
  /// looked at. Returns how many went.
  std::size_t purge(sequence& from, sequence end, std::size_t most);
  [[nodiscard]] bool begin_withdraw(sequence at);  // true: nobody has it, and nobody will
  void end_withdraw(sequence at, bool gone);
  /// Lets go of everything: consumers and producers are told `detached` with this condition.
  void close(std::string_view condition, const std::string& description);

  [[nodiscard]] const queue_settings& settings() const { return settings_; }
  [[nodiscard]] queue_ref ref() const { return self_; }
  [[nodiscard]] std::size_t depth() const { return depth_; }
  /// Sequences of what it holds lie in [begin(), end()).
  [[nodiscard]] sequence begin() const { return ring_.first(); }
  [[nodiscard]] sequence end() const { return ring_.end(); }
  [[nodiscard]] std::size_t consumer_count() const { return by_link_.size(); }
  [[nodiscard]] bool has_expiring() const { return !expiry_.empty(); }
  [[nodiscard]] const queue_counters& counters() const { return counters_; }
  /// Times of expiry that are watched; those of messages that have gone may be among them.
  [[nodiscard]] std::size_t watched_expiries() const { return expiry_.size(); }
  void check_invariants() const;

 private:
  struct consumer {
    link_ref link{};
    std::uint32_t delivered = 0;  // deliveries so far; wraps
    std::uint32_t limit = 0;      // may become this many
    std::uint32_t held = 0;
    std::int32_t priority = 0;    // the higher ones are served first
    sequence cursor = 0;          // browsers: next to look at
    bool browsing = false;
    bool draining = false;
    bool ready = false;           // stands in ready_
    bool closing = false;         // unsubscribed; waits for what it still holds
    bool used = false;
    std::unique_ptr<const predicate> wants = {};  // null: everything

    [[nodiscard]] std::uint32_t credit() const {
      const auto left = static_cast<std::int32_t>(limit - delivered);
      return left > 0 ? static_cast<std::uint32_t>(left) : 0;
    }
  };
  using slot = std::uint32_t;

  [[nodiscard]] stub& enter(message_ptr message);
  void store_or_answer(sequence at, stub& s, link_ref producer, std::uint32_t id);
  void put_internal(letter&& l);
  void send_gate(link_ref producer);
  void subscribe(letter& l);
  void grant(const letter& l);
  void settle(letter&& l);
  void unsubscribe(link_ref link);

  // queue_delivery.cpp: who gets what
  void dispatch();
  void dispatch_new(sequence at);
  [[nodiscard]] bool dispatch_next();
  [[nodiscard]] bool dispatch_first(sequence at);
  void dispatch_browsers();
  void browse(consumer& c);
  void finish_drains();
  [[nodiscard]] std::optional<sequence> next_available();
  [[nodiscard]] std::optional<slot> pick(sequence at, const stub& s);
  void end_turn(std::size_t place);
  [[nodiscard]] bool is_excluded(sequence at, link_ref link) const;
  void take(sequence at, stub& s);
  void deliver(slot to, sequence at, stub& s);
  void note_holder(slot to, stub& s);
  void send_delivery(const consumer& c, sequence at, const stub& s, bool first_acquirer);
  void make_ready(slot s);
  void unpark();
  [[nodiscard]] bool has_body(sequence at, const stub& s);
  void request_read(sequence from);
  void read_again_later();
  void discard_unreadable(sequence at, stub& s);

  // queue_manners.cpp: what policies change; called only where there are some
  void put_with_manners(message_ptr message, link_ref from, std::uint32_t id, std::uint8_t flags);
  void on_arrival(sequence at, stub& s);
  void on_erase(sequence at, const stub& s);
  [[nodiscard]] std::size_t waiting() const;
  [[nodiscard]] bool refuses(const message& newcomer);
  [[nodiscard]] std::unique_ptr<letter_detail> refusal() const;
  void tell_refusal(link_ref producer, std::uint32_t id);
  void make_room(sequence newcomer);
  [[nodiscard]] bool is_over_limit() const;
  void trim_to_limit();
  [[nodiscard]] std::optional<sequence> take_oldest();
  void update_own_gate();
  void count_octets();
  void begin_levels();
  void end_levels();
  [[nodiscard]] static std::uint8_t level_of(const message& m);
  [[nodiscard]] std::optional<sequence> next_by_level(bool lowest_first);
  void drop(sequence at, stub& s, death_reason why, bool& wrote);

  // queue_last_value.cpp: one message a key
  void begin_values();
  [[nodiscard]] bool note_values();
  void note_value(sequence at, stub& s);
  void note_late_value(sequence at, stub& s);
  void supersede(sequence at, stub& s);
  [[nodiscard]] bool would_replace(const message& m);

  // queue_duplicates.cpp: each message once
  void begin_window();
  void trim_window();
  void save_window();
  [[nodiscard]] bool is_duplicate(const message& m, std::optional<std::string>& id,
                                  const std::function<void()>& answer);
  [[nodiscard]] bool is_duplicate_put(const message& m, std::optional<std::string>& id,
                                      link_ref producer, std::uint32_t delivery);
  [[nodiscard]] bool is_duplicate_part(const letter& l, std::optional<std::string>& id);
  void note_id(sequence at, stub& s, std::string id);
  [[nodiscard]] std::unique_ptr<letter_detail> note_prepared_id(sequence at, std::string id);
  void answer_unapplied(sequence at);

  // queue_schedule.cpp: what is to wait
  void hold_back(sequence at, stub& s, std::int64_t until);
  [[nodiscard]] bool waits_for_its_time(sequence at, stub& s);
  [[nodiscard]] std::int64_t retry_time(const stub& s, bool failed, std::int64_t asked) const;
  void arm_schedule();
  void release_due();
  void end_manners();
  void stop_schedule();

  // queue_consumers.cpp: who comes first
  [[nodiscard]] bool refuses_consumer(const letter& l);
  void rank(slot s, std::int32_t priority);
  void stand_in_line(slot s);
  void line_up();
  void leave_line(slot s);
  [[nodiscard]] bool is_active(slot s) const;
  [[nodiscard]] bool may_have_turn(slot s) const;
  void tell_active(slot s, bool active);
  void take_turn_by_rank(slot s);

  // queue_groups.cpp: messages of one group go to one consumer
  void begin_groups();
  void end_groups();
  void rebalance_groups();
  void offer_opened_groups();
  [[nodiscard]] bool dispatch_grouped();
  [[nodiscard]] std::optional<sequence> next_in_line();
  [[nodiscard]] bool file_in_group(sequence at, stub& s);
  [[nodiscard]] bool dispatch_of_group(sequence at, slot owner);
  [[nodiscard]] bool give_turn(sequence at, const stub& s, slot owner);
  void deliver_of_group(slot to, sequence at, stub& s);
  [[nodiscard]] bool may_have_of_group(slot to, sequence at, stub& s);
  void leave_group(sequence at, stub& s);
  [[nodiscard]] bool return_to_group(sequence at, stub& s);
  void rest_in_group(sequence at, stub& s);
  void end_group_of(const stub& s);
  [[nodiscard]] std::optional<sequence> take_oldest_of_groups();
  void check_groups() const;

  // queue_burial.cpp: the way to the dead letters
  [[nodiscard]] std::optional<death_reason> death_by(const letter& l, const stub& s) const;
  void settle_each(const letter& l);
  [[nodiscard]] bool settle_dead(const letter& l, sequence at, std::uint32_t id, stub& s,
                                 bool& wrote);
  void bury(const dying_message& d, stub& s);
  void schedule_burials();
  void bury_all();
  void bury_into(const hit& named);
  void bury_one(const dying_message& d, const stub& s, const hit& named);
  [[nodiscard]] std::vector<hit> targets_of(const dying_message& d, const message& m,
                                            const hit& named);
  void finish_burial(const dying_message& d);

  // queue_joint.cpp: its part in changes that span queues
  void prepare(letter&& l);
  void refuse_part(const letter& l);
  void apply(sequence at);
  void undo(sequence at);

  // queue_select.cpp: consumers with filters
  void select(slot s);
  void stop_selecting(slot s);
  void dispatch_selecting();
  void index_new();
  void let_go(sequence at, stub& s);
  [[nodiscard]] bool serve_selective();
  [[nodiscard]] std::optional<sequence> find_match(slot to);
  void offer_again(sequence first, sequence last);
  [[nodiscard]] bool is_selecting(const consumer& c) const { return c.wants && !c.browsing; }

  // queue_settle.cpp: what becomes of it
  void accept(slot holder, sequence first, sequence last, bool& wrote);
  void take_back(const letter& l, slot holder, bool& wrote);
  void settle_one(const letter& l, sequence at, stub& s, bool& wrote);
  void discard(sequence at, stub& s, bool& wrote);
  void remove_from_store(sequence at, const stub& s, bool& wrote);
  void give_back(sequence at, stub& s);
  void change_annotations(stub& s, const amqp::codec::map& changes);
  void apply_modified(const letter& l, sequence at, stub& s, bool& wrote);
  void erase(sequence at, stub& s);
  void watch_expiry(sequence at, const stub& s);
  void page_out(sequence at, stub& s);
  [[nodiscard]] bool is_expired(const stub& s) const;
  void forget(consumer& c, slot s);
  void ask_to_retire();
  [[nodiscard]] bool is_in_open_batch(sequence at, const stub& s) const;
  void set_resident(stub& s, bool resident);

  shard& home_;
  queue_ref self_;
  queue_settings settings_;
  stub_ring ring_;
  std::size_t depth_ = 0;
  sequence cursor_ = 1;               // never given out from here on
  std::vector<sequence> returned_;    // min-heap of released messages, all before cursor_
  std::vector<sequence> parked_;      // available, but undeliverable for all who have credit
  sequence open_from_ = no_sequence;  // first put of ours in the open batch
  sequence durable_to_ = 0;           // puts up to here are safe
  std::vector<consumer> consumers_;
  std::vector<slot> free_consumers_;
  boost::unordered_flat_map<link_ref, slot, slot_hash> by_link_;
  std::deque<slot> ready_;            // consumers with credit, in turn
  std::unique_ptr<selection> selection_;  // while there are consumers with filters
  std::vector<slot> browsers_;
  std::vector<link_ref> producers_;
  boost::unordered_flat_map<sequence, std::vector<link_ref>> excluded_;
  // Min-heap of (when, which); names messages that have gone, too, but not mostly.
  std::vector<std::pair<std::int64_t, sequence>> expiry_;
  boost::unordered_flat_map<sequence, std::uint32_t> formats_;  // of bodies that left, if not 0
  std::size_t resident_ = 0;          // bodies in memory
  std::size_t draining_ = 0;          // consumers that wait for `drained`
  bool reading_ = false;
  sequence reading_from_ = 0;
  queue_counters counters_;
  std::unique_ptr<queue_manners> manners_;  // none: a queue without policies

  static constexpr sequence no_sequence = ~sequence{0};
  static constexpr sequence kept_ahead = 1024;  // bodies before consumers, while memory is tight
};

}  // namespace whimbrel::broker::core
