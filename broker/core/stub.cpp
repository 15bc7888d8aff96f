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

stub& stub_ring::push_back() {
  if (chunks_.empty()) front_ = end_ / chunk_stubs;
  while (end_ / chunk_stubs - front_ >= chunks_.size()) chunks_.emplace_back();
  chunk& c = chunk_of(end_);
  if (!c.stubs) c.stubs = spare_ ? std::move(spare_) : std::make_unique<stub_array>();
  ++c.live;
  return (*c.stubs)[end_++ % chunk_stubs];
}

void stub_ring::erase(sequence at) {
  chunk& c = chunk_of(at);
  AMQP_ASSERT(c.stubs != nullptr);
  AMQP_ASSERT(c.live > 0);
  (*c.stubs)[at % chunk_stubs] = stub{};
  const bool filling = at / chunk_stubs == end_ / chunk_stubs;  // more will be pushed into it
  if (--c.live == 0 && !filling) {
    spare_ = std::move(c.stubs);
    c.stubs = nullptr;
  }
  if (at == first_) drop_front();
}

/// Moves first_ to the oldest stub that is not gone.
void stub_ring::drop_front() {
  while (first_ < end_) {
    const chunk& c = chunks_.front();
    if (c.stubs && (*c.stubs)[first_ % chunk_stubs].at != place::gone) return;
    first_ = c.stubs && c.live > 0 ? first_ + 1
                                   : std::min(end_, (first_ / chunk_stubs + 1) * chunk_stubs);
    if (first_ / chunk_stubs != front_ && (first_ < end_ || chunks_.size() > 1)) {
      if (chunks_.front().stubs) spare_ = std::move(chunks_.front().stubs);
      chunks_.pop_front();
      ++front_;
    }
  }
  if (chunks_.size() == 1 && front_ != end_ / chunk_stubs) {  // empty, and the next goes elsewhere
    if (chunks_.front().stubs) spare_ = std::move(chunks_.front().stubs);
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
