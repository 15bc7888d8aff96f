// SPDX-License-Identifier: Apache-2.0
// Exchanges, topics and subscriptions by name: who gets which, what is kept, and for how long.
#include <memory>
#include <string>
#include <vector>

#include "amqp/spec/conditions.hpp"
#include "broker/core/fan_out.hpp"
#include "tests/broker/core/town.hpp"

using namespace whimbrel;
using namespace whimbrel::test;
namespace conditions = amqp::spec::conditions;
using core::exchange_type;

namespace {

core::node_request ask_to_send(const std::string& address) {
  core::node_request r = ask(address);
  r.to_consume = false;
  return r;
}

core::node_request ask_lasting(const std::string& address, const std::string& link,
                               const std::string& container = "c", bool shared = false) {
  core::node_request r = ask(address);
  r.wish = {.container = container, .link = link, .lasting = true, .durable = true,
            .shared = shared};
  return r;
}

/// Publishes as a producer of the first worker would.
void publish(town& t, const std::string& exchange, const std::string& key,
             const std::string& text) {
  std::vector<core::hit> hits;
  const auto m = make_text(text);
  core::shard& here = t.w.producers();
  REQUIRE(here.routes().route(t.nodes.exchanges().find(exchange), key, *m, hits));
  if (hits.size() > 1) {
    core::fan_out(here, hits, m, {}, 0);
  } else if (hits.size() == 1) {
    test_producer(t.w, hits[0].queue).put(m, true);
  }
  t.w.settle_down();
}

std::string waiting_in(town& t, core::queue_ref queue) {
  test_consumer c(t.w, queue);
  c.grant(100);
  t.w.settle_down();
  for (const auto& d : c.deliveries) c.settle(d.at, d.at, outcome::accepted);
  c.unsubscribe();
  t.w.settle_down();
  return c.texts();
}

core::subscription_reply look_up(town& t, const std::string& link, const std::string& container,
                                 bool global = false) {
  std::optional<core::subscription_reply> out;
  t.nodes.look_up(*t.w.shards.back(), {.container = container, .link = link, .global = global},
                  [&](const core::subscription_reply& r) { out = r; });
  t.w.settle_down();
  REQUIRE(out.has_value());
  return *out;
}

std::string unsubscribe(town& t, const std::string& id) {
  return t.said([&](const auto& done) { t.nodes.unsubscribe(*t.w.shards.back(), id, done); });
}

void leave(town& t, const core::node_reply& r, bool closed = false) {
  t.nodes.leave(*t.w.shards.back(), r.subscription, r.ticket, closed);
  t.w.settle_down();
}

}  // namespace

TEST_CASE("exchange: declared once, bound to what is there, known to every worker") {
  on_each_shape([](world& w) {
    town t(w);
    const core::exchange_settings e{.name = "e", .type = exchange_type::topic};
    CHECK(t.declare(e).empty());
    CHECK(t.declare(e).empty());
    CHECK(t.declare({.name = "e", .type = exchange_type::fanout}) ==
          conditions::precondition_failed);
    CHECK(t.declare({.name = "amq.e"}) == conditions::not_allowed);
    CHECK(t.declare({.name = ""}) == conditions::invalid_field);
    CHECK(t.declare({.name = std::string(256, 'e')}) == conditions::invalid_field);
    CHECK(t.declare({.name = "amq.topic", .type = exchange_type::topic}).empty());
    t.nodes.declare("a", true);
    CHECK(t.bind({.source = "e", .destination = "a", .key = "x.#"}).empty());
    CHECK(t.bind({.source = "e", .destination = "a", .key = "x.#"}).empty());
    CHECK(t.bind({.source = "e", .destination = "none", .key = "x"}) == conditions::not_found);
    CHECK(t.bind({.source = "none", .destination = "a"}) == conditions::not_found);
    CHECK(t.bind({.source = "e", .destination = "none", .to_exchange = true}) ==
          conditions::not_found);
    CHECK(t.bind({.source = "e", .destination = "a", .key = std::string(256, 'k')}) ==
          conditions::invalid_field);
    CHECK(t.nodes.exchanges().binding_count() == 1);
    CHECK(t.route("e", "x.y") == "a");
    CHECK(t.bind({.source = "amq.fanout", .destination = "e", .to_exchange = true}).empty());
    CHECK(t.route("amq.fanout", "x") == "a");
    CHECK(t.route("amq.fanout", "y").empty());
  });
}

