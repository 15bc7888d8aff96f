// SPDX-License-Identifier: Apache-2.0
// The plain files: direct and fanout.
#include "broker/core/binding_index.hpp"

#include <algorithm>

#include "broker/core/headers_index.hpp"
#include "broker/core/text_hash.hpp"
#include "broker/core/topic_trie.hpp"

namespace whimbrel::broker::core {

namespace {

void take_out(std::vector<target>& from, target which) {
  const auto found = std::find(from.begin(), from.end(), which);
  if (found == from.end()) return;
  *found = from.back();
  from.pop_back();
}

class direct_index final : public binding_index {
 public:
  void add(std::string_view key, const amqp::codec::map&, target to) override {
    by_key_[std::string(key)].push_back(to);
  }
  void remove(std::string_view key, const amqp::codec::map&, target to) override {
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return;
    take_out(found->second, to);
    if (found->second.empty()) by_key_.erase(found);
  }
  void match(std::string_view key, const message&, std::vector<target>& out) override {
    ++steps_;
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return;
    out.insert(out.end(), found->second.begin(), found->second.end());
  }

 private:
  text_map<std::vector<target>> by_key_;
};

class fanout_index final : public binding_index {
 public:
  void add(std::string_view, const amqp::codec::map&, target to) override { all_.push_back(to); }
  void remove(std::string_view, const amqp::codec::map&, target to) override {
    take_out(all_, to);
  }
  void match(std::string_view, const message&, std::vector<target>& out) override {
    out.insert(out.end(), all_.begin(), all_.end());
  }

 private:
  std::vector<target> all_;
};

}  // namespace

std::unique_ptr<binding_index> make_binding_index(exchange_type type) {
  switch (type) {
    case exchange_type::direct: return std::make_unique<direct_index>();
    case exchange_type::topic: return std::make_unique<topic_trie>();
    case exchange_type::fanout: return std::make_unique<fanout_index>();
    case exchange_type::headers: return std::make_unique<headers_index>();
  }
  return nullptr;
}

}  // namespace whimbrel::broker::core
