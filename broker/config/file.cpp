// SPDX-License-Identifier: Apache-2.0
// The only file that includes toml++.
#include "broker/config/file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <set>
#include <sstream>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <toml++/toml.h>

#include "broker/config/value.hpp"

namespace whimbrel::broker::config {
namespace {

constexpr std::size_t name_size_max = 255;
constexpr std::string_view table_names[] = {"listener", "queue",  "exchange",
                                           "user",     "policy", "auto-create"};

/// The keys that one kind of [[table]] knows.
using key_names = std::initializer_list<std::string_view>;

/// One [[table]] while it is read. Knows its place, so that every error names it.
class reader {
 public:
  reader(const std::string& path, std::string_view kind, const toml::table& table, key_names known,
         bool takes_arguments = false)
      : path_(path), kind_(kind), table_(table) {
    for (const auto& [key, value] : table_) {
      if (takes_arguments && core::is_argument(key.str())) continue;
      if (std::find(known.begin(), known.end(), key.str()) == known.end()) {
        fail(value, key.str(), "is not a key of [[" + kind_ + "]]" + suggestion(key.str(), known));
      }
    }
  }

  [[noreturn]] void fail(const toml::node& at, std::string_view key,
                         const std::string& what) const {
    const std::string name = key.empty() ? kind_ : kind_ + '.' + std::string(key);
    throw invalid(path_ + ':' + std::to_string(at.source().begin.line) + ": " + name + ": " + what);
  }
  [[noreturn]] void fail(const std::string& what) const { fail(table_, "", what); }

  std::string text(std::string_view key) const {
    const toml::node* at = table_.get(key);
    if (at == nullptr) fail("needs `" + std::string(key) + "`");
    const auto value = at->value_exact<std::string>();
    if (!value) fail(*at, key, "must be a text in quotes");
    if (value->empty() || value->size() > name_size_max)
      fail(*at, key, "must have 1 to 255 octets");
    const bool printable = std::none_of(value->begin(), value->end(), [](char c) {
      return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    });
    if (!printable) fail(*at, key, "must not contain control characters");
    return *value;
  }

  /// As text(), for a key that may be left out.
  std::string text_if_any(std::string_view key) const {
    return table_.contains(key) ? text(key) : std::string();
  }
  const toml::node* find(std::string_view key) const { return table_.get(key); }

  std::optional<bool> boolean(std::string_view key) const {
    const toml::node* at = table_.get(key);
    if (at == nullptr) return std::nullopt;
    const auto value = at->value_exact<bool>();
    if (!value) fail(*at, key, "must be true or false, without quotes");
    return value;
  }

  std::optional<std::int32_t> integer(std::string_view key) const {
    const toml::node* at = table_.get(key);
    if (at == nullptr) return std::nullopt;
    const auto value = at->value_exact<std::int64_t>();
    if (!value || *value < INT32_MIN || *value > INT32_MAX) {
      fail(*at, key, "must be a whole number of 32 bits");
    }
    return static_cast<std::int32_t>(*value);
  }

  /// The keys that are arguments of queues, checked each and together.
  amqp::codec::map arguments() const {
    amqp::codec::map out;
    core::queue_policy checked;
    for (const auto& [key, node] : table_) {
      if (!core::is_argument(key.str())) continue;
      const amqp::codec::value given = value_of(node);
      if (const auto wrong = core::set_argument(checked, key.str(), given)) {
        fail(node, key.str(), *wrong);
      }
      out.append(amqp::codec::value(key.str()), given);
    }
    if (const auto wrong = core::find_conflict(checked)) fail(*wrong);
    return out;
  }

  /// Each text of an array, given to `use` together with a function that refuses it.
  template <class Use>
  void texts(std::string_view key, Use use) const {
    const toml::node* at = table_.get(key);
    if (at == nullptr) return;
    const toml::array* items = at->as_array();
    if (items == nullptr) fail(*at, key, "must be a list of texts, [\"...\", \"...\"]");
    for (const toml::node& item : *items) {
      const auto value = item.value_exact<std::string>();
      if (!value) fail(item, key, "must be a list of texts, [\"...\", \"...\"]");
      use(*value, [&](const std::string& what) { fail(item, key, what); });
    }
  }

 private:
  /// Null for what no argument is.
  static amqp::codec::value value_of(const toml::node& node) {
    if (const auto text = node.value_exact<std::string>()) return amqp::codec::value(*text);
    if (const auto number = node.value_exact<std::int64_t>()) return amqp::codec::value(*number);
    if (const auto truth = node.value_exact<bool>()) return amqp::codec::value(*truth);
    return {};
  }

