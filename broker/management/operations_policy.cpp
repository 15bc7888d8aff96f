// SPDX-License-Identifier: Apache-2.0
// Policies: what is read of them, checked, and told of them.
#include <algorithm>
#include <limits>
#include <utility>

#include "broker/management/operations.hpp"

namespace whimbrel::broker::management {

using amqp::codec::map;
using amqp::codec::value;
using core::named_policy;
using security::action;

namespace {

constexpr std::size_t name_octets_max = 255;

std::optional<std::string> read_one(const std::string& key, const value& v, named_policy& into) {
  if (key == "pattern") {
    auto text = v.text();
    if (!text || text->empty()) return "'pattern' is not a text";
    into.pattern = *std::move(text);
    return std::nullopt;
  }
  if (key == "priority") {
    const auto n = v.to_signed();
    using limits = std::numeric_limits<std::int32_t>;
    if (!n || *n < limits::min() || *n > limits::max()) return "'priority' is not an int";
    into.priority = static_cast<std::int32_t>(*n);
    return std::nullopt;
  }
  if (key == "arguments" || key == "definition") {
    const auto arguments = v.to<map>();
    if (!arguments) return "'" + key + "' is not a map";
    return core::set_arguments(into.what, *arguments);
  }
  return "unknown key '" + key + "' in a policy";
}

struct read_policy {
  named_policy as = {};
  std::optional<std::string> wrong = {};
};

read_policy policy_from(const std::string& name, const value& attributes) {
  read_policy out;
  out.as.name = name;
  out.wrong = read_fields(attributes, [&](const std::string& key, const value& v) {
    return read_one(key, v, out.as);
  });
  if (!out.wrong && out.as.pattern.empty()) out.wrong = "`pattern` is missing";
  if (!out.wrong && out.as.what.empty()) out.wrong = "the policy sets nothing";
  return out;
}

reply no_policy(const std::string& name) {
  return failure(status::not_found, "no " + named("policy", name));
}

const named_policy* find(const std::vector<named_policy>& in, const std::string& name) {
  const auto found =
      std::find_if(in.begin(), in.end(), [&](const named_policy& p) { return p.name == name; });
  return found == in.end() ? nullptr : &*found;
}

}  // namespace

void operations::set_policy(const std::string& name, const value& attributes, bool replace,
                            const answer& done) const {
  if (name.empty() || name.size() > name_octets_max) {
    return done(failure(status::bad_request, "a policy's name has 1 to 255 octets"));
  }
  auto read = policy_from(name, attributes);
  if (read.wrong) return done(failure(status::bad_request, *read.wrong));
  if (!security::is_permitted(who_.allowed, action::manage, name)) {
    return done(failure(status::forbidden, "no permission to set " + named("policy", name)));
  }
  who_.nodes.read_policies(
      who_.home, [self = *this, as = std::move(read.as), replace,
                  done](const std::vector<named_policy>& all) {
        const named_policy* there = find(all, as.name);
        if (there == nullptr && replace) return done(no_policy(as.name));
        if (there != nullptr && *there == as) return done({status::ok, {}});
        if (there != nullptr && !replace) {
          return done(failure(status::conflict, named("policy", as.name) + " is another one"));
        }
        const int code = replace ? status::ok : status::created;
        self.who_.nodes.set_policy(self.who_.home, as, [done, code] { done({code, {}}); });
      });
}

void operations::delete_policy(const std::string& name, const answer& done) const {
  if (!security::is_permitted(who_.allowed, action::manage, name)) {
    return done(failure(status::forbidden, "no permission to delete " + named("policy", name)));
  }
  who_.nodes.remove_policy(who_.home, name, [name, done](bool was_there) {
    done(was_there ? reply{status::no_content, {}} : no_policy(name));
  });
}

void operations::list_policies(
    std::function<void(const std::vector<named_policy>&)> done) const {
  if (who_.allowed.manage.empty()) return done({});
  who_.nodes.read_policies(who_.home, std::move(done));
}

}  // namespace whimbrel::broker::management
