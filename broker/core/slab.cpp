// SPDX-License-Identifier: Apache-2.0
// Heaps, chunks, and the way home of blocks that another thread gives back.
#include "broker/core/slab.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

#include <sys/mman.h>

#include "amqp/base/assert.hpp"

namespace whimbrel::broker::core::slab {

namespace {

constexpr std::size_t chunk_octets = 64 * 1024;
constexpr std::size_t region_octets = 4 * 1024 * 1024;  // asked of the system at a time
constexpr std::size_t granule = 16;
constexpr std::size_t block_octets_min = 64;  // holds a batch of at least five
constexpr std::size_t spare_chunks_max = 16;
constexpr std::uint32_t batch_max = 62;

// Sizes: steps of 16 up to 1 KiB, of 64 up to 2 KiB, of 128 up to 4 KiB.
constexpr std::size_t size_count = 64 + 16 + 16;

constexpr std::size_t size_index(std::size_t octets) {
  if (octets <= 1024) return (octets + 15) / 16 - 1;
  if (octets <= 2048) return 64 + (octets - 1025) / 64;
  return 80 + (octets - 2049) / 128;
}
constexpr std::size_t size_at(std::size_t index) {
  if (index < 64) return (index + 1) * 16;
  if (index < 80) return 1024 + (index - 63) * 64;
  return 2048 + (index - 79) * 128;
}
static_assert(size_index(block_octets_max) == size_count - 1);
static_assert(size_at(size_count - 1) == block_octets_max);
static_assert(size_at(size_index(1025)) == 1088 && size_at(size_index(2049)) == 2176);

class heap;

/// Blocks on their way home, in the memory of the first of them.
struct batch {
  batch* next = nullptr;
  std::uint32_t count = 0;  // blocks besides this one
  std::uint32_t room = 0;

  void** others() { return reinterpret_cast<void**>(this + 1); }
};
static_assert(sizeof(batch) + 5 * sizeof(void*) <= block_octets_min);

/// The head of 64 KiB, aligned to as much. The places of its free blocks follow it, then the
/// blocks.
struct chunk {
  heap* owner = nullptr;
  chunk* next = nullptr;  // among those of its size that have room
  chunk* previous = nullptr;
  std::uint16_t size = 0;    // index
  std::uint16_t blocks = 0;  // in all
  std::uint16_t free = 0;

  std::uint16_t* places() { return reinterpret_cast<std::uint16_t*>(this + 1); }
  std::byte* base() { return reinterpret_cast<std::byte*>(this); }
};

chunk* chunk_of(void* block) {
  return reinterpret_cast<chunk*>(reinterpret_cast<std::uintptr_t>(block) & ~(chunk_octets - 1));
}

/// Touched by its thread alone, but for `returned_`.
class heap {
 public:
  explicit heap(std::size_t number) : number_(number) {}

  void* take(std::size_t octets) {
    const std::size_t size = size_index(std::max(octets, block_octets_min));
    chunk* c = with_room_[size];
    if (c == nullptr) [[unlikely]] c = refill(size);
    const std::uint16_t place = c->places()[--c->free];
    if (c->free == 0) [[unlikely]] unlink(*c);
    ++taken_;
    return c->base() + place * granule;
  }

  void give(void* block) {
    chunk& c = *chunk_of(block);
    if (c.owner == this) [[likely]] {
      put_back(c, block);
    } else {
      park(*c.owner, block);
    }
  }

  /// From any thread: `first` and what follows it are blocks of this heap.
  void push(batch* first) {
    first->next = returned_.load(std::memory_order_relaxed);
    while (!returned_.compare_exchange_weak(first->next, first, std::memory_order_release,
                                            std::memory_order_relaxed)) {
    }
  }

  void hand_over() {
    for (parked& p : parked_) {
      if (p.blocks == nullptr) continue;
      p.to->push(p.blocks);
      p.blocks = nullptr;
    }
  }

  void put_returned_away() {
    if (returned_.load(std::memory_order_relaxed) == nullptr) return;
    batch* b = returned_.exchange(nullptr, std::memory_order_acquire);
    while (b != nullptr) {
      batch* const next = b->next;
      for (std::uint32_t i = 0; i < b->count; ++i) {
        void* const block = b->others()[i];
        put_back(*chunk_of(block), block);
      }
      put_back(*chunk_of(b), b);
      b = next;
    }
  }

  [[nodiscard]] usage used() const {
    return {taken_, chunks_ - spare_.size() - blank_.size(), spare_.size(), blank_.size()};
  }

 private:
  struct parked {
    heap* to = nullptr;
    batch* blocks = nullptr;
  };

  void put_back(chunk& c, void* block) {
    const auto at = static_cast<std::size_t>(static_cast<std::byte*>(block) - c.base());
    c.places()[c.free++] = static_cast<std::uint16_t>(at / granule);
    --taken_;
    if (c.free == 1) [[unlikely]] link(c);
    if (c.free == c.blocks) [[unlikely]] retire(c);
  }

  void park(heap& owner, void* block) {
    parked& p = parked_[owner.number_ % parked_.size()];
    if (p.blocks != nullptr && p.to == &owner && p.blocks->count < p.blocks->room) [[likely]] {
      p.blocks->others()[p.blocks->count++] = block;
      return;
    }
    park_first(p, owner, block);
  }

