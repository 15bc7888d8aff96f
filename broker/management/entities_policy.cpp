// SPDX-License-Identifier: Apache-2.0
#include "broker/management/entities_policy.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "broker/management/entities_topology.hpp"

namespace whimbrel::broker::management {

using amqp::codec::list;
using amqp::codec::map;
using amqp::codec::value;
using core::named_policy;

namespace {

constexpr std::array<std::string_view, 6> of_policies{"name",    "identity", "type",
                                                      "pattern", "priority", "arguments"};

value attribute(const named_policy& p, std::string_view name) {
  if (name == "name" || name == "identity") return value(p.name);
  if (name == "type") return value(policy_entity);
  if (name == "pattern") return value(p.pattern);
  if (name == "priority") return value(p.priority);
  if (name == "arguments") return value(to_arguments(p.what));
  return {};
}

void read_policy(const operations& on, const std::string& name, int code, const answer& done) {
  on.list_policies([name, code, done](const std::vector<named_policy>& all) {
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const named_policy& p) { return p.name == name; });
    if (found == all.end()) return done(failure(status::not_found, "no " + named("policy", name)));
    map out;
    for (const std::string_view a : of_policies) out.append(value(a), attribute(*found, a));
    done({code, value(std::move(out))});
  });
}

}  // namespace

std::span<const std::string_view> policy_attributes() { return of_policies; }

void handle_policy(const operations& on, const entity_request& request, const answer& done) {
  const std::string& name = request.name;
  if (name.empty()) {
    return done(failure(status::bad_request, "neither `name` nor `identity` is given"));
  }
  if (request.operation == "READ") return read_policy(on, name, status::ok, done);
  if (request.operation == "DELETE") {
    return on.delete_policy(name, [done](const reply& r) {
      done(r.is_ok() ? reply{r.code, value(map{})} : r);
    });
  }
  const bool replace = request.operation == "UPDATE";
  if (!replace && request.operation != "CREATE") {
    return done(failure(status::not_implemented,
                        "a policy has no operation '" + request.operation + "'"));
  }
  on.set_policy(name, request.body, replace, [on, name, done](const reply& r) {
    if (!r.is_ok()) return done(r);
    read_policy(on, name, r.code, done);
  });
}

void query_policies(const operations& on, page which, const std::vector<std::string>& wanted,
                    const answer& done) {
  on.list_policies([which, wanted, done](const std::vector<named_policy>& all) {
    const std::size_t from = std::min(which.offset, all.size());
    const std::size_t to = from + std::min(which.count, all.size() - from);
    list rows;
    for (std::size_t i = from; i < to; ++i) {
      list row;
      for (const std::string& name : wanted) row.push_back(attribute(all[i], name));
      rows.push_back(value(row));
    }
    done(query_reply(wanted, std::move(rows), to < all.size()));
  });
}

}  // namespace whimbrel::broker::management