TEST_CASE("exchange: it takes its bindings along, and so does a queue") {
  on_each_shape([](world& w) {
    town t(w);
    auto& x = t.nodes.exchanges();
    const auto remove = [&](const std::string& name) {
      return t.said([&](const auto& done) { x.remove(name, done); });
    };
    t.declare({.name = "a", .type = exchange_type::fanout});
    t.declare({.name = "b", .type = exchange_type::fanout});
    t.declare({.name = "auto", .type = exchange_type::fanout, .auto_delete = true});
    t.nodes.declare("q", true);
    t.bind({.source = "a", .destination = "b", .to_exchange = true});
    t.bind({.source = "b", .destination = "q"});
    t.bind({.source = "auto", .destination = "b", .to_exchange = true});
    CHECK(t.route("a", "") == "q");
    CHECK(t.route("auto", "") == "q");
    CHECK(remove("amq.direct") == conditions::not_allowed);
    CHECK(remove("none") == conditions::not_found);
    CHECK(remove("b").empty());
    CHECK(t.route("a", "").empty());
    CHECK(t.route("b", "") == "no exchange");
    CHECK(t.route("auto", "") == "no exchange");  // that was its last binding
    CHECK(x.binding_count() == 0);
    t.bind({.source = "a", .destination = "q"});
    CHECK(t.route("a", "") == "q");
    t.nodes.remove(*w.shards.back(), "q");
    w.settle_down();
    CHECK(t.route("a", "").empty());
    CHECK(x.binding_count() == 0);
    // An exchange that gets its place is another one.
    t.declare({.name = "c", .type = exchange_type::fanout});
    CHECK(t.route("c", "").empty());
  });
}

TEST_CASE("exchange: durable ones and their durable bindings are found again") {
  on_each_shape([](world& shape) {
    const auto workers = static_cast<std::uint16_t>(shape.shards.size());
    storage::memory_disk disk;
    {
      world w({.workers = workers}, disk);
      w.start();
      town t(w);
      t.declare({.name = "kept", .type = exchange_type::topic, .alternate = "amq.fanout"});
      t.declare({.name = "lost", .type = exchange_type::topic, .durable = false});
      t.nodes.declare("a", true);
      t.nodes.declare("b", false);
      t.bind({.source = "kept", .destination = "a", .key = "a.*"});
      t.bind({.source = "kept", .destination = "b", .key = "a.*"});
      t.bind({.source = "lost", .destination = "a", .key = "#"});
      t.bind({.source = "amq.fanout", .destination = "kept", .to_exchange = true});
      t.bind({.source = "amq.direct", .destination = "a", .key = "gone"});
      t.said([&](const auto& done) {
        t.nodes.exchanges().unbind({.source = "amq.direct", .destination = "a", .key = "gone"},
                                   done);
      });
      CHECK(t.route("kept", "a.b") == "a b");
    }
    world w({.workers = workers}, disk);
    town t(w, settings(), false);
    w.store.recover(t.nodes);
    t.nodes.finish_recovery();
    CHECK(t.route("kept", "a.b") == "a");
    CHECK(t.route("amq.fanout", "a.b") == "a");
    CHECK(t.route("amq.direct", "gone").empty());
    CHECK_FALSE(t.nodes.exchanges().find("lost"));
    CHECK(t.nodes.exchanges().settings_of("kept")->alternate == "amq.fanout");
    CHECK(t.nodes.exchanges().binding_count() == 2);
    t.nodes.remove(*w.shards[0], "a");
    w.settle_down();
    CHECK(t.route("kept", "a.b").empty());
  });
}

