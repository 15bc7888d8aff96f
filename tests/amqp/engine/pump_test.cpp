// SPDX-License-Identifier: Apache-2.0
// Random traffic between two engines: nothing is lost, order is kept, every outcome comes back
// once.
#include <doctest/doctest.h>

#include <deque>
#include <map>

#include "tests/support/wire_pair.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using engine::event_kind;
namespace fast = whimbrel::amqp::spec::fast;

namespace {

struct model_message {
  std::uint64_t number = 0;
  std::string body = {};
  bool settled = false;
};

/// One link with what is known of it: what was sent, what arrived, what came of it.
struct model_link {
  engine::sender* from = nullptr;
  engine::receiver* to = nullptr;
  std::uint64_t next = 0;
  std::deque<model_message> under_way = {};
  std::string arriving = {};
  std::vector<std::byte> half = {};  // the message that the sender could not send whole
  bool is_half = false;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> undecided = {};  // delivery-id, number
  std::map<std::uint64_t, fast::state_kind> decided = {};
  std::uint64_t outcomes = 0;
  std::uint64_t arrived = 0;
  std::uint64_t unsettled_sent = 0;
};

class random_traffic {
 public:
  random_traffic(std::uint64_t seed, std::uint64_t messages)
      : dice_(seed),
        left_(messages),
        pair_(some_options(client_options()), some_options(server_options())) {
    pair_.dice = &dice_;
    pair_.chunk_max = dice_.one_in(3) ? 0 : 1 + dice_.below(2000);
    for (endpoint* side : {&pair_.client, &pair_.server}) side->keeps_record = false;
    pair_.open();
    pair_.client.on_event = [this](const engine::event& e) { on_event(pair_.client, e); };
    pair_.server.on_event = [this](const engine::event& e) { on_event(pair_.server, e); };
    const std::size_t links = 1 + dice_.below(4);
    links_.resize(2 * links);
    engine::session* session = pair_.client.wire.begin();
    pair_.run();
    for (std::size_t i = 0; i < links_.size(); ++i) {
      spec::attach how{.name = std::to_string(i)};
      if (dice_.one_in(2)) how.rcv_settle_mode = spec::receiver_settle_mode::second;
      if (i % 2 == 0) {
        links_[i].from = session->attach_sender(how);
      } else {
        links_[i].to = session->attach_receiver(how);
      }
      pair_.run();
    }
  }

  void run() {
    for (int idle = 0; idle < 200;) {
      for (model_link& l : links_) {
        send_some(l);
        grant_some(l);
        settle_some(l);
      }
      const bool moved = dice_.one_in(2) ? pair_.carry(pair_.client, pair_.server)
                                         : pair_.carry(pair_.server, pair_.client);
      const bool done = left_ == 0 && !moved;
      idle = done ? idle + 1 : 0;
    }
    pair_.run();
  }

  void check() {
    std::uint64_t arrived = 0;
    for (model_link& l : links_) {
      CHECK(l.under_way.empty());
      CHECK(l.arrived == l.next);
      CHECK(l.undecided.empty());
      CHECK(l.decided.empty());
      CHECK(l.outcomes == l.unsettled_sent);
      CHECK(l.from->unsettled() == 0);
      CHECK(l.to->unsettled() == 0);
      arrived += l.arrived;
    }
    CHECK(arrived == total_);
    CHECK(total_ > 0);
    CHECK(pair_.client.wire.is_open());
    CHECK(pair_.server.wire.is_open());
  }

  [[nodiscard]] std::uint64_t halves() const { return halves_; }

