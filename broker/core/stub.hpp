// SPDX-License-Identifier: Apache-2.0
// What a queue knows of each message, and the ring that holds it by sequence.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "amqp/base/assert.hpp"
#include "broker/core/message.hpp"
#include "storage/store.hpp"

namespace whimbrel::broker::core {

/// A message is in exactly one of these places:
///
///     put ──> available ──deliver──> held ──accept, reject, expire──> gone
///             ^   ^                    │
///     prepare ┘   └─release, modify────┘
enum class place : std::uint8_t {
  gone,
  available,
  held,         // by the consumer in `holder`
  withdrawing,  // asked back from a store that takes nothing; then gone, or available again
  prepared,     // has its place, but is nobody's: see joint.hpp; then gone, or available
  scheduled,    // waits for its time: see queue_schedule.cpp; then available
  leaving,      // on its way to the dead letters: see queue_burial.cpp; then gone
};

/// 32 octets: a queue's cost for each message besides its body.
struct stub {
  message_ptr body;             // null: only the store has it
  std::int64_t expires_ms = 0;  // 0: never
  std::uint32_t failed = 0;     // delivery-count: failed deliveries so far [3.2.1]
  std::uint32_t holder = 0;     // while held: the consumer's slot
  std::uint32_t in_batch = 0;   // while its put is in the open batch: where
  place at = place::gone;
  std::uint8_t priority = 4;    // where the queue has levels [3.2.1]
  bool stored : 1 = false;      // the store has it, or is to have it
  bool acquired : 1 = false;    // has been given to somebody before
  bool returned : 1 = false;    // stands in the heap of returned messages
  bool excluded : 1 = false;    // undeliverable for somebody: see queue::excluded_
  bool counted : 1 = false;     // its octets are counted as resident
  bool formatted : 1 = false;   // its message-format is not 0: see queue::formats_
  bool annotated : 1 = false;   // the store does not have it as it is now: stays in memory
  bool joint : 1 = false;       // its put is never cancelled out: see joint.hpp
  bool delayed : 1 = false;     // its body may name a time before which it is not delivered
  bool bound : 1 = false;       // its batch holds what its put brought about: it is not taken back
  bool outdated : 1 = false;    // a newer one has its key: see queue_last_value.cpp
  bool grouped : 1 = false;     // stands with its group, not in line: see queue_groups.cpp
};
static_assert(sizeof(stub) == 32);

/// Stubs by sequence, in chunks: growth copies nothing, and a chunk in which all has gone is given
/// back, so that one old message does not keep the memory of all that came after it.
class stub_ring {
 public:
  using sequence = storage::sequence;

  /// Sequences given out and perhaps not gone are in [first(), end()).
  [[nodiscard]] sequence first() const { return first_; }
  [[nodiscard]] sequence end() const { return end_; }

  /// Null for what is outside, or has gone with its whole chunk.
  [[nodiscard]] stub* find(sequence at) {
    if (at < first_ || at >= end_) return nullptr;
    const auto& c = chunks_[static_cast<std::size_t>(at / chunk_stubs - front_)];
    return c.stubs ? &(*c.stubs)[at % chunk_stubs] : nullptr;
  }
  /// The next sequence from `at` on whose chunk is there, or end().
  [[nodiscard]] sequence next_present(sequence at) const;

  /// The stub of sequence end(), which then is one further.
  stub& push_back() {
    if (!chunks_.empty()) [[likely]] {
      chunk& c = chunks_.back();
      if (end_ / chunk_stubs - front_ + 1 == chunks_.size() && c.stubs) [[likely]] {
        ++c.live;
        return (*c.stubs)[end_++ % chunk_stubs];
      }
    }
    return push_back_slowly();
  }
  /// The stub is gone for good: clears it and gives back what can be given back.
  void erase(sequence at) {
    clear(at);
    if (at == first_) drop_front();
  }
  /// The same for one of several, before one `trim`: until then first() may be gone.
  void clear(sequence at) {
    chunk& c = chunk_of(at);
    AMQP_ASSERT(c.stubs != nullptr);
    AMQP_ASSERT(c.live > 0);
    (*c.stubs)[at % chunk_stubs] = stub{};
    const bool filling = at / chunk_stubs == end_ / chunk_stubs;  // more will be pushed into it
    if (--c.live == 0 && !filling) keep_spare(c);
  }
  /// Nothing is kept for what may come.
  void release_spares() { spares_.clear(); }
  void trim() {
    if (first_ < end_) drop_front();
  }
  /// Continues at `at`, which must not lie behind; what is skipped is gone.
  void skip_to(sequence at);

 private:
  static constexpr std::size_t chunk_stubs = 512;
  using stub_array = std::array<stub, chunk_stubs>;
  struct chunk {
    std::unique_ptr<stub_array> stubs;
    std::uint32_t live = 0;
  };

  chunk& chunk_of(sequence at) {
    return chunks_[static_cast<std::size_t>(at / chunk_stubs - front_)];
  }
  stub& push_back_slowly();
  void drop_front();
  void keep_spare(chunk& c);

  std::deque<chunk> chunks_;     // [first_ / chunk_stubs, end_ / chunk_stubs], some without stubs
  std::uint64_t front_ = 0;      // number of the chunk at the front: sequence / chunk_stubs
  std::vector<std::unique_ptr<stub_array>> spares_;  // a few: a queue near empty would else churn
  sequence first_ = 1;
  sequence end_ = 1;
};

}  // namespace whimbrel::broker::core
