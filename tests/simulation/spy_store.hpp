// SPDX-License-Identifier: Apache-2.0
// A store that writes down what passes through it, and when it became durable: the judge of every
// outcome that leaves the broker.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "storage/store.hpp"
#include "tests/broker/core/fakes.hpp"

namespace whimbrel::simulation {

class spy_store final : public storage::store, public storage::completion_sink {
 public:
  using names = std::map<storage::entry_key, std::string>;

  spy_store(storage::completion_sink& next, names& of) : next_(next), names_(of) {}
  void set_store(storage::store& of) { of_ = &of; }

  [[nodiscard]] bool was_submitted(const std::string& text) const {
    return submitted_.contains(text);
  }
  [[nodiscard]] bool is_durable(const std::string& text) const { return durable_.contains(text); }
  [[nodiscard]] bool is_removed(const std::string& text) const { return removed_.contains(text); }

  // --- towards the store ---
  void recover(storage::recovery_visitor& v) override { of_->recover(v); }
  void submit(storage::worker_id w, storage::batch changes, storage::token done) override {
    flight f;
    for (const storage::put& p : changes.puts) {
      auto message = broker::core::make_message(p.body->octets());
      AMQP_ASSERT(message.has_value());
      const std::string text = test::text_of(**message);
      names_[p.key] = text;
      submitted_.insert(text);
      f.puts.push_back(p.key);
    }
    f.settles = changes.settles;
    flights_[{w, done}] = std::move(f);
    of_->submit(w, std::move(changes), done);
  }
  void withdraw(storage::worker_id w, std::vector<storage::entry_key> puts,
                storage::token done) override {
    of_->withdraw(w, std::move(puts), done);
  }
  void read(storage::worker_id w, storage::queue_id q, storage::sequence from, std::size_t octets,
            storage::token done) override {
    ++reads;
    of_->read(w, q, from, octets, done);
  }
  void read_body(storage::worker_id w, storage::body_id b, std::uint64_t offset, std::size_t octets,
                 storage::token done) override {
    of_->read_body(w, b, offset, octets, done);
  }
  void close() override { of_->close(); }
  [[nodiscard]] storage::store_statistics statistics() const override { return of_->statistics(); }

  // --- from the store ---
  void on_commit(storage::commit_done d) noexcept override {
    const auto f = flights_.extract({d.worker, d.done});
    if (d.outcome == storage::commit_outcome::durable) {
      for (const auto& key : f.mapped().puts) durable_.insert(names_[key]);
      for (const storage::settle& s : f.mapped().settles) {
        for (auto at = s.first; at <= s.last; ++at) removed_.insert(names_[{s.queue, at}]);
      }
    }
    next_.on_commit(d);
  }
  void on_withdraw(storage::withdraw_done d) noexcept override {
    for (auto& [name, f] : flights_) {
      std::erase_if(f.puts, [&](const storage::entry_key& k) {
        return std::find(d.withdrawn.begin(), d.withdrawn.end(), k) != d.withdrawn.end();
      });
    }
    next_.on_withdraw(std::move(d));
  }
  void on_read(storage::read_done d) noexcept override { next_.on_read(std::move(d)); }
  void on_pressure(storage::pressure p, std::string_view why) noexcept override {
    next_.on_pressure(p, why);
  }
  /// Recovery found it.
  void found(const storage::entry_key& key) {
    submitted_.insert(names_.at(key));
    durable_.insert(names_.at(key));
  }

  std::uint64_t reads = 0;

 private:
  struct flight {
    std::vector<storage::entry_key> puts = {};
    std::vector<storage::settle> settles = {};
  };

  storage::completion_sink& next_;
  names& names_;  // outlive the store: recovery finds entries, not bodies
  storage::store* of_ = nullptr;
  std::map<std::pair<storage::worker_id, storage::token>, flight> flights_ = {};
  std::set<std::string> submitted_ = {}, durable_ = {}, removed_ = {};
};

}  // namespace whimbrel::simulation
