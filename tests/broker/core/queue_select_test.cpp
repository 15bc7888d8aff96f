// SPDX-License-Identifier: Apache-2.0
// Consumers with filters: who gets what, in which order, and how often messages are compared.
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/broker/core/world.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
namespace flag = core::letter_flag;

namespace {

constexpr message_shape transient{.durable = false};

/// Messages read `key:rest`. Wants one key, and of those the ones whose rest ends on `ending`.
class key_filter : public core::predicate {
 public:
  key_filter(std::string wanted, std::string ending, bool has_equality)
      : key_(std::move(wanted)), ending_(std::move(ending)), has_equality_(has_equality) {}

  static std::string key_in(const core::message& m) {
    const std::string text = text_of(m);
    return text.substr(0, text.find(':'));
  }
  [[nodiscard]] bool matches(const core::message& m) const override {
    return key_in(m) == key_ && text_of(m).ends_with(ending_);
  }
  [[nodiscard]] std::optional<equality> find_equality() const override {
    if (!has_equality_) return std::nullopt;
    return equality{"key", std::hash<std::string>{}(key_)};
  }
  [[nodiscard]] key key_of(const core::message& m) const override {
    const std::string found = key_in(m);
    if (found.empty()) return {key::state::nothing, 0};
    return {key::state::only, std::hash<std::string>{}(found)};
  }

 private:
  std::string key_;
  std::string ending_;
  bool has_equality_;
};

class selective_consumer : public test_link {
 public:
  struct shape {
    std::string key = {};
    std::string ending = {};
    bool indexed = true;
    bool browse = false;
  };
  selective_consumer(world& w, core::queue_ref queue, const shape& s)
      : test_link(w.consumers(), queue), wants(s) {
    letter l;
    l.kind = letter_kind::subscribe;
    l.flags = s.browse ? flag::copy : std::uint8_t{0};
    l.detail = std::make_unique<core::letter_detail>();
    l.detail->wants = std::make_unique<key_filter>(s.key, s.ending, s.indexed);
    post(std::move(l));
  }
  void grant(std::uint32_t limit, bool drain = false) {
    send(letter_kind::grant, drain ? flag::drain : std::uint8_t{0}, limit);
  }
  void settle(std::string_view text, outcome what, std::uint8_t flags = 0) {
    letter l;
    l.kind = letter_kind::settle;
    l.outcome = what;
    l.flags = flags;
    l.first = l.last = find(text).at;
    post(std::move(l));
  }
  /// Gives back what it holds; how many those were.
  int release_all() {
    int count = 0;
    for (std::size_t i = looked_at_; i < deliveries.size(); ++i, ++count) {
      settle_at(deliveries[i].at, outcome::released);
    }
    looked_at_ = deliveries.size();
    return count;
  }
  /// Accepts or gives back some of what it holds, in order.
  int settle_some(std::mt19937_64& random, std::map<std::string, int>& accepted) {
    int back = 0;
    while (looked_at_ < deliveries.size() && random() % 4 != 0) {
      const delivery& d = deliveries[looked_at_++];
      const bool keeps = random() % 3 != 0;
      if (keeps) ++accepted[d.text];
      else ++back;
      settle_at(d.at, keeps ? outcome::accepted : outcome::released);
    }
    return back;
  }
  void settle_at(sequence at, outcome what) {
    letter l;
    l.kind = letter_kind::settle;
    l.outcome = what;
    l.first = l.last = at;
    post(std::move(l));
  }

  shape wants;

 private:
  std::size_t looked_at_ = 0;  // deliveries before this are settled
};

void put_all(test_producer& p, const std::vector<std::string>& texts,
             const message_shape& shape = transient) {
  for (const std::string& t : texts) p.put(t, shape);
}

/// How many were left, when every message has been accepted once.
std::size_t take_rest(world& w, core::queue_ref q, int sent,
                      std::map<std::string, int>& accepted) {
  test_consumer last(w, q);
  last.grant(static_cast<std::uint32_t>(sent));
  w.settle_down();
  for (const auto& d : last.deliveries) ++accepted[d.text];
  CHECK(accepted.size() == static_cast<std::size_t>(sent));
  for (const auto& [text, times] : accepted) {
    CAPTURE(text);
    CHECK(times == 1);
  }
  return last.deliveries.size();
}

}  // namespace

TEST_CASE("queue: a filter gets its messages in order, and leaves the others") {
  for (const bool indexed : {true, false}) {
    CAPTURE(indexed);
    on_each_shape([&](world& w) {
      const auto q = w.make_queue();
      test_producer p(w, q);
      put_all(p, {"a:1", "b:1", "a:2"});
      selective_consumer a(w, q, {.key = "a", .indexed = indexed});
      a.grant(10);
      w.settle_down();
      CHECK(a.texts() == "a:1 a:2");
      put_all(p, {"b:2", "a:3"});
      w.settle_down();
      CHECK(a.texts() == "a:1 a:2 a:3");
      CHECK(w.at(q).depth() == 5);
      w.at(q).check_invariants();
      test_consumer rest(w, q);
      rest.grant(10);
      w.settle_down();
      CHECK(rest.texts() == "b:1 b:2");
      w.at(q).check_invariants();
    });
  }
}