 private:
  engine::options some_options(engine::options o) {
    constexpr std::uint32_t sizes[] = {512, 513, 1024, 4096, 65'536};
    o.max_frame_size = sizes[dice_.below(5)];
    o.incoming_window = static_cast<std::uint32_t>(1 + dice_.below(dice_.one_in(2) ? 5 : 2000));
    o.output_octets_max = 1000 + dice_.below(100'000);
    o.unsettled_in_max = static_cast<std::uint32_t>(1 + dice_.below(300));
    o.unsettled_out_max = static_cast<std::uint32_t>(1 + dice_.below(300));
    o.first_delivery_id = 0xffff'ff00;
    return o;
  }

  std::size_t some_length() {
    if (dice_.one_in(200)) return dice_.below(60'000);
    return dice_.below(dice_.one_in(10) ? 3000 : 100);
  }

  void on_event(endpoint& at, const engine::event& e) {
    switch (e.kind) {
      case event_kind::link_attached:
        on_attached(at, e);
        break;
      case event_kind::transfer:
        on_transfer(e);
        break;
      case event_kind::outcome:
        on_outcome(e);
        break;
      case event_kind::sender_ready:
        resume(link_of(e));
        break;
      case event_kind::settled:
      case event_kind::drained:
      case event_kind::session_begun:
        break;
      default:
        FAIL("unexpected event ", static_cast<int>(e.kind));
    }
  }

  void on_attached(endpoint& at, const engine::event& e) {
    agree(at.wire, e);
    model_link& l = link_of(e);
    if (e.on_sender != nullptr) l.from = e.on_sender;
    if (e.on_receiver != nullptr) l.to = e.on_receiver;
  }

  model_link& link_of(const engine::event& e) { return links_[std::stoul(e.on_link->name())]; }

  void send_some(model_link& l) {
    for (std::size_t n = dice_.below(20); n > 0 && left_ > 0 && l.from->can_send(); --n) {
      model_message m{.number = l.next++,
                      .body = std::string(some_length(), static_cast<char>('a' + l.next % 26)),
                      .settled = dice_.one_in(4)};
      const auto octets = bytes(m.body);
      const std::string tag = std::to_string(m.number);
      const auto tag_octets = bytes(tag);
      const std::size_t head = dice_.below(octets.size() + 1);
      const auto p = l.from->send({.tag = tag_octets, .settled = m.settled, .token = m.number},
                                  std::span(octets).first(head), std::span(octets).subspan(head));
      if (!m.settled) ++l.unsettled_sent;
      l.under_way.push_back(std::move(m));
      l.is_half = !p.complete;
      if (l.is_half) l.half = octets;
      halves_ += l.is_half ? 1u : 0u;
      --left_;
      ++total_;
    }
  }

  void resume(model_link& l) {
    if (l.is_half) l.is_half = !l.from->resume({}, l.half).complete;
  }

  void grant_some(model_link& l) {
    if (l.from->is_draining() && dice_.one_in(3)) l.from->finish_drain();
    if (left_ == 0) return;
    const auto wish = static_cast<std::uint32_t>(dice_.below(100));
    if (dice_.one_in(3) || l.to->credit() == 0) l.to->grant(1 + wish);
    if (dice_.one_in(50)) l.to->drain(1 + wish);
  }

  void on_transfer(const engine::event& e) {
    model_link& l = link_of(e);
    REQUIRE_FALSE(l.under_way.empty());
    const model_message& m = l.under_way.front();
    if (e.first) {
      CHECK(l.arriving.empty());
      CHECK(text_of(e.tag) == std::to_string(m.number));
    }
    l.arriving += text_of(e.payload);
    if (!e.last) return;
    CHECK(l.arriving == m.body);
    CHECK(e.is_settled == m.settled);
    if (!m.settled) l.undecided.emplace_back(e.delivery_id, m.number);
    ++l.arrived;
    l.arriving.clear();
    l.under_way.pop_front();
  }

  void settle_some(model_link& l) {
    const bool last_chance = left_ == 0;
    while (!l.undecided.empty() && (last_chance || !dice_.one_in(4))) {
      const std::size_t i = dice_.one_in(5) ? dice_.below(l.undecided.size()) : 0;
      const auto [id, number] = l.undecided[i];
      const bool accepts = !dice_.one_in(7);
      l.decided[number] = accepts ? fast::state_kind::accepted : fast::state_kind::released;
      l.undecided.erase(l.undecided.begin() + static_cast<std::ptrdiff_t>(i));
      if (accepts) {
        l.to->settle(id, fast::accepted_octets);
      } else {
        l.to->settle(id, fast::released_octets);
      }
    }
  }

  void on_outcome(const engine::event& e) {
    model_link& l = link_of(e);
    const auto at = l.decided.find(e.token);
    REQUIRE(at != l.decided.end());
    CHECK(at->second == e.state_kind);
    ++l.outcomes;
    l.decided.erase(at);
    if (!e.is_settled) e.on_sender->settle(e.delivery_id, fast::accepted_octets);
  }

  random_source dice_;
  std::uint64_t left_ = 0;
  std::uint64_t total_ = 0;
  std::uint64_t halves_ = 0;
  std::vector<model_link> links_ = {};
  wire_pair pair_;
};

}  // namespace

TEST_CASE("engine: 100,000 random deliveries arrive in order, each outcome comes back once") {
  std::uint64_t halves = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    random_traffic traffic(seed, 5000);
    traffic.run();
    traffic.check();
    halves += traffic.halves();
  }
  MESSAGE("seeds 1 to 20; messages that did not go out in one go: ", halves);
  CHECK(halves > 1000);
}
