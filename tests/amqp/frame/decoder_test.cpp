// SPDX-License-Identifier: Apache-2.0
#include "amqp/frame/decoder.hpp"

#include <doctest/doctest.h>

#include "amqp/base/octet_buffer.hpp"
#include "amqp/frame/encoder.hpp"
#include "tests/support/hex.hpp"

using namespace whimbrel;
using namespace whimbrel::amqp::frame;
using whimbrel::test::hex;
using whimbrel::test::random_source;
using status = decoder::status;

namespace {

std::vector<std::byte> frame_of(std::size_t body, std::uint16_t channel = 0, std::uint8_t type = 0,
                                std::size_t extended = 0) {
  const std::size_t size = header_octets + extended + body;
  std::vector<std::byte> out(size, std::byte{0xee});
  store_header(out.data(), static_cast<std::uint32_t>(size), static_cast<frame_type>(type),
               channel);
  out[4] = static_cast<std::byte>(2 + extended / 4);
  for (std::size_t i = 0; i < body; ++i)
    out[header_octets + extended + i] = static_cast<std::byte>(i * 7 + channel);
  return out;
}

struct seen {
  std::uint8_t type = 0;
  std::uint16_t channel = 0;
  std::vector<std::byte> body = {};
  bool operator==(const seen&) const = default;
};

void take_all(decoder& d, std::vector<seen>& out) {
  frame_view f;
  while (d.next(f) == status::frame)
    out.push_back({f.type, f.channel, {f.body.begin(), f.body.end()}});
}

void append(std::vector<std::byte>& to, const std::vector<std::byte>& what) {
  to.insert(to.end(), what.begin(), what.end());
}

}  // namespace

TEST_CASE("decoder: frames inside one chunk are views of that chunk") {
  std::vector<std::byte> octets = frame_of(5, 1);
  append(octets, frame_of(0, 2));
  append(octets, frame_of(9, 0x0102, 1, 8));
  decoder d(512);
  d.lend(octets);
  frame_view f;
  REQUIRE(d.next(f) == status::frame);
  CHECK(f.channel == 1);
  CHECK(f.body.data() == octets.data() + 8);
  CHECK(f.body.size() == 5);
  REQUIRE(d.next(f) == status::frame);
  CHECK(f.channel == 2);
  CHECK(f.body.empty());
  REQUIRE(d.next(f) == status::frame);
  CHECK(f.type == 1);
  CHECK(f.channel == 0x0102);
  CHECK(f.body.size() == 9);  // the extended header is passed over
  CHECK(f.body[0] == static_cast<std::byte>(2));
  CHECK(d.next(f) == status::need_more);
  d.keep();
  CHECK(d.memory() == 0);
}

TEST_CASE("decoder: any cut of the stream gives the same frames") {
  const std::uint64_t seed = 20'260'821;
  CAPTURE(seed);
  random_source dice(seed);
  std::vector<std::byte> octets;
  for (int i = 0; i < 60; ++i)
    append(octets, frame_of(dice.below(300), static_cast<std::uint16_t>(dice.below(9)),
                            static_cast<std::uint8_t>(dice.below(2)), 4 * dice.below(3)));
  std::vector<seen> whole;
  {
    decoder d(1024);
    d.lend(octets);
    take_all(d, whole);
    CHECK(whole.size() == 60);
  }
  for (std::size_t chunk_max : {std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{8},
                                std::size_t{9}, std::size_t{64}, std::size_t{700}}) {
    CAPTURE(chunk_max);
    decoder d(1024);
    std::vector<seen> pieces;
    for (std::size_t at = 0; at < octets.size();) {
      const std::size_t n =
          std::min(chunk_max == 1 ? 1 : 1 + dice.below(chunk_max), octets.size() - at);
      const std::vector<std::byte> chunk(octets.begin() + static_cast<std::ptrdiff_t>(at),
                                         octets.begin() + static_cast<std::ptrdiff_t>(at + n));
      d.lend(chunk);
      take_all(d, pieces);
      d.keep();
      at += n;
    }
    CHECK(pieces == whole);
    CHECK(d.memory() == 0);
    CHECK(d.pending() == 0);
  }
}

