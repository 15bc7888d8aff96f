// SPDX-License-Identifier: Apache-2.0
// Each fault of a peer is found by the clause that is meant for it, and by no other MUST. The peer
// is the broker of this tree in a process of its own, with the fault in front of it.
#include <array>
#include <atomic>
#include <cstdlib>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "conformance/run/runner.hpp"
#include "conformance/run/survey.hpp"
#include "tests/conformance/deviations.hpp"
#include "tests/support/broker_process.hpp"
#include "tests/support/scratch_directory.hpp"

using namespace whimbrel;
using namespace whimbrel::conformance;
using namespace whimbrel::conformance::testing;

namespace {

using ids = std::set<std::string>;

/// Clauses that the broker of this tree does not keep yet; whoever mends one takes it out.
const char* const known_open =
    "T-2.5-a T-2.6.1-b T-2.6.4-b T-2.6.5-b T-2.7.3-l T-2.7.6-e";

ids to_set(const std::string& text) {
  const auto all = words_of(text);
  return {all.begin(), all.end()};
}

class broker {
 public:
  broker() : process_(options()) { process_.start(); }
  ~broker() { process_.stop(); }
  [[nodiscard]] std::uint16_t port() const { return process_.port(); }

 private:
  [[nodiscard]] support::broker_options options() const {
    const char* const other = std::getenv("WHIMBREL_BINARY");
    return {.binary = other != nullptr ? other : WHIMBREL_BINARY,
            .data = (directory_.path() / "data").string(),
            .log = (directory_.path() / "log").string(),
            .arguments = {"--max-message-size", "64KiB", "--idle-time-out", "0"}};
  }

  tests::scratch_directory directory_;
  support::broker_process process_;
};

/// All checks but those that wait for seconds. Nothing if the peer cannot even be looked at: which
/// no case takes for a result.
std::map<std::string, verdict> run_all(std::uint16_t port) {
  subject s{.host = "127.0.0.1",
            .port = port,
            .timeout = milliseconds(1500),
            .quiet = milliseconds(80),
            .run = std::to_string(port)};
  rule_book rules;
  if (!look_around(s, rules).empty()) return {};
  std::map<std::string, verdict> out;
  for (const finding& f : run_checks(s, {}, 12, rules, {})) out[f.clause] = f.is;
  return out;
}

ids musts_failed(const std::map<std::string, verdict>& all) {
  ids out;
  for (const auto& [id, is] : all) {
    const clause* c = find_clause(id);
    const bool binds = c->how == level::must || c->how == level::must_not;
    if (is == verdict::fail && binds) out.insert(id);
  }
  return out;
}

std::string joined(const ids& all) {
  std::string out;
  for (const std::string& id : all) out += id + " ";
  return out;
}

/// What the suite said of the broker with one fault in between.
struct trial {
  std::map<std::string, verdict> found = {};
  bool was_at_work = false;
};

void judge(const deviation& d, const trial& t) {
  CAPTURE(d.title);
  CHECK((d.stays_open || t.was_at_work));
  REQUIRE(t.found.contains(d.clause));
  const bool is_advice = find_clause(d.clause)->is_advice();
  CHECK(to_text(t.found.at(d.clause)) == to_text(is_advice ? verdict::warn : verdict::fail));
  ids others = musts_failed(t.found);
  for (const std::string& id : to_set(d.clause + " " + d.also + " " + known_open)) others.erase(id);
  CHECK(joined(others) == "");
}

/// A run mostly waits for what must not come, so several share the machine; each of these has a
/// broker of its own, and each fault a proxy.
void expect_all_found(const std::vector<deviation>& faults) {
  constexpr std::size_t at_a_time = 4;
  std::vector<trial> trials(faults.size());
  std::atomic<std::size_t> next{0};
  const auto work = [&](const broker* b) {
    for (std::size_t i = next++; i < faults.size(); i = next++) {
      faulty_peer peer(b->port(), faults[i]);
      trials[i].found = run_all(peer.port());
      trials[i].was_at_work = peer.changed() > 0;
    }
  };
  const std::array<broker, at_a_time> brokers;
  std::vector<std::thread> workers;
  for (const broker& b : brokers) workers.emplace_back(work, &b);
  for (std::thread& w : workers) w.join();
  for (std::size_t i = 0; i < faults.size(); ++i) judge(faults[i], trials[i]);
}

}  // namespace

TEST_CASE("peer: without a fault nothing fails but what is known to be open") {
  const broker b;
  faulty_peer peer(b.port(), {});
  const auto found = run_all(peer.port());
  ids failed;
  std::size_t judged = 0;
  for (const auto& [id, is] : found) {
    if (is == verdict::fail) failed.insert(id);
    if (is_judged(is)) ++judged;
    CAPTURE(id);
    CHECK(is != verdict::inconclusive);
  }
  for (const std::string& id : to_set(known_open)) failed.erase(id);
  CHECK(joined(failed) == "");
  CHECK(judged >= 450);
}

TEST_CASE("peer: there are forty faults and more") {
  CHECK(encoding_faults().size() + frame_faults().size() + conduct_faults().size() >= 40);
}

TEST_CASE("peer: faults of encoding are found") {
  expect_all_found(encoding_faults());
}
TEST_CASE("peer: frames out of place are found") {
  expect_all_found(frame_faults());
}
TEST_CASE("peer: faults of conduct are found") {
  expect_all_found(conduct_faults());
}
