// SPDX-License-Identifier: Apache-2.0
// Exchanges and bindings.
#include <algorithm>
#include <cstdio>
#include <utility>

#include "amqp/spec/conditions.hpp"
#include "broker/core/address.hpp"
#include "broker/management/operations.hpp"

namespace whimbrel::broker::management {

using amqp::codec::map;
using amqp::codec::value;
using core::binding;
using core::exchange_settings;
using security::action;

namespace {

constexpr std::string_view alternate_key = "alternate-exchange";

struct read_exchange {
  exchange_settings as = {};
  std::optional<std::string> wrong = {};
};

std::optional<std::string> read_arguments(const value& v, exchange_settings& into) {
  if (v.is_null()) return std::nullopt;
  const auto arguments = v.to<map>();
  if (!arguments) return "'arguments' is not a map";
  for (const auto& [key, mapped] : *arguments) {
    const std::string name = key.text().value_or("");
    const auto text = mapped.text();
    if (name != alternate_key) return "argument '" + name + "' is unknown";
    if (!text) return "argument 'alternate-exchange' is not a string";
    into.alternate = *text;
  }
  return std::nullopt;
}

std::optional<std::string> read_one(const std::string& name, const value& v,
                                    exchange_settings& into) {
  if (name == "arguments") return read_arguments(v, into);
  if (name == "type" || name == "exchange_type") {
    const auto type = core::exchange_type_of(v.text().value_or(""));
    if (!type) return "unknown exchange type '" + v.text().value_or("") + "'";
    into.type = *type;
    return std::nullopt;
  }
  const auto flag = v.to<bool>();
  if (name != "durable" && name != "auto_delete" && name != "internal") {
    return "unknown key '" + name + "' in the declaration of an exchange";
  }
  if (!flag) return "'" + name + "' is not a boolean";
  (name == "durable" ? into.durable : name == "internal" ? into.internal : into.auto_delete) =
      *flag;
  return std::nullopt;
}

read_exchange exchange_from(const std::string& name, const value& attributes) {
  read_exchange out;
  out.as.name = name;
  if (attributes.is_null()) return out;
  out.wrong = read_fields(attributes, [&](const std::string& key, const value& v) {
    return read_one(key, v, out.as);
  });
  return out;
}

std::string text_of(bool b) { return b ? "true" : "false"; }

/// In what a declaration differs from what is there.
reply inequivalent(const exchange_settings& is, const exchange_settings& wanted) {
  std::string field = std::string(alternate_key);
  std::string received = wanted.alternate;
  std::string current = is.alternate;
  const auto set = [&](const char* name, std::string a, std::string b) {
    field = name;
    received = std::move(a);
    current = std::move(b);
  };
  if (is.type != wanted.type) {
    set("type", std::string(name_of(wanted.type)), std::string(name_of(is.type)));
  } else if (is.durable != wanted.durable) {
    set("durable", text_of(wanted.durable), text_of(is.durable));
  } else if (is.auto_delete != wanted.auto_delete) {
    set("auto_delete", text_of(wanted.auto_delete), text_of(is.auto_delete));
  } else if (is.internal != wanted.internal) {
    set("internal", text_of(wanted.internal), text_of(is.internal));
  }
  return failure(status::conflict, "inequivalent arg '" + field + "' for " +
                                       named("exchange", is.name) + ": received '" + received +
                                       "' but current is '" + current + "'");
}

reply of(const core::refusal& r, int success) {
  namespace conditions = amqp::spec::conditions;
  if (r.is_ok()) return {success, {}};
  if (r.condition == conditions::not_found) return failure(status::not_found, r.description);
  if (r.condition == conditions::not_allowed) return failure(status::forbidden, r.description);
  if (r.condition == conditions::precondition_failed) {
    return failure(status::conflict, r.description);
  }
  return failure(status::bad_request, r.description);
}

std::string encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    char hex[4] = {};
    std::snprintf(hex, sizeof hex, "%%%02X", octet);
    out += plain ? std::string(1, c) : std::string(hex);
  }
  return out;
}