TEST_CASE("queue: credit that comes late finds what waited") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    selective_consumer a(w, q, {.key = "a"});
    selective_consumer b(w, q, {.key = "b", .indexed = false});
    put_all(p, {"a:1", "b:1", "a:2", "b:2", "a:3"});
    w.settle_down();
    CHECK(a.deliveries.empty());
    a.grant(2);
    b.grant(1);
    w.settle_down();
    CHECK(a.texts() == "a:1 a:2");
    CHECK(b.texts() == "b:1");
    a.grant(3);
    b.grant(2);
    w.settle_down();
    CHECK(a.texts() == "a:1 a:2 a:3");
    CHECK(b.texts() == "b:1 b:2");
    CHECK(w.at(q).counters().evaluated == 5);  // b: not what a holds
    w.at(q).check_invariants();
  });
}

TEST_CASE("queue: what a selective consumer releases goes back to its place for all") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    selective_consumer a(w, q, {.key = "a"});
    a.grant(3);
    put_all(p, {"a:1", "a:2", "a:3", "a:4"});
    w.settle_down();
    CHECK(a.texts() == "a:1 a:2 a:3");
    a.settle("a:2", outcome::released);
    a.settle("a:1", outcome::released);
    w.settle_down();
    a.grant(6);
    w.settle_down();
    CHECK(a.texts() == "a:1 a:2 a:3 a:1 a:2 a:4");
    w.at(q).check_invariants();
    selective_consumer late(w, q, {.key = "a", .indexed = false});
    test_consumer plain(w, q);
    late.grant(1);
    w.settle_down();
    CHECK(late.texts().empty());
    a.settle("a:1", outcome::modified, flag::undeliverable);
    w.settle_down();
    CHECK(late.texts() == "a:1");
    late.settle("a:1", outcome::released);
    late.send(letter_kind::unsubscribe);
    w.settle_down();
    plain.grant(5);
    w.settle_down();
    CHECK(plain.texts() == "a:1");
    w.at(q).check_invariants();
  });
}

TEST_CASE("queue: consumers with the same filter take turns, and with those without") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    selective_consumer one(w, q, {.key = "a"});
    selective_consumer two(w, q, {.key = "a"});
    test_consumer plain(w, q);
    one.grant(100);
    two.grant(100);
    plain.grant(100);
    w.settle_down();
    for (int i = 0; i < 40; ++i) {
      p.put("a:" + std::to_string(i), transient);
      w.settle_down();
    }
    CHECK(plain.deliveries.size() == 20);
    CHECK(one.deliveries.size() == 10);
    CHECK(two.deliveries.size() == 10);
  });
}

TEST_CASE("queue: a selective consumer is drained when nothing more matches") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    put_all(p, {"a:1", "b:1"});
    selective_consumer a(w, q, {.key = "a"});
    a.grant(10, true);
    w.settle_down();
    CHECK(a.texts() == "a:1");
    CHECK(a.drained_after == std::vector<std::size_t>{1});
    put_all(p, {"a:2"});
    w.settle_down();
    CHECK(a.texts() == "a:1");
    a.grant(11);
    w.settle_down();
    CHECK(a.texts() == "a:1 a:2");
    w.at(q).check_invariants();
  });
}

TEST_CASE("queue: a browser with a filter sees what matches and holds nothing") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    put_all(p, {"a:1", "b:1", "a:2"});
    selective_consumer a(w, q, {.key = "a", .browse = true});
    a.grant(10, true);
    w.settle_down();
    CHECK(a.texts() == "a:1 a:2");
    CHECK(a.drained_after == std::vector<std::size_t>{2});
    CHECK(w.at(q).depth() == 3);
    CHECK(w.at(q).counters().evaluated == 3);
    test_consumer all(w, q);
    all.grant(10);
    w.settle_down();
    CHECK(all.texts() == "a:1 b:1 a:2");
  });
}

TEST_CASE("queue: bodies that left memory are read to be compared") {
  on_each_shape([](world& w) {
    const auto q = w.make_queue();
    test_producer p(w, q);
    put_all(p, {"a:1", "b:1", "a:2"}, {});
    w.settle_down();
    w.at(q).leave_memory();
    selective_consumer a(w, q, {.key = "a"});
    selective_consumer b(w, q, {.key = "b", .indexed = false});
    a.grant(10);
    b.grant(10, true);
    w.settle_down();
    CHECK(a.texts() == "a:1 a:2");
    CHECK(b.texts() == "b:1");
    CHECK(b.drained_after == std::vector<std::size_t>{1});
    w.at(q).check_invariants();
  });
}

