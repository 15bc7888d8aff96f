// SPDX-License-Identifier: Apache-2.0
// Frame decoding: in place as long as a frame lies whole in the chunk.
#include "amqp/frame/decoder.hpp"

#include <algorithm>
#include <cstring>

#include "amqp/base/assert.hpp"
#include "amqp/codec/reader.hpp"

namespace whimbrel::amqp::frame {

namespace {

std::uint32_t size_at(const std::byte* header) {
  return codec::load_big_endian<std::uint32_t>(header);
}

frame_view view_at(const std::byte* header) {
  const std::size_t size = size_at(header);
  const std::size_t body = std::to_integer<std::size_t>(header[4]) * 4;
  return {.type = std::to_integer<std::uint8_t>(header[5]),
          .channel = codec::load_big_endian<std::uint16_t>(header + 6),
          .body = {header + body, size - body}};
}

}  // namespace

void decoder::lend(std::span<const std::byte> chunk) {
  AMQP_ASSERT(chunk_.empty());
  const std::size_t skipped = std::min<std::size_t>(skip_, chunk.size());
  skip_ -= static_cast<std::uint32_t>(skipped);
  chunk_ = chunk.subspan(skipped);
}

void decoder::keep() {
  forget(handed_out_);
  handed_out_ = 0;
  append(chunk_);
  chunk_ = {};
}

frame_fault decoder::check(const std::byte* header) const {
  const std::uint32_t size = size_at(header);
  if (size < header_octets) return frame_fault::too_short;
  if (size > size_max_) return frame_fault::too_long;
  const std::uint32_t body = std::to_integer<std::uint32_t>(header[4]) * 4;
  if (body < header_octets || body > size) return frame_fault::bad_offset;
  return frame_fault::none;
}

decoder::status decoder::next(frame_view& out) {
  if (end_ != 0) [[unlikely]]
    return next_kept(out);
  if (chunk_.size() < header_octets) return status::need_more;
  const std::byte* header = chunk_.data();
  fault_ = check(header);
  if (fault_ != frame_fault::none) [[unlikely]]
    return status::fault;
  const std::uint32_t size = size_at(header);
  if (chunk_.size() < size) return status::need_more;
  out = view_at(header);
  chunk_ = chunk_.subspan(size);
  return status::frame;
}

decoder::status decoder::next_kept(frame_view& out) {
  forget(handed_out_);
  handed_out_ = 0;
  if (end_ == 0) return next(out);
  if (!gather(header_octets)) return status::need_more;
  const std::byte* header = memory_.get() + begin_;
  fault_ = check(header);
  if (fault_ != frame_fault::none) return status::fault;
  const std::uint32_t size = size_at(header);
  if (!gather(size)) return status::need_more;
  out = view_at(memory_.get() + begin_);
  handed_out_ = size;
  return status::frame;
}

std::span<const std::byte> decoder::next_protocol_header() {
  forget(handed_out_);
  handed_out_ = 0;
  if (end_ != 0) {
    if (!gather(protocol_header_octets)) return {};
    handed_out_ = protocol_header_octets;
    return {memory_.get() + begin_, protocol_header_octets};
  }
  if (chunk_.size() < protocol_header_octets) return {};
  const auto out = chunk_.first(protocol_header_octets);
  chunk_ = chunk_.subspan(protocol_header_octets);
  return out;
}

bool decoder::skip_frame() {
  const std::byte* header = end_ != 0 ? memory_.get() + begin_ : chunk_.data();
  if (fault_ == frame_fault::none || fault_ == frame_fault::too_short) return false;
  skip_ = size_at(header);
  fault_ = frame_fault::none;
  const std::size_t of_kept = std::min<std::size_t>(skip_, kept());
  forget(of_kept);
  const std::size_t of_chunk = std::min<std::size_t>(skip_ - of_kept, chunk_.size());
  chunk_ = chunk_.subspan(of_chunk);
  skip_ -= static_cast<std::uint32_t>(of_kept + of_chunk);
  return true;
}

void decoder::drop_all() {
  chunk_ = {};
  handed_out_ = 0;
  forget(kept());
}

bool decoder::gather(std::size_t n) {
  if (kept() < n) {
    const std::size_t wanted = std::min(n - kept(), chunk_.size());
    append(chunk_.first(wanted));
    chunk_ = chunk_.subspan(wanted);
  }
  return kept() >= n;
}

void decoder::append(std::span<const std::byte> octets) {
  if (octets.empty()) return;
  const std::size_t used = kept();
  const std::size_t needed = used + octets.size();
  if (capacity_ - end_ < octets.size()) {
    // Doubling, so that octets that dribble in are not copied each time, but never beyond the frame
    // they belong to.
    std::size_t wanted = std::max(needed, 2 * used);
    if (used >= header_octets)
      wanted = std::min<std::size_t>(
          wanted, std::max<std::size_t>(needed, size_at(memory_.get() + begin_)));
    auto grown = std::make_unique_for_overwrite<std::byte[]>(wanted);
    if (used > 0) std::memcpy(grown.get(), memory_.get() + begin_, used);
    memory_ = std::move(grown);
    capacity_ = wanted;
    begin_ = 0;
    end_ = used;
  }
  std::memcpy(memory_.get() + end_, octets.data(), octets.size());
  end_ += octets.size();
}

void decoder::forget(std::size_t n) {
  begin_ += n;
  if (begin_ != end_) return;
  memory_.reset();
  capacity_ = begin_ = end_ = 0;
}

}  // namespace whimbrel::amqp::frame
