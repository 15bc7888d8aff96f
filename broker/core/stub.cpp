// SPDX-License-Identifier: Apache-2.0
// Growth and shrinking of the ring of stubs.
#include "broker/core/stub.hpp"

#include <algorithm>
#include <utility>

namespace whimbrel::broker::core {

stub_ring::sequence stub_ring::next_present(sequence at) const {
  at = std::max(at, first_);
  while (at < end_ && !chunks_[static_cast<std::size_t>(at / chunk_stubs - front_)].stubs) {
    at = (at / chunk_stubs + 1) * chunk_stubs;
  }
  return std::min(at, end_);
}

stub& stub_ring::push_back_slowly() {
  if (chunks_.empty()) front_ = end_ / chunk_stubs;
  while (end_ / chunk_stubs - front_ >= chunks_.size()) chunks_.emplace_back();
  chunk& c = chunk_of(end_);
  if (!c.stubs && spares_.empty()) c.stubs = std::make_unique<stub_array>();
  if (!c.stubs) {
    c.stubs = std::move(spares_.back());
    spares_.pop_back();
  }
  ++c.live;
  return (*c.stubs)[end_++ % chunk_stubs];
}

void stub_ring::keep_spare(chunk& c) {
  constexpr std::size_t spares_max = 4;  // as much as a usual credit makes come and go
  if (c.stubs && spares_.size() < spares_max) spares_.push_back(std::move(c.stubs));
  c.stubs = nullptr;
}

/// Moves first_ to the oldest stub that is not gone.
void stub_ring::drop_front() {
  while (first_ < end_) {
    const chunk& c = chunks_.front();
    if (c.stubs && (*c.stubs)[first_ % chunk_stubs].at != place::gone) return;
    first_ = c.stubs && c.live > 0 ? first_ + 1
                                   : std::min(end_, (first_ / chunk_stubs + 1) * chunk_stubs);
    if (first_ / chunk_stubs != front_ && (first_ < end_ || chunks_.size() > 1)) {
      keep_spare(chunks_.front());
      chunks_.pop_front();
      ++front_;
    }
  }
  if (chunks_.size() == 1 && front_ != end_ / chunk_stubs) {  // empty, and the next goes elsewhere
    keep_spare(chunks_.front());
    chunks_.clear();
  }
}

void stub_ring::skip_to(sequence at) {
  AMQP_ASSERT(at >= end_);
  if (first_ == end_) {
    chunks_.clear();
    first_ = end_ = at;
    return;
  }
  end_ = at;
  while ((end_ - 1) / chunk_stubs - front_ >= chunks_.size()) chunks_.emplace_back();
}

}  // namespace whimbrel::broker::core