TEST_CASE("queue: a thousand disjoint filters cost one comparison a message") {
  world w({});
  w.start();
  const auto q = w.make_queue();
  test_producer p(w, q);
  constexpr int consumers = 1000;
  constexpr int rounds = 5;
  const auto put_round = [&](int round) {
    for (int i = 0; i < consumers; ++i) {
      p.put(std::to_string(i) + ":" + std::to_string(round), transient);
    }
  };
  put_round(0);  // before anybody is there
  w.settle_down();
  std::vector<std::unique_ptr<selective_consumer>> all;
  for (int i = 0; i < consumers; ++i) {
    all.push_back(std::make_unique<selective_consumer>(
        w, q, selective_consumer::shape{.key = std::to_string(i)}));
    all.back()->grant(3);
  }
  for (int round = 1; round < rounds; ++round) put_round(round);
  w.settle_down();
  for (auto& c : all) c->grant(rounds);
  w.settle_down();
  for (int i = 0; i < consumers; ++i) {
    REQUIRE(all[static_cast<std::size_t>(i)]->deliveries.size() == rounds);
  }
  CHECK(w.at(q).counters().evaluated == consumers * rounds);
  // What comes back is compared once more, by nobody else than before.
  for (auto& c : all) c->settle(c->wants.key + ":0", outcome::released);
  for (auto& c : all) c->grant(rounds + 1);
  w.settle_down();
  CHECK(w.at(q).counters().evaluated == consumers * (rounds + 1));
  w.at(q).check_invariants();
}

TEST_CASE("queue: filters without an index compare each message once for each consumer") {
  world w({});
  w.start();
  const auto q = w.make_queue();
  test_producer p(w, q);
  std::vector<std::unique_ptr<selective_consumer>> all;
  for (int i = 0; i < 20; ++i) {
    all.push_back(std::make_unique<selective_consumer>(
        w, q, selective_consumer::shape{.key = "none", .indexed = false}));
    all.back()->grant(10);
  }
  for (int i = 0; i < 50; ++i) {
    p.put("x:" + std::to_string(i), transient);
    w.settle_down();
    for (auto& c : all) c->grant(10 + static_cast<std::uint32_t>(i % 3));
  }
  w.settle_down();
  CHECK(w.at(q).counters().evaluated == 20 * 50);
}

TEST_CASE("queue: whatever filters come and go, every message ends with one that wanted it") {
  const std::uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  world w({.workers = 3, .seed = seed});
  w.start();
  const auto q = w.make_queue();
  test_producer p(w, q);
  const std::string keys[] = {"a", "b", "c", "d"};
  std::vector<std::unique_ptr<selective_consumer>> gone;
  std::vector<std::unique_ptr<selective_consumer>> here;
  std::map<std::string, int> accepted;
  int sent = 0;
  int given_back = 0;
  for (int step = 0; step < 1500; ++step) {
    switch (random() % 6) {
      case 0:
      case 1:
        p.put(keys[random() % 4] + ":" + std::to_string(sent++),
              random() % 2 == 0 ? transient : message_shape{});
        break;
      case 2:
        if (here.size() > 12) break;
        here.push_back(std::make_unique<selective_consumer>(
            w, q,
            selective_consumer::shape{.key = keys[random() % 4],
                                      .ending = random() % 3 == 0 ? "1" : "",
                                      .indexed = random() % 2 == 0}));
        break;
      case 3:
        for (auto& c : here) {
          if (random() % 2 == 0) {
            c->grant(static_cast<std::uint32_t>(c->deliveries.size() + random() % 4));
          }
        }
        break;
      case 4:
        for (auto& c : here) {
          for (const auto& d : c->deliveries) {
            REQUIRE(d.text.starts_with(c->wants.key + ":"));
            REQUIRE(d.text.ends_with(c->wants.ending));
          }
          given_back += c->settle_some(random, accepted);
        }
        break;
      default:
        if (here.empty() || random() % 4 != 0) break;
        given_back += here.front()->release_all();
        here.front()->send(letter_kind::unsubscribe);
        gone.push_back(std::move(here.front()));
        here.erase(here.begin());
    }
    if (random() % 3 == 0) w.talk();
    if (random() % 20 == 0) w.settle_down();
  }
  w.settle_down();
  for (auto& c : here) {
    c->release_all();
    c->send(letter_kind::unsubscribe);
  }
  w.settle_down();
  for (auto& c : here) c->release_all();  // what was under way when they left
  for (auto& c : gone) c->release_all();
  w.settle_down();
  w.at(q).check_invariants();
  const std::size_t left = take_rest(w, q, sent, accepted);
  CHECK(sent > 200);
  CHECK(given_back > 20);
  CHECK(left < static_cast<std::size_t>(sent));
}
