// SPDX-License-Identifier: Apache-2.0
// The frame decoder: any octets in any chunks give the same frames and faults as in one piece, in
// no more memory than a frame takes. Input: limit, chunk seed, then the stream.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "amqp/frame/decoder.hpp"
#include "tests/support/hex.hpp"

namespace {

using namespace whimbrel::amqp;

void require(bool condition) {
  if (!condition) std::abort();
}

struct seen {
  std::uint8_t type = 0;
  std::uint16_t channel = 0;
  std::vector<std::byte> body = {};
  frame::frame_fault fault = frame::frame_fault::none;
  bool operator==(const seen&) const = default;
};

/// False when the stream cannot be followed any further.
bool take_all(frame::decoder& d, std::vector<seen>& out) {
  for (;;) {
    frame::frame_view f;
    switch (d.next(f)) {
      case frame::decoder::status::need_more:
        return true;
      case frame::decoder::status::frame:
        out.push_back({f.type, f.channel, {f.body.begin(), f.body.end()}});
        break;
      case frame::decoder::status::fault:
        out.push_back({.fault = d.fault()});
        if (!d.skip_frame()) return false;
        break;
    }
  }
}

std::vector<seen> decode(std::span<const std::byte> stream, std::uint32_t limit,
                         whimbrel::test::random_source* dice) {
  frame::decoder d(limit);
  std::vector<seen> out;
  for (bool has_header = false; !stream.empty();) {
    const std::size_t n = dice == nullptr ? stream.size() : 1 + dice->below(stream.size());
    // Of exactly this size, so that a read past its end is seen.
    const std::vector<std::byte> chunk(stream.begin(),
                                       stream.begin() + static_cast<std::ptrdiff_t>(n));
    stream = stream.subspan(n);
    d.lend(chunk);
    if (!has_header) has_header = !d.next_protocol_header().empty();
    if (has_header && !take_all(d, out)) return out;
    d.keep();
    require(d.memory() <= std::max<std::size_t>(limit, 2 * frame::header_octets));
    require(d.pending() < std::max<std::size_t>(limit, frame::header_octets));
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* octets, std::size_t size) {
  if (size < 2) return 0;
  const std::uint32_t limit = 512 + octets[0] * 64u;
  whimbrel::test::random_source dice(octets[1]);
  const auto stream = std::as_bytes(std::span(octets + 2, size - 2));
  const auto whole = decode(stream, limit, nullptr);
  require(decode(stream, limit, &dice) == whole);
  return 0;
}