bool is_wanted(const binding& b, const binding& between) {
  return (between.source.empty() || b.source == between.source) &&
         (between.destination.empty() ||
          (b.destination == between.destination && b.to_exchange == between.to_exchange)) &&
         (between.key.empty() || b.key == between.key);
}

/// The page of `all`, in the order of `less`.
template <class T, class Less>
bool cut_page(std::vector<T>& all, page which, Less less) {
  const std::size_t from = std::min(which.offset, all.size());
  const std::size_t to = std::min(from + which.count, all.size());
  const auto middle = all.begin() + static_cast<std::ptrdiff_t>(to);
  std::partial_sort(all.begin(), middle, all.end(), less);
  const bool more = middle != all.end();
  all.erase(middle, all.end());
  all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(from));
  return more;
}

}  // namespace

std::string hash_of(const map& arguments) {
  if (arguments.empty()) return {};
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const std::byte octet : arguments.octets()) {
    hash = (hash ^ static_cast<std::uint64_t>(octet)) * 0x100000001b3;
  }
  char hex[17] = {};
  std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(hash));
  return hex;
}

map describe(const binding& b) {
  const char* to = b.to_exchange ? "destination_exchange" : "destination_queue";
  const std::string location = "/bindings/src=" + encoded(b.source) +
                               (b.to_exchange ? ";dste=" : ";dstq=") + encoded(b.destination) +
                               ";key=" + encoded(b.key) + ";args=" + hash_of(b.arguments);
  return {{value("source"), value(b.source)},
          {value("vhost"), value("/")},
          {value(to), value(b.destination)},
          {value("binding_key"), value(b.key)},
          {value("arguments"), value(b.arguments)},
          {value("location"), value(location)}};
}

/// Runs `work` on worker 0 with the directory and an answer that may be given there.
template <class Work>
void operations::on_directory(const answer& done, Work work) const {
  core::directory& nodes = who_.nodes;
  const core::worker_id back = who_.home.self();
  who_.home.send_task(core::worker_id{0}, [&nodes, back, done, work](core::shard& zero) {
    work(nodes, answer([&zero, back, done](const reply& r) {
           zero.send_task(back, [done, r](core::shard&) { done(r); });
         }));
  });
}

// --- exchanges -------------------------------------------------------------------------------

void operations::declare_exchange(const std::string& name, const value& attributes,
                                  const answer& done) const {
  const auto read = exchange_from(name, attributes);
  if (read.wrong) return done(failure(status::bad_request, *read.wrong));
  if (name.empty() || name == core::default_exchange) {
    return done(failure(status::forbidden, "the default exchange cannot be declared"));
  }
  if (!security::is_permitted(who_.allowed, action::configure, name)) {
    return done(failure(status::forbidden,
                        "no permission to declare " + named("exchange", name)));
  }
  on_directory(done, [as = read.as](core::directory& nodes, const answer& tell) {
    const auto* there = nodes.exchanges().settings_of(as.name);
    if (there != nullptr && !(*there == as)) return tell(inequivalent(*there, as));
    const int code = there == nullptr ? status::created : status::ok;
    nodes.declare(as, [tell, code](const core::refusal& r) { tell(of(r, code)); });
  });
}

void operations::read_exchange(
    const std::string& name,
    std::function<void(const reply& why, const exchange_settings& what)> done) const {
  const reply absent = failure(status::not_found, "no " + named("exchange", name));
  if (!may_see(name)) return done(absent, {});
  core::directory& nodes = who_.nodes;
  const core::worker_id back = who_.home.self();
  who_.home.send_task(core::worker_id{0}, [&nodes, back, name, absent, done](core::shard& zero) {
    const auto* there = nodes.exchanges().settings_of(name);
    const reply why = there == nullptr ? absent : reply{};
    const exchange_settings what = there == nullptr ? exchange_settings{} : *there;
    zero.send_task(back, [done, why, what](core::shard&) { done(why, what); });
  });
}