  const std::string& path_;
  std::string kind_ = {};
  const toml::table& table_;
};

/// One of a few words, if the key is there.
template <class T>
void read_choice(const reader& from, std::string_view key, T parse(std::string_view),
                 std::optional<T>& to) {
  if (from.find(key) == nullptr) return;
  try {
    to = parse(from.text(key));
  } catch (const invalid& error) {
    from.fail(*from.find(key), key, error.what());
  }
}

listener read_listener(const reader& from) {
  const std::string address = from.text("address");
  listener out;
  try {
    out = parse_listener(address);
  } catch (const invalid& error) {
    from.fail(error.what());
  }
  out.anonymous = from.boolean("anonymous");
  out.tls_certificate = from.text_if_any("tls-certificate");
  out.tls_key = from.text_if_any("tls-key");
  out.tls_client_ca = from.text_if_any("tls-client-ca");
  read_choice(from, "tls", parse_tls_use, out.tls);
  read_choice(from, "tls-verify-client", parse_client_check, out.tls_verify_client);
  return out;
}

queue read_queue(const reader& from) {
  return {.name = from.text("name"),
          .durable = from.boolean("durable").value_or(true),
          .arguments = from.arguments()};
}

core::named_policy read_policy(const reader& from) {
  core::named_policy out;
  out.name = from.text("name");
  out.pattern = from.text("pattern");
  out.priority = from.integer("priority").value_or(0);
  static_cast<void>(core::set_arguments(out.what, from.arguments()));  // has been checked
  if (out.what.empty()) from.fail("policy \"" + out.name + "\" sets nothing");
  return out;
}

/// `arguments = {colour = "red", size = 3, urgent = true}`
std::vector<std::pair<std::string, exchange_binding::argument>> read_arguments(
    const reader& from) {
  std::vector<std::pair<std::string, exchange_binding::argument>> out;
  const toml::node* at = from.find("arguments");
  if (at == nullptr) return out;
  if (at->as_table() == nullptr) from.fail(*at, "arguments", "must be a table, {name = value}");
  for (const auto& [key, node] : *at->as_table()) {
    const std::string name(key.str());
    if (const auto text = node.value_exact<std::string>()) {
      out.emplace_back(name, *text);
    } else if (const auto number = node.value_exact<std::int64_t>()) {
      out.emplace_back(name, *number);
    } else if (const auto boolean = node.value_exact<bool>()) {
      out.emplace_back(name, *boolean);
    } else {
      from.fail(node, "arguments." + name, "must be a text, a whole number, true or false");
    }
  }
  return out;
}

exchange_binding read_binding(const reader& from) {
  exchange_binding out{.queue = from.text_if_any("queue"),
                       .exchange = from.text_if_any("exchange"),
                       .key = from.text_if_any("key"),
                       .arguments = read_arguments(from)};
  if (out.queue.empty() == out.exchange.empty()) {
    from.fail("needs either `queue` or `exchange`");
  }
  return out;
}

exchange read_exchange(const std::string& path, const reader& from) {
  exchange out{.name = from.text("name")};
  if (from.find("type") != nullptr) out.type = from.text("type");
  const auto types = {"direct", "topic", "fanout", "headers"};
  if (std::find(types.begin(), types.end(), out.type) == types.end()) {
    from.fail(*from.find("type"), "type", "is one of direct, topic, fanout, headers");
  }
  if (out.name.starts_with("amq.")) {
    from.fail(*from.find("name"), "name", "names that begin with `amq.` are reserved");
  }
  out.durable = from.boolean("durable").value_or(true);
  out.auto_delete = from.boolean("auto-delete").value_or(false);
  out.internal = from.boolean("internal").value_or(false);
  out.alternate = from.text_if_any("alternate");
  const toml::node* bindings = from.find("bindings");
  if (bindings == nullptr) return out;
  if (bindings->as_array() == nullptr || !bindings->is_array_of_tables()) {
    from.fail(*bindings, "bindings", "must be a list of tables, [{queue = \"...\"}]");
  }
  for (const toml::node& node : *bindings->as_array()) {
    out.bindings.push_back(
        read_binding(reader(path, "exchange.bindings", *node.as_table(),
                            {"queue", "exchange", "key", "arguments"})));
  }
  return out;
}

auto_create read_auto_create(const reader& from) {
  return {.pattern = from.text("pattern"),
          .create = from.boolean("create").value_or(true),
          .durable = from.boolean("durable").value_or(true)};
}

security::user read_user(const reader& from) {
  security::user out{.name = from.text("name")};
  from.texts("passwords", [&](const std::string& text, const auto& refuse) {
    auto record = security::scram_record_of(text);
    if (!record) refuse("is not a record as `whimbrel hash-password` writes it");
    const bool twice = std::any_of(out.passwords.begin(), out.passwords.end(),
                                   [&](const auto& other) { return other.hash == record->hash; });
    if (twice) refuse("is a second record for " + std::string(mechanism_of(record->hash)));
    out.passwords.push_back(*std::move(record));
  });
  const auto patterns = [&](std::string_view key, std::vector<std::string>& to) {
    from.texts(key, [&](const std::string& text, const auto&) { to.push_back(text); });
  };
  patterns("configure", out.allowed.configure);
  patterns("send", out.allowed.send);
  patterns("receive", out.allowed.receive);
  patterns("manage", out.allowed.manage);
  if (out.passwords.empty() && out.name != "anonymous") {
    from.fail("user \"" + out.name +
              "\" has no `passwords`; make them with `whimbrel hash-password`");
  }
  return out;
}

class file_reader {
 public:
  file_reader(settings& to, const std::string& path, const on_set& seen)
      : to_(to), path_(path), seen_(seen) {}

