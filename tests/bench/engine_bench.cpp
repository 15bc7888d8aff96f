// SPDX-License-Identifier: Apache-2.0
// What the engine costs by itself: two of them joined in memory, in batches as a busy socket would
// hand them over. Prints nanoseconds a message for each step of its way; asserts nothing on time.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <time.h>

#include "tests/support/wire_pair.hpp"

namespace {

using namespace whimbrel;
using namespace whimbrel::test;

/// Of this thread's processor time: what else the machine does shall not count.
std::chrono::nanoseconds processor_time() {
  timespec at{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
  return std::chrono::seconds(at.tv_sec) + std::chrono::nanoseconds(at.tv_nsec);
}

struct cost {
  const char* what = "";
  std::chrono::nanoseconds total{0};
};

/// Adds the time from its making to its end.
class stopwatch {
 public:
  explicit stopwatch(cost& on) : on_(on), since_(processor_time()) {}
  ~stopwatch() { on_.total += processor_time() - since_; }

 private:
  cost& on_;
  std::chrono::nanoseconds since_;
};

struct run_costs {
  cost send{"transfer out"};
  cost receive{"transfer in"};
  cost settle{"disposition out"};
  cost outcome{"disposition in"};
  cost credit{"flow, both ways"};
};

/// Events of one kind that `to` tells after it was given what `from` had to write.
std::uint64_t hand_over(endpoint& from, endpoint& to, engine::clock::time_point now, cost& writing,
                        cost& reading, std::vector<std::uint32_t>* ids) {
  std::vector<std::byte> octets;
  {
    const stopwatch w(writing);
    const auto out = from.wire.poll_octets();
    octets.assign(out.begin(), out.end());
    from.wire.on_written(octets.size());
  }
  std::uint64_t events = 0;
  const stopwatch w(reading);
  to.wire.on_octets(octets, now);
  while (const engine::event* e = to.wire.poll_event()) {
    ++events;
    if (ids != nullptr && e->kind == engine::event_kind::transfer) ids->push_back(e->delivery_id);
  }
  return events;
}

run_costs run(std::size_t messages, std::size_t batch, std::size_t size, bool settled) {
  linked_pair p;
  for (endpoint* side : {&p.client, &p.server}) {
    side->keeps_record = false;
    side->on_event = {};
  }
  run_costs out;
  const std::vector<std::byte> body(size, std::byte{'x'});
  const std::vector<std::byte> head(8, std::byte{'h'});
  std::vector<std::uint32_t> ids;
  std::uint64_t seen = 0;
  std::uint64_t settled_count = 0;
  for (std::size_t sent = 0; sent < messages;) {
    {
      const stopwatch w(out.credit);
      p.in->grant(static_cast<std::uint32_t>(batch));
    }
    hand_over(p.server, p.client, p.now, out.credit, out.credit, nullptr);
    const std::size_t upto = std::min(messages, sent + batch);
    {
      const stopwatch w(out.send);
      for (; sent < upto && p.out->can_send(); ++sent) {
        std::array<std::byte, 8> tag{};
        std::memcpy(tag.data(), &sent, sizeof sent);
        const engine::outgoing what{.tag = tag, .settled = settled, .token = sent};
        engine::progress progress = p.out->send(what, head, body);
        if (!progress.complete) std::abort();
      }
    }
    ids.clear();
    hand_over(p.client, p.server, p.now, out.send, out.receive, &ids);
    seen += ids.size();
    if (settled) continue;
    {
      const stopwatch w(out.settle);
      for (const std::uint32_t id : ids) p.in->settle(id, spec::fast::accepted_octets);
    }
    settled_count += hand_over(p.server, p.client, p.now, out.settle, out.outcome, nullptr);
  }
  if (seen != messages || (!settled && settled_count < messages)) std::abort();
  return out;
}

void print(const char* name, std::size_t messages, const run_costs& costs) {
  std::printf("%-34s", name);
  for (const cost* c : {&costs.send, &costs.receive, &costs.settle, &costs.outcome, &costs.credit})
    std::printf(" %10.1f", static_cast<double>(c->total.count()) / static_cast<double>(messages));
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t messages = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
  run(messages / 10 + 1, 500, 100, false);  // warms up
  std::printf("ns a message; %zu messages\n%-34s %10s %10s %10s %10s %10s\n", messages, "", "out",
              "in", "settle", "outcome", "flow");
  print("100 octets, unsettled, batch 500", messages, run(messages, 500, 100, false));
  print("100 octets, unsettled, batch 10", messages, run(messages, 10, 100, false));
  print("100 octets, settled, batch 500", messages, run(messages, 500, 100, true));
  print("1024 octets, unsettled, batch 500", messages, run(messages, 500, 1024, false));
  return 0;
}
