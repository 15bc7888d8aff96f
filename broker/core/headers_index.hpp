// SPDX-License-Identifier: Apache-2.0
// Bindings by what they say of a message's application-properties.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "broker/core/binding_index.hpp"
#include "broker/core/text_hash.hpp"

namespace whimbrel::broker::core {

/// The argument `x-match` says what a binding wants: `all` of its arguments (the default), or
/// `any`; arguments that begin with `x-` count only in `all-with-x` and `any-with-x`, and are then
/// looked for among the message-annotations as well. An argument whose value is null asks that the
/// property be there. Whole numbers compare as numbers, symbols as strings.
///
/// A binding for all is filed under the least common of its arguments, one for any under each of
/// them; a message looks under what it has.
class headers_index final : public binding_index {
 public:
  void add(std::string_view key, const amqp::codec::map& arguments, target to) override;
  void remove(std::string_view key, const amqp::codec::map& arguments, target to) override;
  void match(std::string_view key, const message& m, std::vector<target>& out) override;

 private:
  using rule_id = std::uint32_t;
  struct rule {
    bool any = false;
    bool filed = false;
    target to = 0;
    std::string arguments = {};            // as octets: which binding this is
    std::vector<std::string> wanted = {};  // as fact() writes them
    std::size_t under = 0;                 // all: the one that it is filed under
  };

  void collect(const message& m);
  [[nodiscard]] bool has_all(const rule& r, std::size_t but);
  void drop(std::string_view fact, rule_id which);

  std::vector<rule> rules_;
  std::vector<rule_id> free_rules_;
  text_map<std::vector<rule_id>> by_fact_;
  std::vector<rule_id> always_;                                  // all of nothing
  std::unordered_multimap<std::string, rule_id> by_arguments_;   // to remove
  // Scratch of match: what the message has.
  std::unordered_set<std::string, text_hash, std::equal_to<>> facts_;
};

}  // namespace whimbrel::broker::core
