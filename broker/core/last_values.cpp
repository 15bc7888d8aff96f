// SPDX-License-Identifier: Apache-2.0
#include "broker/core/last_values.hpp"

#include <utility>

#include "broker/core/value_identity.hpp"

namespace whimbrel::broker::core {

std::optional<std::string> last_values::key_of(const message& m) const {
  const amqp::message::view seen(m.octets(), m.sections());
  const auto property = seen.application_property(name_);
  if (property.has_value() && !property->empty()) return identity_of(*property);
  const auto annotation = seen.message_annotation(name_);
  if (annotation.has_value() && !annotation->empty()) return identity_of(*annotation);
  return std::nullopt;
}

std::optional<sequence> last_values::find(const std::string& key) const {
  const auto found = latest_.find(key);
  return found == latest_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<sequence> last_values::add(sequence at, std::string key) {
  const auto [entry, fresh] = latest_.try_emplace(std::move(key), at);
  if (fresh) {
    keys_.emplace(at, &entry->first);
    return std::nullopt;
  }
  if (entry->second > at) return at;
  if (entry->second == at) return std::nullopt;
  const sequence old = std::exchange(entry->second, at);
  keys_.erase(old);
  keys_.emplace(at, &entry->first);
  return old;
}

void last_values::remove(sequence at) {
  const auto found = keys_.find(at);
  if (found == keys_.end()) return;
  latest_.erase(latest_.find(*found->second));
  keys_.erase(found);
}

}  // namespace whimbrel::broker::core
