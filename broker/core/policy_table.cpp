// SPDX-License-Identifier: Apache-2.0
// Which policies are asked, and in which order.
#include "broker/core/policy_table.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "amqp/codec/codec.hpp"

namespace whimbrel::broker::core {

void policy_table::set(named_policy which) {
  remove(which.name);
  const auto before = [](const named_policy& a, const named_policy& b) {
    return std::tie(b.priority, a.name) < std::tie(a.priority, b.name);
  };
  const auto place = std::lower_bound(policies_.begin(), policies_.end(), which, before);
  policies_.insert(place, std::move(which));
}

bool policy_table::remove(std::string_view name) {
  return std::erase_if(policies_, [&](const named_policy& p) { return p.name == name; }) > 0;
}

effective_policy policy_table::of(std::string_view queue, const queue_policy& own) const {
  effective_policy out{own, {}};
  for (const named_policy& p : policies_) {
    if (!matches_ || !matches_(p.pattern, queue)) continue;
    merge(out.what, p.what);
    out.from.push_back(p.name);
  }
  return out;
}

storage::blob_ptr encode_record(const named_policy& which) {
  using amqp::codec::value;
  amqp::codec::map fields;
  fields.append(value("pattern"), value(which.pattern));
  fields.append(value("priority"), value(which.priority));
  fields.append(value("arguments"), value(to_arguments(which.what)));
  amqp::octet_buffer out;
  amqp::codec::encode(out, fields);
  return storage::make_blob(out.octets());
}

std::optional<named_policy> decode_policy(std::string_view name, std::span<const std::byte> value) {
  const auto fields = amqp::codec::decode<amqp::codec::map>(value);
  if (fields.has_error()) return std::nullopt;
  const auto pattern = fields->get<std::string>("pattern");
  const auto arguments = fields->get<amqp::codec::map>("arguments");
  if (!pattern || !arguments) return std::nullopt;
  named_policy out{std::string(name), *pattern,
                   fields->get<std::int32_t>("priority").value_or(0), {}};
  if (set_arguments(out.what, *arguments)) return std::nullopt;
  return out;
}

}  // namespace whimbrel::broker::core