TEST_CASE("exchange: producers are led to it, or told why not") {
  on_each_shape([](world& w) {
    town t(w);
    t.declare({.name = "e", .type = exchange_type::direct});
    t.declare({.name = "inner", .internal = true});
    t.nodes.declare("q", true);
    w.settle_down();
    const auto keyed = t.reply(ask_to_send("/exchanges/e/a%2Fb"));
    CHECK(keyed.exchange.at == t.nodes.exchanges().find("e"));
    CHECK(keyed.exchange.key == "a/b");
    CHECK_FALSE(keyed.exchange.drops);
    CHECK_FALSE(t.reply(ask_to_send("/exchanges/e")).exchange.key.has_value());
    CHECK(t.reply(ask_to_send("e")).exchange.at);
    CHECK(refusal(t.reply(ask_to_send("/exchanges/inner"))) == conditions::not_allowed);
    CHECK(refusal(t.reply(ask_to_send("/exchanges/none"))) == conditions::not_found);
    const std::string longest(255, 'k');
    CHECK(t.reply(ask_to_send("/topics/" + longest)).is_ok());
    for (const char* stem : {"/topics/k", "/queues/k", "queue:k", "k", "/exchanges/e/k"}) {
      CAPTURE(std::string(stem));
      CHECK(refusal(t.reply(ask_to_send(stem + longest))) == conditions::invalid_field);
    }
    // The default exchange names queues.
    CHECK(t.reply(ask_to_send("/exchanges/amq.default/q")).name == "q");
    CHECK(refusal(t.reply(ask_to_send("/exchanges/amq.default/none"))) == conditions::not_found);
    CHECK(t.reply(ask_to_send("/exchanges/amq.default")).by_subject);
    auto r = ask_to_send("/exchanges/e/k");
    r.may_use = [](std::string_view n) { return n != "e"; };
    CHECK(refusal(t.reply(r)) == conditions::unauthorized_access);
    r = ask_to_send("/exchanges/none");
    r.may_use = [](std::string_view) { return false; };
    CHECK(refusal(t.reply(r)) == conditions::unauthorized_access);
  });
}

TEST_CASE("topic: addresses and capabilities lead to it, an exchange or queue of that name aside") {
  on_each_shape([](world& w) {
    town t(w);
    const auto topics = t.nodes.exchanges().find("amq.topic");
    for (const char* form : {"/topics/a.b", "topic://a.b", "topic:a.b", "amqp://host/topics/a.b"}) {
      CAPTURE(std::string(form));
      const auto r = t.reply(ask_to_send(form));
      CHECK(r.exchange.at == topics);
      CHECK(r.exchange.key == "a.b");
      CHECK(r.exchange.drops);  // nobody need listen
    }
    // By its exchange it is an exchange like any other.
    CHECK_FALSE(t.reply(ask_to_send("/exchanges/amq.topic/a.b")).exchange.drops);
    auto r = ask_to_send("plain");
    r.hint = core::node_hint::topic;
    CHECK(t.reply(r).exchange.key == "plain");
    r = ask_to_send("topic:plain");
    r.hint = core::node_hint::queue;
    CHECK(t.reply(r).queue);
    t.nodes.declare("both", true);
    t.declare({.name = "both", .type = exchange_type::fanout});
    CHECK(t.reply(ask_to_send("both")).queue);
    r = ask_to_send("both");
    r.hint = core::node_hint::topic;
    CHECK(t.reply(r).exchange.at == t.nodes.exchanges().find("both"));
  });
}

TEST_CASE("topic: a consumer's link has a subscription of its own, which goes with it") {
  on_each_shape([](world& w) {
    town t(w);
    const auto one = t.reply(ask("/topics/a.*"));
    const auto two = t.reply(ask("/topics/a.#", 2));
    REQUIRE(one.subscribed);
    CHECK(one.subscription.empty());
    CHECK(one.queue != two.queue);
    CHECK(t.route("amq.topic", "a.b") == one.name + " " + two.name);
    CHECK(t.route("amq.topic", "a.b.c") == two.name);
    publish(t, "amq.topic", "a.b", "hello");
    CHECK(waiting_in(t, one.queue) == "hello");
    CHECK(waiting_in(t, two.queue) == "hello");
    CHECK(w.store.statistics().puts == 0);
    t.nodes.remove(*w.shards.back(), one.name);
    w.settle_down();
    CHECK(t.route("amq.topic", "a.b") == two.name);
    CHECK(refusal(t.reply(ask(two.name, 1))) == conditions::resource_locked);
  });
}

