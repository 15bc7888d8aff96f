// SPDX-License-Identifier: Apache-2.0
// Growing, pruning and following the tree.
#include "broker/core/topic_trie.hpp"

#include <algorithm>
#include <utility>

#include "amqp/base/assert.hpp"

namespace whimbrel::broker::core {

namespace {

/// Calls `visit` with each word, until it says false. An empty text has none.
template <class Visit>
void each_word(std::string_view text, Visit visit) {
  if (text.empty()) return;
  for (std::size_t from = 0;;) {
    const auto dot = text.find('.', from);
    if (!visit(text.substr(from, dot - from)) || dot == std::string_view::npos) return;
    from = dot + 1;
  }
}

}  // namespace

topic_trie::topic_trie() : nodes_(1) {}

topic_trie::node_id topic_trie::child(node_id from, std::string_view text) const {
  if (text == "*") return nodes_[from].one;
  if (text == "#") return nodes_[from].many;
  const auto word = words_.find(text);
  if (word == words_.end()) return none;
  const auto found = edges_.find(edge(from, word->second.id));
  return found == edges_.end() ? none : found->second;
}

topic_trie::node_id topic_trie::grow(node_id from, std::string_view text) {
  if (const node_id there = child(from, text); there != none) return there;
  node_id made = 0;
  if (free_nodes_.empty()) {
    made = static_cast<node_id>(nodes_.size());
    nodes_.emplace_back();
  } else {
    made = free_nodes_.back();
    free_nodes_.pop_back();
    nodes_[made] = node{};
  }
  node& n = nodes_[made];
  n.parent = from;
  ++nodes_[from].children;
  if (text == "*") {
    nodes_[from].one = made;
  } else if (text == "#") {
    nodes_[from].many = made;
    n.is_many = true;
  } else {
    auto found = words_.find(text);
    if (found == words_.end()) {
      found = words_.emplace(std::string(text), known_word{}).first;
      if (free_words_.empty()) {
        found->second.id = static_cast<word_id>(texts_.size());
        texts_.emplace_back();
      } else {
        found->second.id = free_words_.back();
        free_words_.pop_back();
      }
      texts_[found->second.id] = found->first;
    }
    ++found->second.uses;
    n.via = found->second.id;
    edges_[edge(from, n.via)] = made;
  }
  return made;
}

void topic_trie::add(std::string_view pattern, const amqp::codec::map&, target to) {
  node_id at = root;
  each_word(pattern, [&](std::string_view word) {
    at = grow(at, word);
    return true;
  });
  nodes_[at].targets.push_back(to);
}

void topic_trie::remove(std::string_view pattern, const amqp::codec::map&, target to) {
  node_id at = root;
  bool found = true;
  each_word(pattern, [&](std::string_view word) {
    at = child(at, word);
    return found = at != none;
  });
  if (!found) return;
  auto& targets = nodes_[at].targets;
  const auto which = std::find(targets.begin(), targets.end(), to);
  if (which == targets.end()) return;
  *which = targets.back();
  targets.pop_back();
  prune(at);
}

/// What leads nowhere any more goes, from the leaf up.
void topic_trie::prune(node_id leaf) {
  while (leaf != root && nodes_[leaf].children == 0 && nodes_[leaf].targets.empty()) {
    const node gone = std::exchange(nodes_[leaf], node{});
    drop_edge(gone);
    if (nodes_[gone.parent].one == leaf) nodes_[gone.parent].one = none;
    if (nodes_[gone.parent].many == leaf) nodes_[gone.parent].many = none;
    --nodes_[gone.parent].children;
    free_nodes_.push_back(leaf);
    leaf = gone.parent;
  }
}

/// The edge to a node that has gone, and its word if no other edge has it.
void topic_trie::drop_edge(const node& gone) {
  if (gone.via == no_word) return;
  edges_.erase(edge(gone.parent, gone.via));
  const auto text = words_.find(texts_[gone.via]);
  AMQP_ASSERT(text != words_.end());
  if (--text->second.uses > 0) return;
  texts_[gone.via] = {};
  free_words_.push_back(gone.via);
  words_.erase(text);
}

/// Into the set, once a round, with what `#` finds behind no word at all.
void topic_trie::enter(node_id at, std::vector<node_id>& into) {
  for (;;) {
    ++steps_;
    node& n = nodes_[at];
    if (n.seen == round_) return;
    n.seen = round_;
    into.push_back(at);
    if (n.many == none) return;
    at = n.many;
  }
}

void topic_trie::match(std::string_view key, std::vector<target>& out) {
  here_.clear();
  ++round_;
  enter(root, here_);
  each_word(key, [this](std::string_view text) {
    const auto word = words_.find(text);
    next_.clear();
    ++round_;
    for (const node_id at : here_) {
      ++steps_;
      if (word != words_.end()) {
        const auto found = edges_.find(edge(at, word->second.id));
        if (found != edges_.end()) enter(found->second, next_);
      }
      if (nodes_[at].one != none) enter(nodes_[at].one, next_);
      if (nodes_[at].is_many) enter(at, next_);
    }
    std::swap(here_, next_);
    return !here_.empty();
  });
  for (const node_id at : here_) {
    const auto& found = nodes_[at].targets;
    out.insert(out.end(), found.begin(), found.end());
  }
}

void topic_trie::match(std::string_view key, const message&, std::vector<target>& out) {
  match(key, out);
}

}  // namespace whimbrel::broker::core
