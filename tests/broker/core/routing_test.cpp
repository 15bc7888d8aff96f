// SPDX-License-Identifier: Apache-2.0
// From key and properties to queues: each type of exchange against an obvious one, and the cost of
// bindings that do not match, counted.
#include <algorithm>
#include <iostream>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "amqp/codec/codec.hpp"
#include "broker/core/headers_index.hpp"
#include "broker/core/router.hpp"
#include "broker/core/topic_trie.hpp"
#include "tests/broker/core/fakes.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
using amqp::codec::map;
using amqp::codec::value;
using core::exchange_type;

namespace {

/// A message with application-properties and message-annotations.
core::message_ptr with_properties(const map& properties, const map& annotations = {}) {
  amqp::octet_buffer out;
  const auto section = [&](std::uint8_t code, const map& m) {
    const std::uint8_t head[] = {0x00, 0x53, code};
    out.append(std::as_bytes(std::span(head)));
    amqp::codec::encode(out, m);
  };
  if (!annotations.empty()) section(0x72, annotations);
  if (!properties.empty()) section(0x74, properties);
  const std::uint8_t body[] = {0x00, 0x53, 0x77, 0x40};
  out.append(std::as_bytes(std::span(body)));
  auto made = core::make_message(out.octets());
  REQUIRE(made.has_value());
  return *std::move(made);
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> out;
  if (text.empty()) return out;
  std::size_t from = 0;
  for (auto dot = text.find('.'); dot != std::string::npos; dot = text.find('.', from)) {
    out.push_back(text.substr(from, dot - from));
    from = dot + 1;
  }
  out.push_back(text.substr(from));
  return out;
}

/// The meaning of a pattern, word by word, with every choice tried.
bool obviously_matches(const std::vector<std::string>& p, std::size_t i,
                       const std::vector<std::string>& k, std::size_t j) {
  if (i == p.size()) return j == k.size();
  if (p[i] == "#") {
    for (std::size_t n = j; n <= k.size(); ++n) {
      if (obviously_matches(p, i + 1, k, n)) return true;
    }
    return false;
  }
  if (j == k.size() || (p[i] != "*" && p[i] != k[j])) return false;
  return obviously_matches(p, i + 1, k, j + 1);
}

std::set<core::target> matched(core::binding_index& index, std::string_view key,
                               const core::message& m) {
  std::vector<core::target> out;
  index.match(key, m, out);
  return {out.begin(), out.end()};
}

const core::message& plain() {
  static const core::message_ptr m = make_text("x");
  return *m;
}

core::hit queue_at(std::uint32_t slot) { return {{worker_id{0}, slot, 1}, true}; }

/// Exchanges by name, as worker 0 would give out their places.
struct table {
  core::exchange_ref add(const std::string& name, exchange_type type,
                         const std::string& alternate = "") {
    const core::exchange_ref at{next++, 1};
    r.add_exchange(at, {.name = name, .type = type, .alternate = alternate});
    return at;
  }
  std::string route(core::exchange_ref from, std::string_view key,
                    const core::message& m = plain()) {
    std::vector<core::hit> hits;
    if (!r.route(from, key, m, hits)) return "gone";
    std::vector<std::uint32_t> slots;
    for (const core::hit& h : hits) slots.push_back(h.queue.slot);
    std::sort(slots.begin(), slots.end());
    std::string out;
    for (const auto s : slots) out += (out.empty() ? "" : " ") + std::to_string(s);
    return out;
  }
  core::router r;
  std::uint32_t next = 0;
};

core::edge to_queue(core::exchange_ref from, std::uint32_t slot, const std::string& key = "",
                    const map& arguments = {}) {
  return {from, queue_at(slot), {}, key, arguments};
}

core::edge to_exchange(core::exchange_ref from, core::exchange_ref to,
                       const std::string& key = "") {
  return {from, {}, to, key, {}};
}

}  // namespace

