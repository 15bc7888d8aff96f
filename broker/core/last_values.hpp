// SPDX-License-Identifier: Apache-2.0
// Which message of a queue is the latest of each key.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>

#include <boost/unordered/unordered_flat_map.hpp>

#include "broker/core/ids.hpp"
#include "broker/core/message.hpp"

namespace whimbrel::broker::core {

/// Belongs to one queue with `last-value-key`. Costs the key and some hundred octets for each that
/// has a message. Which messages there are it learns from the queue, in any order.
class last_values {
 public:
  /// `key_name`: of the application property, or else the message-annotation, with the key.
  last_values(std::string key_name, sequence from) : noted_to(from), name_(std::move(key_name)) {}

  [[nodiscard]] const std::string& key_name() const { return name_; }
  /// Nothing: the message has none, so it replaces nothing and nothing replaces it.
  [[nodiscard]] std::optional<std::string> key_of(const message& m) const;
  [[nodiscard]] std::optional<sequence> find(const std::string& key) const;

  /// The message at `at` has this key. Names the one that is outdated by that, if any: the latest
  /// so far, or `at` itself if that has come before the latest.
  [[nodiscard]] std::optional<sequence> add(sequence at, std::string key);
  /// It has gone.
  void remove(sequence at);
  [[nodiscard]] std::size_t size() const { return latest_.size(); }

  sequence noted_to;  // messages before this have been looked at

 private:
  std::string name_;
  std::unordered_map<std::string, sequence> latest_ = {};  // nodes: `keys_` points into it
  boost::unordered_flat_map<sequence, const std::string*> keys_ = {};
};

}  // namespace whimbrel::broker::core
