// SPDX-License-Identifier: Apache-2.0
// Which consumer has which group of messages, and what waits for it. A group is what messages with
// the same group-id are [3.2.4]; those without one are none of this.
//
//     waiting ──take──> held ──remove, then file──> waiting
//                        └────remove, then rest───> resting ──file_again──> waiting
//
// A group is nobody's until one of its messages is taken; then it is bound to that consumer until
// the consumer leaves, or the binding is ended. While the old consumer holds one of its messages,
// the next one gets none.
#pragma once

#include <cstdint>
#include <limits>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include "broker/core/ids.hpp"
#include "broker/core/message.hpp"

namespace whimbrel::broker::core {

/// Belongs to one queue with `message-groups`. Costs some hundred octets for each message that
/// waits for its group's consumer, and as many for each group. Groups without messages are
/// remembered while their consumer is there, but no more than `idle_max`: the oldest go first.
class message_groups {
 public:
  using slot = std::uint32_t;
  /// The hash of the group-id. Two groups with the same one share a consumer, and lose nothing.
  using key = std::uint64_t;
  /// Order in which messages are given out: the higher level first, then as they came.
  using rank = std::uint64_t;

  static constexpr slot nobody = std::numeric_limits<slot>::max();
  static constexpr std::size_t idle_max = 100'000;
  static constexpr std::uint32_t last_sequence = 0xffff'ffff;  // JMSXGroupSeq is -1

  explicit message_groups(bool has_levels) : has_levels_(has_levels) {}

  [[nodiscard]] static std::optional<key> key_of(const message& m);
  /// Says of itself that it is the last that its group's consumer is to have.
  [[nodiscard]] static bool is_last(const message& m);
  [[nodiscard]] rank rank_of(sequence at, std::uint8_t priority) const;
  /// The other way round: who is to go when there are too many.
  [[nodiscard]] rank drop_rank_of(sequence at, std::uint8_t priority) const;

  // --- messages ---
  void file(sequence at, std::uint8_t priority, key which);
  /// One that rests, or that could not be had for a while, can be had again.
  void file_again(sequence at);
  /// It has failed, and is to wait: what came after it in its group waits, too.
  void rest(sequence at, std::uint8_t priority, key which);
  /// It was given out before there were groups.
  void adopt(sequence at, std::uint8_t priority, key which, slot by);
  /// One that waits is held by `to` now, which has its group. True: it is the first of it there.
  [[nodiscard]] bool take(sequence at, slot to);
  /// It has gone, or is to be filed anew.
  void remove(sequence at);

  // --- consumers ---
  void leave(slot s);
  /// The group has no consumer any more, as soon as nothing of it is held.
  void end(key which);
  void end_of(sequence at);
  void end_all();
  /// It may be given messages; until it is found that it may not.
  void warm(slot s);
  void cool(slot s);

  // --- who gets what ---
  struct offer {
    rank order = 0;
    sequence at = 0;
    slot owner = nobody;
  };
  /// The first of what a consumer that is warm, or any consumer, may have.
  [[nodiscard]] std::optional<offer> first() const;
  /// Nobody who is here can be given this one: its group is on offer no more until `unstall`, or
  /// until something happens to one of its messages.
  void stall(sequence at);
  void unstall();
  /// Whether `s` may be given this message, which waits.
  [[nodiscard]] bool may_take(sequence at, slot s) const;
  /// The first that waits of the group of one that waits.
  [[nodiscard]] sequence head_of(sequence at) const {
    return sequence_of(*of_.at(at).of->waiting.begin());
  }
  /// The first to go of those that wait and of which `is_there` is true.
  template <class IsThere>
  [[nodiscard]] std::optional<sequence> first_to_drop(IsThere&& is_there) const {
    for (const rank r : by_drop_) {
      if (is_there(sequence_of(r))) return sequence_of(r);
    }
    return std::nullopt;
  }
  /// Names the messages of groups that others may have since the last call.
  template <class Tell>
  void tell_opened(Tell&& tell) {
    for (const key k : std::exchange(opened_, {})) {
      const auto found = groups_.find(k);
      if (found == groups_.end()) continue;
      for (const rank r : found->second.waiting) tell(sequence_of(r));
    }
  }
  void forget_opened() { opened_.clear(); }

  [[nodiscard]] std::size_t size() const { return groups_.size(); }
  [[nodiscard]] std::size_t message_count() const { return of_.size(); }
  /// Groups to look at again in `unstall`.
  [[nodiscard]] std::size_t stalled_count() const { return stalled_.size(); }
  enum class standing : std::uint8_t { waiting, held, resting };
  struct seen {
    key group = 0;
    standing stands = standing::waiting;
    slot owner = nobody;
    bool ending = false;
  };
  /// What is known of a message; for checks.
  [[nodiscard]] std::optional<seen> look(sequence at) const;
  void check_invariants() const;

 private:
  struct group {
    key id = 0;
    slot owner = nobody;
    std::uint32_t held = 0;
    bool ending = false;
    bool stalled = false;
    bool listed = false;  // in stalled_
    std::set<rank> waiting = {};
    std::set<rank> resting = {};
    std::optional<rank> shelved = {};  // on offer under this rank
    std::optional<std::list<key>::iterator> idle = {};
  };
  using shelf = std::map<rank, group*>;  // by their first message
  struct holder {
    bool warm = false;
    std::optional<rank> hot = {};  // stands in hot_ under this rank
    shelf offers = {};
    boost::unordered_flat_set<group*> owned = {};
  };
  struct member {
    group* of = nullptr;
    rank order = 0;
    standing stands = standing::waiting;
  };

  static constexpr unsigned level_shift = 60;
  static constexpr std::uint64_t level_last = 9;
  static sequence sequence_of(rank r) { return r & ((rank{1} << level_shift) - 1); }
  [[nodiscard]] rank drop_rank(rank r) const;

  [[nodiscard]] group& group_of(key which);
  [[nodiscard]] holder& holder_of(slot s);
  void add(sequence at, rank order, group& g, standing how);
  void bind(group& g, slot to);
  void unbind(group& g);
  void end(group& g);
  void open(group& g);
  [[nodiscard]] static std::optional<rank> first_on_offer(const group& g);
  void shelve(group& g, std::optional<rank> under);
  void heat(slot s);
  void refresh(group& g);

  bool has_levels_;
  std::unordered_map<key, group> groups_ = {};  // nodes: all else points to them
  boost::unordered_flat_map<sequence, member> of_ = {};
  std::set<rank> by_drop_ = {};                 // what waits, by drop_rank
  std::vector<holder> holders_ = {};            // by slot
  shelf free_ = {};                             // nobody's groups
  std::map<rank, slot> hot_ = {};               // warm consumers with something on offer
  std::list<key> idle_ = {};                    // groups without messages, the oldest first
  std::vector<key> stalled_ = {};
  std::vector<key> opened_ = {};
};

}  // namespace whimbrel::broker::core