TEST_CASE("topic: consumers of an exchange bind their subscription by the key of the address") {
  on_each_shape([](world& w) {
    town t(w);
    t.declare({.name = "d", .type = exchange_type::direct});
    t.declare({.name = "t", .type = exchange_type::topic});
    const auto keyed = t.reply(ask("/exchanges/d/k"));
    const auto all = t.reply(ask("/exchanges/t"));
    CHECK(t.route("d", "k") == keyed.name);
    CHECK(t.route("d", "l").empty());
    CHECK(t.route("t", "any.thing") == all.name);
    CHECK(refusal(t.reply(ask("/exchanges/amq.default"))) == conditions::invalid_field);
  });
}

TEST_CASE("topic: whoever may read some names may not read more by a wildcard") {
  on_each_shape([](world& w) {
    town t(w);
    const auto may = [&](const std::string& pattern, auto allowed) {
      auto r = ask("/topics/" + pattern);
      r.may_use = allowed;
      return t.reply(r).is_ok();
    };
    const auto under_news = [](std::string_view n) { return n.starts_with("news."); };
    const auto short_names = [](std::string_view n) { return n.size() == 6; };  // news.?
    CHECK(may("news.%23", under_news));
    CHECK(may("news.*.x", under_news));
    CHECK_FALSE(may("%23", under_news));
    CHECK_FALSE(may("*.news", under_news));
    CHECK(may("news.a", short_names));
    CHECK_FALSE(may("news.%23", short_names));
    CHECK_FALSE(may("news.*", short_names));
  });
}

TEST_CASE("topic: a temporary one is its maker's to make, anybody's to use, and goes") {
  on_each_shape([](world& w) {
    town t(w);
    auto r = ask_to_send("");
    r.dynamic = true;
    r.hint = core::node_hint::topic;
    auto denied = r;
    denied.may_configure = [](std::string_view) { return false; };
    CHECK(refusal(t.reply(denied)) == conditions::unauthorized_access);
    const auto made = t.reply(r);
    REQUIRE(made.is_ok());
    CHECK(made.name.starts_with("temp."));
    CHECK(made.exchange.drops);
    auto listener = ask(made.name, 5);
    listener.hint = core::node_hint::topic;
    const auto one = t.reply(listener);
    const auto two = t.reply(listener);
    REQUIRE(one.subscribed);
    CHECK(one.queue != two.queue);
    auto sender = ask_to_send(made.name);
    sender.hint = core::node_hint::topic;
    CHECK(t.reply(sender).exchange.at == made.exchange.at);
    t.nodes.remove(*w.shards.back(), made.name);
    w.settle_down();
    CHECK_FALSE(t.nodes.exchanges().find(made.name));
    r.to_consume = true;
    const auto consumed = t.reply(r);
    REQUIRE(consumed.subscribed);
    CHECK(t.route(consumed.name, "") == consumed.name);
    t.nodes.remove(*w.shards.back(), consumed.name);
    w.settle_down();
    CHECK(t.route(consumed.name, "") == "no exchange");
  });
}

TEST_CASE("subscription: a lasting one is found again by container and link, with what came") {
  on_each_shape([](world& w) {
    town t(w);
    const auto first = t.reply(ask_lasting("/topics/a", "news"));
    REQUIRE(first.subscribed);
    CHECK_FALSE(first.subscription.empty());
    CHECK(w.at(first.queue).settings().durable);
    leave(t, first);
    publish(t, "amq.topic", "a", "one");
    const auto again = t.reply(ask_lasting("topic://a", "news"));
    CHECK(again.queue == first.queue);
    CHECK(waiting_in(t, again.queue) == "one");
    CHECK(t.reply(ask_lasting("/topics/a", "other")).queue != first.queue);
    CHECK(t.reply(ask_lasting("/topics/a", "news", "d")).queue != first.queue);
    CHECK(t.reply(ask_lasting("/topics/a", "a:b")).queue !=
          t.reply(ask_lasting("/topics/a", "b", "c:a")).queue);
    CHECK(t.reply(ask_lasting("/topics/a", "news|x")).queue != first.queue);
    auto denied = ask_lasting("/topics/a", "denied");
    denied.may_configure = [](std::string_view) { return false; };
    CHECK(refusal(t.reply(denied)) == conditions::unauthorized_access);
    CHECK(refusal(t.reply(ask_lasting("/topics/a", std::string(256, 'n')))) ==
          conditions::invalid_field);
  });
}

