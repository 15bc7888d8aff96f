// SPDX-License-Identifier: Apache-2.0
// The ring of stubs against an obvious model.
#include "broker/core/stub.hpp"

#include <cstdint>
#include <map>
#include <random>

#include <doctest/doctest.h>

using namespace whimbrel;
using broker::core::place;
using broker::core::stub;
using broker::core::stub_ring;
using storage::sequence;

namespace {

/// The sequences that are not gone, and a mark for each.
using model = std::map<sequence, std::uint32_t>;

sequence first_left(stub_ring& ring) {
  for (sequence at = ring.next_present(ring.first()); at < ring.end();
       at = ring.next_present(at + 1)) {
    if (ring.find(at)->at != place::gone) return at;
  }
  return ring.end();
}

void must_agree(stub_ring& ring, const model& want) {
  REQUIRE(first_left(ring) == (want.empty() ? ring.end() : want.begin()->first));
  REQUIRE(ring.first() == first_left(ring));
  std::size_t seen = 0;
  for (sequence at = ring.next_present(ring.first()); at < ring.end();
       at = ring.next_present(at + 1)) {
    const stub* s = ring.find(at);
    REQUIRE(s != nullptr);
    if (s->at == place::gone) continue;
    ++seen;
    const auto found = want.find(at);
    REQUIRE(found != want.end());
    REQUIRE(s->failed == found->second);
  }
  REQUIRE(seen == want.size());
}

sequence push(stub_ring& ring, model& want, std::uint32_t mark) {
  const sequence at = ring.end();
  stub& s = ring.push_back();
  REQUIRE(s.at == place::gone);
  REQUIRE(s.failed == 0);
  s.at = place::available;
  s.failed = mark;
  want[at] = mark;
  return at;
}

std::size_t chunks_present(stub_ring& ring) {
  std::size_t n = 0;
  for (sequence at = ring.next_present(ring.first()); at < ring.end();
       at = ring.next_present((at / 512 + 1) * 512)) {
    ++n;
  }
  return n;
}

}  // namespace

TEST_CASE("stub_ring: agrees with a map whatever is pushed, erased and skipped") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    stub_ring ring;
    model want;
    std::size_t erased = 0;
    const unsigned growth = 3 + static_cast<unsigned>(seed % 4);  // some seeds stay near empty
    for (std::uint32_t step = 0; step < 6000; ++step) {
      CAPTURE(step);
      const auto what = random() % 10;
      if (what < growth) {
        push(ring, want, step);
      } else if (what < 9 && !want.empty()) {
        auto which =
            want.lower_bound(want.begin()->first + random() % (random() % 5 == 0 ? 3000 : 4));
        if (which == want.end()) which = want.begin();
        ring.erase(which->first);
        want.erase(which);
        ++erased;
      } else if (random() % 50 == 0) {
        ring.skip_to(ring.end() + random() % 1500);
      }
      if (step % 97 == 0) must_agree(ring, want);
    }
    must_agree(ring, want);
    while (!want.empty()) {
      ring.erase(want.begin()->first);
      want.erase(want.begin());
      ++erased;
    }
    must_agree(ring, want);
    CHECK(ring.first() == ring.end());
    CHECK(erased > 1000);
  }
}

TEST_CASE("stub_ring: one old message does not keep the memory of all that came after it") {
  stub_ring ring;
  model want;
  const sequence old = push(ring, want, 7);
  for (int i = 0; i < 100'000; ++i) {
    const sequence at = push(ring, want, 1);
    ring.erase(at);
    want.erase(at);
  }
  CHECK(chunks_present(ring) <= 2);
  CHECK(ring.first() == old);
  CHECK(ring.find(old)->failed == 7);
  CHECK(ring.find(old + 50'000) == nullptr);
  ring.erase(old);
  CHECK(ring.first() == ring.end());
}

TEST_CASE("stub_ring: nothing is found outside of what was given out") {
  stub_ring ring;
  CHECK(ring.find(0) == nullptr);
  CHECK(ring.find(1) == nullptr);
  model want;
  push(ring, want, 1);
  CHECK(ring.find(0) == nullptr);
  CHECK(ring.find(1) != nullptr);
  CHECK(ring.find(2) == nullptr);
  CHECK(ring.next_present(0) == 1);
  CHECK(ring.next_present(99) == ring.end());
}

TEST_CASE("stub_ring: a skip far ahead costs no stubs") {
  stub_ring ring;
  model want;
  push(ring, want, 1);
  ring.skip_to(1'000'000);
  push(ring, want, 2);
  must_agree(ring, want);
  CHECK(chunks_present(ring) == 2);
  CHECK(ring.find(500'000) == nullptr);
}
