// SPDX-License-Identifier: Apache-2.0
// Message groups: one consumer a group, in order, until it leaves or the group is closed.
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/broker/core/grouped.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
namespace flag = core::letter_flag;

namespace {

/// Wants messages whose text ends on this.
class ending_filter : public core::predicate {
 public:
  explicit ending_filter(char wanted) : wanted_(wanted) {}
  [[nodiscard]] bool matches(const core::message& m) const override {
    return text_of(m).back() == wanted_;
  }

 private:
  char wanted_;
};

class choosy_consumer : public test_link {
 public:
  choosy_consumer(world& w, core::queue_ref q, char wanted) : test_link(w.consumers(), q) {
    letter l;
    l.kind = letter_kind::subscribe;
    l.detail = std::make_unique<core::letter_detail>();
    l.detail->wants = std::make_unique<ending_filter>(wanted);
    post(std::move(l));
  }
  void grant(std::uint32_t limit) { send(letter_kind::grant, 0, limit); }
  void settle(std::string_view text, outcome what) {
    letter l;
    l.kind = letter_kind::settle;
    l.outcome = what;
    l.first = l.last = find(text).at;
    post(std::move(l));
  }
};

void settle_each(world& w, test_consumer& c, std::string_view texts, outcome what,
                 std::uint8_t flags = 0) {
  for (std::size_t i = 0; i < texts.size(); i += 3) c.settle(texts.substr(i, 2), what, flags);
  w.settle_down();
}

void grant(world& w, test_consumer& c, std::uint32_t limit) {
  c.grant(limit);
  w.settle_down();
}

std::string firsts(const test_consumer& c) {
  std::string out;
  for (const auto& d : c.deliveries) {
    if (is_marked_first(*d.message)) out += (out.empty() ? "" : " ") + d.text;
  }
  return out;
}

struct scene {
  explicit scene(world& in, const core::queue_policy& p = by_group())
      : w(in), q(w.make_queue(p)), from(w, q) {}
  void put(std::string_view texts, const message_shape& shape = {}) {
    put_groups(w, from, texts, shape);
  }
  void check() { w.at(q).check_invariants(); }

  world& w;
  core::queue_ref q;
  test_producer from;
};

}  // namespace

TEST_CASE("groups: one consumer has a group, in order, and others have the rest") {
  on_each_shape([](world& w) {
    scene s(w);
    test_consumer one(w, s.q);
    test_consumer two(w, s.q);
    grant(w, one, 100);
    grant(w, two, 100);
    s.put("A1 B1 A2 B2 A3 a1 a2 B3 A4");
    CHECK(one.texts() == "A1 A2 A3 a2 A4");
    CHECK(two.texts() == "B1 B2 a1 B3");
    s.check();
  });
}

TEST_CASE("groups: a message without a group-id, or with an empty one, has none") {
  CHECK(core::message_groups::key_of(*grouped("A1")).has_value());
  CHECK(core::message_groups::key_of(*grouped("A1")) ==
        core::message_groups::key_of(*grouped("A2")));
  CHECK(core::message_groups::key_of(*grouped("A1")) !=
        core::message_groups::key_of(*grouped("B1")));
  CHECK_FALSE(core::message_groups::key_of(*grouped("a1")).has_value());
  amqp::message::message empty;
  empty.props().group_id = "";
  amqp::octet_buffer out;
  amqp::message::encode(out, empty);
  const auto made = core::make_message(out.octets());
  REQUIRE(made.has_value());
  CHECK_FALSE(core::message_groups::key_of(**made).has_value());
}

TEST_CASE("groups: what belongs to a consumer without credit waits for it, and others go on") {
  on_each_shape([](world& w) {
    scene s(w);
    test_consumer one(w, s.q);
    test_consumer two(w, s.q);
    grant(w, one, 1);
    s.put("A1");
    grant(w, two, 100);
    s.put("A2 A3 B1 a1");
    CHECK(one.texts() == "A1");
    CHECK(two.texts() == "B1 a1");
    settle_each(w, one, "A1", outcome::accepted);  // it holds none, and keeps the group
    s.put("A4");
    grant(w, one, 100);
    CHECK(one.texts() == "A1 A2 A3 A4");
    CHECK(two.texts() == "B1 a1");
    s.check();
  });
}

