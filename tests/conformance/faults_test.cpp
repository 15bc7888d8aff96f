// SPDX-License-Identifier: Apache-2.0
// Each fault of a peer is found by the clause that is meant for it, and by no other MUST. The peer
// is the broker of this tree in a process of its own, with the fault in front of it.
#include <algorithm>
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
const char* const known_open = "";

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

using verdicts = std::map<std::string, verdict>;

/// How long the suite waits. In haste it may take for silence what is only late, as its neighbours
/// keep the machine busy; what it says then is asked again with patience.
struct pace {
  milliseconds timeout;  // for what must come
  milliseconds quiet;    // for what must not come
};
constexpr pace in_haste{milliseconds(4'000), milliseconds(80)};
constexpr pace with_patience{milliseconds(30'000), milliseconds(1'500)};

/// All checks but those that wait for seconds, or those of the clauses named. Nothing if the peer
/// cannot even be looked at: which no case takes for a result.
verdicts run_checks_of(std::uint16_t port, const pace& how, const ids& clauses = {}) {
  subject s{.host = "127.0.0.1",
            .port = port,
            .timeout = how.timeout,
            .quiet = how.quiet,
            .run = std::to_string(port)};
  rule_book rules;
  if (!look_around(s, rules).empty()) return {};
  const selection chosen{.ids = {clauses.begin(), clauses.end()}};
  verdicts out;
  for (const finding& f : run_checks(s, chosen, 12, rules, {})) out[f.clause] = f.is;
  return out;
}

/// The verdicts on these clauses become those of a patient run, where that has any.
void look_again(std::uint16_t port, const ids& clauses, verdicts& found) {
  if (clauses.empty()) return;
  for (const auto& [id, is] : run_checks_of(port, with_patience, clauses)) {
    if (clauses.contains(id) && is_judged(is)) found[id] = is;
  }
}

ids musts_failed(const verdicts& all) {
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

verdict wanted_of(const deviation& d) {
  return find_clause(d.clause)->is_advice() ? verdict::warn : verdict::fail;
}

/// The clauses that are accused beside the one that should be.
ids others_accused(const deviation& d, const verdicts& found) {
  ids out = musts_failed(found);
  for (const std::string& id : to_set(d.clause + " " + d.also + " " + known_open)) out.erase(id);
  return out;
}

/// What the suite said of the broker with one fault in between.
struct trial {
  verdicts found = {};
  bool was_at_work = false;
};

trial try_out(const broker& b, const deviation& d) {
  faulty_peer peer(b.port(), d);
  trial out{run_checks_of(peer.port(), in_haste)};
  ids odd = others_accused(d, out.found);
  if (out.found[d.clause] != wanted_of(d)) odd.insert(d.clause);
  look_again(peer.port(), odd, out.found);
  out.was_at_work = peer.changed() > 0;
  return out;
}

void judge(const deviation& d, const trial& t) {
  CAPTURE(d.title);
  CHECK((d.stays_open || t.was_at_work));
  CHECK(to_text(t.found.at(d.clause)) == to_text(wanted_of(d)));
  CHECK(joined(others_accused(d, t.found)) == "");
}

/// A run mostly waits for what must not come, so several share the machine; each of these has a
/// broker of its own, and each fault a proxy.
void expect_all_found(const std::vector<deviation>& faults) {
  constexpr std::size_t at_a_time = 4;
  std::vector<trial> trials(faults.size());
  std::atomic<std::size_t> next{0};
  const auto work = [&](const broker* b) {
    for (std::size_t i = next++; i < faults.size(); i = next++) {
      trials[i] = try_out(*b, faults[i]);
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
  auto found = run_checks_of(peer.port(), in_haste);
  const auto at_odds = [&] {
    ids out;
    for (const auto& [id, is] : found) {
      if (is == verdict::fail || is == verdict::inconclusive) out.insert(id);
    }
    for (const std::string& id : to_set(known_open)) out.erase(id);
    return out;
  };
  look_again(peer.port(), at_odds(), found);
  CHECK(joined(at_odds()) == "");
  CHECK(std::count_if(found.begin(), found.end(),
                      [](const auto& each) { return is_judged(each.second); }) >= 450);
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
