// SPDX-License-Identifier: Apache-2.0
// Message groups against an obvious model: all messages in order, walked from the start each time.
#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/broker/core/grouped.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
namespace flag = core::letter_flag;

namespace {

class group_consumer;

struct model_message {
  char group = 0;  // 0: none
  bool is_last = false;
  const group_consumer* holder = nullptr;
  std::uint32_t failed = 0;
  std::int64_t expires_ms = 0;
  std::int64_t rests_until = 0;
  std::set<const group_consumer*> excluded = {};
};

struct model_group {
  const group_consumer* owner = nullptr;
  bool ending = false;
};

using rank = std::pair<int, int>;  // the highest level first; then as they came

struct group_model {
  std::map<rank, model_message> messages = {};
  std::map<char, model_group> groups = {};
  const test_clock* time = nullptr;
  std::size_t delivered = 0, first = 0, returned = 0, accepted = 0, rested = 0, moved = 0;

  [[nodiscard]] bool is_up(const model_message& m) const {
    return m.expires_ms != 0 && m.expires_ms <= time->ms;
  }
  [[nodiscard]] bool rests(const model_message& m) const { return m.rests_until > time->ms; }
  [[nodiscard]] bool is_held(char group) const {
    return std::any_of(messages.begin(), messages.end(), [&](const auto& m) {
      return m.second.group == group && m.second.holder != nullptr;
    });
  }
  void end(char group) {
    model_group& g = groups[group];
    if (g.owner == nullptr) return;
    g.ending = true;
    end_if_idle(group);
  }
  void end_if_idle(char group) {
    model_group& g = groups[group];
    if (g.ending && !is_held(group)) g = {};
  }
  /// The first of the group that is nobody's; it may rest.
  [[nodiscard]] std::map<rank, model_message>::iterator head_of(char group) {
    return std::find_if(messages.begin(), messages.end(), [&](const auto& m) {
      return m.second.group == group && m.second.holder == nullptr &&
             (rests(m.second) || !is_up(m.second));
    });
  }
  /// The one that this consumer should get next.
  [[nodiscard]] std::map<rank, model_message>::iterator next_for(const group_consumer* c) {
    std::set<char> seen;
    for (auto m = messages.begin(); m != messages.end(); ++m) {
      const model_message& each = m->second;
      if (each.holder != nullptr || (is_up(each) && !rests(each))) continue;
      const bool is_first = each.group == 0 || seen.insert(each.group).second;
      if (!is_first || rests(each) || each.excluded.contains(c)) continue;
      if (each.group == 0) return m;
      const model_group& g = groups[each.group];
      if (!g.ending && (g.owner == nullptr || g.owner == c)) return m;
    }
    return messages.end();
  }
  void set_free_what_owners_cannot_have();
};

class group_consumer final : public test_consumer {
 public:
  group_consumer(world& w, core::queue_ref q, group_model& m) : test_consumer(w, q), model_(m) {}

  void on_letter(letter&& l) override {
    const bool is_delivery = l.kind == letter_kind::deliver;
    test_consumer::on_letter(std::move(l));
    if (is_delivery) must_be_next(deliveries.back());
  }

  std::map<rank, sequence> held = {};
  std::uint32_t limit = 0;
  [[nodiscard]] std::uint32_t credit() const {
    const auto taken = static_cast<std::uint32_t>(deliveries.size());
    return limit > taken ? limit - taken : 0;
  }

 private:
  void must_be_next(const delivery& d) {
    CAPTURE(d.text);
    model_.set_free_what_owners_cannot_have();
    const auto want = model_.next_for(this);
    REQUIRE(want != model_.messages.end());
    model_message& m = want->second;
    REQUIRE(std::stoi(d.text.substr(1)) == want->first.second);
    REQUIRE(d.failed == m.failed);
    REQUIRE(deliveries.size() <= limit);
    for (const auto& [at, other] : model_.messages) {  // one holder a group
      if (m.group != 0 && other.group == m.group && other.holder != nullptr) {
        REQUIRE(other.holder == this);
      }
    }
    m.holder = this;
    held[want->first] = d.at;
    ++model_.delivered;
    model_group& g = model_.groups[m.group];
    REQUIRE(is_marked_first(*d.message) == (m.group != 0 && g.owner == nullptr));
    if (m.group == 0) return;
    model_.first += g.owner == nullptr ? 1 : 0;
    g.owner = this;
    if (m.is_last) model_.end(m.group);
  }

