// SPDX-License-Identifier: Apache-2.0
// Which selective consumers may want which message, so that not all of them need be asked: for each
// field that consumers compare with a constant, the messages by the value that they have there.
//
//     color   'red'   waiting 3 7 12   consumers 0 4
//             'blue'  waiting 5        consumers 1
//             (open)  waiting 9                        its value may equal several constants
//     others  consumers 2 3                            look at every message
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "broker/core/predicate.hpp"
#include "broker/core/stub.hpp"

namespace whimbrel::broker::core {

/// Belongs to one queue. Costs eight octets a message and field while there are selective
/// consumers, and nothing otherwise.
class selection {
 public:
  using slot = std::uint32_t;
  using sequence = storage::sequence;

  /// Fields beyond these are not indexed: consumers of them look at every message.
  static constexpr std::size_t fields_max = 8;

  void add(slot s, const predicate& wants, sequence from);
  void remove(slot s);
  [[nodiscard]] bool empty() const { return count_ == 0; }

  // --- the index ---
  /// The first message that some field has not been told of; `end` when there is none.
  [[nodiscard]] sequence next_unindexed(sequence end) const;
  /// Calls wake(slot) for whoever may want it and has not heard of it.
  template <class Wake>
  void index(sequence at, const message& m, Wake&& wake);
  /// A message is available again; `changed`: its annotations are others than they were. Those that
  /// went past it will look at it once more.
  template <class Wake>
  void offer_again(sequence at, const message* m, bool changed, Wake&& wake);
  /// Forgets messages that have gone when they are the most of what is kept.
  void sweep(stub_ring& ring, std::size_t depth);

  /// Consumers that look at every message.
  [[nodiscard]] const std::vector<slot>& others() const { return others_; }

  // --- a consumer's way ---
  /// What it is to look at next, or `end`. Looking at it and going on is `pass`.
  [[nodiscard]] sequence next_for(slot s, stub_ring& ring);
  void pass(slot s, sequence at);
  /// It has been given one: those that want the same come first next time.
  void end_turn(slot s);

  std::deque<slot> ready;            // with credit, and perhaps something to take; in turn
  std::vector<slot> blocked;         // wait for a body to be read
  sequence others_told = 0;          // messages before this have woken `others`
  bool plain_first = false;          // whose turn it is: theirs, or of those without a filter

 private:
  struct posting {
    std::deque<sequence> waiting;  // ascending
    std::vector<slot> consumers;
  };
  struct field {
    std::string name = {};
    const predicate* asks = nullptr;  // that of one of its consumers
    std::size_t consumers = 0;
    boost::unordered_flat_map<std::uint64_t, posting> by_hash;
    posting open;                     // its `consumers` are all of the field
    sequence indexed_to = 0;
  };
  struct member {
    const predicate* wants = nullptr;
    field* of = nullptr;             // null: one of the others
    std::uint64_t hash = 0;
    sequence next = 0;               // has looked at what is before this
    std::set<sequence> again;        // came back behind it
  };

  [[nodiscard]] field* find_field(const std::string& name, const predicate& wants, sequence from);
  template <class Wake>
  static void wake_all(const std::vector<slot>& slots, Wake&& wake) {
    for (const slot s : slots) wake(s);
  }
  void look_again(const std::vector<slot>& slots, sequence at);
  [[nodiscard]] sequence next_posted(member& m, stub_ring& ring);
  static void trim(posting& p, stub_ring& ring);
  static void insert(posting& p, sequence at);

  std::vector<std::unique_ptr<member>> members_;  // by slot
  std::vector<std::unique_ptr<field>> fields_;
  std::vector<slot> others_;
  std::size_t count_ = 0;
  std::size_t kept_ = 0;  // entries in all postings
};

template <class Wake>
void selection::index(sequence at, const message& m, Wake&& wake) {
  using state = predicate::key::state;
  for (auto& f : fields_) {
    if (at < f->indexed_to) continue;
    f->indexed_to = at + 1;
    const predicate::key k = f->asks->key_of(m);
    if (k.which == state::nothing) continue;
    ++kept_;
    if (k.which == state::anything) {
      f->open.waiting.push_back(at);
      wake_all(f->open.consumers, wake);
      continue;
    }
    posting& p = f->by_hash[k.hash];
    p.waiting.push_back(at);
    wake_all(p.consumers, wake);
  }
}

template <class Wake>
void selection::offer_again(sequence at, const message* m, bool changed, Wake&& wake) {
  using state = predicate::key::state;
  for (auto& f : fields_) {
    if (at >= f->indexed_to) continue;  // will be indexed yet
    predicate::key k;
    if (m != nullptr && !changed) k = f->asks->key_of(*m);
    if (k.which == state::nothing) continue;
    if (changed) {
      insert(f->open, at);
      ++kept_;
    }
    const auto found = f->by_hash.find(k.hash);
    if (k.which == state::only && found == f->by_hash.end()) continue;
    const auto& who = k.which == state::only ? found->second.consumers : f->open.consumers;
    look_again(who, at);
    wake_all(who, wake);
  }
  look_again(others_, at);
  wake_all(others_, wake);
}

}  // namespace whimbrel::broker::core
