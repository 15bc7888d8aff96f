// SPDX-License-Identifier: Apache-2.0
// From path and method to the operation.
#include "broker/management/http.hpp"

#include <utility>

#include "amqp/codec/skip.hpp"
#include "broker/core/address.hpp"

namespace whimbrel::broker::management {

namespace {

std::optional<std::string> decoded_part(std::string_view text) {
  auto out = core::percent_decoded(text);
  if (!out || !amqp::codec::is_utf8(*out)) return std::nullopt;
  return out;
}

reply no_such_path(const http_request& r) {
  return failure(status::not_found, "nothing is managed at '" + r.target + "'");
}

reply no_such_method(const http_request& r) {
  return failure(status::method_not_allowed,
                 "method '" + r.method + "' does not apply to '" + r.target + "'");
}

void handle_queue(const operations& on, const http_request& request, const std::string& name,
                  const answer& done) {
  if (request.method == "GET") return on.read_queue(name, done);
  if (request.method == "PUT") return on.declare_queue(name, request.body, done);
  if (request.method == "DELETE") {
    core::queue_removal what;
    what.name = name;
    return on.delete_queue(std::move(what), done);
  }
  done(no_such_method(request));
}

/// What other brokers answer to declarations of exchanges and bindings, new or not.
answer without_content(const answer& done) {
  return [done](const reply& r) { done(r.is_ok() ? reply{status::no_content, {}} : r); };
}

/// The ends and the key of a binding, from a path or a query.
std::optional<core::binding> binding_from(const std::map<std::string, std::string>& parts) {
  core::binding out;
  const auto at = [&](const char* key) -> const std::string* {
    const auto found = parts.find(key);
    return found == parts.end() ? nullptr : &found->second;
  };
  if (const auto* source = at("src")) out.source = *source;
  if (const auto* key = at("key")) out.key = *key;
  if (const auto* queue = at("dstq")) out.destination = *queue;
  if (const auto* exchange = at("dste")) {
    out.destination = *exchange;
    out.to_exchange = true;
  }
  if (out.source.empty() || out.destination.empty()) return std::nullopt;
  return out;
}

std::optional<std::string> read_one(const std::string& name, const amqp::codec::value& v,
                                    core::binding& into) {
  if (name == "arguments") {
    const auto arguments = v.to<amqp::codec::map>();
    if (!arguments && !v.is_null()) return "'arguments' is not a map";
    into.arguments = arguments.value_or(amqp::codec::map{});
    return std::nullopt;
  }
  const auto text = v.text();
  if (text && name == "source") {
    into.source = *text;
  } else if (text && name == "binding_key") {
    into.key = *text;
  } else if (text && (name == "destination_queue" || name == "destination_exchange")) {
    into.destination = *text;
    into.to_exchange = name == "destination_exchange";
  } else {
    return "unknown or wrong '" + name + "' in a binding";
  }
  return std::nullopt;
}

void bind(const operations& on, const http_request& request, const answer& done) {
  core::binding what;
  const auto wrong = read_fields(request.body, [&](const std::string& name,
                                                  const amqp::codec::value& v) {
    return read_one(name, v, what);
  });
  if (wrong) return done(failure(status::bad_request, *wrong));
  on.bind(what, without_content(done));
}

void list_bindings(const operations& on, const http_target& target, const answer& done) {
  auto between = binding_from(target.query);
  if (!between) {
    return done(failure(status::bad_request,
                        "bindings are listed by `src` and one of `dstq` and `dste`"));
  }
  const bool any_key = !target.query.contains("key");
  on.list_bindings({}, *between, [key = between->key, any_key, done](const binding_page& page) {
    amqp::codec::list out;
    for (const core::binding& b : page.bindings) {
      if (any_key || b.key == key) out.push_back(amqp::codec::value(describe(b)));
    }
    done({status::ok, amqp::codec::value(std::move(out))});
  });
}

/// `/bindings/src=e;dstq=q;key=k;args=`: taken apart before its parts are decoded, so from the
/// text.
void unbind(const operations& on, const http_request& request, const answer& done) {
  const auto parts = parse_pairs(std::string_view(request.target).substr(10), ';');
  const auto what = parts ? binding_from(*parts) : std::nullopt;
  if (!what) return done(failure(status::bad_request, "'" + request.target + "' is no binding"));
  const auto hash = parts->find("args");
  on.unbind(*what, hash == parts->end() ? std::string{} : hash->second, done);
}

void handle_bindings(const operations& on, const http_request& request, const http_target& target,
                     const answer& done) {
  const bool one = target.segments.size() == 2;
  if (one && request.method == "DELETE") return unbind(on, request, done);
  if (!one && request.method == "POST") return bind(on, request, done);
  if (!one && request.method == "GET") return list_bindings(on, target, done);
  done(no_such_method(request));
}

void handle_exchange(const operations& on, const http_request& request, const std::string& name,
                     const answer& done) {
  if (request.method == "PUT") {
    return on.declare_exchange(name, request.body, without_content(done));
  }
  if (request.method == "DELETE") return on.delete_exchange(name, done);
  done(no_such_method(request));
}

}  // namespace

std::optional<std::map<std::string, std::string>> parse_pairs(std::string_view text,
                                                              char separator) {
  std::map<std::string, std::string> out;
  while (!text.empty()) {
    const auto end = text.find(separator);
    const auto pair = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    auto key = decoded_part(pair.substr(0, equals));
    auto mapped = equals == std::string_view::npos ? std::optional<std::string>("")
                                                   : decoded_part(pair.substr(equals + 1));
    if (!key || !mapped) return std::nullopt;
    out[*std::move(key)] = *std::move(mapped);
  }
  return out;
}

std::optional<http_target> parse_target(std::string_view text) {
  http_target out;
  const auto question = text.find('?');
  if (question != std::string_view::npos) {
    auto pairs = parse_pairs(text.substr(question + 1), '&');
    if (!pairs) return std::nullopt;
    out.query = *std::move(pairs);
  }
  std::string_view path = text.substr(0, question);
  if (path.starts_with('/')) path.remove_prefix(1);
  while (true) {
    const auto slash = path.find('/');
    auto segment = decoded_part(path.substr(0, slash));
    if (!segment) return std::nullopt;
    out.segments.push_back(*std::move(segment));
    if (slash == std::string_view::npos) return out;
    path.remove_prefix(slash + 1);
  }
}

void handle(const operations& on, const http_request& request, const answer& done) {
  const auto target = parse_target(request.target);
  if (!target) {
    return done(failure(status::bad_request,
                        "'" + request.target + "' is not a path in percent-encoded UTF-8"));
  }
  const auto& at = target->segments;
  if (at[0] == "queues" && at.size() == 2) return handle_queue(on, request, at[1], done);
  if (at[0] == "queues" && at.size() == 3 && at[2] == "messages") {
    if (request.method == "DELETE") return on.purge_queue(at[1], done);
    return done(no_such_method(request));
  }
  if (at[0] == "exchanges" && at.size() == 2) return handle_exchange(on, request, at[1], done);
  if (at[0] == "bindings" && at.size() <= 2 && request.target.starts_with("/bindings")) {
    return handle_bindings(on, request, *target, done);
  }
  if (at[0] == "auth") {
    return done(failure(status::not_implemented, "this broker has no tokens to refresh"));
  }
  done(no_such_path(request));
}

}  // namespace whimbrel::broker::management
