// SPDX-License-Identifier: Apache-2.0
#include "client/tools/json.hpp"

namespace whimbrel::client {

namespace json = boost::json;
using amqp::codec::list;
using amqp::codec::map;
using amqp::codec::value;

json::value to_json(const value& v) {
  if (v.is_null()) return nullptr;
  if (const auto* b = v.get_if<bool>()) return *b;
  if (const auto* m = v.get_if<map>()) {
    json::object out;
    for (const auto& [key, mapped] : *m) {
      out[key.text().value_or(amqp::codec::to_text(key))] = to_json(mapped);
    }
    return out;
  }
  if (const auto* l = v.get_if<list>()) {
    json::array out;
    for (const value& item : *l) out.push_back(to_json(item));
    return out;
  }
  if (const auto text = v.text()) return json::string(*text);
  if (const auto n = v.to_signed()) return *n;
  if (const auto n = v.to_unsigned()) return *n;
  if (const auto* d = v.get_if<double>()) return *d;
  return json::string(amqp::codec::to_text(v));
}

value from_json(const json::value& v) {
  switch (v.kind()) {
    case json::kind::null: return {};
    case json::kind::bool_: return value(v.get_bool());
    case json::kind::int64: return value(v.get_int64());
    case json::kind::uint64: return value(v.get_uint64());
    case json::kind::double_: return value(v.get_double());
    case json::kind::string: return value(std::string_view(v.get_string()));
    case json::kind::array: {
      list out;
      for (const json::value& item : v.get_array()) out.push_back(from_json(item));
      return value(std::move(out));
    }
    case json::kind::object: {
      map out;
      for (const auto& [key, mapped] : v.get_object()) {
        out.set(value(std::string_view(key)), from_json(mapped));
      }
      return value(std::move(out));
    }
  }
  return {};
}

namespace {

void write(std::string& out, const json::value& v, std::size_t depth) {
  const auto line = [&](std::size_t at) { out += '\n' + std::string(at * 2, ' '); };
  const char* separator = "";
  if (v.is_object() && !v.get_object().empty()) {
    out += '{';
    for (const auto& [key, mapped] : v.get_object()) {
      out += separator;
      separator = ",";
      line(depth + 1);
      out += json::serialize(json::string(key)) + ": ";
      write(out, mapped, depth + 1);
    }
    line(depth);
    out += '}';
  } else if (v.is_array() && !v.get_array().empty()) {
    out += '[';
    for (const json::value& item : v.get_array()) {
      out += separator;
      separator = ",";
      line(depth + 1);
      write(out, item, depth + 1);
    }
    line(depth);
    out += ']';
  } else {
    out += json::serialize(v);
  }
}

}  // namespace

std::string pretty(const json::value& v) {
  std::string out;
  write(out, v, 0);
  return out;
}

}  // namespace whimbrel::client
