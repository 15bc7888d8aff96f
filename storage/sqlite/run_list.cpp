// SPDX-License-Identifier: Apache-2.0
#include "storage/sqlite/run_list.hpp"

#include <algorithm>

#include "storage/check.hpp"

namespace whimbrel::storage::sqlite {
namespace {

constexpr std::size_t sweep_least = 32;  // fewer dead runs are not worth a sweep

}  // namespace

void run_list::add(const run& r) {
  if (runs_.empty() || runs_.back().last() < r.first) {
    runs_.push_back(r);
    return;
  }
  const auto at = runs_.begin() + static_cast<std::ptrdiff_t>(find(r.first));
  check(at == runs_.end() || r.last() < at->first, "a sequence is given to one message only");
  runs_.insert(at, r);
}

std::size_t run_list::find(sequence at) const {
  const auto found =
      std::partition_point(runs_.begin(), runs_.end(), [&](const run& r) { return r.last() < at; });
  return static_cast<std::size_t>(found - runs_.begin());
}

void run_list::sweep(std::size_t died) {
  dead_ += died;
  if (dead_ == runs_.size()) {
    runs_.clear();
    dead_ = 0;
  } else if (dead_ > sweep_least && dead_ * 2 > runs_.size()) {
    std::erase_if(runs_, [](const run& r) { return r.live == 0; });
    dead_ = 0;
  }
}

}  // namespace whimbrel::storage::sqlite