TEST_CASE("subscription: a second link of the name takes it over from the first") {
  on_each_shape([](world& w) {
    town t(w);
    const auto first = t.reply(ask_lasting("/topics/a", "news"));
    test_consumer before(w, first.queue);
    before.grant(5);
    w.settle_down();
    const auto second = t.reply(ask_lasting("/topics/a", "news"));
    CHECK(second.queue == first.queue);
    CHECK(before.detached == std::string(conditions::stolen));
    // The first one's leaving says nothing about the second.
    leave(t, first, true);
    CHECK(t.nodes.subscription_count() == 1);
    leave(t, second, true);
    CHECK(t.nodes.subscription_count() == 0);
    CHECK(t.route("amq.topic", "a").empty());
    CHECK(t.nodes.size() == 0);
  });
}

TEST_CASE("subscription: another address or filter replaces it, what it had goes") {
  on_each_shape([](world& w) {
    town t(w);
    const auto first = t.reply(ask_lasting("/topics/a", "news"));
    publish(t, "amq.topic", "a", "old");
    const auto moved = t.reply(ask_lasting("/topics/b", "news"));
    CHECK(moved.queue != first.queue);
    CHECK(t.route("amq.topic", "a").empty());
    publish(t, "amq.topic", "b", "new");
    auto filtered = ask_lasting("/topics/b", "news");
    filtered.wish.filter = "colour = 'red'";
    const auto other = t.reply(filtered);
    CHECK(other.queue != moved.queue);
    CHECK(w.at(other.queue).depth() == 0);
    CHECK(t.reply(filtered).queue == other.queue);
    CHECK(t.nodes.subscription_count() == 1);
    CHECK(t.nodes.size() == 1);
    // Asked for twice at once, it is made once.
    const auto a = t.resolve(ask_lasting("/topics/c", "news"), 0);
    const auto b = t.resolve(ask_lasting("/topics/c", "news"), w.shards.size() - 1);
    w.settle_down();
    CHECK((*a)->queue == (*b)->queue);
    CHECK(t.nodes.size() == 1);
  });
}

TEST_CASE("subscription: a shared one has several links, and one filter while it has any") {
  on_each_shape([](world& w) {
    town t(w);
    const auto one = t.reply(ask_lasting("/topics/a", "work", "c", true));
    const auto two = t.reply(ask_lasting("/topics/a", "work|2", "c", true));
    CHECK(one.queue == two.queue);
    CHECK(refusal(t.reply(ask_lasting("/topics/b", "work", "c", true))) ==
          conditions::precondition_failed);
    CHECK(t.reply(ask_lasting("/topics/a", "work", "d", true)).queue != one.queue);
    auto global = ask_lasting("/topics/a", "work|global", "c", true);
    global.wish.global = true;
    const auto everywhere = t.reply(global);
    global.wish.container = "d";
    global.wish.link = "work|global|2";
    CHECK(t.reply(global).queue == everywhere.queue);
    CHECK(everywhere.queue != one.queue);
    leave(t, one);
    leave(t, two, true);  // closed by the last: that is the end of it
    CHECK(t.route("amq.topic", "a").find("c:work") == std::string::npos);
    CHECK(t.reply(ask_lasting("/topics/b", "work", "c", true)).is_ok());
  });
}