TEST_CASE("topic: words and wildcards match as their rules say") {
  const struct {
    const char* pattern;
    const char* key;
    bool want;
  } rows[] = {
      {"a.b", "a.b", true},     {"a.b", "a", false},        {"a.b", "a.b.c", false},
      {"*", "a", true},         {"*", "a.b", false},        {"*", "", false},
      {"#", "", true},          {"#", "a.b.c", true},       {"a.#", "a", true},
      {"a.#", "a.b.c", true},   {"a.#", "b", false},        {"#.b", "b", true},
      {"#.b", "a.a.b", true},   {"#.b", "b.a", false},      {"a.*.c", "a.b.c", true},
      {"a.*.c", "a.c", false},  {"a.#.c", "a.c", true},     {"a.#.c", "a.b.b.c", true},
      {"#.#", "a", true},       {"#.*", "", false},         {"#.*", "a.b", true},
      {"", "", true},           {"", "a", false},           {"a..b", "a..b", true},
      {"a.*.b", "a..b", true},  {"*a", "xa", false},        {"a.*", "a.*", true},
      {"a", "*", false},        {"*.#.*", "a", false},      {"*.#.*", "a.b", true},
  };
  for (const auto& row : rows) {
    CAPTURE(std::string(row.pattern));
    CAPTURE(std::string(row.key));
    core::topic_trie t;
    t.add(row.pattern, {}, 7);
    CHECK(matched(t, row.key, plain()) == (row.want ? std::set<core::target>{7}
                                                    : std::set<core::target>{}));
    CHECK(obviously_matches(split(row.pattern), 0, split(row.key), 0) == row.want);
    t.remove(row.pattern, {}, 7);
    CHECK(matched(t, row.key, plain()).empty());
    CHECK(t.size() == 1);
    CHECK(t.word_count() == 0);
  }
}

TEST_CASE("topic: the tree agrees with trying every pattern, while patterns come and go") {
  const std::uint32_t seed = 20240611;
  CAPTURE(seed);
  std::mt19937 random(seed);
  const std::vector<std::string> words{"a", "b", "c", "", "*", "#", "#"};
  const auto text = [&](std::size_t kinds) {
    std::string out;
    for (std::size_t n = 1 + random() % 5; n > 0; --n) {
      out += words[random() % kinds];
      if (n > 1) out += '.';
    }
    return out;
  };
  core::topic_trie t;
  std::vector<std::pair<std::string, core::target>> there;
  std::size_t found = 0;
  for (core::target step = 0; step < 3000; ++step) {
    CAPTURE(step);
    if (there.size() < 40 || random() % 2 == 0) {
      there.emplace_back(text(words.size()), step);
      t.add(there.back().first, {}, step);
    } else {
      const std::size_t which = random() % there.size();
      t.remove(there[which].first, {}, there[which].second);
      there[which] = there.back();
      there.pop_back();
    }
    const std::string key = text(4);
    CAPTURE(key);
    std::set<core::target> want;
    for (const auto& [pattern, to] : there) {
      if (obviously_matches(split(pattern), 0, split(key), 0)) want.insert(to);
    }
    REQUIRE(matched(t, key, plain()) == want);
    found += want.size();
  }
  CHECK(found > 3000);
  for (const auto& [pattern, to] : there) t.remove(pattern, {}, to);
  CHECK(t.size() == 1);
  CHECK(t.word_count() == 0);
}

