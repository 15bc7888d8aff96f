// SPDX-License-Identifier: Apache-2.0
// Memory for messages: one thread takes a block, whichever thread lets go last gives it back, and
// neither takes a lock for it.
#pragma once

#include <cstddef>

namespace whimbrel::broker::core::slab {

/// Larger blocks are malloc's business.
inline constexpr std::size_t block_octets_max = 4096;

/// Each thread has a heap: chunks of 64 KiB, each cut into blocks of one size.
///
///     own thread      take ──> chunk <── give
///     other threads   give ──> parked, up to a few dozen ──push──> returned ──> chunk
///
/// A block that another thread gives back is parked with that thread; the parked ones of one owner
/// go over as one list, pushed with one atomic exchange, when there are enough of them or `tidy`
/// is called. The owner puts what came back into its chunks when a size runs out, and in `tidy`.
///
/// A heap whose thread has ended keeps its chunks and its list of returned blocks, and is taken
/// over by the next thread that needs one: blocks may outlive the thread that took them. Chunks
/// that are empty give their pages back to the system, but for a few.

/// A block of at least `octets`, at most block_octets_max, aligned as for malloc.
[[nodiscard]] void* take(std::size_t octets);

/// Gives back what `take` gave, on any thread.
void give(void* block) noexcept;

/// Now and then, on each thread that takes or gives: parked blocks go home, and those that have
/// come home are put away.
void tidy() noexcept;

/// Of the calling thread's heap, for tests and figures.
struct usage {
  std::size_t blocks = 0;          // taken and not back in their chunk
  std::size_t chunks = 0;          // with blocks in them, or kept for a size
  std::size_t spare_chunks = 0;    // empty, with their pages
  std::size_t blank_chunks = 0;    // empty, without
};
[[nodiscard]] usage used();

}  // namespace whimbrel::broker::core::slab
