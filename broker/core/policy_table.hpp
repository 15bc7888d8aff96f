// SPDX-License-Identifier: Apache-2.0
// Policies: settings for all queues whose names match a pattern, changed while they live.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/core/queue_policy.hpp"
#include "storage/blob.hpp"

namespace whimbrel::broker::core {

struct named_policy {
  std::string name = {};
  std::string pattern = {};   // a glob over the whole name of a queue
  std::int32_t priority = 0;  // the higher one decides where two set the same
  queue_policy what = {};

  bool operator==(const named_policy&) const = default;
};

/// What is in force for one queue, and who says so, in the order in which they were asked.
struct effective_policy {
  queue_policy what = {};
  std::vector<std::string> from = {};  // names of policies that the queue matches
};

/// What a queue's own arguments leave open is taken from the policies that match its name: by
/// falling priority, then by name, field by field.
class policy_table {
 public:
  using matcher = std::function<bool(std::string_view pattern, std::string_view name)>;

  explicit policy_table(matcher matches) : matches_(std::move(matches)) {}

  /// Adds it, or replaces the one of its name.
  void set(named_policy which);
  /// False: there was none.
  bool remove(std::string_view name);

  [[nodiscard]] effective_policy of(std::string_view queue, const queue_policy& own) const;
  /// In the order in which they are asked.
  [[nodiscard]] const std::vector<named_policy>& all() const { return policies_; }

 private:
  matcher matches_;
  std::vector<named_policy> policies_;
};

// Records are AMQP maps, so that later versions may add to them.
[[nodiscard]] storage::blob_ptr encode_record(const named_policy& which);
[[nodiscard]] std::optional<named_policy> decode_policy(std::string_view name,
                                                        std::span<const std::byte> value);

}  // namespace whimbrel::broker::core
