// SPDX-License-Identifier: Apache-2.0
#include "conformance/run/runner.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <thread>

#include "conformance/wire/peer.hpp"

namespace whimbrel::conformance {

namespace {

constexpr std::array<std::string_view, 6> part_names = {"conformance", "types",        "transport",
                                                        "messaging",   "transactions", "security"};

bool is_section(const std::string& wanted, std::string_view section) {
  if (!section.starts_with(wanted)) return false;
  return section.size() == wanted.size() || wanted.back() == '.' ||
         std::string_view(". /-").find(section[wanted.size()]) != std::string_view::npos;
}

/// The section in an id: `2.6.7` of `T-2.6.7-b`.
std::string_view section_of(std::string_view id) {
  id.remove_prefix(2);
  return id.substr(0, id.rfind('-'));
}

bool wants(const check& c, const selection& chosen) {
  const auto ids = words_of(c.clauses);
  return std::any_of(ids.begin(), ids.end(),
                     [&](const std::string& id) { return chosen.admits(*find_clause(id)); });
}

/// Takes what an earlier check left on the only node there is.
void empty_node(const subject& peer, rule_book& rules) {
  test t(peer, rules, "empty the node", "O-0.2-j");
  try {
    class peer p(t);
    p.start();
    link& in = p.receiver(t.address());
    p.credit(in, 1000);
    for (const delivery& d : p.receive_all(in, 1000, peer.quiet)) {
      p.settle(d.id, state_of(spec::accepted{}));
    }
    p.sync();
  } catch (const std::runtime_error&) {  // the check itself will find out
  }
}

using by_clause = std::map<std::string, finding, std::less<>>;

void add(by_clause& all, finding f) {
  finding& known = all[f.clause];
  if (known.clause.empty() || f.is > known.is) known = std::move(f);
}

void add_observed(by_clause& all, const rule_book& rules) {
  const auto entries = rules.entries();
  for (const std::string& id : observed_clauses()) {
    finding f{.clause = id, .check = "all frames of this run"};
    const auto seen = entries.find(id);
    if (seen == entries.end()) {
      f.is = verdict::skip;
      f.text = "the peer sent nothing that the rule applies to";
    } else if (seen->second.broken == 0) {
      f.is = verdict::pass;
      f.text = "kept " + std::to_string(seen->second.seen) + " times";
    } else {
      f.is = find_clause(id)->is_advice() ? verdict::warn : verdict::fail;
      f.text = std::to_string(seen->second.broken) + " of " + std::to_string(seen->second.seen) +
               " times: " + seen->second.first_broken;
      f.frames = seen->second.frames;
    }
    add(all, std::move(f));
  }
}

}  // namespace

bool selection::admits(const clause& c) const {
  const auto any = [](const std::vector<std::string>& list, auto fits) {
    return list.empty() || std::any_of(list.begin(), list.end(), fits);
  };
  return any(parts,
             [&](const std::string& p) {
               return p == std::to_string(c.part_number) || p == part_names[c.part_number];
             }) &&
         any(sections, [&](const std::string& s) { return is_section(s, section_of(c.id)); }) &&
         any(ids, [&](const std::string& id) { return c.id == id; }) &&
         (levels.empty() || levels.find(static_cast<char>(c.how)) != std::string::npos);
}

std::size_t report::count(verdict v) const {
  return static_cast<std::size_t>(std::count_if(
      findings.begin(), findings.end(), [&](const finding& f) { return f.is == v; }));
}

std::size_t report::judged() const {
  return static_cast<std::size_t>(std::count_if(
      findings.begin(), findings.end(), [](const finding& f) { return is_judged(f.is); }));
}

std::vector<finding> run_check(const check& c, const subject& peer, rule_book& rules) {
  test t(peer, rules, c.title, c.clauses);
  try {
    c.run(t);
    t.rest(verdict::inconclusive, "the exchange did not come to a verdict");
  } catch (const no_answer& e) {
    t.rest_broken(e.what());
  } catch (const not_offered& e) {
    t.rest(verdict::skip, e.what());
  } catch (const not_set_up& e) {
    t.rest(verdict::inconclusive, e.what());
  } catch (const std::exception& e) {
    t.rest(verdict::inconclusive, std::string("the check itself failed: ") + e.what());
  }
  return t.take_findings();
}

std::vector<finding> run_checks(const subject& peer, const selection& chosen, unsigned parallel,
                                rule_book& rules, const progress& tell) {
  std::vector<const check*> todo;
  for (const check& c : all_checks()) {
    if (wants(c, chosen)) todo.push_back(&c);
  }
  std::stable_partition(todo.begin(), todo.end(), [](const check* c) { return c->is_slow; });
  const bool is_shared = peer.has_node && !peer.has_own_nodes;
  if (is_shared) parallel = 1;

  by_clause all;
  std::mutex mutex;
  std::atomic<std::size_t> next{0};
  std::size_t done = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < todo.size(); i = next++) {
      if (is_shared) empty_node(peer, rules);
      auto found = run_check(*todo[i], peer, rules);
      const std::lock_guard lock(mutex);
      for (finding& f : found) add(all, std::move(f));
      if (tell) tell(++done, todo.size(), todo[i]->title);
    }
  };
  std::vector<std::thread> workers;
  for (unsigned i = 1; i < parallel; ++i) workers.emplace_back(work);
  work();
  for (std::thread& w : workers) w.join();
  add_observed(all, rules);

  std::vector<finding> out;
  for (const clause& c : clauses()) {
    if (!chosen.admits(c)) continue;
    const auto found = all.find(c.id);
    if (found != all.end()) {
      out.push_back(found->second);
    } else {
      out.push_back({.clause = std::string(c.id),
                     .is = verdict::skip,
                     .text = "not automated: " + why_not_automated(c)});
    }
  }
  return out;
}

}  // namespace whimbrel::conformance
