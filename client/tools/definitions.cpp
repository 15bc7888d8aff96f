// SPDX-License-Identifier: Apache-2.0
// Definitions from JSON, from a broker, and to JSON.
#include "client/tools/definitions.hpp"

#include <array>
#include <map>
#include <stdexcept>
#include <utility>

#include "client/tools/json.hpp"
#include "client/tools/name_pattern.hpp"
#include "whimbrel/version.hpp"

namespace whimbrel::client {

namespace json = boost::json;
using amqp::codec::list;
using amqp::codec::map;
using amqp::codec::value;

namespace {

constexpr std::int64_t page_size = 1'000;

struct section {
  const char* key;   // in the document
  const char* kind;
  std::vector<std::pair<const char*, const char*>> members;  // in the document, at the broker
};

/// In the order in which they can be made.
const std::array sections = {
    section{"queues", "queue",
            {{"durable", "durable"}, {"auto_delete", "auto_delete"}, {"arguments", "arguments"}}},
    section{"exchanges", "exchange",
            {{"type", "exchange_type"},
             {"durable", "durable"},
             {"auto_delete", "auto_delete"},
             {"internal", "internal"},
             {"arguments", "arguments"}}},
    section{"bindings", "binding",
            {{"source", "source"},
             {"destination", "destination"},
             {"destination_type", "destination_type"},
             {"routing_key", "binding_key"},
             {"arguments", "arguments"}}},
    section{"policies", "policy",
            {{"pattern", "pattern"}, {"priority", "priority"}, {"definition", "arguments"}}},
};

std::string text_at(const map& m, const char* key) { return m.get<std::string>(key).value_or(""); }

std::string name_of(const section& s, const map& body, const std::string& given) {
  if (std::string_view(s.kind) != "binding") return given;
  return text_at(body, "source") + " -> " + text_at(body, "destination_type") + " " +
         text_at(body, "destination") + " by '" + text_at(body, "binding_key") + "' " +
         json::serialize(to_json(body.find("arguments").value_or(value(map{}))));
}

/// Those that every broker has, or makes by itself.
bool is_built_in(const section& s, const map& body, const std::string& name) {
  if (std::string_view(s.kind) == "exchange") return name.empty() || name.starts_with("amq.");
  if (std::string_view(s.kind) == "binding") return text_at(body, "source").empty();
  return false;
}

definition definition_of(const section& s, const map& entity, bool from_document) {
  definition out;
  out.kind = s.kind;
  for (const auto& [theirs, ours] : s.members) {
    const auto v = entity.find(from_document ? theirs : ours);
    if (v && !v->is_null()) out.body.append(value(ours), *v);
  }
  out.name = name_of(s, out.body, text_at(entity, "name"));
  return out;
}

// What RabbitMQ calls otherwise in policies: theirs in the document, ours at the broker.
constexpr const char* their_octets = "max-length-bytes";
constexpr const char* our_octets = "max-octets";

map renamed(const map& arguments, std::string_view from, const char* to) {
  map out;
  for (const auto& [key, v] : arguments) out.append(key.text() == from ? value(to) : key, v);
  return out;
}

/// A policy of a document becomes one of the broker. False: the broker has none like it.
bool take_policy(const map& entity, definition& into) {
  const std::string to = entity.get<std::string>("apply-to").value_or("all");
  const auto glob = glob_of(text_at(entity, "pattern"));
  if (!glob || to == "exchanges" || to == "streams") return false;
  into.body.set(value("pattern"), value(*glob));
  const map says = into.body.get<map>("arguments").value_or(map{});
  into.body.set(value("arguments"), value(renamed(says, their_octets, our_octets)));
  return true;
}

void write_policy(const map& body, json::object& item) {
  item["pattern"] = regex_of(text_at(body, "pattern"));
  item["apply-to"] = "queues";
  const map says = body.get<map>("arguments").value_or(map{});
  item["definition"] = to_json(value(renamed(says, our_octets, their_octets)));
}

void read_section(const section& s, const json::object& document, const std::string& vhost,
                  definition_set& out) {
  const json::value* items = document.if_contains(s.key);
  if (items == nullptr) return;
  if (!items->is_array()) throw std::runtime_error(std::string("`") + s.key + "` is no list");
  std::size_t elsewhere = 0;
  for (const json::value& item : items->get_array()) {
    const map entity = from_json(item).to<map>().value_or(map{});
    if (!item.is_object() || (!entity.contains("name") && !entity.contains("source"))) {
      throw std::runtime_error(std::string("an item of `") + s.key + "` has no name");
    }
    if (entity.get<std::string>("vhost").value_or(vhost) != vhost) {
      ++elsewhere;
      continue;
    }
    definition d = definition_of(s, entity, true);
    if (d.kind == "policy" && !take_policy(entity, d)) {
      out.left_out.push_back("policy " + d.name + ": not for queues by a simple pattern");
      continue;
    }
    if (!is_built_in(s, d.body, d.name)) out.all.push_back(std::move(d));
  }
  if (elsewhere != 0) {
    out.left_out.push_back(std::to_string(elsewhere) + " " + s.key + " of other vhosts");
  }
}

}  // namespace

std::string entity_type(const std::string& kind) { return "org.whimbrel." + kind; }

definition_set read_definitions(const std::string& text, const std::string& vhost) {
  boost::system::error_code wrong;
  const json::value document = json::parse(text, wrong);
  if (wrong) throw std::runtime_error("not JSON: " + wrong.message());
  if (!document.is_object()) throw std::runtime_error("the document is no JSON object");
  definition_set out;
  for (const section& s : sections) read_section(s, document.get_object(), vhost, out);
  for (const auto& [key, items] : document.get_object()) {
    const bool known = key == "queues" || key == "exchanges" || key == "bindings" ||
                       key == "policies" || key == "vhosts" || !items.is_array();
    if (known || items.get_array().empty()) continue;
    out.left_out.push_back(std::to_string(items.get_array().size()) + " " + std::string(key));
  }
  return out;
}

bool each_entity(management_client& at, const std::string& type,
                 const std::vector<std::string>& attributes, const entity_visitor& visit) {
  list names;
  for (const std::string& a : attributes) names.push_back(value(a));
  std::int64_t offset = 0;
  for (bool more = true; more;) {
    const auto r = at.request("QUERY",
                              map{{value("type"), value("org.amqp.management")},
                                  {value("name"), value("self")},
                                  {value("entityType"), value(type)},
                                  {value("offset"), value(offset)},
                                  {value("count"), value(page_size)}},
                              value(map{{value("attributeNames"), value(names)}}));
    if (r.code == 404) return false;
    if (!r.is_ok()) throw std::runtime_error(r.text);
    const map body = r.body.to<map>().value_or(map{});
    const list given = body.get<list>("attributeNames").value_or(list{});
    const list rows = body.get<list>("results").value_or(list{});
    for (const value& row : rows) {
      map entity;
      const list cells = row.to<list>().value_or(list{});
      auto cell = cells.begin();
      for (const value& name : given) {
        if (cell == cells.end()) break;
        entity.set(name, *cell);
        ++cell;
      }
      visit(entity);
    }
    offset += rows.size();
    more = body.get<bool>("more").value_or(false) && !rows.empty();
  }
  return true;
}

definition_set fetch_definitions(management_client& from) {
  definition_set out;
  for (const section& s : sections) {
    std::vector<std::string> wanted{"name", "temporary", "exclusive"};
    for (const auto& member : s.members) wanted.emplace_back(member.second);
    const bool known = each_entity(from, entity_type(s.kind), wanted, [&](const map& entity) {
      const bool passing = entity.get<bool>("temporary").value_or(false) ||
                           entity.get<bool>("exclusive").value_or(false);
      definition d = definition_of(s, entity, false);
      if (!passing && !is_built_in(s, d.body, d.name)) out.all.push_back(std::move(d));
    });
    if (!known) out.left_out.push_back(std::string(s.key) + ": the broker has none");
  }
  return out;
}

json::value to_document(const definition_set& what) {
  json::object out;
  out["whimbrel_version"] = std::string(whimbrel::version);
  for (const section& s : sections) {
    json::array items;
    for (const definition& d : what.all) {
      if (d.kind != s.kind) continue;
      json::object item;
      if (d.kind != "binding") item["name"] = d.name;
      item["vhost"] = "/";
      for (const auto& [theirs, ours] : s.members) {
        if (const auto v = d.body.find(ours)) item[theirs] = to_json(*v);
      }
      if (d.kind == "policy") write_policy(d.body, item);
      items.push_back(std::move(item));
    }
    out[s.key] = std::move(items);
  }
  return out;
}

std::vector<difference> compare(const definition_set& present, const definition_set& wanted) {
  std::map<std::pair<std::string, std::string>, const definition*> there;
  for (const definition& d : present.all) there[{d.kind, d.name}] = &d;
  std::vector<difference> out;
  for (const definition& d : wanted.all) {
    const auto found = there.find({d.kind, d.name});
    if (found == there.end()) {
      out.push_back({difference::kind::added, d, {}});
      continue;
    }
    std::string how;
    for (const auto& [key, v] : d.body) {
      const std::string name = key.text().value_or("");
      const json::value wish = to_json(v);
      const auto now = found->second->body.find(name);
      const json::value is = now ? to_json(*now) : json::value();
      if (is == wish) continue;
      how += (how.empty() ? "" : ", ") + name + " is " + json::serialize(is) + ", wanted " +
             json::serialize(wish);
    }
    if (!how.empty()) out.push_back({difference::kind::differs, d, how});
  }
  return out;
}

}  // namespace whimbrel::client