TEST_CASE("groups: when the consumer goes, what it held comes first for the next one") {
  on_each_shape([](world& w) {
    scene s(w);
    auto one = std::make_unique<test_consumer>(w, s.q);
    test_consumer two(w, s.q);
    grant(w, *one, 2);
    s.put("A1 A2 A3 A4");
    grant(w, two, 100);
    CHECK(two.texts().empty());
    one->unsubscribe();
    w.settle_down();
    s.check();
    CHECK(two.texts().empty());  // as long as the first one may still say something of what it has
    settle_each(w, *one, "A2 A1", outcome::released);
    CHECK(two.texts() == "A1 A2 A3 A4");
    s.check();
  });
}

TEST_CASE("groups: a released message is delivered again before later ones") {
  on_each_shape([](world& w) {
    scene s(w);
    test_consumer one(w, s.q);
    grant(w, one, 2);
    s.put("A1 A2 A3");
    settle_each(w, one, "A2 A1", outcome::released);
    grant(w, one, 100);
    CHECK(one.texts() == "A1 A2 A1 A2 A3");
    s.check();
  });
}

TEST_CASE("groups: the last of a group sets it free once all of it is settled") {
  on_each_shape([](world& w) {
    scene s(w);
    test_consumer one(w, s.q);
    test_consumer two(w, s.q);
    grant(w, one, 100);
    s.put("A1 A2! A3");
    grant(w, two, 100);
    CHECK(one.texts() == "A1 A2!");
    CHECK(two.texts().empty());
    one.settle("A2!", outcome::accepted);
    w.settle_down();
    CHECK(two.texts().empty());
    one.grant(2);  // no more for this one
    settle_each(w, one, "A1", outcome::accepted);
    CHECK(two.texts() == "A3");
    s.put("A4");
    CHECK(two.texts() == "A3 A4");
    s.check();
  });
}

TEST_CASE("groups: a consumer that comes sets groups free, if asked to, but none that is held") {
  for (const bool rebalances : {true, false}) {
    CAPTURE(rebalances);
    on_each_shape([&](world& w) {
      core::queue_policy p = by_group();
      p.group_rebalance = rebalances;
      scene s(w, p);
      test_consumer one(w, s.q);
      grant(w, one, 2);
      s.put("A1 B1");
      settle_each(w, one, "A1", outcome::accepted);
      test_consumer two(w, s.q);
      grant(w, two, 100);
      s.put("A2 B2");
      CHECK(two.texts() == (rebalances ? "A2" : ""));
      settle_each(w, one, "B1", outcome::accepted);
      CHECK(two.texts() == (rebalances ? "A2 B2" : ""));
      grant(w, one, 100);
      CHECK(one.texts() == (rebalances ? "A1 B1" : "A1 B1 A2 B2"));
      s.check();
    });
  }
}

TEST_CASE("groups: the first of a group for a consumer says so, and only to the consumer") {
  on_each_shape([](world& w) {
    core::queue_policy p = by_group();
    p.group_first = true;
    scene s(w, p);
    auto one = std::make_unique<test_consumer>(w, s.q);
    grant(w, *one, 100);
    s.put("A1 A2 B1 a1 A3");
    CHECK(firsts(*one) == "A1 B1");
    const auto& sent = *one->find("A1").message;
    CHECK(sent.octets().size() > grouped("A1")->octets().size());
    CHECK(text_of(sent) == "A1");
    one->unsubscribe();
    settle_each(w, *one, "A1 A2 B1 a1 A3", outcome::released);
    test_consumer two(w, s.q);
    grant(w, two, 100);
    CHECK(two.texts() == "A1 A2 B1 a1 A3");
    CHECK(firsts(two) == "A1 B1");
    two.settle("A2", outcome::released);
    w.settle_down();
    CHECK_FALSE(is_marked_first(*two.deliveries.back().message));
    s.check();
  });
}

