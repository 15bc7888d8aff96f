// SPDX-License-Identifier: Apache-2.0
// A queue against an obvious model: a sorted map of what is where, asked about every delivery.
#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "tests/broker/core/world.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
namespace flag = core::letter_flag;

namespace {

class model_consumer;

struct model_message {
  const model_consumer* holder = nullptr;
  std::uint32_t failed = 0;
  std::int64_t expires_ms = 0;
  bool acquired = false;
  std::set<const model_consumer*> excluded = {};
};

/// What there is by number; the number is the message's text.
struct model {
  std::map<int, model_message> messages = {};
  const test_clock* time = nullptr;
  std::size_t delivered = 0, returned = 0, accepted = 0, expired = 0;

  [[nodiscard]] bool is_up(const model_message& m) const {
    return m.expires_ms != 0 && m.expires_ms <= time->ms;
  }
  /// The one that this consumer should get next.
  [[nodiscard]] std::map<int, model_message>::iterator next_for(const model_consumer* c) {
    return std::find_if(messages.begin(), messages.end(), [&](const auto& m) {
      return m.second.holder == nullptr && !is_up(m.second) && !m.second.excluded.contains(c);
    });
  }
};

class model_consumer final : public test_consumer {
 public:
  model_consumer(world& w, core::queue_ref q, model& m) : test_consumer(w, q), model_(m) {}

  void on_letter(letter&& l) override {
    const bool is_delivery = l.kind == letter_kind::deliver;
    test_consumer::on_letter(std::move(l));
    if (is_delivery) must_be_next(deliveries.back());
  }

  std::map<int, sequence> held = {};
  std::uint32_t limit = 0;
  [[nodiscard]] std::uint32_t credit() const {
    const auto taken = static_cast<std::uint32_t>(deliveries.size());
    return limit > taken ? limit - taken : 0;
  }

 private:
  void must_be_next(const delivery& d) {
    const int number = std::stoi(d.text);
    CAPTURE(number);
    const auto want = model_.next_for(this);
    REQUIRE(want != model_.messages.end());
    REQUIRE(want->first == number);
    REQUIRE(d.failed == want->second.failed);
    REQUIRE(d.first == !want->second.acquired);
    REQUIRE(deliveries.size() <= limit);
    want->second.holder = this;
    want->second.acquired = true;
    held[number] = d.at;
    ++model_.delivered;
  }

  model& model_;
};

class run {
 public:
  run(world& w, std::uint64_t seed) : w_(w), random_(seed), q_(w.make_queue()), p_(w, q_) {
    model_.time = &w.time;
  }

  void step() {
    switch (random_() % 16) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        put();
        break;
      case 5:
      case 6:
        grant();
        break;
      case 7:
      case 8:
      case 9:
      case 10:
        settle();
        break;
      case 11:
        attach();
        break;
      case 12:
        detach();
        break;
      case 13:
        pass();
        break;
      case 14:
        w_.at(q_).leave_memory();
        break;
      default:
        w_.settle_down();
        must_be_at_rest();
        break;
    }
    w_.talk();
    w_.at(q_).check_invariants();
  }

  void finish() {
    attach();
    while (!model_.messages.empty()) {
      for (auto& c : consumers_) {
        while (!c->held.empty()) end(*c, c->held.begin()->first, outcome::accepted, 0);
        give_credit(*c, 50);
      }
      w_.settle_down();
      forget_expired();
      if (model_.messages.size() > 0 && consumers_.size() < 6) attach();
    }
    w_.settle_down();
    must_be_at_rest();
    CHECK(w_.at(q_).depth() == 0);
  }
  [[nodiscard]] const model& seen() const { return model_; }

 private:
  std::size_t pick(std::size_t n) { return static_cast<std::size_t>(random_() % n); }

  void put() {
    const int number = next_++;
    message_shape shape{.durable = random_() % 3 != 0};
    if (random_() % 4 == 0) shape.ttl = 1 + static_cast<std::uint32_t>(random_() % 500);
    auto& m = model_.messages[number];
    if (shape.ttl) m.expires_ms = w_.time.ms + *shape.ttl;
    p_.put(std::to_string(number), shape);
  }
  void attach() {
    if (consumers_.size() < 6) {
      consumers_.push_back(std::make_unique<model_consumer>(w_, q_, model_));
    }
  }
  void give_credit(model_consumer& c, std::uint32_t n) {
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
    const int number =
        std::next(c.held.begin(), static_cast<std::ptrdiff_t>(pick(c.held.size())))->first;
    const std::uint8_t how = std::array<std::uint8_t, 4>{
        0, flag::failed, flag::undeliverable, flag::failed | flag::undeliverable}[pick(4)];
    constexpr std::array all{outcome::accepted, outcome::rejected, outcome::released,
                             outcome::modified};
    end(c, number, all[pick(4)], how);
  }
  void end(model_consumer& c, int number, outcome what, std::uint8_t how) {
    auto& m = model_.messages.at(number);
    const sequence at = c.held.at(number);
    c.held.erase(number);
    m.holder = nullptr;
    const auto flags = what == outcome::modified ? how : std::uint8_t{0};
    if ((flags & flag::failed) != 0) ++m.failed;
    if ((flags & flag::undeliverable) != 0) m.excluded.insert(&c);
    const bool gone = what == outcome::accepted || what == outcome::rejected;
    if (gone || model_.is_up(m)) model_.messages.erase(number);
    (gone ? model_.accepted : model_.returned) += 1;
    c.settle(at, at, what, flags);
    w_.talk();
  }
  void detach() {
    if (consumers_.empty()) return;
    const std::size_t i = pick(consumers_.size());
    model_consumer& c = *consumers_[i];
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
    model_.expired += std::erase_if(model_.messages, [&](const auto& m) {
      return m.second.holder == nullptr && model_.is_up(m.second);
    });
  }
  /// Nothing is left lying that somebody could have.
  void must_be_at_rest() {
    forget_expired();
    for (auto& c : consumers_) {
      if (c->credit() > 0) REQUIRE(model_.next_for(c.get()) == model_.messages.end());
    }
    w_.tick();
    REQUIRE(w_.at(q_).depth() == model_.messages.size());
  }

  world& w_;
  std::mt19937_64 random_;
  core::queue_ref q_;
  model model_;
  test_producer p_;
  std::vector<std::unique_ptr<model_consumer>> consumers_;
  int next_ = 0;
};

}  // namespace

TEST_CASE("queue: agrees with an obvious model, whatever is asked of it") {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    CAPTURE(seed);
    on_each_shape([&](world& w) {
      run r(w, seed);
      for (int i = 0; i < 2500; ++i) {
        CAPTURE(i);
        r.step();
      }
      r.finish();
      CHECK(r.seen().delivered > 500);
      CHECK(r.seen().returned > 100);
      CHECK(r.seen().accepted > 200);
      CHECK(r.seen().expired > 50);
    });
  }
}
