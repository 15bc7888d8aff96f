// SPDX-License-Identifier: Apache-2.0
// Blocks of all sizes, taken and given on one thread and across several.
#include "broker/core/slab.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

using namespace whimbrel;
namespace slab = broker::core::slab;

namespace {

/// A block filled with a pattern of its own.
struct filled {
  unsigned char* at = nullptr;
  std::size_t octets = 0;
  unsigned char mark = 0;

  filled() = default;
  filled(std::size_t n, unsigned char with)
      : at(static_cast<unsigned char*>(slab::take(n))), octets(n), mark(with) {
    std::memset(at, mark, octets);
  }
  [[nodiscard]] bool is_whole() const {
    for (std::size_t i = 0; i < octets; ++i) {
      if (at[i] != mark) return false;
    }
    return true;
  }
};

/// On a thread of its own, which has ended when this returns.
template <class Work>
void elsewhere(Work work) {
  std::thread other(work);
  other.join();
}

}  // namespace

TEST_CASE("slab: blocks are aligned, as large as asked for, and nobody else's") {
  const auto before = slab::used().blocks;
  std::vector<filled> held;
  for (std::size_t n = 1; n <= slab::block_octets_max; n += n < 300 ? 1 : 37) {
    held.emplace_back(n, static_cast<unsigned char>(n));
    CHECK(reinterpret_cast<std::uintptr_t>(held.back().at) % 16 == 0);
  }
  held.emplace_back(slab::block_octets_max, static_cast<unsigned char>(1));
  CHECK(slab::used().blocks == before + held.size());
  for (const filled& f : held) {
    CAPTURE(f.octets);
    CHECK(f.is_whole());
    slab::give(f.at);
  }
  CHECK(slab::used().blocks == before);
}

TEST_CASE("slab: stays whole under random use") {
  const std::uint64_t seed = 31;
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const auto before = slab::used().blocks;
  std::vector<filled> held;
  std::size_t most = 0;
  for (int step = 0; step < 60'000; ++step) {
    const bool growing = step / 10'000 % 2 == 0;
    if (held.empty() || random() % 10 < (growing ? 7u : 3u)) {
      const std::size_t n = random() % 5 == 0 ? 1 + random() % slab::block_octets_max
                                              : 96 + random() % 160;
      held.emplace_back(n, static_cast<unsigned char>(random()));
      most = std::max(most, held.size());
    } else {
      std::swap(held[random() % held.size()], held.back());
      REQUIRE(held.back().is_whole());
      slab::give(held.back().at);
      held.pop_back();
    }
  }
  for (const filled& f : held) {
    REQUIRE(f.is_whole());
    slab::give(f.at);
  }
  CHECK(most > 2000);
  CHECK(slab::used().blocks == before);
}

TEST_CASE("slab: memory of a size that is not used any more serves another") {
  elsewhere([] {
    std::set<std::uintptr_t> seen;
    const auto fill_and_empty = [&](std::size_t octets) {
      std::vector<void*> held;
      for (std::size_t sum = 0; sum < 1'000'000; sum += octets) held.push_back(slab::take(octets));
      for (void* p : held) slab::give(p);
    };
    fill_and_empty(200);
    const auto first = slab::used();
    CHECK(first.spare_chunks > 5);
    for (const std::size_t octets : {300u, 1000u, 1500u, 4000u}) fill_and_empty(octets);
    const auto last = slab::used();
    const auto total = [](const slab::usage& u) {
      return u.chunks + u.spare_chunks + u.blank_chunks;
    };
    CHECK(total(last) == total(first));
    CHECK(last.chunks <= first.chunks + 4);  // one a size stays
  });
}

