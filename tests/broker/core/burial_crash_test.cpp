// SPDX-License-Identifier: Apache-2.0
// Dead letters and power cuts at any moment: what was accepted is in one queue, once; what a
// consumer was told is rejected for good never comes back to where it was.
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "broker/core/directory.hpp"
#include "tests/broker/core/world.hpp"

using namespace whimbrel;
using namespace whimbrel::test;

namespace {

core::directory_options settings() {
  core::directory_options o;
  o.rules.push_back({[](std::string_view) { return true; }, true, true});
  o.random_name = [] { return std::string("unused"); };
  o.glob = [](std::string_view pattern, std::string_view name) { return pattern == name; };
  core::named_policy p;
  p.name = "p";
  p.pattern = "work";
  p.what.dead_letter_exchange = "";
  p.what.dead_letter_routing_key = "dead";
  p.what.delivery_limit = 1;
  o.policies.push_back(p);
  return o;
}

/// What clients know, over all lives of the broker.
struct ledger {
  std::set<std::string> accepted = {};
  std::set<std::string> buried = {};  // told so
  std::size_t sent = 0;
};

/// The broker from one start to the next power cut.
struct life {
  life(std::uint16_t workers, std::uint64_t seed, storage::memory_disk& disk)
      : w({.workers = workers, .seed = seed}, disk), nodes(settings()), random(seed) {
    std::vector<core::shard*> all;
    for (auto& s : w.shards) all.push_back(s.get());
    nodes.set_shards(std::move(all));
    w.store.recover(nodes);
    nodes.finish_recovery();
    work = find("work");
    dead = find("dead");
  }
  core::queue_ref find(const std::string& name) {
    core::node_request r;
    r.address = name;
    r.may_use = r.may_configure = [](std::string_view) { return true; };
    std::optional<core::queue_ref> out;
    nodes.resolve(w.producers(), r, [&](const core::node_reply& reply) { out = reply.queue; });
    w.settle_down();
    REQUIRE(out);
    return *out;
  }
  [[nodiscard]] std::vector<std::string> all_in(core::queue_ref q) {
    test_consumer look(w, q, true);
    look.grant(10'000);
    w.settle_down();
    std::vector<std::string> out;
    for (const auto& d : look.deliveries) out.push_back(d.text);
    return out;
  }
  /// Random turns of workers and store, with clients at work, until the power goes.
  void run(ledger& book) {
    test_producer from(w, work);
    test_consumer to(w, work);
    to.grant(1000);
    std::vector<std::string> names;          // by delivery-id of the producer
    std::map<std::uint32_t, std::string> asked;  // rejections without an answer yet
    std::size_t seen = 0;
    for (std::size_t step = random() % 80; step > 0; --step) {
      if (random() % 3 == 0) {
        names.push_back("m" + std::to_string(book.sent++));
        from.put(names.back());
      }
      while (seen < to.deliveries.size() && random() % 2 == 0) {
        const auto& d = to.deliveries[seen];
        const auto id = static_cast<std::uint32_t>(seen++);
        const auto flags = static_cast<std::uint8_t>(core::letter_flag::answer |
                                                     core::letter_flag::failed);
        if (random() % 3 == 0) {
          to.settle(d.at, d.at, outcome::modified, flags, id + 10'000);
          continue;
        }
        asked[id] = d.text;
        to.settle(d.at, d.at, outcome::rejected, core::letter_flag::answer, id);
      }
      w.turn(random() % w.shards.size());
      if (random() % 3 == 0) w.store.pump();
    }
    for (const auto& v : from.verdicts) book.accepted.insert(names[v.id]);
    for (const auto& a : to.answers) {
      if (asked.contains(a.id)) book.buried.insert(asked[a.id]);
    }
    w.store.lose_power();
  }

  world w;
  core::directory nodes;
  std::mt19937_64 random;
  core::queue_ref work{};
  core::queue_ref dead{};
};

}  // namespace

TEST_CASE("dead letters: through any crash each accepted message is in one queue, once") {
  std::size_t buried = 0;
  std::size_t dead_untold = 0;  // moved, though the crash came before anybody was told
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    for (const std::uint16_t workers : {std::uint16_t{1}, std::uint16_t{3}}) {
      CAPTURE(seed);
      CAPTURE(workers);
      storage::memory_disk disk;
      ledger book;
      for (std::uint64_t n = 0; n < 4; ++n) {
        life l(workers, seed * 10 + n, disk);
        l.run(book);
      }
      life end(workers, seed, disk);
      std::map<std::string, int> found;
      for (const auto& text : end.all_in(end.work)) {
        ++found[text];
        CHECK_FALSE(book.buried.contains(text));
      }
      for (const auto& text : end.all_in(end.dead)) {
        ++found[text];
        dead_untold += book.buried.contains(text) ? 0 : 1;
      }
      for (const auto& text : book.accepted) {
        CAPTURE(text);
        CHECK(found[text] == 1);
      }
      for (const auto& [text, count] : found) CHECK(count == 1);
      end.w.at(end.work).check_invariants();
      end.w.at(end.dead).check_invariants();
      buried += book.buried.size();
    }
  }
  CHECK(buried > 100);
  CHECK(dead_untold > 10);
}
