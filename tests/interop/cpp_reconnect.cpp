// SPDX-License-Identifier: Apache-2.0
// Proton C++'s own reconnect over a broker that is killed: prints `kill` when it wants that, and
// run.py kills the broker and starts it again on the same port. Every accepted message must come.
#include <algorithm>
#include <cstdint>
#include <deque>
#include <set>

#include <proton/reconnect_options.hpp>
#include <proton/types.hpp>

#include "scenario.hpp"

namespace {

constexpr int kills = 3;
constexpr std::uint64_t count = 20'000;

class reconnecting : public interop::scenario {
 public:
  explicit reconnecting(const std::string& url) : scenario(url, 120) {}

 protected:
  void start(proton::container& c) override {
    proton::reconnect_options again;
    again.delay(proton::duration(10)).max_delay(proton::duration(100));
    c.connect(url(), proton::connection_options().reconnect(again));
  }

  void on_connection_open(proton::connection& c) override {
    ++connections_;
    if (c.reconnected()) return forget_connection();  // Proton opens the links again by itself
    c.open_receiver("cpp-reconnect", proton::receiver_options().credit_window(500));
    c.open_sender("cpp-reconnect");
  }

  void on_transport_error(proton::transport&) override {}  // expected, and followed by another open

  /// What had no outcome when the connection was lost is sent again.
  void forget_connection() {
    unsure_.insert(waiting_.begin(), waiting_.end());
    waiting_.clear();
    in_flight_.clear();
  }

  void on_sendable(proton::sender& s) override {
    while (s.credit() > 0) {
      std::uint64_t id = next_;
      if (!unsure_.empty()) {
        id = *unsure_.begin();
        unsure_.erase(unsure_.begin());
      } else if (next_ < count) {
        ++next_;
      } else {
        return;
      }
      proton::message m(std::string("x"));
      m.id(id);
      m.durable(true);
      in_flight_.emplace_back(s.send(m), id);
      waiting_.insert(id);
    }
  }

  void on_tracker_accept(proton::tracker& t) override {
    // By the tracker itself: Proton 0.37 was seen to report one tag for many of them.
    const auto found = std::find_if(in_flight_.begin(), in_flight_.end(),
                                    [&](const auto& each) { return each.first == t; });
    if (found == in_flight_.end()) return;
    waiting_.erase(found->second);
    accepted_.insert(found->second);
    in_flight_.erase(found);
    if (accepted_.size() >= static_cast<std::size_t>(asked_ + 1) * count / (kills + 1) &&
        asked_ < kills) {
      ++asked_;
      std::printf("kill\n");
      std::fflush(stdout);
    }
    finish();
  }

  void on_message(proton::delivery&, proton::message& m) override {
    received_.insert(proton::get<std::uint64_t>(m.id()));
    finish();
  }

  std::string state() const override {
    return std::to_string(accepted_.size()) + " accepted, " + std::to_string(received_.size()) +
           " received, " + std::to_string(connections_) + " connections";
  }

 private:
  void finish() {
    if (accepted_.size() < count || received_.size() < count) return;
    expect(connections_ > kills, "the broker was not killed often enough: " + state());
    done();
  }

  int connections_ = 0;
  int asked_ = 0;
  std::uint64_t next_ = 0;
  std::deque<std::pair<proton::tracker, std::uint64_t>> in_flight_ = {};
  std::set<std::uint64_t> waiting_ = {};   // sent on this connection, no outcome yet
  std::set<std::uint64_t> unsure_ = {};    // sent on a connection that was lost
  std::set<std::uint64_t> accepted_ = {};
  std::set<std::uint64_t> received_ = {};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  return interop::run_cases(
      argv[1], {interop::one<reconnecting>("three kills: clients reconnect, nothing accepted is "
                                           "lost")});
}