TEST_CASE("slab: most of what a backlog took goes back to the system") {
  elsewhere([] {
    const auto before = slab::used();  // the heap may have served another thread
    std::vector<void*> held;
    for (int i = 0; i < 50'000; ++i) held.push_back(slab::take(220));
    CHECK(slab::used().chunks > 150);
    for (void* p : held) slab::give(p);
    const auto after = slab::used();
    CHECK(after.blocks == before.blocks);
    CHECK(after.chunks <= before.chunks + 1);
    CHECK(after.spare_chunks <= 16);
    CHECK(after.blank_chunks > 100);
    // And can be had again.
    held.clear();
    for (int i = 0; i < 50'000; ++i) held.push_back(slab::take(220));
    CHECK(slab::used().blank_chunks < after.blank_chunks);
    for (void* p : held) slab::give(p);
  });
}

TEST_CASE("slab: what another thread gives back comes home") {
  const auto before = slab::used().blocks;
  std::vector<filled> held;
  for (std::size_t i = 0; i < 3000; ++i) {
    held.emplace_back(64 + i, static_cast<unsigned char>(i));
  }
  SUBCASE("when that thread ends") {
    elsewhere([&] {
      for (const filled& f : held) slab::give(f.at);
    });
  }
  SUBCASE("when that thread tidies up") {
    std::mutex lock;
    std::unique_lock hold(lock);
    std::thread other([&] {
      for (const filled& f : held) slab::give(f.at);
      slab::tidy();
      const std::lock_guard until_seen(lock);
    });
    while (slab::used().blocks != before) {
      slab::tidy();
      std::this_thread::yield();
    }
    hold.unlock();
    other.join();
  }
  slab::tidy();
  CHECK(slab::used().blocks == before);
}

TEST_CASE("slab: blocks come home without tidying when a size runs out") {
  const auto first = slab::used().chunks;
  std::size_t most = 0;
  for (int round = 0; round < 30; ++round) {
    std::vector<void*> held;
    for (int i = 0; i < 5000; ++i) held.push_back(slab::take(250));
    elsewhere([&] {
      for (void* p : held) slab::give(p);
    });
    if (round == 0) most = slab::used().chunks;
  }
  CHECK(most > first);
  CHECK(slab::used().chunks <= most + 2);
  slab::tidy();
}

TEST_CASE("slab: blocks outlive their thread, and the next one takes over its heap") {
  slab::give(slab::take(64));  // this thread has a heap, and takes over nobody's
  std::vector<filled> held;
  std::size_t before = 0;
  elsewhere([&] {
    before = slab::used().blocks;
    for (int i = 0; i < 1000; ++i) held.emplace_back(333, static_cast<unsigned char>(i));
  });
  for (std::size_t i = 0; i < 500; ++i) {
    REQUIRE(held[i].is_whole());
    slab::give(held[i].at);
  }
  slab::tidy();
  elsewhere([&] {
    slab::tidy();
    CHECK(slab::used().blocks == before + 1000);  // there was no heap to tidy up yet
    slab::tidy();
    CHECK(slab::used().blocks == before + 500);
    for (std::size_t i = 500; i < 1000; ++i) {
      REQUIRE(held[i].is_whole());
      slab::give(held[i].at);
    }
    CHECK(slab::used().blocks == before);
  });
}

TEST_CASE("slab: threads that take, pass on and give corrupt nothing") {
  constexpr std::uint64_t seed = 7;
  CAPTURE(seed);
  constexpr std::size_t threads = 3;
  constexpr int rounds = 400;
  struct mailbox {
    std::mutex lock;
    std::vector<filled> blocks;
  };
  std::array<mailbox, threads> boxes;
  std::array<std::size_t, threads> broken{};
  std::array<std::size_t, threads> passed_on{};
  std::vector<std::thread> all;
  for (std::size_t me = 0; me < threads; ++me) {
    all.emplace_back([&, me] {
      std::mt19937_64 random(seed + me);
      for (int round = 0; round < rounds; ++round) {
        std::vector<filled> mine;
        for (int i = 0; i < 50; ++i) {
          mine.emplace_back(64 + random() % 500, static_cast<unsigned char>(random()));
        }
        mailbox& to = boxes[random() % threads];
        {
          const std::lock_guard hold(to.lock);
          for (const filled& f : mine) to.blocks.push_back(f);
        }
        passed_on[me] += mine.size();
        std::vector<filled> came;
        {
          const std::lock_guard hold(boxes[me].lock);
          came.swap(boxes[me].blocks);
        }
        for (const filled& f : came) {
          broken[me] += f.is_whole() ? 0 : 1;
          slab::give(f.at);
        }
        if (round % 50 == 0) slab::tidy();
      }
    });
  }
  for (std::thread& t : all) t.join();
  std::size_t left = 0;
  for (mailbox& b : boxes) {
    for (const filled& f : b.blocks) {
      CHECK(f.is_whole());
      slab::give(f.at);
      ++left;
    }
  }
  for (std::size_t me = 0; me < threads; ++me) {
    CHECK(broken[me] == 0);
    CHECK(passed_on[me] == 50 * rounds);
  }
  CHECK(left < threads * 50 * rounds);
  slab::tidy();
}
