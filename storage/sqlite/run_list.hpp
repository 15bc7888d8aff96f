// SPDX-License-Identifier: Apache-2.0
// Where the messages of one queue lie: runs of consecutive sequences, each in one group.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "storage/store.hpp"

namespace whimbrel::storage::sqlite {

/// Consecutive messages of a queue at consecutive positions of one group.
struct run {
  sequence first = 0;
  std::uint32_t count = 0;
  std::uint32_t live = 0;      // not settled; 0: the run is dead and waits to be swept
  std::uint32_t slot = 0;      // the group's place in the index
  std::uint32_t position = 0;  // of `first` in the group

  [[nodiscard]] sequence last() const { return first + (count - 1); }
};
static_assert(sizeof(run) == 24, "memory is spent per run: keep it small");

/// The runs of one queue, ascending. Dead ones are swept when they are the majority, so that
/// settling costs the same anywhere in the list.
///
/// Invariant  The ranges are disjoint, those of dead runs included: no sequence is put twice.
class run_list {
 public:
  void add(const run& r);

  /// The first run, dead or alive, whose last sequence is not before `at`.
  [[nodiscard]] std::size_t find(sequence at) const;
  [[nodiscard]] std::size_t size() const { return runs_.size(); }
  [[nodiscard]] bool is_empty() const { return dead_ == runs_.size(); }
  [[nodiscard]] run& operator[](std::size_t i) { return runs_[i]; }
  [[nodiscard]] const run& operator[](std::size_t i) const { return runs_[i]; }

  /// To be called after `died` runs lost their last member; may move all others.
  void sweep(std::size_t died);

  /// Takes out the runs for which `leaves` is true and adds `added` (ascending) instead.
  template <class Predicate>
  void replace(Predicate leaves, std::span<const run> added);

 private:
  std::vector<run> runs_;
  std::size_t dead_ = 0;
};

template <class Predicate>
void run_list::replace(Predicate leaves, std::span<const run> added) {
  std::vector<run> merged;
  merged.reserve(runs_.size() - dead_ + added.size());
  std::size_t next = 0;
  for (const run& r : runs_) {
    if (r.live == 0 || leaves(r)) continue;
    while (next < added.size() && added[next].first < r.first) merged.push_back(added[next++]);
    merged.push_back(r);
  }
  merged.insert(merged.end(), added.begin() + static_cast<std::ptrdiff_t>(next), added.end());
  runs_ = std::move(merged);
  dead_ = 0;
}

}  // namespace whimbrel::storage::sqlite
