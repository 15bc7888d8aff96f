// SPDX-License-Identifier: Apache-2.0
#include "storage/crc32c.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string_view>
#include <vector>

namespace whimbrel::storage {
namespace {

TEST_CASE("crc32c: gives the published check values") {
  const auto of = [](std::string_view text) { return crc32c(std::as_bytes(std::span(text))); };
  CHECK(of("123456789") == 0xe306'9283);
  CHECK(of("") == 0);
  CHECK(of(std::string_view("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
                            32)) == 0x8a91'36aa);  // 32 zero octets, RFC 3720 B.4
}

TEST_CASE("crc32c: instruction and table agree at every length and alignment, and in pieces") {
  std::mt19937_64 random(7);
  std::vector<std::byte> octets(600);
  for (std::byte& b : octets) b = static_cast<std::byte>(random());
  for (std::size_t from = 0; from < 9; ++from) {
    for (std::size_t n = 0; n + from <= octets.size(); n += n < 40 ? 1 : 13) {
      const auto part = std::span(octets).subspan(from, n);
      const std::uint32_t whole = crc32c(part);
      REQUIRE(whole == crc32c_by_table(part));
      const std::size_t cut = n / 3;
      REQUIRE(whole == crc32c(part.subspan(cut), crc32c_by_table(part.first(cut))));
    }
  }
}

}  // namespace
}  // namespace whimbrel::storage