TEST_CASE("topic: a pattern of many wildcards costs its length a word, not its choices") {
  core::topic_trie t;
  std::string pattern = "#";
  for (int i = 0; i < 20; ++i) pattern += ".a.#";
  t.add(pattern + ".z", {}, 1);
  std::string key = "a";
  for (int i = 0; i < 60; ++i) key += ".a";
  CHECK(matched(t, key, plain()).empty());
  CHECK(t.steps() < 20'000);
  CHECK(matched(t, key + ".z", plain()).size() == 1);
}

TEST_CASE("routing: bindings that do not match cost nothing") {
  const auto cost = [](exchange_type type, std::uint32_t others) {
    const auto index = core::make_binding_index(type);
    const auto arguments = [&](std::uint32_t i) {
      return map{{value("n"), value(i)}, {value("kind"), value("same")}};
    };
    for (std::uint32_t i = 0; i < others; ++i) {
      const std::string n = std::to_string(i);
      // Prefixes and suffixes that the key shares, and words that it does not have.
      index->add(i % 2 == 0 ? "k." + n + ".*.x" : "other" + n + ".#", arguments(i), i);
    }
    const bool headers = type == exchange_type::headers;
    index->add("k.one.y.x", headers ? arguments(others) : map{}, others);
    const auto m = with_properties({{value("n"), value(others)}, {value("kind"), value("same")}});
    CHECK(matched(*index, "k.one.y.x", *m) == std::set<core::target>{others});
    return index->steps();
  };
  for (const auto type : {exchange_type::direct, exchange_type::topic, exchange_type::headers}) {
    CAPTURE(core::name_of(type));
    const auto few = cost(type, 10);
    CHECK(few > 0);
    CHECK(cost(type, 20'000) == few);
  }
}

TEST_CASE("headers: each way of matching looks at what it should") {
  const map order{{value("kind"), value("order")}, {value("size"), value(std::int32_t{3})}};
  const struct {
    const char* what;
    map wanted;
    map properties;
    bool want;
    map annotations = {};
  } rows[] = {
      {"all, and all are there", order, order, true},
      {"all, one differs", order,
       {{value("kind"), value("order")}, {value("size"), value(std::int32_t{4})}}, false},
      {"all, one is missing", order, {{value("kind"), value("order")}}, false},
      {"any, one is there", {{value("x-match"), value("any")}, {value("kind"), value("order")},
                             {value("size"), value(std::int32_t{3})}},
       {{value("kind"), value("order")}}, true},
      {"any, none is there", {{value("x-match"), value("any")}, {value("kind"), value("order")}},
       {{value("kind"), value("bill")}}, false},
      {"all of nothing", {}, order, true},
      {"any of nothing", {{value("x-match"), value("any")}}, order, false},
      {"a null asks for presence", {{value("kind"), value()}}, order, true},
      {"a null asks for presence of that name", {{value("colour"), value()}}, order, false},
      {"numbers of other widths are equal", {{value("size"), value(std::uint64_t{3})}}, order,
       true},
      {"a number is not its text", {{value("size"), value("3")}}, order, false},
      {"a symbol is its text", {{value("kind"), value(amqp::symbol("order"))}}, order, true},
      {"a key may be a symbol", {{value(amqp::symbol("kind")), value("order")}}, order, true},
      {"x- arguments do not count in all",
       {{value("x-a"), value("1")}, {value("kind"), value("order")}}, order, true},
      {"x- arguments do not count in any",
       {{value("x-match"), value("any")}, {value("x-a"), value("1")}},
       {{value("x-a"), value("1")}}, false},
      {"x- arguments count in all-with-x",
       {{value("x-match"), value("all-with-x")}, {value("x-a"), value("1")}}, order, false},
      {"x- arguments are found in all-with-x",
       {{value("x-match"), value("all-with-x")}, {value("x-a"), value("1")}},
       {{value("x-a"), value("1")}}, true},
      {"x- arguments are found among annotations",
       {{value("x-match"), value("any-with-x")}, {value("x-a"), value("1")}}, order, true,
       {{value(amqp::symbol("x-a")), value("1")}}},
      {"other annotations are no properties", {{value("kind"), value("order")}}, {}, false,
       {{value(amqp::symbol("kind")), value("order")}}},
      {"booleans", {{value("urgent"), value(true)}}, {{value("urgent"), value(true)}}, true},
      {"booleans that differ", {{value("urgent"), value(true)}}, {{value("urgent"), value(false)}},
       false},
  };
  for (const auto& row : rows) {
    CAPTURE(std::string(row.what));
    const auto m = with_properties(row.properties, row.annotations);
    core::headers_index index;
    index.add("", row.wanted, 1);
    CHECK(matched(index, "", *m) == (row.want ? std::set<core::target>{1}
                                              : std::set<core::target>{}));
    index.add("", row.wanted, 2);
    index.remove("", row.wanted, 1);
    CHECK(matched(index, "", *m) == (row.want ? std::set<core::target>{2}
                                              : std::set<core::target>{}));
    index.remove("", row.wanted, 2);
    CHECK(matched(index, "", *m).empty());
  }
}

TEST_CASE("routing: each type of exchange finds its queues, each once") {
  table t;
  const auto direct = t.add("d", exchange_type::direct);
  t.r.bind(to_queue(direct, 1, "k"));
  t.r.bind(to_queue(direct, 2, "k"));
  t.r.bind(to_queue(direct, 1, "l"));
  CHECK(t.route(direct, "k") == "1 2");
  CHECK(t.route(direct, "l") == "1");
  CHECK(t.route(direct, "m").empty());
  const auto fanout = t.add("f", exchange_type::fanout);
  t.r.bind(to_queue(fanout, 3));
  t.r.bind(to_queue(fanout, 4, "whatever"));
  CHECK(t.route(fanout, "k") == "3 4");
  const auto topic = t.add("t", exchange_type::topic);
  t.r.bind(to_queue(topic, 5, "a.*"));
  t.r.bind(to_queue(topic, 5, "a.#"));
  t.r.bind(to_queue(topic, 6, "#"));
  CHECK(t.route(topic, "a.b") == "5 6");
  t.r.unbind(to_queue(topic, 5, "a.#"));
  CHECK(t.route(topic, "a.b") == "5 6");
  t.r.unbind(to_queue(topic, 5, "a.*"));
  CHECK(t.route(topic, "a.b") == "6");
  t.r.unbind(to_queue(direct, 2, "k"));
  CHECK(t.route(direct, "k") == "1");
  t.r.unbind(to_queue(direct, 9, "k"));
  CHECK(t.route(direct, "k") == "1");
}

TEST_CASE("routing: exchanges pass on to exchanges, in circles too") {
  table t;
  const auto a = t.add("a", exchange_type::fanout);
  const auto b = t.add("b", exchange_type::topic);
  const auto c = t.add("c", exchange_type::direct);
  t.r.bind(to_exchange(a, b));
  t.r.bind(to_exchange(b, c, "x.#"));
  t.r.bind(to_exchange(c, a, "x.y"));
  t.r.bind(to_exchange(b, b, "#"));
  t.r.bind(to_queue(a, 1));
  t.r.bind(to_queue(b, 2, "*.y"));
  t.r.bind(to_queue(c, 3, "x.y"));
  t.r.bind(to_queue(c, 1, "x.y"));
  CHECK(t.route(a, "x.y") == "1 2 3");
  CHECK(t.route(c, "x.y") == "1 2 3");
  CHECK(t.route(a, "z.y") == "1 2");
  CHECK(t.route(c, "z.y").empty());
  t.r.unbind(to_exchange(b, c, "x.#"));
  CHECK(t.route(a, "x.y") == "1 2");
}

TEST_CASE("routing: what an exchange has no binding for goes to its alternate") {
  table t;
  const auto first = t.add("first", exchange_type::direct, "second");
  const auto second = t.add("second", exchange_type::direct, "third");
  const auto third = t.add("third", exchange_type::fanout, "first");
  t.r.bind(to_queue(first, 1, "a"));
  t.r.bind(to_queue(second, 2, "b"));
  CHECK(t.route(first, "a") == "1");
  CHECK(t.route(first, "b") == "2");
  CHECK(t.route(first, "c").empty());  // and the circle of alternates ends
  t.r.bind(to_queue(third, 3));
  CHECK(t.route(first, "c") == "3");
  t.r.remove_exchange(third);
  CHECK(t.route(third, "c") == "gone");
  CHECK(t.route(first, "c").empty());
  const auto heir = t.add("third", exchange_type::fanout);
  t.r.bind(to_queue(heir, 4));
  CHECK(t.route(first, "c") == "4");  // found by its name
  CHECK(t.route(third, "c") == "gone");
}

TEST_CASE("exchange: definitions survive their records") {
  const core::exchange_settings e{.name = "e", .type = exchange_type::headers, .durable = true,
                                  .auto_delete = true, .internal = true, .alternate = "x"};
  const auto octets = core::encode_record(e);
  CHECK(core::decode_exchange("e", octets->octets()) == e);
  CHECK_FALSE(core::decode_exchange("e", octets->octets().first(3)).has_value());
  core::binding b{.source = "s", .destination = "d", .to_exchange = true, .key = "k.#",
                  .arguments = {{value("x-match"), value("any")}, {value("a"), value(1)}}};
  const auto got = core::decode_binding(core::encode_record(b)->octets());
  REQUIRE(got.has_value());
  CHECK(got->id() == b.id());
  CHECK(got->to_exchange);
  CHECK(got->arguments == b.arguments);
  CHECK_FALSE(core::decode_binding(octets->octets()).has_value());
}

TEST_CASE("binding: whatever differs makes another binding") {
  const core::binding base{.source = "s", .destination = "d", .key = "k"};
  std::set<std::string> ids{base.id()};
  const auto add = [&](core::binding b) { CHECK(ids.insert(b.id()).second); };
  add({.source = "t", .destination = "d", .key = "k"});
  add({.source = "s", .destination = "e", .key = "k"});
  add({.source = "s", .destination = "d", .to_exchange = true, .key = "k"});
  add({.source = "s", .destination = "d", .key = "l"});
  add({.source = "s", .destination = "dk", .key = ""});
  add({.source = "s", .destination = "d", .key = "k", .arguments = {{value("a"), value(1)}}});
  CHECK_FALSE(ids.insert(core::binding(base).id()).second);
}
