// SPDX-License-Identifier: Apache-2.0
#include "broker/management/entities_topology.hpp"

#include <array>
#include <utility>

namespace whimbrel::broker::management {

using amqp::codec::list;
using amqp::codec::map;
using amqp::codec::value;
using core::binding;
using core::exchange_settings;

namespace {

constexpr std::array<std::string_view, 8> of_exchanges{
    "name", "identity", "type", "exchange_type", "durable", "auto_delete", "internal", "arguments"};
constexpr std::array<std::string_view, 8> of_bindings{
    "name",        "identity",         "type",        "source",
    "destination", "destination_type", "binding_key", "arguments"};

value attribute(const exchange_settings& e, std::string_view name) {
  if (name == "name" || name == "identity") return value(e.name);
  if (name == "type") return value(exchange_entity);
  if (name == "exchange_type") return value(name_of(e.type));
  if (name == "durable") return value(e.durable);
  if (name == "auto_delete") return value(e.auto_delete);
  if (name == "internal") return value(e.internal);
  if (name != "arguments") return {};
  map arguments;
  if (!e.alternate.empty()) arguments.append(value("alternate-exchange"), value(e.alternate));
  return value(std::move(arguments));
}

value attribute(const binding& b, std::string_view name) {
  if (name == "name" || name == "identity") {
    return value(describe(b).get<std::string>("location").value_or(""));
  }
  if (name == "type") return value(binding_entity);
  if (name == "source") return value(b.source);
  if (name == "destination") return value(b.destination);
  if (name == "destination_type") return value(b.to_exchange ? "exchange" : "queue");
  if (name == "binding_key") return value(b.key);
  if (name == "arguments") return value(b.arguments);
  return {};
}

template <class T>
list rows(const std::vector<T>& items, const std::vector<std::string>& wanted) {
  list out;
  for (const T& item : items) {
    list row;
    for (const std::string& name : wanted) row.push_back(attribute(item, name));
    out.push_back(value(row));
  }
  return out;
}

/// Nothing if the body does not say what a binding is between.
std::optional<binding> binding_in(const value& body) {
  const auto* fields = body.get_if<map>();
  if (fields == nullptr) return std::nullopt;
  const auto text = [&](const char* key) {
    const auto v = fields->find(key);
    return v ? v->text().value_or("") : std::string{};
  };
  binding out;
  out.source = text("source");
  out.destination = text("destination");
  out.key = text("binding_key");
  const std::string to = text("destination_type");
  out.to_exchange = to == "exchange";
  if (!to.empty() && to != "exchange" && to != "queue") return std::nullopt;
  if (const auto v = fields->find("arguments"); v && !v->is_null()) {
    const auto arguments = v->to<map>();
    if (!arguments) return std::nullopt;
    out.arguments = *arguments;
  }
  return out;
}

/// What was declared, with the code of doing so.
answer as_declared(const value& body, const answer& done) {
  return [body, done](const reply& r) { done(r.is_ok() ? reply{r.code, body} : r); };
}

answer as_deleted(const answer& done) {
  return [done](const reply& r) { done(r.is_ok() ? reply{r.code, value(map{})} : r); };
}

reply no_such_operation(std::string_view what, const std::string& operation) {
  return failure(status::not_implemented,
                 std::string(what) + " has no operation '" + operation + "'");
}

}  // namespace

std::span<const std::string_view> exchange_attributes() { return of_exchanges; }
std::span<const std::string_view> binding_attributes() { return of_bindings; }

reply query_reply(const std::vector<std::string>& names, list results, bool more) {
  list columns;
  for (const std::string& name : names) columns.push_back(value(name));
  map out{{value("attributeNames"), value(columns)}, {value("results"), value(results)}};
  if (more) out.append(value("more"), value(true));
  return {status::ok, value(std::move(out))};
}

void handle_exchange(const operations& on, const entity_request& request, const answer& done) {
  if (request.name.empty()) {
    return done(failure(status::bad_request, "neither `name` nor `identity` is given"));
  }
  if (request.operation == "CREATE") {
    return on.declare_exchange(request.name, request.body,
                               as_declared(value(map{{value("name"), value(request.name)}}), done));
  }
  if (request.operation == "DELETE") return on.delete_exchange(request.name, as_deleted(done));
  if (request.operation != "READ") {
    return done(no_such_operation("an exchange", request.operation));
  }
  on.read_exchange(request.name, [done](const reply& why, const exchange_settings& e) {
    if (!why.is_ok()) return done(why);
    map out;
    for (const std::string_view name : of_exchanges) out.append(value(name), attribute(e, name));
    done({status::ok, value(std::move(out))});
  });
}

void handle_binding(const operations& on, const entity_request& request, const answer& done) {
  const auto what = binding_in(request.body);
  if (request.operation != "CREATE" && request.operation != "DELETE") {
    return done(no_such_operation("a binding", request.operation));
  }
  if (!what) {
    return done(failure(status::bad_request,
                        "the body has no source, destination, destination_type (queue, exchange), "
                        "binding_key, arguments"));
  }
  if (request.operation == "CREATE") return on.bind(*what, as_declared(request.body, done));
  on.unbind(*what, as_deleted(done));
}

void query_exchanges(const operations& on, page which, const std::vector<std::string>& wanted,
                     const answer& done) {
  on.list_exchanges(which, [wanted, done](const exchange_page& p) {
    done(query_reply(wanted, rows(p.exchanges, wanted), p.more));
  });
}

void query_bindings(const operations& on, page which, const std::vector<std::string>& wanted,
                    const answer& done) {
  on.list_bindings(which, {}, [wanted, done](const binding_page& p) {
    done(query_reply(wanted, rows(p.bindings, wanted), p.more));
  });
}

}  // namespace whimbrel::broker::management
