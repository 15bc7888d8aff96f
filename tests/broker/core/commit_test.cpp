// SPDX-License-Identifier: Apache-2.0
// Batches and what they owe: nothing leaves early, nothing leaves twice.
#include "broker/core/commit.hpp"

#include <map>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "storage/memory/memory_store.hpp"
#include "tests/broker/core/fakes.hpp"

using namespace whimbrel;
using namespace whimbrel::test;

namespace {

constexpr core::queue_ref q{worker_id{0}, 3, 1};
constexpr core::link_ref producer{worker_id{0}, 8, 1};
constexpr core::link_ref other_producer{worker_id{0}, 9, 1};
constexpr core::link_ref consumer{worker_id{0}, 10, 1};
constexpr storage::queue_id id{42};

struct nobody final : storage::recovery_visitor {
  void on_record(storage::record_kind, std::string_view, std::span<const std::byte>) override {}
  void on_entries(std::span<const storage::recovered_entry> entries) override {
    for (const auto& e : entries) found[e.key.at] = e.delivery_count;
  }
  std::map<sequence, std::uint32_t> found = {};
};

/// A commit on a store in memory; writes down, as text, all that leaves it.
struct fixture {
  fixture() {
    nobody visitor;
    store.recover(visitor);
    commits.on_durable = [this](core::queue_ref, sequence last) {
      said.push_back("durable " + std::to_string(last));
    };
    commits.on_submitted = [this](core::queue_ref ref) {
      CHECK(ref == q);
      said.push_back("submitted");
    };
    commits.on_withdrawn = [this](core::queue_ref, sequence at, bool gone) {
      said.push_back((gone ? "gone " : "stays ") + std::to_string(at));
    };
  }

  std::uint32_t put(sequence at, core::link_ref from = producer) {
    return commits.put({.key = {id, at}, .body = make_text("x")}, q, from,
                       static_cast<std::uint32_t>(at));
  }
  void write_down(const letter& l) {
    const bool is_answer = l.kind == letter_kind::answer;
    const std::string range = std::to_string(l.id) + '-' + std::to_string(l.id + l.last);
    const char what = "arlm"[static_cast<int>(l.outcome)];
    const std::string to = l.link == other_producer ? "other " : "";
    said.push_back(to + (is_answer ? "answer " : "verdict ") + range + what);
  }
  /// What the store says is passed on; false once it says in doubt.
  bool pump() {
    store.pump();
    return take();
  }
  bool take() {
    bool fine = true;
    while (!inbox.of(0).empty()) {
      auto c = std::move(inbox.of(0).front());
      inbox.of(0).pop_front();
      if (auto* const d = std::get_if<storage::commit_done>(&c))
        fine = commits.on_commit(*d) && fine;
      if (auto* const d = std::get_if<storage::withdraw_done>(&c)) commits.on_withdraw(*d);
    }
    return fine;
  }
  std::vector<std::string> heard() { return std::exchange(said, {}); }
  std::map<sequence, std::uint32_t> on_disk() {
    store.lose_power();
    test_inbox deaf(1);
    storage::memory_store again(disk, deaf, {.manual = true});
    nobody visitor;
    again.recover(visitor);
    return visitor.found;
  }

  using words = std::vector<std::string>;
  std::vector<std::string> said;
  storage::memory_disk disk;
  test_inbox inbox{1};
  storage::memory_store store{disk, inbox, {.manual = true}};
  core::commit commits{worker_id{0}, store, [this](letter&& l) { write_down(l); }};
};

}  // namespace

TEST_CASE("commit: accepted leaves from the completion of its batch and from nowhere else") {
  fixture f;
  f.put(1);
  f.put(2);
  CHECK(f.heard().empty());
  f.commits.flush();
  CHECK(f.heard() == fixture::words{"submitted"});
  CHECK(f.pump());
  CHECK(f.heard() == fixture::words{"durable 2", "verdict 1-2a"});
}

TEST_CASE("commit: a producer that awaits nothing gets no verdict") {
  fixture f;
  f.put(1, {});
  f.put(2);
  f.commits.flush();
  f.pump();
  CHECK(f.heard() == fixture::words{"submitted", "durable 2", "verdict 2-2a"});
  CHECK(f.on_disk().size() == 2);
}

TEST_CASE("commit: verdicts of neighbours become one range, of different producers several") {
  fixture f;
  for (const sequence at : {1, 2}) f.put(at);
  f.put(3, other_producer);
  f.put(4);
  f.commits.flush();
  f.pump();
  CHECK(f.heard() == fixture::words{"submitted", "durable 4", "verdict 1-2a", "other verdict 3-3a",
                                    "verdict 4-4a"});
}

TEST_CASE("commit: at most one batch is in flight, and what comes meanwhile waits in the next") {
  fixture f;
  f.put(1);
  f.commits.flush();
  f.put(2);
  f.commits.flush();
  CHECK(f.commits.counters().batches == 1);
  f.pump();
  CHECK(f.heard() == fixture::words{"submitted", "durable 1", "verdict 1-1a"});
  f.commits.flush();
  f.pump();
  CHECK(f.heard() == fixture::words{"submitted", "durable 2", "verdict 2-2a"});
  CHECK(f.commits.is_idle());
}

TEST_CASE("commit: a put and its settlement vanish together, and accepted goes out at once") {
  fixture f;
  f.put(1);
  const auto position = f.put(2);
  f.put(3);
  f.commits.cancel(position);
  CHECK(f.heard() == fixture::words{"verdict 2-2a"});
  f.commits.flush();
  f.pump();
  CHECK(f.heard() == fixture::words{"submitted", "durable 3", "verdict 1-1a", "verdict 3-3a"});
  CHECK(f.commits.counters().cancelled == 1);
  CHECK(f.on_disk() == std::map<sequence, std::uint32_t>{{1, 0}, {3, 0}});
}