TEST_CASE("subscription: a shared one that does not last goes with its last link") {
  on_each_shape([](world& w) {
    town t(w);
    auto r = ask("/topics/a");
    r.wish = {.container = "c", .link = "work|volatile1", .shared = true};
    const auto one = t.reply(r);
    r.wish.link = "work|volatile2";
    const auto two = t.reply(r);
    CHECK(one.queue == two.queue);
    CHECK_FALSE(w.at(one.queue).settings().durable);
    const auto lasting = t.reply(ask_lasting("/topics/a", "work", "c", true));
    CHECK(lasting.queue != one.queue);
    leave(t, one);
    CHECK(t.nodes.size() == 2);
    leave(t, two);
    CHECK(t.nodes.size() == 1);
    leave(t, lasting);
    CHECK(t.nodes.size() == 1);
  });
}

TEST_CASE("subscription: it is looked up by its name, and ended only without consumers") {
  on_each_shape([](world& w) {
    town t(w);
    CHECK_FALSE(look_up(t, "news", "c").found);
    const auto made = t.reply(ask_lasting("/topics/a", "news"));
    auto shared = ask_lasting("/topics/b", "work|global", "c", true);
    shared.wish.global = true;
    const auto work = t.reply(shared);
    const auto seen = look_up(t, "news", "c");
    REQUIRE(seen.found);
    CHECK(seen.what.address == "/topics/a");
    CHECK(seen.what.durable);
    CHECK_FALSE(look_up(t, "news", "d").found);
    const auto everywhere = look_up(t, "work|global", "any");
    REQUIRE(everywhere.found);
    CHECK(everywhere.what.global);
    CHECK(unsubscribe(t, seen.what.id) == conditions::resource_locked);
    leave(t, made);
    CHECK(unsubscribe(t, seen.what.id).empty());
    CHECK_FALSE(look_up(t, "news", "c").found);
    CHECK(t.route("amq.topic", "a").empty());
    leave(t, work);
    CHECK(unsubscribe(t, everywhere.what.id).empty());
    CHECK(t.nodes.size() == 0);
    CHECK(unsubscribe(t, "c:none").empty());
  });
}

TEST_CASE("subscription: the durable ones are there after a restart, with what they collected") {
  on_each_shape([](world& shape) {
    const auto workers = static_cast<std::uint16_t>(shape.shards.size());
    storage::memory_disk disk;
    {
      world w({.workers = workers}, disk);
      w.start();
      town t(w);
      leave(t, t.reply(ask_lasting("/topics/a.#", "news")));
      auto memory = ask_lasting("/topics/a.#", "memory");
      memory.wish.durable = false;
      leave(t, t.reply(memory));
      leave(t, t.reply(ask_lasting("/topics/a.#", "ended")), true);
      publish(t, "amq.topic", "a.b", "one");
      // Half of one: its queue was made, and then the power went.
      t.nodes.declare("subscription.c:half", true);
      w.settle_down();
    }
    world w({.workers = workers}, disk);
    town t(w, settings(), false);
    w.store.recover(t.nodes);
    t.nodes.finish_recovery();
    w.settle_down();
    CHECK(t.nodes.size() == 1);
    CHECK(t.nodes.subscription_count() == 1);
    CHECK(t.route("amq.topic", "a.c") == "subscription.c:news");
    publish(t, "amq.topic", "a.c", "two");
    auto r = ask_lasting("/topics/a.#", "news");
    CHECK(waiting_in(t, t.reply(r).queue) == "one two");
    r.wish.filter = "other";
    CHECK(w.at(t.reply(r).queue).depth() == 0);
  });
}

TEST_CASE("subscription: names are read as Qpid JMS writes them, others are left whole") {
  const struct {
    const char* link;
    const char* name;
    bool global = false;
  } rows[] = {
      {"news", "news"},           {"news|2", "news"},
      {"news|global", "news", true}, {"news|global|3", "news", true},
      {"news|volatile1", "news"}, {"news|global-volatile12", "news", true},
      {"a|b", "a|b"},             {"a|volatile", "a|volatile"},
      {"a|global2", "a|global2"}, {"|2", "|2"},
      {"a|", "a|"},               {"a|2|3", "a|2|3"},
  };
  for (const auto& row : rows) {
    CAPTURE(std::string(row.link));
    const auto got = core::parse_subscription_name(row.link);
    CHECK(got.name == row.name);
    CHECK(got.global == row.global);
    CHECK(got.decorated == (got.name != row.link));
  }
}