  group_model& model_;
};

void group_model::set_free_what_owners_cannot_have() {
  for (auto& [group, g] : groups) {
    if (g.owner == nullptr || g.owner->credit() == 0) continue;
    const auto head = head_of(group);
    const bool is_stuck = head != messages.end() && !rests(head->second) &&
                          head->second.excluded.contains(g.owner);
    if (is_stuck && !g.ending) end(group);
  }
}

class group_run {
 public:
  group_run(world& w, std::uint64_t seed)
      : w_(w), random_(seed), policy_(policy_of(seed)), q_(w.make_queue(policy_)), p_(w, q_) {
    model_.time = &w.time;
  }

  void step() {
    constexpr std::array<void (group_run::*)(), 16> deeds{
        &group_run::put,    &group_run::put,    &group_run::put,    &group_run::put,
        &group_run::put,    &group_run::grant,  &group_run::grant,  &group_run::grant,
        &group_run::settle, &group_run::settle, &group_run::settle, &group_run::settle,
        &group_run::attach, &group_run::detach, &group_run::pass,   &group_run::rest};
    (this->*deeds[pick(deeds.size())])();
    w_.talk();
    w_.at(q_).check_invariants();
  }

  void finish() {
    for (int rounds = 0; !model_.messages.empty(); ++rounds) {
      REQUIRE(rounds < 2000);
      w_.pass(100);
      w_.tick();
      forget_expired();
      if (consumers_.size() == 6) detach();
      attach();
      for (auto& c : consumers_) {
        while (!c->held.empty()) end(*c, c->held.begin()->first, outcome::accepted, 0);
        give_credit(*c, 50);
      }
      w_.settle_down();
      forget_expired();
    }
    w_.settle_down();
    CHECK(w_.at(q_).depth() == 0);
  }
  [[nodiscard]] const group_model& seen() const { return model_; }

 private:
  static core::queue_policy policy_of(std::uint64_t seed) {
    core::queue_policy p = by_group();
    p.group_first = true;
    p.group_rebalance = seed % 2 == 0;
    p.priorities = seed % 3 == 0;
    if (seed % 4 < 2) p.retry_delay = 40;
    return p;
  }
  std::size_t pick(std::size_t n) { return static_cast<std::size_t>(random_() % n); }

