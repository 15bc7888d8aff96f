// SPDX-License-Identifier: Apache-2.0
// A world with a directory, for tests that ask for nodes by name.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/core/directory.hpp"
#include "broker/core/router.hpp"
#include "tests/broker/core/world.hpp"

namespace whimbrel::test {

inline core::directory_options settings() {
  core::directory_options o;
  o.rules.push_back({[](std::string_view n) { return n.starts_with("never."); }, false, true});
  o.rules.push_back({[](std::string_view n) { return n.starts_with("fast."); }, true, false});
  o.rules.push_back({[](std::string_view n) { return !n.starts_with("odd."); }, true, true});
  o.random_name = [n = 0]() mutable { return "r" + std::to_string(++n); };
  return o;
}

inline core::node_request ask(const std::string& address, std::uint64_t connection = 1) {
  core::node_request r;
  r.address = address;
  r.connection = connection;
  r.to_consume = true;
  r.may_use = r.may_configure = [](std::string_view) { return true; };
  return r;
}

/// A world with a directory; answers are kept until they are asked for.
struct town {
  /// Not `begun`: recovery is still to come.
  explicit town(world& of, core::directory_options o = settings(), bool begun = true)
      : w(of), nodes(std::move(o)) {
    std::vector<core::shard*> all;
    for (auto& s : w.shards) all.push_back(s.get());
    nodes.set_shards(std::move(all));
    if (begun) nodes.finish_recovery();
  }
  using promise = std::shared_ptr<std::optional<core::node_reply>>;
  promise resolve(core::node_request r, std::size_t from = 0) {
    auto out = std::make_shared<std::optional<core::node_reply>>();
    nodes.resolve(*w.shards[from], std::move(r), [out](const core::node_reply& reply) {
      CHECK_FALSE(out->has_value());
      *out = reply;
    });
    return out;
  }
  core::node_reply reply(core::node_request r) {
    const auto out = resolve(std::move(r), w.shards.size() / 2);
    w.settle_down();
    REQUIRE(out->has_value());
    return **out;
  }
  /// Where a message goes that is published there, on whichever worker: the queues' names.
  std::string route(const std::string& exchange, const std::string& key) {
    std::string out;
    for (std::size_t i = 0; i < w.shards.size(); ++i) {
      std::vector<core::hit> hits;
      const auto at = nodes.exchanges().find(exchange);
      if (!w.shards[i]->routes().route(at, key, *make_text("x"), hits)) return "no exchange";
      std::vector<std::string> names;
      for (const auto& h : hits) names.push_back(w.at(h.queue).settings().name);
      std::sort(names.begin(), names.end());
      std::string here;
      for (const auto& n : names) here += (here.empty() ? "" : " ") + n;
      if (i > 0) CHECK(here == out);
      out = here;
    }
    return out;
  }
  std::string declare(const core::exchange_settings& e) {
    return said([&](const auto& done) { nodes.declare(e, done); });
  }
  std::string bind(const core::binding& b) {
    return said([&](const auto& done) { nodes.bind(b, done); });
  }
  /// The condition with which it was refused, or nothing.
  template <class Act>
  std::string said(Act act) {
    std::optional<std::string> out;
    act([&out](const core::refusal& r) { out = std::string(r.condition); });
    w.settle_down();
    REQUIRE(out.has_value());
    return *out;
  }
  world& w;
  core::directory nodes;
};

inline std::string refusal(const core::node_reply& r) {
  CHECK_FALSE(r.is_ok());
  CHECK_FALSE(r.description.empty());
  return std::string(r.condition);
}

}  // namespace whimbrel::test