  [[gnu::noinline]] static void park_first(parked& p, heap& owner, void* block) {
    if (p.blocks != nullptr) p.to->push(p.blocks);
    const std::size_t octets = size_at(chunk_of(block)->size);
    const auto room = static_cast<std::uint32_t>((octets - sizeof(batch)) / sizeof(void*));
    p.to = &owner;
    p.blocks = new (block) batch{nullptr, 0, std::min(room, batch_max)};
  }

  /// A chunk of this size with room: what has come home, a spare one, or a new one.
  chunk* refill(std::size_t size) {
    put_returned_away();
    if (with_room_[size] != nullptr) return with_room_[size];
    if (spare_.empty() && blank_.empty()) grow();
    std::vector<chunk*>& from = spare_.empty() ? blank_ : spare_;
    chunk* const c = from.back();
    from.pop_back();
    cut(c, size);
    link(*c);
    return c;
  }

  void cut(chunk* place, std::size_t size) {
    chunk& c = *new (place) chunk;
    const std::size_t octets = size_at(size);
    c.owner = this;
    c.size = static_cast<std::uint16_t>(size);
    c.blocks = static_cast<std::uint16_t>((chunk_octets - sizeof(chunk) - granule) /
                                          (octets + sizeof(std::uint16_t)));
    c.free = c.blocks;
    // The blocks at the front are taken first: pages that are not needed are not touched.
    std::size_t at = chunk_octets - c.blocks * octets;
    at -= at % granule;
    for (std::size_t i = c.blocks; i-- > 0; at += octets) {
      c.places()[i] = static_cast<std::uint16_t>(at / granule);
    }
  }

  void grow() {
    constexpr std::size_t count = region_octets / chunk_octets;
    // Room first, so that giving back never allocates.
    spare_.reserve(spare_chunks_max);
    blank_.reserve(chunks_ + count);
    auto* const region =
        static_cast<std::byte*>(std::aligned_alloc(chunk_octets, region_octets));
    if (region == nullptr) throw std::bad_alloc();
    chunks_ += count;
    for (std::size_t i = count; i-- > 0;) {
      blank_.push_back(reinterpret_cast<chunk*>(region + i * chunk_octets));
    }
  }

  /// Behind the first, which goes on being used until it is full: chunks in which little is left
  /// thus have time to become empty.
  void link(chunk& c) {
    chunk*& first = with_room_[c.size];
    if (first == nullptr) {
      first = &c;
      c.next = c.previous = nullptr;
      return;
    }
    c.previous = first;
    c.next = first->next;
    if (c.next != nullptr) c.next->previous = &c;
    first->next = &c;
  }

  void unlink(chunk& c) {
    if (c.previous != nullptr) c.previous->next = c.next;
    else with_room_[c.size] = c.next;
    if (c.next != nullptr) c.next->previous = c.previous;
  }

  /// All its blocks are back. The one in use stays: a size of which one block comes and goes would
  /// else cut a chunk each time.
  void retire(chunk& c) {
    if (with_room_[c.size] == &c) return;
    unlink(c);
    if (spare_.size() < spare_chunks_max) {
      spare_.push_back(&c);
    } else {
      ::madvise(&c, chunk_octets, MADV_DONTNEED);
      blank_.push_back(&c);
    }
  }

  std::size_t number_;
  std::array<chunk*, size_count> with_room_ = {};
  std::array<parked, 16> parked_ = {};  // by number of the owner
  std::vector<chunk*> spare_ = {};
  std::vector<chunk*> blank_ = {};
  std::size_t chunks_ = 0;
  std::size_t taken_ = 0;
  alignas(64) std::atomic<batch*> returned_ = nullptr;
};

/// All heaps there ever were, and those without a thread. Never destroyed: a block may be given
/// back by whatever runs last.
struct registry {
  std::mutex lock = {};  // protects the two below; see broker/LOCKS.md
  std::vector<heap*> all = {};
  std::vector<heap*> left = {};
};

registry& heaps() {
  static auto* const the_only = new registry();
  return *the_only;
}

thread_local heap* own = nullptr;
thread_local bool has_left = false;  // the thread is ending, and its heap has gone to the registry

struct leaver {
  ~leaver() {
    has_left = true;
    if (own == nullptr) return;
    own->hand_over();
    registry& r = heaps();
    const std::lock_guard hold(r.lock);
    r.left.push_back(own);
    own = nullptr;
  }
  bool stays = true;  // something to touch
};
thread_local leaver at_exit;

[[gnu::noinline]] heap* find_heap() {
  AMQP_ASSERT(!has_left);
  registry& r = heaps();
  at_exit.stays = true;  // its destructor is due from now on
  const std::lock_guard hold(r.lock);
  if (r.left.empty()) {
    r.all.push_back(new heap(r.all.size()));
    return own = r.all.back();
  }
  own = r.left.back();
  r.left.pop_back();
  return own;
}

heap& mine() {
  heap* const h = own;
  return h != nullptr ? *h : *find_heap();
}

}  // namespace

void* take(std::size_t octets) {
  AMQP_ASSERT(octets <= block_octets_max);
  return mine().take(octets);
}

void give(void* block) noexcept {
  heap* const h = own;
  if (h != nullptr) [[likely]] return h->give(block);
  if (has_left) return chunk_of(block)->owner->push(new (block) batch);
  find_heap()->give(block);
}

void tidy() noexcept {
  if (own == nullptr) return;
  own->hand_over();
  own->put_returned_away();
}

usage used() { return mine().used(); }

}  // namespace whimbrel::broker::core::slab