  void put() {
    const int number = next_++;
    message_shape shape{.durable = random_() % 3 != 0};
    if (random_() % 8 == 0) shape.ttl = 1 + static_cast<std::uint32_t>(random_() % 500);
    if (random_() % 4 == 0) shape.priority = static_cast<std::uint8_t>(random_() % 10);
    const int level = policy_.priorities.value_or(false) ? 9 - shape.priority : 0;
    auto& m = model_.messages[{level, number}];
    if (shape.ttl) m.expires_ms = w_.time.ms + *shape.ttl;
    std::string text = "ABCDEa"[pick(6)] + std::to_string(number);
    if (text[0] != 'a') m.group = text[0];
    m.is_last = m.group != 0 && random_() % 10 == 0;
    if (m.is_last) text += "!";
    p_.put(grouped(text, shape));
  }
  void attach() {
    if (consumers_.size() >= 6) return;
    if (policy_.group_rebalance.value_or(false)) {
      for (const char g : std::string("ABCDE")) model_.end(g);
    }
    consumers_.push_back(std::make_unique<group_consumer>(w_, q_, model_));
    w_.talk();
  }
  void give_credit(group_consumer& c, std::uint32_t n) {
    c.limit = static_cast<std::uint32_t>(c.deliveries.size()) + n;
    c.grant(c.limit);
    w_.talk();
  }
  void grant() {
    if (consumers_.empty()) return;
    give_credit(*consumers_[pick(consumers_.size())], static_cast<std::uint32_t>(random_() % 8));
  }
  void settle() {
    if (consumers_.empty()) return;
    auto& c = *consumers_[pick(consumers_.size())];
    if (c.held.empty()) return;
    const rank which =
        std::next(c.held.begin(), static_cast<std::ptrdiff_t>(pick(c.held.size())))->first;
    const std::uint8_t how = std::array<std::uint8_t, 4>{
        0, flag::failed, flag::undeliverable, flag::failed | flag::undeliverable}[pick(4)];
    constexpr std::array all{outcome::accepted, outcome::accepted, outcome::released,
                             outcome::modified};
    end(c, which, all[pick(4)], how);
  }
  void end(group_consumer& c, rank which, outcome what, std::uint8_t how) {
    auto& m = model_.messages.at(which);
    const sequence at = c.held.at(which);
    const char group = m.group;
    c.held.erase(which);
    m.holder = nullptr;
    const auto flags = what == outcome::modified ? how : std::uint8_t{0};
    if ((flags & flag::failed) != 0) {
      ++m.failed;
      const auto delay = static_cast<std::int64_t>(policy_.retry_delay.value_or(0) * m.failed);
      if (delay > 0) m.rests_until = w_.time.ms + delay;
      model_.rested += delay > 0 ? 1 : 0;
    }
    if ((flags & flag::undeliverable) != 0) {
      m.excluded.insert(&c);
      if (group != 0) {
        model_.end(group);
        ++model_.moved;
      }
    }
    const bool gone = what == outcome::accepted;
    if (gone || (model_.is_up(m) && !model_.rests(m))) model_.messages.erase(which);
    (gone ? model_.accepted : model_.returned) += 1;
    if (group != 0) model_.end_if_idle(group);
    c.settle(at, at, what, flags);
    w_.talk();
  }
  void detach() {
    if (consumers_.empty()) return;
    const std::size_t i = pick(consumers_.size());
    group_consumer& c = *consumers_[i];
    c.limit = 0;
    for (auto& [group, g] : model_.groups) {
      if (g.owner == &c) model_.end(group);
    }
    c.unsubscribe();
    w_.talk();
    while (!c.held.empty()) end(c, c.held.begin()->first, outcome::released, 0);
    for (auto& m : model_.messages) m.second.excluded.erase(&c);
    consumers_.erase(consumers_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  void pass() {
    w_.pass(static_cast<std::int64_t>(random_() % 60));
    w_.tick();
    forget_expired();
  }
  void forget_expired() {
    std::erase_if(model_.messages, [&](const auto& m) {
      return m.second.holder == nullptr && model_.is_up(m.second) && !model_.rests(m.second);
    });
  }
  /// Nothing is left lying that somebody could have.
  void rest() {
    if (random_() % 2 == 0) return w_.at(q_).leave_memory();
    w_.settle_down();
    forget_expired();
    model_.set_free_what_owners_cannot_have();
    for (auto& c : consumers_) {
      if (c->credit() > 0) REQUIRE(model_.next_for(c.get()) == model_.messages.end());
    }
    w_.tick();
    REQUIRE(w_.at(q_).depth() == model_.messages.size());
  }

  world& w_;
  std::mt19937_64 random_;
  core::queue_policy policy_;
  core::queue_ref q_;
  group_model model_;
  test_producer p_;
  std::vector<std::unique_ptr<group_consumer>> consumers_;
  int next_ = 0;
};

}  // namespace

TEST_CASE("groups: a queue agrees with an obvious model, whatever is asked of it") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    on_each_shape([&](world& w) {
      group_run r(w, seed);
      for (int i = 0; i < 2000; ++i) {
        CAPTURE(i);
        r.step();
      }
      r.finish();
      CHECK(r.seen().delivered > 400);
      CHECK(r.seen().first > 100);
      CHECK(r.seen().returned > 80);
      CHECK(r.seen().accepted > 150);
      CHECK(r.seen().moved > 10);
      if (seed % 4 < 2) CHECK(r.seen().rested > 10);
    });
  }
}
