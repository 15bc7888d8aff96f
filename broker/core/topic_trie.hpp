// SPDX-License-Identifier: Apache-2.0
// Patterns of words between dots: `*` stands for one word, `#` for any number, also none.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "broker/core/binding_index.hpp"
#include "broker/core/text_hash.hpp"

namespace whimbrel::broker::core {

/// A tree of words. Matching follows all places that the words so far can lead to, each once, so
/// that a pattern with many `#` costs no more than its length a word. Words that no pattern has
/// are not looked for.
class topic_trie final : public binding_index {
 public:
  topic_trie();

  void add(std::string_view pattern, const amqp::codec::map& arguments, target to) override;
  void remove(std::string_view pattern, const amqp::codec::map& arguments, target to) override;
  void match(std::string_view key, const message& m, std::vector<target>& out) override;
  void match(std::string_view key, std::vector<target>& out);

  /// Places in the tree, the root included.
  [[nodiscard]] std::size_t size() const { return nodes_.size() - free_nodes_.size(); }
  [[nodiscard]] std::size_t word_count() const { return words_.size(); }

 private:
  using node_id = std::uint32_t;
  using word_id = std::uint32_t;
  static constexpr node_id root = 0;
  static constexpr node_id none = 0;  // as a child: the root is nobody's
  static constexpr word_id no_word = ~word_id{0};

  struct node {
    node_id parent = none;
    word_id via = no_word;  // the word that leads here, unless a wildcard does
    node_id one = none;     // behind `*`
    node_id many = none;    // behind `#`
    std::uint32_t children = 0;
    bool is_many = false;  // stands behind `#`: any further word stays here
    std::uint64_t seen = 0;
    std::vector<target> targets = {};
  };
  struct known_word {
    word_id id = 0;
    std::uint32_t uses = 0;
  };

  [[nodiscard]] static std::uint64_t edge(node_id from, word_id via) {
    return std::uint64_t{from} << 32 | via;
  }
  [[nodiscard]] node_id child(node_id from, std::string_view text) const;
  node_id grow(node_id from, std::string_view text);
  void prune(node_id leaf);
  void drop_edge(const node& gone);
  void enter(node_id at, std::vector<node_id>& into);

  std::vector<node> nodes_;
  std::vector<node_id> free_nodes_;
  text_map<known_word> words_;
  std::vector<std::string_view> texts_;  // by word_id; the octets are the keys of words_
  std::vector<word_id> free_words_;
  boost::unordered_flat_map<std::uint64_t, node_id> edges_;
  std::uint64_t round_ = 0;
  std::vector<node_id> here_;  // scratch of match
  std::vector<node_id> next_;
};

}  // namespace whimbrel::broker::core
