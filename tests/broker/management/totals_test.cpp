// SPDX-License-Identifier: Apache-2.0
// What Prometheus is given.
#include <set>
#include <sstream>
#include <string>

#include <doctest/doctest.h>

#include "broker/core/letter.hpp"
#include "broker/management/totals.hpp"

using whimbrel::broker::core::outcome;
using whimbrel::broker::management::totals;

TEST_CASE("metrics: each has a help, a type and a value, and its name once") {
  std::istringstream text(exposition(totals{}));
  std::set<std::string> helped;
  std::set<std::string> typed;
  std::size_t values = 0;
  for (std::string line; std::getline(text, line);) {
    CAPTURE(line);
    const std::string name = line.substr(7, line.find(' ', 7) - 7);
    if (line.starts_with("# HELP ")) {
      CHECK(line.size() > 7 + name.size() + 1);
      CHECK(helped.insert(name).second);
    } else if (line.starts_with("# TYPE ")) {
      CHECK(typed.insert(name).second);
    } else {
      CHECK(line.starts_with("whimbrel_"));
      ++values;
    }
  }
  CHECK(helped == typed);
  CHECK(values > helped.size());
}

TEST_CASE("metrics: counts keep their last digit, and commits are told in seconds") {
  totals t;
  t.in = 1'234'567'891;
  t.settled[static_cast<std::size_t>(outcome::released)] = 3;
  t.store.commits = 4;
  t.store.commit_micros_total = 2'500'000;
  const std::string text = exposition(t);
  for (const char* line : {"\nwhimbrel_messages_in_total 1234567891\n",
                           "\nwhimbrel_deliveries_settled_total{outcome=\"released\"} 3\n",
                           "\nwhimbrel_store_commit_seconds_count 4\n",
                           "\nwhimbrel_store_commit_seconds_sum 2.5\n"}) {
    CAPTURE(line);
    CHECK(text.find(line) != std::string::npos);
  }
}