TEST_CASE("decoder: bad frame headers are found out at their eighth octet") {
  struct {
    const char* what;
    const char* header;
    frame_fault want;
  } const rows[] = {
      {"size 0", "00 00 00 00 02 00 00 00", frame_fault::too_short},
      {"size 7", "00 00 00 07 02 00 00 00", frame_fault::too_short},
      {"one above the limit", "00 00 02 01 02 00 00 00", frame_fault::too_long},
      {"the largest size", "ff ff ff ff 02 00 00 00", frame_fault::too_long},
      {"offset 0", "00 00 00 10 00 00 00 00", frame_fault::bad_offset},
      {"offset 1", "00 00 00 10 01 00 00 00", frame_fault::bad_offset},
      {"offset one behind the end", "00 00 00 10 05 00 00 00", frame_fault::bad_offset},
      {"offset 255", "00 00 00 10 ff 00 00 00", frame_fault::bad_offset},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    const auto header = hex(row.header);
    for (const std::size_t cut : {std::size_t{0}, std::size_t{3}, std::size_t{7}}) {
      decoder d(512);
      frame_view f;
      const std::vector<std::byte> first(header.begin(),
                                         header.begin() + static_cast<std::ptrdiff_t>(cut));
      const std::vector<std::byte> rest(header.begin() + static_cast<std::ptrdiff_t>(cut),
                                        header.end());
      d.lend(first);
      CHECK(d.next(f) == status::need_more);
      d.keep();
      d.lend(rest);
      REQUIRE(d.next(f) == status::fault);
      CHECK(d.fault() == row.want);
      CHECK(d.memory() <= 16);
    }
  }
}

TEST_CASE("decoder: a frame of exactly the limit, and an offset at its very end, are frames") {
  decoder d(512);
  auto octets = frame_of(504);
  append(octets, hex("00 00 00 10 04 00 00 05 00 00 00 00 00 00 00 00"));
  d.lend(octets);
  frame_view f;
  REQUIRE(d.next(f) == status::frame);
  CHECK(f.body.size() == 504);
  REQUIRE(d.next(f) == status::frame);
  CHECK(f.body.empty());
  CHECK(f.channel == 5);
}

TEST_CASE("decoder: a frame that dribbles in keeps no more memory than its size, and returns it") {
  const auto octets = frame_of(40'000);
  decoder d(65'536);
  frame_view f;
  std::size_t most = 0;
  for (std::size_t i = 0; i < octets.size(); ++i) {
    d.lend({octets.data() + i, 1});
    const status s = d.next(f);
    most = std::max(most, d.memory());
    CHECK(d.memory() <= std::max<std::size_t>(2 * (i + 1), 16));
    if (i + 1 < octets.size()) {
      REQUIRE(s == status::need_more);
      d.keep();
    } else {
      REQUIRE(s == status::frame);
    }
  }
  CHECK(most == octets.size());
  CHECK(f.body.size() == 40'000);
  d.keep();
  CHECK(d.memory() == 0);
}

TEST_CASE("decoder: a frame that is too long is passed over without being kept") {
  auto octets = frame_of(3000, 1);
  append(octets, frame_of(4, 2));
  for (const std::size_t chunk : {std::size_t{1}, std::size_t{5}, std::size_t{8}, std::size_t{100},
                                  std::size_t{3007}, std::size_t{3008}, octets.size()}) {
    CAPTURE(chunk);
    decoder d(512);
    std::vector<std::uint16_t> channels;
    int faults = 0;
    for (std::size_t at = 0; at < octets.size(); at += chunk) {
      d.lend({octets.data() + at, std::min(chunk, octets.size() - at)});
      frame_view f;
      for (status s = d.next(f); s != status::need_more; s = d.next(f)) {
        if (s == status::fault) {
          ++faults;
          REQUIRE(d.skip_frame());
        } else {
          channels.push_back(f.channel);
        }
      }
      d.keep();
      CHECK(d.memory() <= 16);
    }
    CHECK(faults == 1);
    CHECK(channels == std::vector<std::uint16_t>{2});
  }
}

TEST_CASE("decoder: a protocol header may come octet by octet, with frames behind it") {
  auto octets = hex("\"AMQP\" 03 01 00 00");
  append(octets, frame_of(3, 4));
  for (const std::size_t chunk : {std::size_t{1}, std::size_t{3}, std::size_t{8}, octets.size()}) {
    CAPTURE(chunk);
    decoder d(512);
    bool has_header = false;
    std::vector<seen> frames;
    for (std::size_t at = 0; at < octets.size(); at += chunk) {
      d.lend({octets.data() + at, std::min(chunk, octets.size() - at)});
      if (!has_header) {
        const auto header = d.next_protocol_header();
        has_header = !header.empty();
        if (has_header) CHECK(parse_protocol_header(header) == protocol_header(protocol::sasl));
      }
      if (has_header) take_all(d, frames);
      d.keep();
    }
    REQUIRE(frames.size() == 1);
    CHECK(frames[0].channel == 4);
    CHECK(d.memory() == 0);
  }
}

TEST_CASE("encoder: a performative that does not fit leaves the buffer as it was") {
  amqp::octet_buffer out;
  append_empty(out);
  CHECK(out.size() == 8);
  const amqp::symbol name(std::string(100, 'x'));
  CHECK(append(out, frame_type::amqp, 3, name, 109) == 0);
  CHECK(out.size() == 8);
  CHECK(append(out, frame_type::amqp, 3, name, 110) == 110);
  decoder d(512);
  d.lend(out.octets());
  std::vector<seen> frames;
  take_all(d, frames);
  REQUIRE(frames.size() == 2);
  CHECK(frames[1].channel == 3);
  CHECK(frames[1].body.size() == 102);
}
