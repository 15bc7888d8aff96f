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
  if (at[0] == "exchanges" || at[0] == "bindings") {
    return done(failure(status::not_implemented,
                        "exchanges and bindings cannot be managed in this version"));
  }
  if (at[0] == "auth") {
    return done(failure(status::not_implemented, "this broker has no tokens to refresh"));
  }
  done(no_such_path(request));
}

}  // namespace whimbrel::broker::management