void operations::delete_exchange(const std::string& name, const answer& done) const {
  if (!security::is_permitted(who_.allowed, action::configure, name)) {
    return done(failure(status::forbidden, "no permission to delete " + named("exchange", name)));
  }
  on_directory(done, [name](core::directory& nodes, const answer& tell) {
    nodes.exchanges().remove(name, [tell](const core::refusal& r) {
      if (r.condition == amqp::spec::conditions::not_found) return tell({status::no_content, {}});
      tell(of(r, status::no_content));
    });
  });
}

void operations::list_exchanges(page which, std::function<void(const exchange_page&)> done) const {
  core::directory& nodes = who_.nodes;
  const core::worker_id back = who_.home.self();
  who_.home.send_task(core::worker_id{0}, [&nodes, back, which, done,
                                           self = *this](core::shard& zero) {
    exchange_page out;
    nodes.exchanges().each_exchange([&](const exchange_settings& e) {
      if (self.may_see(e.name)) out.exchanges.push_back(e);
    });
    out.more = cut_page(out.exchanges, which,
                        [](const auto& a, const auto& b) { return a.name < b.name; });
    zero.send_task(back, [done, out](core::shard&) { done(out); });
  });
}

// --- bindings --------------------------------------------------------------------------------

std::optional<reply> operations::check_binding(const binding& what) const {
  if (what.source.empty() || what.source == core::default_exchange) {
    return failure(status::forbidden, "bindings of the default exchange cannot be changed");
  }
  if (what.destination.empty()) {
    return failure(status::bad_request, "the binding names no destination");
  }
  const bool may = security::is_permitted(who_.allowed, action::configure, what.destination) &&
                   security::is_permitted(who_.allowed, action::receive, what.source);
  if (may) return std::nullopt;
  return failure(status::forbidden,
                 "no permission to bind '" + what.destination + "' to '" + what.source + "'");
}

void operations::bind(const binding& what, const answer& done) const {
  if (const auto wrong = check_binding(what)) return done(*wrong);
  on_directory(done, [what](core::directory& nodes, const answer& tell) {
    const int code = nodes.exchanges().has_binding(what) ? status::ok : status::created;
    nodes.bind(what, [tell, code](const core::refusal& r) { tell(of(r, code)); });
  });
}

void operations::unbind(const binding& what, const answer& done) const {
  if (const auto wrong = check_binding(what)) return done(*wrong);
  on_directory(done, [what](core::directory& nodes, const answer& tell) {
    nodes.exchanges().unbind(what,
                             [tell](const core::refusal& r) { tell(of(r, status::no_content)); });
  });
}

void operations::unbind(const binding& what, std::string arguments_hash,
                        const answer& done) const {
  if (const auto wrong = check_binding(what)) return done(*wrong);
  on_directory(done, [what, hash = std::move(arguments_hash)](core::directory& nodes,
                                                              const answer& tell) {
    binding found = what;
    nodes.exchanges().each_binding_from(what.source, [&](const binding& b) {
      if (b.destination == what.destination && b.to_exchange == what.to_exchange &&
          b.key == what.key && hash_of(b.arguments) == hash) {
        found = b;
      }
    });
    if (hash_of(found.arguments) != hash) return tell({status::no_content, {}});
    nodes.exchanges().unbind(found,
                             [tell](const core::refusal& r) { tell(of(r, status::no_content)); });
  });
}

void operations::list_bindings(page which, binding between,
                               std::function<void(const binding_page&)> done) const {
  core::directory& nodes = who_.nodes;
  const core::worker_id back = who_.home.self();
  who_.home.send_task(core::worker_id{0}, [&nodes, back, which, between, done,
                                           self = *this](core::shard& zero) {
    binding_page out;
    const auto take = [&](const binding& b) {
      const bool seen = self.may_see(b.source) && self.may_see(b.destination);
      if (seen && is_wanted(b, between)) out.bindings.push_back(b);
    };
    if (between.source.empty()) nodes.exchanges().each_binding(take);
    else nodes.exchanges().each_binding_from(between.source, take);
    out.more = cut_page(out.bindings, which,
                        [](const auto& a, const auto& b) { return a.id() < b.id(); });
    zero.send_task(back, [done, out](core::shard&) { done(out); });
  });
}

}  // namespace whimbrel::broker::management