TEST_CASE("groups: a failed message that rests holds up its group, and no other") {
  on_each_shape([](world& w) {
    core::queue_policy p = by_group();
    p.retry_delay = 1000;
    scene s(w, p);
    test_consumer one(w, s.q);
    test_consumer two(w, s.q);
    grant(w, one, 1);
    s.put("A1 A2 B1");
    settle_each(w, one, "A1", outcome::modified, flag::failed);
    grant(w, one, 2);
    CHECK(one.texts() == "A1 B1");
    grant(w, one, 100);
    grant(w, two, 100);
    CHECK(one.texts() == "A1 B1");
    w.pass(1000);
    w.settle_down();
    CHECK(one.texts() == "A1 B1 A1 A2");
    CHECK(two.texts().empty());
    s.check();
  });
}

TEST_CASE("groups: a message that its sender wants later holds up nothing") {
  on_each_shape([](world& w) {
    using amqp::codec::value;
    scene s(w);
    test_consumer one(w, s.q);
    grant(w, one, 100);
    s.from.put(core::annotate(*grouped("A1"), {{value(amqp::symbol("x-opt-delivery-time")),
                                                value(amqp::timestamp{w.time.ms + 500})}}));
    s.put("A2");
    CHECK(one.texts() == "A2");
    w.pass(500);
    w.settle_down();
    CHECK(one.texts() == "A2 A1");
    s.check();
  });
}

TEST_CASE("groups: a consumer that cannot have a message loses the group") {
  on_each_shape([](world& w) {
    scene s(w);
    test_consumer one(w, s.q);
    grant(w, one, 2);
    s.put("A1 A2 A3");
    settle_each(w, one, "A1", outcome::modified, flag::undeliverable);
    grant(w, one, 100);
    CHECK(one.texts() == "A1 A2");
    settle_each(w, one, "A2", outcome::released);
    CHECK(one.texts() == "A1 A2");  // nothing overtakes the first
    test_consumer two(w, s.q);
    grant(w, two, 100);
    CHECK(two.texts() == "A1 A2 A3");
    s.check();
  });
}

TEST_CASE("groups: a rejected message, one that is too old and a purge leave the rest in order") {
  on_each_shape([](world& w) {
    scene s(w);
    test_consumer one(w, s.q);
    grant(w, one, 1);
    s.put("A1 A2");
    s.put("A3", {.ttl = 10});
    s.put("A4 A5");
    test_consumer two(w, s.q);
    grant(w, two, 100);  // all of the group has been filed now
    settle_each(w, one, "A1", outcome::rejected);
    w.pass(10);
    w.tick();
    grant(w, one, 3);
    CHECK(one.texts() == "A1 A2 A4");
    storage::sequence begin = w.at(s.q).begin();
    CHECK(w.at(s.q).purge(begin, w.at(s.q).end(), 100) == 1);
    s.check();
    s.put("A6");
    settle_each(w, one, "A2 A4", outcome::accepted);
    grant(w, one, 100);
    CHECK(one.texts() == "A1 A2 A4 A6");
    CHECK(two.texts().empty());
    s.check();
  });
}

TEST_CASE("groups: a full queue drops the oldest that waits, in line or with its group") {
  on_each_shape([](world& w) {
    core::queue_policy p = by_group();
    p.max_length = 3;
    scene s(w, p);
    test_consumer one(w, s.q);
    test_consumer two(w, s.q);
    grant(w, one, 1);
    grant(w, two, 1);
    s.put("A1 B1 A2 A3");
    grant(w, two, 2);  // looks at what waits for the other
    s.put("B2 A4 B3 A5 A6");
    CHECK(w.at(s.q).counters().dropped == 3);
    grant(w, one, 100);
    CHECK(one.texts() == "A1 A5 A6");
    CHECK(two.texts() == "B1 B2");
    s.check();
  });
}