  void read(const toml::table& root) {
    for (const auto& [key, value] : root) {
      const std::string_view name = key.str();
      if (const setting* row = find_setting(name)) {
        read_flat(*row, value);
      } else if (name == "listener") {
        to_.listeners = read_tables(name, value,
                                    {"address", "anonymous", "tls", "tls-certificate", "tls-key",
                                     "tls-client-ca", "tls-verify-client"},
                                    read_listener);
      } else if (name == "queue") {
        to_.queues = read_tables(name, value, {"name", "durable"}, read_queue, true);
        refuse_second(name, value, to_.queues);
      } else if (name == "policy") {
        to_.policies =
            read_tables(name, value, {"name", "pattern", "priority"}, read_policy, true);
        refuse_second(name, value, to_.policies);
      } else if (name == "user") {
        to_.users =
            read_tables(name, value,
                        {"name", "passwords", "configure", "send", "receive", "manage"}, read_user);
        refuse_second(name, value, to_.users);
      } else if (name == "auto-create") {
        to_.auto_creates =
            read_tables(name, value, {"pattern", "create", "durable"}, read_auto_create);
      } else if (name == "exchange") {
        to_.exchanges = read_tables(
            name, value,
            {"name", "type", "durable", "auto-delete", "internal", "alternate", "bindings"},
            [this](const reader& from) { return read_exchange(path_, from); });
        refuse_second(name, value, to_.exchanges);
      } else {
        fail(value, name, "is not a setting" + suggestion(name, known_names()));
      }
    }
  }

 private:
  [[noreturn]] void fail(const toml::node& at, std::string_view key,
                         const std::string& what) const {
    throw invalid(place(at) + ": " + std::string(key) + ": " + what);
  }

  std::string place(const toml::node& at) const {
    // An array of tables has no place of its own, so its first table stands for it.
    const toml::array* tables = at.as_array();
    const bool has_own = at.source().begin.line != 0 || tables == nullptr || tables->empty();
    const auto line = has_own ? at.source().begin.line : tables->front().source().begin.line;
    return path_ + ':' + std::to_string(line);
  }

  static std::vector<std::string_view> known_names() {
    std::vector<std::string_view> out(std::begin(table_names), std::end(table_names));
    for (const setting& row : setting_table) out.push_back(row.name);
    return out;
  }

  void read_flat(const setting& row, const toml::node& value) {
    std::string text;
    if (const auto given = value.value_exact<std::string>(); given && !is_boolean(row)) {
      text = *given;
    } else if (const auto integer = value.value_exact<std::int64_t>(); integer && is_number(row)) {
      text = std::to_string(*integer);
    } else if (const auto boolean = value.value_exact<bool>(); boolean && is_boolean(row)) {
      text = *boolean ? "true" : "false";
    } else {
      fail(value, row.name,
           is_boolean(row)  ? "must be true or false, without quotes"
           : is_number(row) ? "must be a whole number, or a text with a unit"
                            : "must be a text in quotes");
    }
    try {
      assign(to_, row, text);
    } catch (const invalid& error) {
      fail(value, row.name, error.what());
    }
    seen_(row, place(value));
  }

  template <class Read>
  std::vector<std::invoke_result_t<Read, const reader&>> read_tables(
      std::string_view kind, const toml::node& value, key_names known, Read read_one,
      bool takes_arguments = false) {
    const toml::array* tables = value.as_array();
    if (tables == nullptr || tables->empty() || !tables->is_array_of_tables()) {
      fail(value, kind, "is a list of tables; write [[" + std::string(kind) + "]]");
    }
    std::vector<std::invoke_result_t<Read, const reader&>> out;
    for (const toml::node& node : *tables) {
      out.push_back(read_one(reader(path_, kind, *node.as_table(), known, takes_arguments)));
    }
    return out;
  }

  template <class T>
  void refuse_second(std::string_view kind, const toml::node& value, const std::vector<T>& list) {
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (names.insert(list[i].name).second) continue;
      fail((*value.as_array())[i], kind, "\"" + list[i].name + "\" is declared twice");
    }
  }

  settings& to_;
  const std::string& path_;
  const on_set& seen_;
};

}  // namespace

void apply_file(settings& to, const std::string& path, const on_set& seen) {
  std::ifstream in(path, std::ios::binary);
  in.peek();  // a directory opens, and fails here
  if (!in.is_open() || in.bad()) {
    throw invalid(path + ": cannot be read: " + std::strerror(errno));
  }
  std::ostringstream text;
  text << in.rdbuf();
  try {
    const toml::table root = toml::parse(text.str(), path);
    file_reader(to, path, seen).read(root);
  } catch (const toml::parse_error& error) {
    throw invalid(path + ':' + std::to_string(error.source().begin.line) + ": " +
                  std::string(error.description()));
  }
}

}  // namespace whimbrel::broker::config
