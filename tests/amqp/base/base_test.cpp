// SPDX-License-Identifier: Apache-2.0
// Octet buffers, serial numbers and the texts of faults.
#include <doctest/doctest.h>

#include <deque>
#include <new>

#include "amqp/base/limits.hpp"
#include "amqp/base/octet_buffer.hpp"
#include "amqp/base/result.hpp"
#include "amqp/base/serial.hpp"
#include "tests/support/hex.hpp"

namespace whimbrel::amqp {
namespace {

TEST_CASE("octet_buffer: what is appended comes out at the front, in order") {
  octet_buffer b;
  CHECK(b.empty());
  CHECK(b.octets().empty());
  b.append({});
  b.append(test::hex("01 02 03"));
  b.consume(1);
  b.append(test::hex("04"));
  CHECK(test::to_hex(b.octets()) == "02 03 04");
  *b.at(0) = std::byte{0xff};
  b.truncate(2);
  CHECK(test::to_hex(b.octets()) == "ff 03");
  b.clear();
  CHECK(b.empty());
  CHECK(b.capacity() > 0);
  b.release();
  CHECK(b.capacity() == 0);
}

TEST_CASE("octet_buffer: reserved octets count once they are committed") {
  octet_buffer b;
  std::byte* at = b.reserve(1000);
  at[0] = std::byte{7};
  CHECK(b.empty());
  b.commit(1);
  CHECK(test::to_hex(b.octets()) == "07");
  CHECK(b.capacity() >= 1000);
}

TEST_CASE("octet_buffer: moves hand the storage over") {
  octet_buffer a;
  a.append(test::hex("01 02"));
  octet_buffer b(std::move(a));
  CHECK(test::to_hex(b.octets()) == "01 02");
  octet_buffer c;
  c.append(test::hex("09"));
  c = std::move(b);
  CHECK(test::to_hex(c.octets()) == "01 02");
}

TEST_CASE("octet_buffer: random use agrees with a deque, and memory follows the content") {
  constexpr std::uint64_t seed = 7;
  CAPTURE(seed);
  test::random_source random(seed);
  octet_buffer b;
  std::deque<std::byte> model;
  std::size_t model_max = 0;
  for (int step = 0; step < 20'000; ++step) {
    CAPTURE(step);
    const std::size_t n = random.below(200);
    if (random.one_in(2)) {
      std::byte* at = b.reserve(n + 10);
      for (std::size_t i = 0; i < n; ++i) {
        at[i] = static_cast<std::byte>(step + static_cast<int>(i));
        model.push_back(at[i]);
      }
      b.commit(n);
    } else if (random.one_in(8)) {
      const std::size_t keep = model.size() - std::min(model.size(), n);
      b.truncate(keep);
      model.resize(keep);
    } else {
      const std::size_t gone = std::min(model.size(), n);
      b.consume(gone);
      model.erase(model.begin(), model.begin() + static_cast<std::ptrdiff_t>(gone));
    }
    model_max = std::max(model_max, model.size());
    REQUIRE(b.size() == model.size());
    if (step % 100 == 0) REQUIRE(std::equal(model.begin(), model.end(), b.octets().begin()));
  }
  CHECK(model_max > 1000);
  CHECK(b.capacity() <= 8 * (model_max + 210));
}

TEST_CASE("octet_buffer: a size that no memory holds is refused, not wrapped") {
  octet_buffer b;
  b.append(test::hex("01"));
  CHECK_THROWS_AS(static_cast<void>(b.reserve(~std::size_t{0} - 1)), std::bad_alloc);
  CHECK_THROWS_AS(static_cast<void>(b.reserve(std::size_t{1} << 63)), std::bad_alloc);
  CHECK(test::to_hex(b.octets()) == "01");
}

TEST_CASE("serial: distance and order hold across the wrap") {
  const transfer_id before(0xffff'fffc);
  const transfer_id after = before + 10;
  CHECK(after.value() == 6);
  CHECK(after - before == 10);
  CHECK(before - after == -10);
  CHECK(before.precedes(after));
  CHECK(!after.precedes(before));
  CHECK(!before.precedes(before));
  CHECK((after - 10u) == before);
  transfer_id moving = before;
  ++moving;
  moving += 9;
  CHECK(moving == after);
  CHECK(delivery_id().value() == 0);
}

TEST_CASE("serial: numbers half the circle apart are each behind the other") {
  const delivery_count a(0);
  const delivery_count b(0x8000'0000);
  CHECK(a.precedes(b));
  CHECK(b.precedes(a));
  CHECK(a.precedes(delivery_count(0x7fff'ffff)));
  CHECK(!a.precedes(delivery_count(0x8000'0001)));
}

TEST_CASE("decode_error: says fault, place and field") {
  CHECK(to_text(decode_error{decode_fault::bad_length, 12, "handle"}) ==
        "bad-length at octet 12 in field handle");
  CHECK(to_text(decode_error{decode_fault::too_deep, 0, {}}) == "too-deep at octet 0");
  CHECK(to_text(static_cast<decode_fault>(99)) == "unknown fault");
  for (int f = 0; f <= static_cast<int>(decode_fault::bad_order); ++f) {
    CHECK(to_text(static_cast<decode_fault>(f)) != "unknown fault");
  }
}

}  // namespace
}  // namespace whimbrel::amqp