TEST_CASE("groups: consumers with filters have groups as others have") {
  on_each_shape([](world& w) {
    scene s(w);
    auto one = std::make_unique<choosy_consumer>(w, s.q, '1');
    choosy_consumer two(w, s.q, '1');
    test_consumer rest(w, s.q);
    one->grant(1);
    w.settle_down();
    s.put("A1 A2 A11 B1 B2 C2");
    CHECK(one->texts() == "A1");
    two.grant(100);
    grant(w, rest, 100);
    CHECK(two.texts() == "B1");  // A11 is for the owner of A
    CHECK(rest.texts() == "C2");  // A2 and B2 wait until their groups are free
    one->send(letter_kind::unsubscribe);
    one->settle("A1", outcome::released);
    w.settle_down();
    const std::string both = two.texts() + ", " + rest.texts();
    CHECK((both == "B1 A1 A11, C2" || both == "B1, C2 A1 A2 A11"));
    s.check();
  });
}

TEST_CASE("groups: among consumers with filters alone nobody misses what another gave back") {
  on_each_shape([](world& w) {
    scene s(w);
    auto one = std::make_unique<choosy_consumer>(w, s.q, '1');
    choosy_consumer two(w, s.q, '1');
    one->grant(1);
    w.settle_down();
    two.grant(100);
    w.settle_down();
    s.put("A1 A11 A21");
    CHECK(one->texts() == "A1");
    CHECK(two.texts().empty());
    one->send(letter_kind::unsubscribe);
    one->settle("A1", outcome::accepted);
    w.settle_down();
    CHECK(two.texts() == "A11 A21");
    s.check();
  });
}

TEST_CASE("groups: a consumer with a filter gets the rest of a group whose first it refused") {
  on_each_shape([](world& w) {
    for (const char* before : {"", "x2"}) {  // whose turn is first changes with what was given out
      CAPTURE(before);
      scene s(w);
      choosy_consumer one(w, s.q, '1');
      one.grant(100);
      w.settle_down();
      s.put("A1 A11");
      CHECK(one.texts() == "A1 A11");
      test_consumer other(w, s.q);
      grant(w, other, 100);
      if (*before != '\0') s.put(before);
      letter l;
      l.kind = letter_kind::settle;
      l.outcome = outcome::modified;
      l.flags = flag::undeliverable;
      l.first = l.last = one.find("A1").at;
      one.post(std::move(l));
      w.settle_down();
      s.put("A21");
      one.settle("A11", outcome::accepted);
      w.settle_down();
      CHECK(one.texts() == "A1 A11");
      CHECK(other.texts().ends_with("A1 A21"));
      s.check();
    }
  });
}

TEST_CASE("groups: with priorities the higher ones of a group come first") {
  on_each_shape([](world& w) {
    core::queue_policy p = by_group();
    p.priorities = true;
    scene s(w, p);
    test_consumer one(w, s.q);
    test_consumer two(w, s.q);
    grant(w, one, 1);
    s.put("A1");
    grant(w, two, 100);
    s.put("A2 A3");
    s.put("A4", {.priority = 9});
    s.put("A5", {.priority = 1});
    settle_each(w, one, "A1", outcome::released);
    grant(w, one, 100);
    CHECK(one.texts() == "A1 A4 A1 A2 A3 A5");
    CHECK(two.texts().empty());
    s.check();
  });
}

TEST_CASE("groups: a single active consumer has them all, and then the next one") {
  on_each_shape([](world& w) {
    core::queue_policy p = by_group();
    p.single_active_consumer = true;
    scene s(w, p);
    test_consumer one(w, s.q);
    test_consumer two(w, s.q);
    grant(w, two, 100);
    grant(w, one, 3);
    s.put("A1 B1 a1 A2");
    CHECK(one.texts() == "A1 B1 a1");
    one.unsubscribe();
    settle_each(w, one, "A1 B1 a1", outcome::released);
    CHECK(two.texts() == "A1 B1 a1 A2");
    s.check();
  });
}

