// SPDX-License-Identifier: Apache-2.0
// What filters cost: an evaluation by itself, and a queue whose consumers have disjoint selectors.
// Prints processor time and the number of comparisons; fails only when those are not linear.
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <time.h>

#include "amqp/base/assert.hpp"
#include "amqp/message/message.hpp"
#include "broker/protocol/filter/filter_set.hpp"
#include "storage/memory/memory_store.hpp"
#include "tests/broker/core/fakes.hpp"

namespace {

using namespace whimbrel;
using namespace whimbrel::test;
namespace filter = broker::protocol::filter;
using amqp::codec::value;

double processor_ns() {
  timespec at{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
  return static_cast<double>(at.tv_sec) * 1e9 + static_cast<double>(at.tv_nsec);
}

core::message_ptr make(int customer) {
  amqp::message::message m;
  m.props().to = "orders";
  m.props().subject = "new";
  m.application_properties =
      amqp::codec::map{{value("region"), value("north")},
                       {value("price"), value(19.5)},
                       {value("customer"), value(static_cast<std::int32_t>(customer))}};
  m.body = value(std::string(100, 'x'));
  amqp::octet_buffer octets;
  amqp::message::encode(octets, m);
  auto made = core::make_message(octets.octets());
  AMQP_ASSERT(made.has_value());
  return *made;
}

std::unique_ptr<const core::predicate> compile(const std::string& text) {
  auto made = filter::compile(text, filter::dialect::selector);
  AMQP_ASSERT(made.has_value());
  return *std::move(made);
}

void measure_evaluation() {
  constexpr int rounds = 200'000;
  const auto message = make(7);
  for (const char* text :
       {"TRUE", "customer = 7", "customer = 7 AND region = 'north'", "JMSType = 'new'",
        "region LIKE 'n%' OR price * 2 > 30", "missing IN ('a', 'b', 'c', 'd')"}) {
    const auto p = compile(text);
    int passed = 0;
    const double begin = processor_ns();
    for (int i = 0; i < rounds; ++i) passed += p->matches(*message) ? 1 : 0;
    const double each = (processor_ns() - begin) / rounds;
    std::printf("evaluate %7.1f ns  %s%s\n", each, text, passed > 0 ? "" : "  (no match)");
  }
}

/// Settles what it gets at once.
class taker final : public core::link_end {
 public:
  taker(core::shard& home, core::queue_ref queue, std::unique_ptr<const core::predicate> wants)
      : home_(home), self_(home.add_link(*this)), queue_(queue) {
    letter l;
    l.kind = letter_kind::subscribe;
    l.detail = std::make_unique<core::letter_detail>();
    l.detail->wants = std::move(wants);
    post(std::move(l));
  }
  ~taker() override { home_.remove_link(self_); }

  void grant(std::uint32_t limit) {
    letter l;
    l.kind = letter_kind::grant;
    l.count = limit;
    post(std::move(l));
  }
  void on_letter(letter&& l) override {
    if (l.kind != letter_kind::deliver) return;
    ++taken;
    letter answer;
    answer.kind = letter_kind::settle;
    answer.outcome = outcome::accepted;
    answer.first = answer.last = l.first;
    post(std::move(answer));
  }

  std::uint32_t taken = 0;

 private:
  void post(letter&& l) {
    l.link = self_;
    l.queue = queue_;
    home_.send(std::move(l));
  }

  core::shard& home_;
  core::link_ref self_;
  core::queue_ref queue_;
};

bool measure_queue(int consumers, int messages, bool indexed) {
  test_clock time;
  test_mail mail(1);
  test_inbox inbox(1);
  test_owner owner;
  storage::memory_disk disk;
  storage::memory_store store(disk, inbox, {.manual = true});
  test_executor executor(time);
  test_post post(mail, 0);
  core::shard home({}, executor, store, post, owner);
  const auto queue = home.create_queue({"q", storage::queue_id{1}, true, false});
  std::vector<std::unique_ptr<taker>> all;
  for (int i = 0; i < consumers; ++i) {
    const std::string equality = "customer = " + std::to_string(i);
    all.push_back(std::make_unique<taker>(
        home, queue, compile(indexed ? equality : "0 + " + equality)));
    all.back()->grant(1'000'000);
  }
  std::vector<core::message_ptr> pool;
  for (int i = 0; i < consumers; ++i) pool.push_back(make(i));
  const double begin = processor_ns();
  for (int i = 0; i < messages; ++i) {
    letter l;
    l.kind = letter_kind::put;
    l.flags = core::letter_flag::presettled;
    l.queue = queue;
    l.message = pool[static_cast<std::size_t>(i % consumers)];
    home.send(std::move(l));
  }
  const double each = (processor_ns() - begin) / messages;
  const std::uint64_t compared = home.find(queue)->counters().evaluated;
  std::uint64_t taken = 0;
  for (const auto& t : all) taken += t->taken;
  std::printf("queue    %7.1f ns a message  %5d consumers, %d messages, %llu taken, "
              "%llu comparisons%s\n",
              each, consumers, messages, static_cast<unsigned long long>(taken),
              static_cast<unsigned long long>(compared), indexed ? "" : " (no index)");
  return !indexed || compared == static_cast<std::uint64_t>(messages);
}

}  // namespace

int main() {
  measure_evaluation();
  bool linear = true;
  for (const int consumers : {1, 10, 100, 1000}) {
    linear = measure_queue(consumers, 100'000, true) && linear;
  }
  for (const int consumers : {1, 10, 100}) {
    linear = measure_queue(consumers, 10'000, false) && linear;
  }
  return linear ? 0 : 1;
}