TEST_CASE("commit: a batch of which nothing is left is not submitted, and its positions are void") {
  fixture f;
  f.commits.cancel(f.put(1));
  f.heard();
  f.commits.flush();
  CHECK(f.heard() == fixture::words{"submitted"});
  CHECK(f.commits.counters().batches == 0);
  CHECK(f.put(2) == 0);
}

TEST_CASE("commit: positions stay good while the batch cannot be submitted yet") {
  fixture f;
  f.put(1);
  f.commits.flush();
  f.put(2);
  const auto position = f.put(3);
  f.commits.flush();  // one is in flight
  f.heard();
  f.commits.recount_in_batch(position, 5);
  f.commits.cancel(0);
  f.pump();
  f.commits.flush();
  f.pump();
  CHECK(f.on_disk() == std::map<sequence, std::uint32_t>{{1, 0}, {3, 5}});
}

TEST_CASE("commit: an answer waits for the batch that holds the removal") {
  fixture f;
  f.put(1);
  f.commits.flush();
  f.pump();
  f.heard();
  f.commits.settle(id, 1, 1);
  f.commits.answer(consumer, 70, 1, outcome::accepted);
  f.commits.answer(consumer, 71, 2, outcome::accepted);
  f.commits.answer(consumer, 73, 1, outcome::rejected);
  CHECK(f.heard().empty());
  f.commits.flush();
  CHECK(f.heard().empty());
  f.pump();
  CHECK(f.heard() == fixture::words{"answer 70-72a", "answer 73-73r"});
  CHECK(f.on_disk().empty());
}

TEST_CASE("commit: ranges of answers join across the wrap of delivery-ids") {
  fixture f;
  f.commits.answer(consumer, 0xffff'ffff, 1, outcome::accepted);
  f.commits.answer(consumer, 0, 1, outcome::accepted);
  f.commits.flush();
  f.pump();
  CHECK(f.said.size() == 1);
}

TEST_CASE("commit: a callback runs once, after the verdicts of its batch") {
  fixture f;
  f.put(1);
  f.commits.when_durable([&] { f.said.push_back("ran"); });
  f.commits.flush();
  f.pump();
  f.pump();
  CHECK(f.heard() == fixture::words{"submitted", "durable 1", "verdict 1-1a", "ran"});
}

TEST_CASE("commit: a count that changes later is a change of its own") {
  fixture f;
  f.put(1);
  f.put(2);
  f.commits.flush();
  f.commits.recount(id, 2, 3);
  f.commits.settle(id, 1, 1);
  f.pump();
  f.commits.flush();
  f.pump();
  CHECK(f.on_disk() == std::map<sequence, std::uint32_t>{{2, 3}});
}

TEST_CASE("commit: neighbouring settlements become one range, a gap makes two") {
  fixture f;
  for (const sequence at : {1, 2, 3, 4, 5}) f.put(at);
  f.commits.flush();
  f.pump();
  for (const sequence at : {1, 2, 4}) f.commits.settle(id, at, at);
  f.commits.flush();
  f.pump();
  CHECK(f.on_disk() == std::map<sequence, std::uint32_t>{{3, 0}, {5, 0}});
}

TEST_CASE("commit: nothing is answered for a batch in doubt or behind it") {
  for (const bool reached : {false, true}) {
    CAPTURE(reached);
    fixture f;
    f.put(1);
    f.commits.flush();
    const auto behind = f.put(2);
    f.commits.answer(consumer, 5, 1, outcome::accepted);
    f.heard();
    f.store.doubt(reached);
    CHECK_FALSE(f.pump());
    f.commits.cancel(behind);
    f.put(3);
    f.commits.withdraw([](auto&&...) { return true; });
    f.commits.flush();
    f.pump();
    CHECK(f.heard().empty());
    CHECK(f.on_disk().size() == (reached ? 1 : 0));
  }
}

TEST_CASE("commit: puts taken back while the store is stalled are rejected, the others stay") {
  fixture f;
  f.put(1);
  f.put(2);
  f.commits.flush();
  f.put(3);
  f.put(4);
  f.heard();
  f.store.stall(1);
  f.pump();
  f.commits.withdraw([](core::queue_ref, sequence at, auto&&...) { return at % 2 == 0; });
  CHECK(f.heard() == fixture::words{"gone 4", "verdict 4-4r"});
  f.pump();
  CHECK(f.heard() == fixture::words{"stays 1", "gone 2", "verdict 2-2r", "stays 1", "durable 2",
                                    "verdict 1-1a"});
  f.commits.flush();
  f.pump();
  CHECK(f.heard() == fixture::words{"submitted", "durable 3", "verdict 3-3a"});
  CHECK(f.on_disk() == std::map<sequence, std::uint32_t>{{1, 0}, {3, 0}});
}

TEST_CASE("commit: a put asked back too late is told to stay") {
  fixture f;
  f.put(1);
  f.commits.flush();
  f.store.pump();  // its completion is under way when the question is put
  f.heard();
  f.commits.withdraw([](auto&&...) { return true; });
  f.store.pump();
  f.take();
  CHECK(f.heard() == fixture::words{"stays 1", "durable 1", "verdict 1-1a"});
}

TEST_CASE("commit: the test switch answers before the commit") {
  fixture f;
  f.commits.accept_before_commit = true;
  f.put(1);
  CHECK(f.heard() == fixture::words{"verdict 1-1a"});
}