TEST_CASE("groups: a dead letter leaves its group at once") {
  on_each_shape([](world& w) {
    core::queue_policy p = by_group();
    p.dead_letter_exchange = "nowhere";
    scene s(w, p);
    test_consumer one(w, s.q);
    test_consumer two(w, s.q);
    grant(w, one, 1);
    s.put("A1! A2");
    grant(w, two, 100);
    CHECK(two.texts().empty());
    one.settle("A1!", outcome::rejected);
    w.settle_down();
    CHECK(two.texts() == "A2");
    CHECK(w.at(s.q).counters().undeliverable == 1);
    s.check();
  });
}

TEST_CASE("groups: browsers see all of them, and drains end") {
  on_each_shape([](world& w) {
    scene s(w);
    test_consumer one(w, s.q);
    test_consumer two(w, s.q);
    grant(w, one, 1);
    s.put("A1 A2 B1 a1");
    two.grant(100, true);
    w.settle_down();
    CHECK(two.texts() == "B1 a1");
    CHECK(two.drained_after == std::vector<std::size_t>{2});
    test_consumer browser(w, s.q, true);
    grant(w, browser, 100);
    CHECK(browser.texts() == "A2");
    s.check();
  });
}

TEST_CASE("groups: the policy comes and goes while there are messages and consumers") {
  on_each_shape([](world& w) {
    scene s(w, {});
    test_consumer one(w, s.q);
    test_consumer two(w, s.q);
    grant(w, one, 1);
    grant(w, two, 1);
    s.put("A1 A2 A3 B1 A4");  // both hold one of A
    w.at(s.q).set_policy(by_group());
    s.check();
    grant(w, one, 100);
    CHECK(one.texts() == "A1 B1");
    settle_each(w, one, "A1", outcome::accepted);
    CHECK(one.texts() == "A1 B1");
    settle_each(w, two, "A2", outcome::accepted);
    CHECK(one.texts() == "A1 B1 A3 A4");
    s.put("B2");
    one.grant(5);
    w.settle_down();
    s.put("B3 A5");
    grant(w, two, 2);
    CHECK(two.texts() == "A2");
    w.at(s.q).set_policy({});
    w.settle_down();
    CHECK(two.texts() == "A2 B3");
    grant(w, two, 100);
    CHECK(two.texts() == "A2 B3 A5");
    s.check();
  });
}

TEST_CASE("groups: bodies that have left memory are read when their group's turn comes") {
  on_each_shape([](world& w) {
    scene s(w);
    test_consumer one(w, s.q);
    test_consumer two(w, s.q);
    grant(w, one, 1);
    s.put("A1 A2 B1 A3 B2");
    w.at(s.q).leave_memory();
    grant(w, two, 100);
    w.at(s.q).leave_memory();
    CHECK(two.texts() == "B1 B2");
    grant(w, one, 100);
    CHECK(one.texts() == "A1 A2 A3");
    s.check();
  });
}

TEST_CASE("groups: consumers of groups without messages are remembered, up to a limit") {
  core::message_groups groups(false);
  const std::size_t more = core::message_groups::idle_max + 10;
  for (std::size_t n = 1; n <= more; ++n) {
    groups.file(n, 4, n);
    CHECK_FALSE(groups.first()->owner == 7);
    CHECK(groups.take(n, 7));
    groups.remove(n);
  }
  CHECK(groups.size() == core::message_groups::idle_max);
  groups.check_invariants();
  groups.file(more + 1, 4, more);  // known
  CHECK_FALSE(groups.take(more + 1, 7));
  groups.file(more + 2, 4, 1);     // forgotten
  CHECK(groups.take(more + 2, 8));
  groups.remove(more + 1);
  groups.remove(more + 2);
  groups.leave(7);
  groups.leave(8);
  CHECK(groups.size() == 0);
  groups.check_invariants();
}

TEST_CASE("groups: what a group that nobody can have remembers does not grow with its messages") {
  core::message_groups groups(false);
  groups.file(1, 4, 7);
  for (core::sequence at = 2; at < 1'000; ++at) {
    groups.stall(1);
    groups.file(at, 4, 7);
  }
  CHECK(groups.stalled_count() == 1);
  groups.stall(1);
  groups.unstall();
  CHECK(groups.stalled_count() == 0);
  CHECK(groups.first()->at == 1);
  groups.check_invariants();
}
